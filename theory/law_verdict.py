"""Judging a law, F(eta) >= B(eta) for all eta: by a uniform band, or on a frozen grid of etas."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from theory.arrays import FloatArray
from theory.claim import LawBound
from theory.evidence import Radii
from theory.outcome import Judgement, Outcome
from theory.statistics import checked_count, clopper_pearson, dkw_halfwidth

Curve = Callable[[FloatArray], FloatArray]


def declared_range(bound: LawBound | Curve, n: int, alpha: float) -> tuple[float, float]:
    """Return the etas between which HOLDS is declared, from the bound, n and alpha alone.

    With a band of half-width e, they are where the bound is 4 e and 1 - 2 e: there a law that lies
    a quarter above the bound, or half-way between the bound and 1, just stands clear of its band.
    Nearer to 0 or 1 no law of n points could.

    Parameters
    ----------
    bound : LawBound or callable
        Non-decreasing in eta.
    n : int
        Number of points.
    alpha : float
        Level of the band, in (0, 1/2].

    Returns
    -------
    eta_min, eta_max : float
        +inf where the bound never gets so high; both are with too few points. A range that
        begins at +inf is empty, and HOLDS is never said.

    Raises
    ------
    ValueError
        If n < 1 or alpha is out of range.

    Examples
    --------
    >>> low, high = declared_range(lambda eta: 1 - np.exp(-eta), 2000, 0.0015)
    >>> round(float(1 - np.exp(-low)), 3), round(float(1 - np.exp(-high)), 3)
    (0.161, 0.919)
    >>> declared_range(lambda eta: 1 - np.exp(-eta), 10, 0.05)
    (inf, inf)
    """
    e = dkw_halfwidth(n, alpha)
    low, high = 4 * e, 1 - 2 * e
    if low >= high:
        return float("inf"), float("inf")
    start, stop = _first_etas(bound, np.array([low, high]))
    return float(start), float(stop)


def declared_grid(
    bound: LawBound | Curve, n: int, alpha: float, m: int | None = None
) -> FloatArray:
    """Return the etas at which a law is tested, from the bound, n and alpha alone.

    The bound's levels at these etas are the middles of m equal steps on the scale of asin(sqrt),
    on which an exact limit is equally wide everywhere: dense in both tails. They lie between
    1 - a^(2/n) and a^(2/n), a = alpha / m. Below 1 - a^(1/n) not even n certificates refute, and
    above a^(1/n) not even n attacks confirm; at twice that distance from 0 and 1, a law of about
    twice the bound's tail, or a quarter of it, just stands clear of its limits.

    Parameters
    ----------
    bound : LawBound or callable
        Non-decreasing in eta.
    n : int
        Number of points.
    alpha : float
        Level of the test, in (0, 1/2].
    m : int, optional
        Number of etas, at least 1; 4 sqrt(n), rounded up, by default. An exact limit widens like
        sqrt(log(m / alpha) / n), and HOLDS loses a step, pi / (2 m), to interpolation: their sum is
        within a tenth of its least, while a violation still pays for few tests.

    Returns
    -------
    ndarray, shape (at most m,)
        Increasing; fewer than m where the bound never reaches its highest levels. A lone +inf
        with too few points, or a bound that reaches no level: nothing can then be decided.

    Raises
    ------
    ValueError
        If n or m < 1 or alpha is out of range.

    Examples
    --------
    >>> grid = declared_grid(lambda eta: 1 - np.exp(-eta), 2000, 0.05)
    >>> levels = 1 - np.exp(-grid)
    >>> grid.size, [round(float(level), 3) for level in levels[[0, 90, -1]]]
    (179, [0.009, 0.508, 0.991])
    """
    checked_count(n, "n")
    m = int(np.ceil(4 * np.sqrt(n))) if m is None else checked_count(m, "m")
    end = -np.expm1(2 * np.log(_checked_level(alpha) / m) / n)
    if end >= 0.5:
        return np.array([np.inf])
    first, last = np.arcsin(np.sqrt([end, 1 - end]))
    levels = np.sin(first + (last - first) * (np.arange(m) + 0.5) / m) ** 2
    etas = np.unique(_first_etas(bound, levels))
    reached = etas[np.isfinite(etas)]
    return reached if reached.size else np.array([np.inf])


_MANY = 8
"""So many quantiles are found sooner together, by bisection, than one by one."""


def _checked_level(alpha: float) -> float:
    if not 0 < alpha <= 0.5:
        raise ValueError(f"alpha must lie in (0, 1/2], got {alpha}")
    return alpha


def _first_etas(bound: LawBound | Curve, probabilities: FloatArray) -> FloatArray:
    """Return the least etas whose bound reaches these probabilities, +inf where there is none."""
    if isinstance(bound, LawBound):
        if probabilities.size < _MANY:
            return np.array([bound.quantile(float(q)) for q in probabilities])
        bound = bound.upper
    # Bisection on the logarithm of eta, of all at once.
    high = np.full(probabilities.shape, 1000.0)
    low = -high
    ever = bound(2.0**high) >= probabilities
    for _ in range(80):
        middle = (low + high) / 2
        reached = bound(2.0**middle) >= probabilities
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.where(ever, 2.0**high, np.inf)


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
    n, level = radii.n, _checked_level(alpha)
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
        return Judgement(Outcome.UNDECIDED, f"n = {n} is too small to declare any range of eta")
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
    if np.all(seen / radii.n >= needed):
        why = f"n = {radii.n} is too small, all points seen agree with the bound"
    elif np.all(band.least(counts(radii.lower)) >= needed):
        why = "the intervals are too wide: a stronger attack would decide"
    else:
        why = f"n = {radii.n} points do not tell the law from the bound"
    return Judgement(
        Outcome.UNDECIDED, f"{decided:.0%} of the range decided; {why}", slack, decided
    )
