"""Margins that fall no faster than Lipschitz constants on nested balls allow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.distance.certificates.constants import PairConstants
from theory.distance.certificates.linear import margins, propagated
from theory.distance.certificates.sets import Sets
from theory.lipschitz.local.center_radius import jacobian_norms
from theory.lipschitz.semidefinite import SlopeEnds, bound_of, slope_problem
from theory.norms import UNIT_ROUNDOFF
from theory.relu.bounds import Ends

RATIO: Final = 1.25
_INNER: Final = 5
_LEVELS: Final = 24
_TOLERANCE: Final = 1e-3
_DOWN: Final = 1 - 2.0**-44
"""For the few roundings of each level."""
_UNIT: Final = UNIT_ROUNDOFF["float64"]


def local_radii(
    constants: PairConstants,
    points: FloatArray,
    labels: npt.NDArray[np.intp],
    p: float,
    box: tuple[FloatArray, FloatArray] | None,
    margin: FloatArray,
    known: FloatArray,
    scale: FloatArray,
    kept: FloatArray,
    max_units: int,
    lines: int | None,
) -> FloatArray:
    """Return radii below which no output exceeds that of the label, from local constants.

    With L(r) a Lipschitz constant of the difference of two outputs on the ball of radius r, it
    falls by at most the integral of L, which is taken over shells. Where lines taken back to the
    inputs give more on a whole ball, the next shell starts from that.

    Parameters
    ----------
    constants : PairConstants
    points : ndarray, shape (B, n)
    labels : ndarray of int, shape (B,)
    p : {1, 2, inf}
    box : (ndarray, ndarray) or None
        Convex, so that segments to the points stay in it.
    margin : ndarray, shape (B, K)
        Lower ends of output[label] - output[t] at the points, less `kept`.
    known : ndarray, shape (B, K)
        Radii that hold already.
    scale : ndarray, shape (B,)
        The order of magnitude of the radii, above 0: the smallest for which semidefinite bounds are
        solved.
    kept : ndarray, shape (B, K)
        What rounding may take off the margins.
    max_units : int
        For p = 2, uncertain units up to which they are.
    lines : int or None
        Steps of the slopes of lines; None for no lines.

    Returns
    -------
    ndarray, shape (B, K)
        At least `known`.
    """
    network = constants.network
    left, reached = margin.copy(), known.copy()
    inner, radius = np.zeros(len(points)), scale / RATIO**_INNER
    active = np.flatnonzero((left.min(axis=1) > 0) & np.isfinite(known.min(axis=1)))
    for _ in range(_LEVELS):
        if not active.size:
            break
        at, reach = active, radius[active][:, None]
        sets = Sets(points[at], radius[at], p, box)
        try:
            with np.errstate(over="ignore", invalid="ignore", under="ignore"):
                ends, _, _ = propagated(network, sets, 0)
        except OverflowError:
            break
        width = (reach - inner[at][:, None]) * (1 + 4 * _UNIT)
        balls = _Balls.of(constants, labels[at], ends)
        rates = balls.rates(p)
        if p == 2:
            # On small balls they gain little.
            large = np.broadcast_to(reach >= scale[at][:, None], rates.shape)
            balls.refine(rates, left[at], large & np.isfinite(left[at]), max_units)
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = np.where(rates > 0, left[at] / rates, np.inf)
        depth = np.minimum(np.where(left[at] > 0, depth, 0.0), width)
        proved = (inner[at][:, None] + depth) * _DOWN
        reached[at] = np.maximum(reached[at], proved)
        spent = np.where(np.isfinite(left[at]), rates * width * (1 + 4 * _UNIT), 0.0)
        left[at] = np.nextafter(left[at] - spent, -np.inf)
        if lines is not None:
            lower = margins(network, labels[at], sets, steps=lines) - kept[at]
            left[at] = np.maximum(left[at], lower)
            reached[at] = np.where(lower > 0, np.maximum(reached[at], reach), reached[at])
        inner[at], radius[at] = radius[at], radius[at] * RATIO
        active = at[reached[at].min(axis=1) >= reach[:, 0] * _DOWN**2]
    return reached


@dataclass(frozen=True, eq=False)
class _Balls:
    """Sets on which the slopes of all units lie between ends.

    Attributes
    ----------
    constants : PairConstants
    labels : ndarray of int, shape (B,)
    slopes : list of SlopeEnds, each of shape (B, m)
    """

    constants: PairConstants
    labels: npt.NDArray[np.intp]
    slopes: list[SlopeEnds]

    @classmethod
    def of(
        cls, constants: PairConstants, labels: npt.NDArray[np.intp], ends: Sequence[Ends]
    ) -> "_Balls":
        """Return the sets on which pre-activations of the stages before the last lie in ends."""
        slopes = []
        for stage, each in zip(constants.network.stages[:-1], ends, strict=True):
            least, most = stage.activation.slopes(*each)
            shape = each.lower.shape
            slopes.append(SlopeEnds(np.broadcast_to(least, shape), np.broadcast_to(most, shape)))
        return cls(constants, labels, slopes)

    def rates(self, p: float) -> FloatArray:
        """Return Lipschitz constants of all pairs, shape (B, K), by matrix products."""
        whole, rounding = self.constants.product(p), self.constants.rounding(p)
        rates = whole[self.labels].copy()
        for label in np.unique(self.labels):
            at = np.flatnonzero(self.labels == label)
            ones = np.ones((len(at), 1))
            slopes = [SlopeEnds(least[at], most[at]) for least, most in self.slopes]
            for t in np.flatnonzero(whole[label] > 0):
                pair = self.constants.pair(int(label), int(t))
                found = jacobian_norms(pair, [*slopes, SlopeEnds(ones, ones)], p)
                rates[at, t] = np.minimum(rates[at, t], found + rounding[label, t])
        return np.asarray(rates * (1 + 4 * _UNIT))

    def refine(
        self, rates: FloatArray, left: FloatArray, wanted: npt.NDArray[np.bool_], max_units: int
    ) -> None:
        """Replace constants, in place, by semidefinite bounds for p = 2.

        Of each set that of the pair whose margin `left` is spent first, as long as it is wanted and
        has not been tried.
        """
        for i, label in enumerate(self.labels):
            own = [SlopeEnds(least[i], most[i]) for least, most in self.slopes]
            free = sum(int(np.count_nonzero(most > least)) for least, most in own)
            if not 0 < free <= max_units:
                continue
            left_to_try = wanted[i].copy()
            while True:
                with np.errstate(divide="ignore", invalid="ignore"):
                    reach = np.where(rates[i] > 0, left[i] / rates[i], np.inf)
                t = int(np.argmin(np.where(wanted[i], reach, np.inf)))
                if not left_to_try[t]:
                    break
                left_to_try[t] = False
                weights = [stage.weight for stage in self.constants.pair(int(label), t).stages]
                try:
                    found = bound_of(slope_problem(weights, own), tolerance=_TOLERANCE).value
                except (ArithmeticError, RuntimeError):
                    continue
                found = (found + self.constants.rounding(2)[label, t]) * (1 + 4 * _UNIT)
                rates[i, t] = min(rates[i, t], found)
