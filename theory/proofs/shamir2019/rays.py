"""Networks along a ray in rational arithmetic: every piece, and where a label stays for good."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

Row = Sequence[Fraction]


class ExactLayer(NamedTuple):
    """An affine map, then z -> z for z > 0 and slope z elsewhere; slope 1 where it is linear."""

    weight: Sequence[Row]
    bias: Row
    slope: Fraction


class _Piece(NamedTuple):
    """Values a + b tau from `start` to `end`, None where it has no end."""

    start: Fraction
    end: Fraction | None
    values: tuple[tuple[Fraction, Fraction], ...]

    def at(self, tau: Fraction) -> list[Fraction]:
        return [a + b * tau for a, b in self.values]


def exact_outputs(layers: Sequence[ExactLayer], x: Row) -> list[Fraction]:
    """Return the outputs at a point.

    Examples
    --------
    >>> absolute = ExactLayer([[Fraction(1)], [Fraction(-1)]], [Fraction(0)] * 2, Fraction(0))
    >>> total = ExactLayer([[Fraction(1), Fraction(1)]], [Fraction(-3)], Fraction(1))
    >>> exact_outputs([absolute, total], [Fraction(-5, 2)])
    [Fraction(-1, 2)]
    """
    state = list(x)
    for layer in layers:
        values = [
            sum((w * z for w, z in zip(row, state, strict=True)), b)
            for row, b in zip(layer.weight, layer.bias, strict=True)
        ]
        state = [v if v > 0 else layer.slope * v for v in values]
    return state


def exact_label(layers: Sequence[ExactLayer], x: Row) -> int | None:
    """Return the class of the largest output, None where two are largest."""
    outputs = exact_outputs(layers, x)
    best = max(outputs)
    return outputs.index(best) if outputs.count(best) == 1 else None


def without_biases(layers: Sequence[ExactLayer]) -> list[ExactLayer]:
    """Return the network with all biases 0."""
    return [layer._replace(bias=[Fraction(0)] * len(layer.bias)) for layer in layers]


def moved(x: Row, direction: Row, tau: Fraction) -> list[Fraction]:
    """Return x + tau d."""
    return [z + tau * d for z, d in zip(x, direction, strict=True)]


def exact_escape(
    layers: Sequence[ExactLayer], x: Row, direction: Row, target: int
) -> Fraction | None:
    """Return the last tau >= 0 at which the target does not lead, 0 where there is none.

    None where it does not lead for all large tau.
    """
    pieces = [_Piece(Fraction(0), None, tuple(zip(x, direction, strict=True)))]
    for layer in layers:
        pieces = [cut for piece in pieces for cut in _cut(layer, piece)]
    last = Fraction(0)
    for piece in pieces:
        for rival, (a, b) in enumerate(piece.values):
            if rival == target:
                continue
            shift, slope = piece.values[target][0] - a, piece.values[target][1] - b
            if piece.end is None and (slope < 0 or (slope == 0 and shift <= 0)):
                return None
            if piece.end is not None and shift + slope * piece.end <= 0:
                last = max(last, piece.end)
            elif slope > 0 and -shift / slope >= piece.start:
                last = max(last, -shift / slope)
    return last


def _cut(layer: ExactLayer, piece: _Piece) -> list[_Piece]:
    """Return a piece of the inputs of a layer as pieces of its outputs."""
    values = [
        (
            sum((w * a for w, (a, _) in zip(row, piece.values, strict=True)), bias),
            sum((w * b for w, (_, b) in zip(row, piece.values, strict=True)), Fraction(0)),
        )
        for row, bias in zip(layer.weight, layer.bias, strict=True)
    ]
    zeros = {-a / b for a, b in values if b and layer.slope != 1}
    inside = sorted(z for z in zeros if z > piece.start and (piece.end is None or z < piece.end))
    ends = [piece.start, *inside, piece.end]
    found = []
    for start, end in pairwise(ends):
        assert start is not None
        middle = start + 1 if end is None else (start + end) / 2
        scales = [1 if a + b * middle > 0 else layer.slope for a, b in values]
        outputs = [(s * a, s * b) for s, (a, b) in zip(scales, values, strict=True)]
        found.append(_Piece(start, end, tuple(outputs)))
    return found
