"""Theorem 1 with the law of local expansions in place of a modulus: no threshold is declared."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import Facts, Kind, LawBound, Quantity, Ref, Relation, required, theorem
from theory.claims.fawzi2018.robustness import KEY, SETTING, SOURCE, worst_cdf_lower_bound
from theory.latent import (
    R_IN,
    R_UNC,
    checked_distance,
    checked_masses,
    crossing_mass,
    mass_limits,
    require_gaussian_latent,
)
from theory.modulus import LipschitzModulus
from theory.modulus.expansion import ExpansionTable
from theory.statistics import most_equal_masses

_RAMP = 1e-9
"""The bound jumps where a limit on the expansions changes; it is drawn as a ramp of this width."""
_ROUNDING = 1e-12
_IDENTITY = LipschitzModulus(1.0)


def probabilistic_cdf_lower_bound(
    eta: npt.ArrayLike, expansions: ExpansionTable, class_masses: npt.ArrayLike, alpha: float
) -> FloatArray:
    """Return the lower bound on P(r <= eta), r in {r_in, r_unc}, from certified expansions.

    Parameters
    ----------
    eta : array_like
        Distance in image space, at least 0.
    expansions : ExpansionTable
        Certified expansions at independent latents, within some latent radii.
    class_masses : array_like, shape (K,)
        p_i.
    alpha : float
        Probability, over the latents of the table, that the bound fails at some eta; in (0, 1/2).

    Returns
    -------
    ndarray
        max over the radii t of B(t) - q(eta, t), B the bound of Theorem 1 for the latent radius and
        q an upper limit on the probability of an expansion above eta; at least 0. A step function.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Theorem 1 with a modulus that holds with high probability (the paper's appendix).

    Examples
    --------
    >>> seen = np.linspace(0.5, 1.5, 500)
    >>> table = ExpansionTable((0.5, 1.0), (tuple(seen), tuple(2 * seen)))
    >>> probabilistic_cdf_lower_bound([1.0, 2.0, 3.0], table, [0.1] * 10, 0.01).round(3).tolist()
    [0.027, 0.608, 0.869]
    """
    p = checked_masses(class_masses)
    if p.ndim != 1:
        raise ValueError(f"class_masses must be one list of K masses, got shape {p.shape}")
    at = checked_distance("eta", eta)
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie strictly between 0 and 1/2, got {alpha}")
    # Half of a level goes to the lower limits, and the upper ones are not used.
    within, _ = expansions.shares(at.ravel(), 2 * alpha)
    found = _best(crossing_mass(p, np.asarray(expansions.radii)), within)
    return found.reshape(at.shape)


def _best(crossing: FloatArray, within: FloatArray) -> FloatArray:
    """Return the best bound over the radii, shape (k,), from shares of shape (radii, k)."""
    levels = crossing[:, None] - (1.0 - within)
    return np.asarray(np.clip(levels.max(axis=0), 0.0, 1.0))


def _polygons(
    table: ExpansionTable, worst: FloatArray, best: FloatArray, alpha: float
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """Return the knots and values of the lower and of the upper end, each without a jump.

    A jump of the lower end is a ramp that begins there, one of the upper end a ramp that ends
    there: both stay on their side.
    """
    jumps = table.knots()
    # Before the first jump, which may be at 0, no expansion is within reach.
    within = table.shares(np.concatenate([[-1.0], jumps]), alpha)
    low, high = (
        np.maximum.accumulate(_best(end, share))
        for end, share in zip((worst, best), within, strict=True)
    )
    after = np.nextafter(jumps * (1 + _RAMP), np.inf)
    rise = np.maximum.accumulate(np.stack([jumps, after], axis=1).ravel())
    ahead = np.stack([jumps * (1 - _RAMP), jumps], axis=1).ravel()
    ahead = np.minimum.accumulate(ahead[::-1])[::-1]
    steps = [np.append(end[0], np.stack([end[:-1], end[1:]], axis=1)) for end in (low, high)]
    return (np.append(0.0, rise), steps[0]), (np.append(0.0, ahead), steps[1])


@theorem(
    "fawzi2018/thm1-probabilistic-modulus",
    kind=Kind.LAW,
    quantities=(R_IN, R_UNC),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 1, the remark on moduli that hold for random latents"),
    setting=SETTING.partition(", where")[0]
    + r", let $f$ be any classifier with class masses $p_i = \Pr(f(x) = i)$, and let $r$ be"
    r" $r_{\mathrm{in}}$ or $r_{\mathrm{unc}}$",
)
def theorem1_probabilistic(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """Theorem 1 with the share of latents whose certified expansion is at most eta, for every eta.

    Half of alpha limits the class masses; half limits the shares, for all radii and all eta at
    once, so that the best radius may be taken at each eta after the latents are seen. The latents
    of the table are independent of each other; nothing is asked of the radii that are judged.

    Hypotheses: Gaussian latent, class masses known or counted, and certified expansions within
    some latent radii at independent latents. Where one threshold a radius was declared beforehand,
    `fawzi2018/thm1-local-modulus` spends less.
    """
    require_gaussian_latent(facts)
    table = ExpansionTable.from_dict(
        required(facts, f"expansions[l2->{quantity.norm}]", "a table of certified local expansions")
    )
    lower, upper = mass_limits(facts, alpha / 2)
    p = lower if lower is upper else most_equal_masses(lower, upper)
    t = np.asarray(table.radii)
    worst = worst_cdf_lower_bound(t, _IDENTITY, lower, upper) - _ROUNDING
    best = crossing_mass(p, t) + _ROUNDING
    (rise, low), (ahead, high) = _polygons(table, worst, best, alpha / 2)

    def quantile(q: float) -> float:
        reached = np.flatnonzero(high >= q)
        return float(ahead[reached[0]]) if reached.size else float("inf")

    return LawBound(
        lower=lambda eta: np.interp(eta, rise, low),
        upper=lambda eta: np.interp(eta, ahead, high),
        quantile=quantile,
    )
