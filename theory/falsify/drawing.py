"""Structures for Hypothesis: whole numbers as runs of coin tosses.

A number takes as many draws as it is large, so that Hypothesis, which prefers fewer draws, shrinks
it to the least that will do. Coins alone are used: what Hypothesis makes of whole numbers also
depends on constants that it finds in the modules around, and a search must be the same anywhere.
"""

from typing import TYPE_CHECKING

from theory.errors import InputError

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn


def require_hypothesis() -> None:
    """Raise InputError, with the line that installs it, if Hypothesis is not there."""
    try:
        import hypothesis  # noqa: F401
    except ImportError:
        raise InputError("falsify needs Hypothesis: `pip install hypothesis`") from None


def whole(draw: "DrawFn", least: int, most: int) -> int:
    """Return a whole number, each one more half as likely."""
    from hypothesis import strategies as st

    number = least
    while number < most and draw(st.booleans()):
        number += 1
    return number


def coin(draw: "DrawFn") -> bool:
    """Return False or True, the former where either will do."""
    from hypothesis import strategies as st

    return bool(draw(st.booleans()))
