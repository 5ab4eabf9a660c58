"""The cone of a label: angles of regular simplices, and how often a random flat meets it."""

import functools
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from theory.arrays import FloatArray
from theory.proof import Proof, assumed, is_zero, proof, sampled, symbolic
from theory.symbolic import Form, K

k = sp.Symbol("k", integer=True, nonnegative=True)
_FEWEST = 21
"""The nodes serve simplices of up to so many vertices, finer ones larger simplices."""
_GUARD = 15


@functools.lru_cache(maxsize=8)
def _nodes(digits: int, vertices: int) -> tuple[mp.mpf, list[mp.mpf], list[mp.mpc], list[mp.mpf]]:
    """Return a step, exp(-y^2 / 2), Phi(i y) exp(-y^2 / 2) and Phi(y) at its multiples y >= 0.

    The trapezoidal rule of step h errs by exp(-2 pi^2 / (h^2 K)) on what follows.
    """
    size = digits * mp.log(10)
    step = mp.mpf("0.9") * mp.pi * mp.sqrt(2 / (size * vertices))
    places = [step * j for j in range(int(mp.sqrt(2 * size) / step) + 2)]
    bell = [mp.exp(-(y**2) / 2) for y in places]
    turned = [g * (1 + 1j * mp.erfi(y / mp.sqrt(2))) / 2 for y, g in zip(places, bell, strict=True)]
    return step, bell, turned, [mp.ncdf(y) for y in places]


def angle_products(vertices: int, count: int | None = None) -> list[mp.mpf]:
    """Return P(S = s), s < K: ways, angle inside at a vertex, angle outside at s + 1 vertices.

    To the working precision, of K vertices; the first of them where a count is given.
    """
    with mp.workdps(mp.mp.dps + _GUARD):
        step, bell, turned, normal = _nodes(mp.mp.dps, max(vertices, _FEWEST))
        # A sum over all multiples of the step, 0 counted once, from those that are not negative.
        weights = [step, *([2 * step] * (len(bell) - 1))]
        found, power, falling = [], weights, weights
        for s in range(vertices if count is None else count):
            others = vertices - 1 - s
            falling = [f * g for f, g in zip(falling, bell, strict=True)]
            # Both integrals are over y = u / sqrt(s + 1): the nodes are the same for all s.
            scale = (s + 1) / (2 * mp.pi)
            inside = mp.fsum(mp.re(p) * g for p, g in zip(power, bell, strict=True))
            outside = mp.fsum(
                f * (n**others + (1 - n) ** others) / 2
                for f, n in zip(falling, normal, strict=True)
            )
            found.append(mp.binomial(vertices - 1, s) * scale * inside * outside)
            power = [p * t for p, t in zip(power, turned, strict=True)]
        return found


class LabelReach(sp.Function):  # type: ignore[misc]
    """P(S <= k) for K classes."""

    nargs = 2
    is_real = True

    @staticmethod
    def _imp_(changed: Any, classes: Any) -> mp.mpf:  # noqa: ANN401
        if changed >= classes - 1:
            return mp.mpf(1)
        return mp.fsum(angle_products(int(classes), int(changed) + 1))

    def _latex(self, printer: Any, exp: Any = None) -> str:  # noqa: ANN401
        changed, classes = (printer._print(argument) for argument in self.args)
        text = rf"\sum_{{s \le {changed}}} \binom{{{classes} - 1}}{{s}} \beta_s \gamma_s"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


def tied_rivals(outputs: FloatArray) -> FloatArray:
    """Return how many rivals of output 0 the projection to where it is largest makes equal to it.

    Parameters
    ----------
    outputs : ndarray, shape (n, K)

    Examples
    --------
    >>> tied_rivals(np.array([[3.0, 1.0, 2.0], [0.0, 9.0, 1.0], [0.0, 9.0, 8.0]])).tolist()
    [0, 1, 2]
    """
    falling = -np.sort(-outputs[:, 1:], axis=1)
    sums = np.cumsum(np.hstack([outputs[:, :1], falling]), axis=1)
    means = sums / np.arange(1, outputs.shape[1] + 1)
    enough = np.hstack([means[:, :-1] >= falling, np.ones((len(outputs), 1), dtype=bool)])
    return np.asarray(enough.argmax(axis=1))


