"""Interval arithmetic: an inequality checked on every point of a range, by covering it with boxes.

Elementary functions are those of mpmath's interval context. The normal distribution function is
monotone, so its values at the ends, widened beyond their rounding, enclose it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import sympy as sp

Interval = Any
"""mpmath's own interval type, which has no public name."""

_DIGITS = 40
_WIDENING = mp.mpf(10) ** -30


def _monotone(function: Callable[[mp.mpf], mp.mpf], rising: bool) -> Callable[[Any], Interval]:
    def enclosure(x: Any) -> Interval:  # noqa: ANN401
        x = mp.iv.mpf(x)
        with mp.workdps(_DIGITS):
            ends = [function(mp.mpf(x.a)), function(mp.mpf(x.b))]
            low, high = ends if rising else ends[::-1]
            return mp.iv.mpf([low - abs(low) * _WIDENING, high + abs(high) * _WIDENING])

    return enclosure


def _root(x: Any) -> Interval:  # noqa: ANN401
    # Where the argument is known to be at least 0, only its enclosure dips below.
    x = mp.iv.mpf(x)
    return mp.iv.sqrt(mp.iv.mpf([max(x.a, 0), max(x.b, 0)]))


_FUNCTIONS: dict[str, Any] = {
    "mpf": mp.iv.mpf,
    "exp": mp.iv.exp,
    "log": mp.iv.log,
    "sqrt": _root,
    "sin": mp.iv.sin,
    "cos": mp.iv.cos,
    "pi": mp.iv.pi,
    "Phi": _monotone(mp.ncdf, rising=True),
    "Survival": _monotone(lambda x: mp.ncdf(-x), rising=False),
}


def enclosure(expression: Any, symbols: Sequence[Any]) -> Callable[..., Interval]:  # noqa: ANN401
    """Return a function from intervals, one a symbol, to an interval that holds the expression.

    A square root is taken of the part of its argument that is at least 0: the caller knows that
    the expression is real on the range.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> square = enclosure(x**2 - x, [x])(mp.iv.mpf([1, 2]))
    >>> bool(square.a <= 0 and square.b >= 2)
    True
    """
    function: Callable[..., Interval] = sp.lambdify(
        list(symbols), expression, modules=[_FUNCTIONS, "mpmath"]
    )
    return function


def nonnegative_on(
    expression: Any,  # noqa: ANN401
    ranges: Sequence[tuple[Any, float, float]],
    most: int = 20_000,
) -> bool:
    """Whether an expression is at least 0 on a whole box, shown by halving boxes until it is clear.

    Parameters
    ----------
    expression : Expr
    ranges : sequence of (symbol, float, float)
        The box.
    most : int
        Give up, and return False, after this many pieces.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> nonnegative_on(x**2 - x + 1, [(x, -2, 2)]), nonnegative_on(x**2 - 1, [(x, 0, 2)], 100)
    (True, False)
    """
    value = enclosure(expression, [symbol for symbol, _, _ in ranges])
    boxes = [tuple((low, high) for _, low, high in ranges)]
    for _ in range(most):
        if not boxes:
            return True
        box = boxes.pop()
        found = value(*(mp.iv.mpf([low, high]) for low, high in box))
        if found.a >= 0:
            continue
        if found.b < 0:
            return False
        # The side that is widest for its place: ranges over many magnitudes are cut evenly.
        widest = max(range(len(box)), key=lambda k: (box[k][1] - box[k][0]) / (1 + abs(box[k][0])))
        low, high = box[widest]
        middle = (low + high) / 2
        for half in ((low, middle), (middle, high)):
            boxes.append((*box[:widest], half, *box[widest + 1 :]))
    return False
