"""Theorem 1 with a modulus that may fail on a few latents: rigorous for trained networks."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import Bound, Facts, Kind, LawBound, Quantity, Ref, Relation, required, theorem
from theory.claims.fawzi2018.robustness import (
    KEY,
    SETTING,
    SOURCE,
    cdf_lower_bound,
    log_survival_upper_bound,
    quantile_upper_bound,
    worst_cdf_lower_bound,
)
from theory.latent import (
    R_IN,
    R_UNC,
    checked_distance,
    checked_masses,
    checked_probability,
    crossing_mass,
    mass_limits,
    require_gaussian_latent,
)
from theory.modulus import LipschitzModulus
from theory.parameter import MASSES, Parameter, Reals
from theory.statistics import clopper_pearson, most_equal_masses

_RAMP = 1e-9
"""The bound jumps where one more expansion is admitted; it is drawn as a ramp of this width."""
_IDENTITY = LipschitzModulus(1.0)


@dataclass(frozen=True)
class LocalExpansions:
    """Expansions that most latents do not exceed, each at its own latent distance.

    Attributes
    ----------
    distances : tuple of float
        t_j > 0, increasing.
    expansions : tuple of float
        e_j, non-decreasing, in the unit of the image.
    failures : tuple of float
        q_j >= P(sup over ||r|| <= t_j of ||g(z + r) - g(z)|| exceeds e_j), in [0, 1].

    Raises
    ------
    ValueError
        If the lists differ in length, are empty, or are out of order or range.
    """

    distances: tuple[float, ...]
    expansions: tuple[float, ...]
    failures: tuple[float, ...]

    def __post_init__(self) -> None:
        t = checked_distance("distances", self.distances)
        e = checked_distance("expansions", self.expansions)
        q = checked_probability("failures", self.failures)
        if not t.size or not t.shape == e.shape == q.shape or t.ndim != 1:
            raise ValueError(f"need three equal, non-empty lists, got {self}")
        if not (np.all(np.diff(t) > 0) and t[0] > 0 and np.all(np.diff(e) >= 0)):
            raise ValueError(f"distances must increase, and expansions not decrease, got {self}")


def local_cdf_lower_bound(
    eta: npt.ArrayLike, local: LocalExpansions, class_masses: npt.ArrayLike
) -> FloatArray:
    """Return the lower bound on P(r <= eta), r in {r_in, r_unc}, without any global modulus.

    Parameters
    ----------
    eta : array_like
        Distance in image space, at least 0.
    local : LocalExpansions
        Expansions with the probabilities that they are exceeded.
    class_masses : array_like, shape (K,)
        p_i.

    Returns
    -------
    ndarray
        max over j with e_j <= eta of B(t_j) - q_j, B the bound of Theorem 1 for the latent radius;
        0 where no expansion is that small. A step function of eta.

    References
    ----------
    Theorem 1 with a modulus that holds with high probability (the paper's appendix): a latent
    within t_j of another label reaches it within e_j in the image, unless it is one of the q_j.

    Examples
    --------
    >>> local = LocalExpansions((0.5, 1.0), (1.0, 2.5), (0.01, 0.02))
    >>> local_cdf_lower_bound([0.5, 1.0, 3.0], local, [0.1] * 10).round(6).tolist()
    [0.0, 0.615888, 0.867421]
    """
    p = checked_masses(class_masses)
    if p.ndim != 1:
        raise ValueError(f"class_masses must be one list of K masses, got shape {p.shape}")
    levels = crossing_mass(p, np.asarray(local.distances)) - np.asarray(local.failures)
    return _steps(checked_distance("eta", eta), local, levels)


def _steps(eta: FloatArray, local: LocalExpansions, levels: FloatArray) -> FloatArray:
    best = np.concatenate([[0.0], np.maximum.accumulate(np.maximum(levels, 0.0))])
    return np.asarray(best[np.searchsorted(local.expansions, eta, side="right")])


def _ramp(eta: FloatArray, local: LocalExpansions, levels: FloatArray) -> FloatArray:
    """Return the steps from below, each jump a ramp to the right of it: a continuous curve."""
    e = np.asarray(local.expansions)
    best = np.maximum.accumulate(np.maximum(levels, 0.0))
    before = np.concatenate([[0.0], best[:-1]])
    knots = np.stack([e, e * (1 + _RAMP)], axis=1).ravel()
    values = np.stack([before, best], axis=1).ravel()
    order = np.maximum.accumulate(knots)
    return np.asarray(np.interp(eta, order, values, left=0.0))


def _failure_limits(facts: Facts, quantity: Quantity, alpha: float) -> list[LocalExpansions]:
    """Return the lower and the upper end of what the counts of failures allow."""
    seen = required(
        facts, f"local_expansions[l2->{quantity.norm}]", "a local expansion of the generator"
    )
    counts = np.asarray(seen["failures"])
    limits = clopper_pearson(counts, int(seen["n"]), alpha / counts.size)
    t, e = tuple(seen["distances"]), tuple(seen["expansions"])
    return [LocalExpansions(t, e, tuple(end.tolist())) for end in limits]


def _one_value(t: npt.ArrayLike, class_masses: npt.ArrayLike, failure: npt.ArrayLike) -> FloatArray:
    crossing = cdf_lower_bound(t, _IDENTITY, class_masses)
    return np.maximum(crossing - checked_probability("failure", failure), 0.0)


def _one_log_survival(
    t: npt.ArrayLike, class_masses: npt.ArrayLike, failure: npt.ArrayLike
) -> FloatArray:
    kept = log_survival_upper_bound(t, _IDENTITY, class_masses)
    with np.errstate(divide="ignore"):
        log_failure = np.log(checked_probability("failure", failure))
    return np.minimum(np.logaddexp(kept, log_failure), 0.0)


def _one_quantile(
    probability: npt.ArrayLike, class_masses: npt.ArrayLike, failure: npt.ArrayLike
) -> FloatArray:
    q = checked_probability("probability", probability)
    reached = np.minimum(q + checked_probability("failure", failure), 1.0)
    return np.where(q == 0, 0.0, quantile_upper_bound(reached, _IDENTITY, class_masses))


@theorem(
    "fawzi2018/thm1-local-modulus",
    kind=Kind.LAW,
    quantities=(R_IN, R_UNC),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 1, with a modulus that holds with high probability"),
    setting=SETTING.partition(", where")[0]
    + r", let $f$ be any classifier with class masses $p_i = \Pr(f(x) = i)$, and let $r$ be"
    r" $r_{\mathrm{in}}$ or $r_{\mathrm{unc}}$",
    hypotheses=(
        r"$\Pr\bigl(\sup_{\lVert v \rVert \le t} \lVert g(z + v) - g(z) \rVert > \eta\bigr) \le q$",
    ),
    bound=Bound(
        (
            Parameter("t", "t", "latent distance", Reals(), 1.0),
            MASSES,
            Parameter(
                "failure",
                "q",
                "probability of a larger expansion",
                Reals(0.0, 1.0, (0.0, 0.2)),
                0.01,
            ),
        ),
        _one_value,
        _one_log_survival,
        _one_quantile,
        absolute=1e-14,
    ),
)
def theorem1_local(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """Theorem 1 without a global modulus: latents whose expansion is not certified are given up.

    Hypotheses: Gaussian latent; for each latent distance a certified expansion, and the number of
    independent latents at which the certificate failed.
    """
    require_gaussian_latent(facts)
    least, most = _failure_limits(facts, quantity, alpha / 2)
    lower, upper = mass_limits(facts, alpha / 2)
    p = lower if lower is upper else most_equal_masses(lower, upper)
    t = np.asarray(most.distances)
    worst = worst_cdf_lower_bound(t, _IDENTITY, lower, upper) - np.asarray(most.failures) - 1e-12
    best = crossing_mass(p, t) - np.asarray(least.failures) + 1e-12

    def quantile(q: float) -> float:
        reached = np.flatnonzero(np.maximum.accumulate(best) >= q)
        return float(least.expansions[reached[0]]) * (1 + _RAMP) if reached.size else float("inf")

    return LawBound(
        lower=lambda eta: _ramp(eta, most, worst),
        upper=lambda eta: _ramp(eta, least, best),
        quantile=lambda q: 0.0 if q <= 0 else quantile(q),
    )