def _projection_ties() -> bool:
    """Whether outputs, less their projection, are in the polar cone of the points that tie."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(2000, 6))
    tied, order = tied_rivals(y), np.argsort(-y[:, 1:], axis=1) + 1
    for row, s, after in zip(y, tied, order, strict=True):
        pool = [0, *after[:s]]
        projected = row.copy()
        projected[pool] = row[pool].mean()
        rest = row - projected
        # Feasible, orthogonal, and a combination of e_j - e_0 with weights that are not negative.
        feasible = np.all(projected[0] >= projected - 1e-12)
        if not (feasible and abs(rest @ projected) < 1e-12 and np.all(rest[1:] >= -1e-12)):
            return False
    return True


def _one_coordinate(classes: int, trials: int = 40_000) -> bool:
    """Whether a line meets the cone of a label as often as the angles say."""
    rng = np.random.default_rng(classes)
    a, b = rng.normal(size=(2, trials, classes))
    slope, lead = a[:, :1] - a[:, 1:], b[:, :1] - b[:, 1:]
    ends = -lead / slope
    low = np.where(slope > 0, ends, -np.inf).max(axis=1)
    high = np.where(slope < 0, ends, np.inf).min(axis=1)
    p = float(mp.fsum(angle_products(classes, 2)))
    return bool(abs(np.mean(low < high) - p) < 4 * np.sqrt(p * (1 - p) / trials))


def _small_simplices() -> bool:
    """Whether products of known angles of triangle and tetrahedron are found, and sum to 1."""
    dihedral = sp.acos(sp.Rational(1, 3))
    solid = (3 * dihedral - sp.pi) / (4 * sp.pi)
    third, quarter = sp.Rational(1, 3), sp.Rational(1, 4)
    triangle = [third, sp.Rational(1, 2), sp.Rational(1, 6)]
    tetrahedron = [quarter, sp.Rational(3, 4) * (1 - dihedral / sp.pi), quarter, solid]
    for known in (triangle, tetrahedron):
        if not is_zero(sum(known) - 1):
            return False
        with mp.workdps(30):
            found = angle_products(len(known))
            if any(
                abs(f - mp.mpf(sp.N(e, 40))) > mp.mpf(10) ** -28
                for f, e in zip(found, known, strict=True)
            ):
                return False
    return True


def _sums_above_coins() -> bool:
    with mp.workdps(30):
        for n in range(3, 13):
            sums = np.cumsum(angle_products(n))
            coins = np.cumsum([mp.binomial(n - 1, i) for i in range(n)]) / mp.mpf(2) ** (n - 1)
            if abs(sums[-1] - 1) > mp.mpf(10) ** -28 or not np.all(sums[:-1] > coins[:-1]):
                return False
        return True


@proof("shamir2019/k-coordinates-label")
def k_coordinates_label() -> Proof:
    """A random flat meets a cone as often as a projection to it has a face of small codimension."""
    return Proof(
        Form(
            left="p",
            right=LabelReach(k, K),
            symbols={"k": k, "n_classes": K},
            where=(
                (
                    sp.Symbol("beta_s"),
                    r"(2 \pi)^{-1/2} \int \Phi(i y / \sqrt{s + 1})^s e^{-y^2 / 2} dy",
                ),
                (
                    sp.Symbol("gamma_s"),
                    r"(2 \pi)^{-1/2} \int \Phi(y / \sqrt{s + 1})^{K - 1 - s} e^{-y^2 / 2} dy",
                ),
            ),
        ),
        (
            assumed(
                r"the outputs on the flat are $b + A z$; the span of $A$ and $b$ has a uniform law,"
                r" so it meets the cone $y_t > y_j$ with a probability that is twice a sum of every"
                r" other intrinsic volume (the conic Crofton formula: Amelunxen and Lotz 2017); of"
                r" it and the same for the span of $A$ the flat's is the mean, as $b$ and $-b$ are"
                r" alike: $\Pr(S \le k)$, $S$ the codimension of the face that Gaussian outputs are"
                r" projected to"
            ),
            sampled(
                r"this projection puts the mean of $y_t$ and of the $S$ largest rivals in their"
                r" places, for the least $S$ at which no other is above it",
                _projection_ties,
            ),
            assumed(
                r"$\Pr(S = s)$ is the number of such faces times two angles, of a regular simplex"
                r" of $s + 1$ vertices at a vertex and of one of $K$ outside a face of it, which"
                r" are the integrals (Kabluchko and Zaporozhets 2020)"
            ),
            symbolic(
                r"for 3 and 4 classes they are the known angles of triangle and tetrahedron, and"
                r" the probabilities sum to 1",
                _small_simplices,
            ),
            sampled(
                r"they sum to 1 for up to 12 classes, to 28 digits, and are above those of coins,"
                r" $\Pr(\mathrm{Bin}(K - 1, 1/2) \le k)$, for all $k < K - 1$ where $K \ge 3$",
                _sums_above_coins,
            ),
            sampled(
                r"lines meet the cone so often, for 3, 5 and 10 classes",
                *(functools.partial(_one_coordinate, n) for n in (3, 5, 10)),
            ),
        ),
    )
