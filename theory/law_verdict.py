"""Judging a law, F(eta) >= B(eta) for all eta: by a uniform band, or on a frozen grid of etas."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from theory.arrays import FloatArray
from theory.claim import LawBound
from theory.declared import Curve, declared_range, one_sided_level
from theory.evidence import Radii
from theory.outcome import Judgement, Outcome
from theory.sample_size import STRONGER, exact_limit_size, said, uniform_band_size
from theory.statistics import clopper_pearson, dkw_halfwidth


def _values(curve: Curve, etas: FloatArray) -> FloatArray:
    values = np.asarray(curve(etas), dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError(f"the bound must lie in [0, 1], got NaN at eta = {etas[np.isnan(values)]}")
    return values


@dataclass(frozen=True)
class _UniformBand:
    """Limits on a law that hold for all eta at once, at a constant distance from the counts."""

    n: int
    halfwidth: float

    def certified(self, lower: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return where to look for a violation, and how many lower ends count there."""
        # B rises, F_n steps, so the supremum of B - F_n is a left limit at a point; there is none
        # at 0, where nothing is certified.
        etas = np.unique(lower[lower > 0])
        return etas, self.count(lower, etas, "left")

    def steps(self, upper: FloatArray) -> FloatArray:
        """Return the etas at which the lower limit rises."""
        return np.unique(upper)

    def count(
        self, ends: FloatArray, etas: FloatArray, side: Literal["left", "right"]
    ) -> FloatArray:
        """Return how many ends lie before these etas (left), or up to them (right)."""
        return np.searchsorted(np.sort(ends), etas, side).astype(np.float64)

    def least(self, counts: FloatArray) -> FloatArray:
        # The band ends at 0, and a bound of 0 is met there by every law.
        return np.maximum(counts / self.n - self.halfwidth, 0.0)

    def most(self, counts: FloatArray) -> FloatArray:
        return counts / self.n + self.halfwidth

    def size(self, counts: FloatArray, needed: FloatArray) -> int | None:
        """Return the number of points at which these shares would lie above the bound."""
        alpha = float(np.exp(-2 * self.n * self.halfwidth**2))
        return uniform_band_size(counts / self.n, needed, alpha, self.n)


@dataclass(frozen=True)
class _GridBand:
    """Exact limits on a law at frozen etas; between two of them it is monotone, no more."""

    n: int
    level: float
    grid: FloatArray

    def certified(self, lower: FloatArray) -> tuple[FloatArray, FloatArray]:
        etas = self.grid[np.isfinite(self.grid)]
        return etas, self.count(lower, etas, "right")

    def steps(self, upper: FloatArray) -> FloatArray:
        del upper  # the etas were frozen before it was seen
        return self.grid

    def count(
        self, ends: FloatArray, etas: FloatArray, side: Literal["left", "right"]
    ) -> FloatArray:
        """Return how many ends lie up to the last of the grid before (left) or up to (right) eta.

        Before the grid begins nothing is counted.
        """
        counts = np.append(0, np.searchsorted(np.sort(ends), self.grid, side="right"))
        return counts[np.searchsorted(self.grid, etas, side)].astype(np.float64)

    def least(self, counts: FloatArray) -> FloatArray:
        return clopper_pearson(counts, self.n, self.level, "lower")[0]

    def most(self, counts: FloatArray) -> FloatArray:
        return clopper_pearson(counts, self.n, self.level, "upper")[1]

    def size(self, counts: FloatArray, needed: FloatArray) -> int | None:
        return exact_limit_size(counts / self.n, needed, self.level, self.n)


def _checked_grid(grid: FloatArray) -> FloatArray:
    etas = np.asarray(grid, dtype=np.float64)
    if etas.ndim != 1 or not etas.size or not (etas[0] >= 0 and np.all(etas[1:] > etas[:-1])):
        raise ValueError(f"grid must be an increasing list of distances, at least 0, got {grid!r}")
    return etas


