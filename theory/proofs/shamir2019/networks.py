"""Networks far away: without biases they are homogeneous, and that is all that is left of them."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from theory.claims.shamir2019.setting import BOXES
from theory.proof import Proof, Step, proof, sampled, symbolic
from theory.proofs.shamir2019.rays import (
    ExactLayer,
    exact_escape,
    exact_label,
    exact_outputs,
    moved,
    without_biases,
)
from theory.symbolic import Form, K

k = sp.Symbol("k", integer=True, positive=True)
tau = sp.Symbol("tau", positive=True)
_PIXELS = 784
_NEEDED = (393, 197, 8)
"""How many of so many black pixels make their mean exceed 1/2, box by box."""


def random_network(rng: np.random.Generator, n: int, n_classes: int) -> list[ExactLayer]:
    """Return a small network of whole weights, of one to three layers, leaky or not."""
    widths = [n, *(int(w) for w in rng.integers(2, 5, int(rng.integers(0, 3)))), n_classes]
    leak = Fraction(int(rng.integers(-1, 3)), 3)
    layers = []
    for i, (inner, outer) in enumerate(pairwise(widths)):
        weight = [[Fraction(int(w)) for w in row] for row in rng.integers(-4, 5, (outer, inner))]
        bias = [Fraction(int(b), 2) for b in rng.integers(-9, 10, outer)]
        layers.append(ExactLayer(weight, bias, Fraction(1) if i == len(widths) - 2 else leak))
    return layers


class _Ray(NamedTuple):
    """A point, a direction, and the strict label of the latter without biases."""

    layers: list[ExactLayer]
    x: list[Fraction]
    direction: list[Fraction]
    label: int


def _rays(seed: int, wanted: int = 60) -> Iterator[_Ray]:
    rng, found = np.random.default_rng(seed), 0
    while found < wanted:
        n, n_classes = int(rng.integers(2, 5)), int(rng.integers(2, 5))
        layers = random_network(rng, n, n_classes)
        steps = rng.integers(-3, 4, n) * (rng.random(n) < 0.5)
        direction = [Fraction(int(step)) for step in steps]
        label = exact_label(without_biases(layers), direction)
        if label is not None:
            found += 1
            x = [Fraction(int(z), 7) for z in rng.integers(-20, 21, n)]
            yield _Ray(layers, x, direction, label)


class _Symbolic:
    """A network of two layers with symbols for its weights, one piece for each pattern."""

    def __init__(self) -> None:
        self.first = sp.Matrix(2, 2, sp.symbols("w:4"))
        self.second = sp.Matrix(2, 2, sp.symbols("v:4"))
        self.biases = sp.Matrix(sp.symbols("b:2")), sp.Matrix(sp.symbols("c:2"))
        self.slope = sp.Symbol("s")
        self.point = sp.Matrix(sp.symbols("y:2"))

    def units(self, point: Any, scale: Any) -> Any:  # noqa: ANN401
        """Return the pre-activations with the biases multiplied by a number."""
        return self.first * point + scale * self.biases[0]

    def outputs(self, pattern: tuple[int, ...], point: Any, scale: Any) -> Any:  # noqa: ANN401
        """Return the outputs of a piece with the biases multiplied by a number."""
        phases = sp.diag(*(1 if on else self.slope for on in pattern))
        return self.second * phases * self.units(point, scale) + scale * self.biases[1]

    def scales(self) -> bool:
        """Whether F(tau y) is tau times the network of biases b / tau at y, in each piece."""
        far = self.units(tau * self.point, 1) - tau * self.units(self.point, 1 / tau)
        return far.expand().is_zero_matrix is True and all(
            (
                self.outputs(pattern, tau * self.point, 1)
                - tau * self.outputs(pattern, self.point, 1 / tau)
            )
            .expand()
            .is_zero_matrix
            for pattern in product((0, 1), repeat=2)
        )

    def tends(self) -> bool:
        """Whether F(x + tau d) / tau tends to the network without biases at d, in each piece."""
        d = sp.Matrix(sp.symbols("d:2"))
        return all(
            (self.outputs(pattern, self.point + tau * d, 1) / tau)
            .applyfunc(lambda entry: sp.limit(sp.expand(entry), tau, sp.oo))
            .equals(self.outputs(pattern, d, 0).expand())
            for pattern in product((0, 1), repeat=2)
        )


def _labels_stay() -> bool:
    """Whether exactly beyond its last crossing each ray has the label of its direction."""
    kept = 0
    for layers, x, direction, label in _rays(1):
        last = exact_escape(layers, x, direction, label)
        if last is None:
            return False
        beyond = [last + step for step in (Fraction(1, 10**6), 1, 10**3, 10**9)]
        if any(exact_label(layers, moved(x, direction, t)) != label for t in beyond):
            return False
        kept += last > 0
        if last > 0 and exact_label(layers, moved(x, direction, last)) == label:
            return False
    # In some of them the label has to be waited for.
    return kept > 10


def _ties_may_lose() -> bool:
    """Whether a direction without a strict label may never lead to a label."""
    layers = [ExactLayer([[Fraction(1)], [Fraction(1)]], [Fraction(0), Fraction(-1)], Fraction(1))]
    ends = [exact_outputs(without_biases(layers), [d]) for d in (Fraction(1), Fraction(-1))]
    tied = all(one == other for one, other in ends)
    return tied and exact_escape(layers, [Fraction(0)], [Fraction(1)], 1) is None


HOMOGENEOUS = symbolic(
    r"$F(\tau y)$ is $\tau$ times the network of biases $b / \tau$ at $y$: a unit has the sign of"
    r" its own there, and $z \mapsto \max(z, s z)$ is homogeneous; without biases $F_0(\tau y) ="
    r" \tau F_0(y)$",
    lambda: _Symbolic().scales(),
)


@proof("shamir2019/recession")
def recession() -> Proof:
    """Biases and the starting point vanish against a growing change."""
    return Proof(
        Form(left="h", right=k, symbols={"k": k}),
        (
            HOMOGENEOUS,
            symbolic(
                r"so $F(x + \tau d) / \tau$ is the network of biases $b / \tau$ at $d + x / \tau$,"
                r" and tends to $F_0(d)$, as a network is continuous in its input and biases: what"
                r" leads in $F_0(d)$ leads in $F(x + \tau d)$ for all large $\tau$, by changes of"
                r" the coordinates of $d$ alone",
                lambda: _Symbolic().tends(),
            ),
            sampled(
                r"in rational arithmetic, on random networks of one to three layers, ReLU and"
                r" leaky: the label of $d$ holds beyond the last crossing of the ray, at any"
                r" distance",
                _labels_stay,
            ),
            symbolic(
                r"a lead is needed: $F(x) = (x, x - 1)$ ties without biases, and has never the"
                r" second label",
                _ties_may_lose,
            ),
        ),
    )


def _brightness_needs_many() -> bool:
    """Whether black is far from the side where the mean of the pixels exceeds 1/2, in each box."""
    weight = [[Fraction(0)] * _PIXELS, [Fraction(1)] * _PIXELS]
    layer = ExactLayer(weight, [Fraction(0), Fraction(-_PIXELS, 2)], Fraction(1))
    for (_, high), least in zip(BOXES, _NEEDED, strict=True):
        # The sum grows with each pixel: none does better than the largest value.
        images = [[Fraction(high)] * c + [Fraction(0)] * (_PIXELS - c) for c in (least - 1, least)]
        if exact_outputs([layer], images[0])[1] > 0 or exact_label([layer], images[1]) != 1:
            return False
    return min(_NEEDED) > 2 + 1


def _wide_boxes_hold() -> bool:
    """Whether a box as wide as the ray's last crossing has room for one coordinate."""
    used = 0
    for layers, x, direction, label in _rays(2):
        if sum(d != 0 for d in direction) != 1:
            continue
        last = exact_escape(layers, x, direction, label)
        if last is None:
            return False
        size = max(abs(d) for d in direction) * (last + 1) + max(abs(z) for z in x)
        found = moved(x, direction, last + 1)
        inside = all(-size <= z <= size for z in found)
        changed = sum(z != y for z, y in zip(x, found, strict=True))
        used += 1
        if not (inside and changed == 1 and exact_label(layers, found) == label):
            return False
    return used > 5


