"""Training and measuring: presets become records of what networks really do."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from empirics.checking.check import check as check
    from empirics.checking.subject import Subject as Subject

__all__ = ["Subject", "check"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import what a check needs when it is asked for: torch takes seconds."""
    if name == "check":
        from empirics.checking.check import check

        return check
    if name == "Subject":
        from empirics.checking.subject import Subject

        return Subject
    raise AttributeError(f"module 'empirics' has no attribute '{name}'")