def judge_law(
    lower: FloatArray,
    upper: FloatArray,
    bound: LawBound | Curve,
    alpha: float,
    *,
    eta_range: tuple[float, float] | None = None,
    grid: FloatArray | None = None,
) -> Judgement:
    """Judge F(eta) >= B(eta) for all eta, F the distribution function of a radius.

    VIOLATED when the upper confidence band of the law of `lower` falls below the bound's lower end
    anywhere; HOLDS when the lower band of the law of `upper` is above the bound's upper end
    everywhere on the declared range; else UNDECIDED. An attack, which only moves `upper`, can
    never refute the bound, and a certificate, which only moves `lower`, can never confirm it.

    The band is uniform (DKW-Massart), or that of a grid of m etas if one was declared: exact
    (Clopper-Pearson) limits at level alpha / m, and from one eta to the next the law is only known
    not to fall. The grid's limits are narrower where 4 F (1 - F) < log(1 / alpha) /
    log(m / alpha), which is below 0.1 and above 0.9 for the usual m: it is the better one in both
    tails, down to a few points. The uniform band is narrower in the middle, needs no grid, and
    finds a violation wherever it is.

    Parameters
    ----------
    lower, upper : ndarray, shape (n,)
        Intervals of the radii of n independent points; +inf in `upper` where no point was found.
    bound : LawBound or callable
        The bound, non-decreasing and continuous in eta; a plain callable is taken as exact.
    alpha : float
        Probability of a wrong outcome of either kind, in (0, 1/2]: each of the two outcomes uses
        a one-sided band of level alpha, and only one of them can be wrong.
    eta_range : tuple of float, optional
        [eta_min, eta_max] on which HOLDS is declared, fixed before the radii are seen; by default
        from the first to the last of the grid, or without one that of `declared_range`. Both ends
        matter: no number of points shows F > 0 arbitrarily near eta = 0, nor F near 1. On a range
        that begins at +inf HOLDS is never said.
    grid : ndarray, shape (m,), optional
        Increasing etas, frozen before the radii are seen, as by `declared_grid`; the same ones
        at every level of `judge_together`.

    Returns
    -------
    Judgement

    Raises
    ------
    ValueError
        If the radii are no intervals, alpha is out of range, eta_range or grid is not increasing
        or holds a negative number or NaN, or the bound is NaN somewhere.

    References
    ----------
    The uniform band is that of Massart, Ann. Probab. 18 (1990), the limits on a grid are those of
    Clopper and Pearson, Biometrika 26 (1934), by Bonferroni's inequality.

    Examples
    --------
    >>> ones = np.ones(1000)
    >>> judge_law(0 * ones, ones, lambda e: 0.4 * e, 0.05, eta_range=(1.0, 2.0)).outcome
    <Outcome.HOLDS: 'HOLDS'>
    >>> radii = np.repeat([0.5, 2.0], [850, 150])
    >>> judged = judge_law(radii, radii, lambda e: 0.887421 * e, 0.05, grid=np.array([1.0]))
    >>> print(judged.outcome, round(judged.slack, 6))
    VIOLATED -0.019129
    """
    radii = Radii(lower, upper)
    n, level = radii.n, one_sided_level(alpha)
    low = bound.lower if isinstance(bound, LawBound) else bound
    high = bound.upper if isinstance(bound, LawBound) else bound
    band: _UniformBand | _GridBand
    if grid is None:
        band = _UniformBand(n, dkw_halfwidth(n, level))
        start, stop = declared_range(bound, n, level) if eta_range is None else eta_range
    else:
        etas = _checked_grid(grid)
        band = _GridBand(n, level / etas.size, etas)
        start, stop = (etas[0], etas[-1]) if eta_range is None else eta_range
    if not 0 <= start <= stop:
        raise ValueError(f"eta_range must be two distances, the smaller first, got {eta_range}")

    violation = _violation(lower, low, band)
    if violation is not None:
        return violation
    if np.isinf(start):
        why = f"n = {n} is too small to declare any range of eta"
        return Judgement(Outcome.UNDECIDED, why, to_decide=_to_declare(bound, n, level, grid))
    return _confirmation(radii, high, band, start, stop)