def _in_boxes() -> tuple[Step, ...]:
    return (
        sampled(
            r"where signed unit vectors have all labels without biases, one coordinate suffices in"
            r" every box that is wide enough, since the last crossing of a ray is finite: what is"
            r" conjectured is about boxes that are not, and nothing proves it",
            _wide_boxes_hold,
        ),
        symbolic(
            r"there is no such bound for all networks without errors: for one that compares the"
            r" mean of 784 pixels with $1/2$, and so tells black from white images, black ones are"
            r" 393, 197 and 8 pixels from the other label in $[0, 1]$, $[-1, 2]$ and $[-50, 51]$,"
            r" where $K + 1 = 3$",
            _brightness_needs_many,
        ),
    )


@proof("shamir2019/eleven-pixels")
def eleven_pixels() -> Proof:
    """What is known beside a conjecture: it holds in wide boxes, and not for all data."""
    return Proof(Form(left="h", right=K + 1, symbols={"n_classes": K}), _in_boxes())


@proof("shamir2019/depth-does-not-help")
def depth_does_not_help() -> Proof:
    """What is known beside a conjecture: far away depth does not matter, and data do."""
    return Proof(Form(left="q", right=K + 1, symbols={"n_classes": K}), (HOMOGENEOUS, *_in_boxes()))


@proof("shamir2019/half-in-own-range")
def half_in_own_range() -> Proof:
    """What is known beside a conjecture: data decide."""
    return Proof(Form(left="q", right=K + 1, symbols={"n_classes": K}), _in_boxes())