def _violation(lower: FloatArray, bound: Curve, band: _UniformBand | _GridBand) -> Judgement | None:
    etas, counts = band.certified(lower)
    if not etas.size:
        return None
    values, most = _values(bound, etas), band.most(counts)
    worst = int(np.argmin(most - values))
    if most[worst] >= values[worst]:
        return None
    return Judgement(
        Outcome.VIOLATED,
        f"at eta = {etas[worst]:.4g} the bound is {values[worst]:.4f}, and with"
        f" certificates for {band.n - int(counts[worst])} of {band.n} points beyond it the law"
        f" is at most {most[worst]:.4f}",
        slack=float(most[worst] - values[worst]),
    )


def _confirmation(
    radii: Radii, bound: Curve, band: _UniformBand | _GridBand, start: float, stop: float
) -> Judgement:
    steps = band.steps(radii.upper)
    inside = steps[(steps > start) & (steps <= stop)]
    end = np.array([stop])
    # The bound rises and the band steps: their least distance is a left limit at a step inside,
    # or at the end of the range.
    needed = _values(bound, np.append(inside, end))

    def counts(ends: FloatArray) -> FloatArray:
        return np.append(band.count(ends, inside, "left"), band.count(ends, end, "right"))

    seen = counts(radii.upper)
    margin = band.least(seen) - needed
    slack = float(margin.min())
    if slack >= 0:
        return Judgement(
            Outcome.HOLDS,
            f"on eta in [{start:.4g}, {stop:.4g}], by at least {slack:.3f} beyond the band",
            slack,
            1.0,
        )
    # Shares of the range in units of the bound's probability, which no choice of eta unit changes.
    share = np.diff(np.append(_values(bound, np.array([start])), needed))
    total = share.sum()
    decided = float(share[margin >= 0].sum() / total) if total > 0 else 0.0
    short = float(np.max(needed - seen / radii.n))
    if np.all(seen / radii.n >= needed):
        why = f"n = {radii.n} is too small, all points seen agree with the bound"
        how = said(
            band.size(seen, needed),
            f"more than {radii.n:,} points: at some eta those seen meet the bound with no room",
            " would confirm it on this range",
        )
    elif np.all(band.least(counts(radii.lower)) >= needed):
        why = "the intervals are too wide: a stronger attack would decide"
        how = f"{STRONGER}, as at the worst eta {short:.1%} too few are found"
    else:
        why = f"n = {radii.n} points do not tell the law from the bound"
        how = _what_moves(band, radii, bound, short)
    return Judgement(
        Outcome.UNDECIDED, f"{decided:.0%} of the range decided; {why}", slack, decided, how
    )


def _what_moves(band: _UniformBand | _GridBand, radii: Radii, bound: Curve, short: float) -> str:
    """Return what decides a law whose points found lie below the bound, inside the band."""
    etas, counts = band.certified(radii.lower)
    if etas.size:
        values = _values(bound, etas)
        worst = int(np.argmax(values - counts / band.n))
        if values[worst] > counts[worst] / band.n:
            # A bound that is missed is, seen from 1, one that the rest exceeds.
            place = slice(worst, worst + 1)
            size = band.size(band.n - counts[place], 1 - values[place])
            return (
                said(size, f"more than {band.n:,} points", " would refute it")
                + "; no number of them decides on a law that meets the bound"
            )
        if isinstance(band, _GridBand):
            short = float(np.max(values - band.count(radii.upper, etas, "right") / band.n))
    if short <= 0:
        return "a grid of more etas, declared first: between two of them the law may stand still"
    return f"{STRONGER}, as at the worst eta {short:.1%} too few are found; then more points"


def _to_declare(bound: LawBound | Curve, n: int, level: float, grid: FloatArray | None) -> str:
    """Return what would allow a range to be declared: more points, or a bound that says more."""
    if grid is not None:
        return f"more than {n:,} points, or a bound that rises further above 0"
    # The band is a sixth wide where the range is empty still, and narrower beyond.
    size = int(np.floor(18 * np.log(1 / level))) + 1
    if n < size:
        return f"at least {size:,} points, and more for a range that is wide"
    return "a bound that rises further above 0: no number of points shows what it does not say"
