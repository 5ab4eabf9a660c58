"""Theorem 4 as a law: the tail on data within a Wasserstein or total variation distance."""

import numpy as np
import numpy.typing as npt
from scipy import optimize

from theory.arrays import FloatArray
from theory.claim import (
    Bound,
    Facts,
    Kind,
    LawBound,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    required,
    theorem,
)
from theory.claims.fawzi2018.approximate import DATA, NEAR, R_DATA, WASSERSTEIN
from theory.claims.fawzi2018.robustness import (
    KEY,
    SOURCE,
    log_survival_upper_bound,
    quantile_upper_bound,
)
from theory.latent import (
    checked_distance,
    checked_masses,
    checked_probability,
    known_modulus,
    mass_limits,
    require_gaussian_latent,
)
from theory.modulus import Modulus
from theory.parameter import DISTANCE, MASSES, MODULUS, Parameter, Reals


def approximate_generator_survival_bound(
    eta: npt.ArrayLike,
    modulus: Modulus,
    class_masses: npt.ArrayLike,
    wasserstein: float,
    order: float = 1,
) -> FloatArray:
    """Return an upper bound on P(r_unc > eta) under the data's law.

    Parameters
    ----------
    eta : array_like
        Distance in image space, at least 0.
    modulus : Modulus
        omega of the generator.
    class_masses : array_like, shape (K,)
        p_i under the generator's law.
    wasserstein : float
        W_q between the generator's law and that of the data, in the norm of r; at least 0.
    order : float
        q >= 1; +inf for the essential supremum of a coupling's distance.

    Returns
    -------
    ndarray
        min over 0 < s < eta of [1 - B(eta - s)] + (W_q / s)^q, or 1 - B(eta - W) for order inf,
        with B the bound of Theorem 1; in [0, 1].

    Raises
    ------
    ValueError
        If masses are invalid, eta or the distance is negative or NaN, or the order is below 1.

    References
    ----------
    Theorem 4's coupling and Markov's inequality in place of the mean.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega, p = LipschitzModulus(1.0), [0.1] * 10
    >>> round(float(approximate_generator_survival_bound(1.0, omega, p, 0.01)), 12)
    0.231802918712
    """
    e, p = checked_distance("eta", eta), checked_masses(class_masses)
    if p.ndim != 1:
        raise ValueError(f"class_masses must be one list of K masses, got shape {p.shape}")
    distance = float(checked_distance("wasserstein", wasserstein))
    if not order >= 1:
        raise ValueError(f"order must be at least 1, got {order!r}")
    if np.isinf(order):
        near = np.exp(log_survival_upper_bound(np.maximum(e - distance, 0.0), modulus, p))
        return np.where(e > distance, near, 1.0)
    if distance == 0:
        return np.exp(log_survival_upper_bound(e, modulus, p))
    far = (e > distance) & np.isfinite(e)
    survival = np.where(np.isinf(e), np.exp(log_survival_upper_bound(np.inf, modulus, p)), 1.0)
    survival[far] = _best_split(e[far], modulus, p, distance, order)
    return np.asarray(survival)


_GRID = np.linspace(0.0, 1.0, 65)[:, None]
"""Where between two ends the best split is looked for."""
_ZOOMS = 9
"""Searches of the two cells beside the best split; each is 32 times finer than the last."""


def _best_split(
    eta: FloatArray, modulus: Modulus, p: FloatArray, distance: float, order: float
) -> FloatArray:
    # Any split s gives a valid bound: a search that misses the best one loses, and never errs.
    reach = np.log(eta / distance)
    low, high = np.zeros(eta.shape), np.ones(eta.shape)
    least = np.ones(eta.shape)
    for _ in range(_ZOOMS):
        share = low + (high - low) * _GRID
        ratio = np.exp(share * reach)  # s / W, in [1, eta / W]
        left = np.maximum(eta - distance * ratio, 0.0)
        values = np.exp(log_survival_upper_bound(left, modulus, p)) + ratio**-order
        least = np.minimum(least, values.min(axis=0))
        best, cell = np.argmin(values, axis=0), (high - low) / (_GRID.size - 1)
        at = low + best * cell
        low, high = np.maximum(at - cell, 0.0), np.minimum(at + cell, 1.0)
    return least


def total_variation_survival_bound(
    eta: npt.ArrayLike,
    modulus: Modulus,
    class_masses: npt.ArrayLike,
    total_variation: npt.ArrayLike,
) -> FloatArray:
    """Return an upper bound on P(r_unc > eta) under data within a total variation distance.

    Parameters
    ----------
    eta, modulus, class_masses
        As in `approximate_generator_survival_bound`.
    total_variation : array_like
        sup over events of the difference of the two laws, in [0, 1].

    Returns
    -------
    ndarray
        min(1 - B(eta) + TV, 1).

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega, p = LipschitzModulus(1.0), [0.1] * 10
    >>> round(float(total_variation_survival_bound(1.0, omega, p, 0.05)), 12)
    0.162579145126
    """
    shift = checked_probability("total_variation", total_variation)
    kept = np.exp(log_survival_upper_bound(eta, modulus, class_masses))
    return np.minimum(kept + shift, 1.0)


_TV = Parameter(
    "total_variation", r"\tau", "total variation distance", Reals(0.0, 1.0, (0.0, 0.3)), 0.01
)


def _complement(survival: FloatArray) -> FloatArray:
    return np.asarray(1.0 - survival)


def _tail_value(
    eta: npt.ArrayLike, modulus: Modulus, class_masses: npt.ArrayLike, wasserstein: float
) -> FloatArray:
    return _complement(
        approximate_generator_survival_bound(eta, modulus, class_masses, wasserstein)
    )


def _tail_quantile(
    probability: npt.ArrayLike,
    modulus: Modulus,
    class_masses: npt.ArrayLike,
    wasserstein: float,
) -> FloatArray:
    p = checked_masses(class_masses)

    def least(q: float) -> float:
        if q == 0:
            return 0.0
        # Without the distance the bound is better, and gets there sooner.
        low = float(quantile_upper_bound(q, modulus, p))
        if not np.isfinite(low):
            return np.inf

        def excess(eta: float) -> float:
            return float(_tail_value(eta, modulus, p, wasserstein)) - q

        high = 2.0 * low + 2.0 * wasserstein
        while excess(high) < 0:
            high *= 2.0
            if high > 1e300:
                return np.inf
        if excess(low) >= 0:
            return low
        return float(optimize.brentq(excess, low, high, xtol=1e-300, rtol=1e-13)) * (1 + 1e-12)

    return np.asarray(np.vectorize(least, otypes=[np.float64])(probability))


_TAIL = Bound(
    (DISTANCE, MODULUS, MASSES, WASSERSTEIN),
    _tail_value,
    lambda **given: np.log(approximate_generator_survival_bound(**given)),
    _tail_quantile,
    absolute=1e-12,
)
_VARIATION = Bound(
    (DISTANCE, MODULUS, MASSES, _TV),
    lambda **given: _complement(total_variation_survival_bound(**given)),
    lambda **given: np.log(total_variation_survival_bound(**given)),
    lambda probability, modulus, class_masses, total_variation: (
        quantile_upper_bound(np.minimum(probability + total_variation, 1.0), modulus, class_masses)
        if probability > 0
        else np.array(0.0)
    ),
    absolute=1e-14,
)


def _shifted_law(
    facts: Facts, quantity: Quantity, alpha: float, name: str, bound: Bound
) -> LawBound:
    require_gaussian_latent(facts)
    modulus = known_modulus(facts, quantity)
    lower, upper = mass_limits(facts, alpha)
    if lower is not upper:
        raise OutOfScopeError("the class masses are counted, not known")
    what = {"wasserstein": "Wasserstein", "total_variation": "total variation"}[name]
    fact = {"wasserstein": "wasserstein_1"}.get(name, name)
    distance = float(required(facts, fact, f"a proved {what} distance to the data"))
    return bound.law(modulus=modulus, class_masses=lower, **{name: distance})


@theorem(
    "fawzi2018/thm4-tail",
    kind=Kind.LAW,
    quantities=(R_DATA,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 4, its coupling with Markov's inequality"),
    setting=DATA,
    hypotheses=(NEAR,),
    bound=_TAIL,
)
def theorem4_tail(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """The whole law on real data, not only its mean.

    Hypotheses: a proved Wasserstein distance in the norm of the radius; known class masses.
    """
    return _shifted_law(facts, quantity, alpha, "wasserstein", _TAIL)


@theorem(
    "fawzi2018/thm4-total-variation",
    kind=Kind.LAW,
    quantities=(R_DATA,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 1 under a change of law"),
    setting=DATA,
    hypotheses=(r"$\mathrm{TV}(g_\ast \gamma, \mu) \le \tau$",),
    bound=_VARIATION,
)
def theorem4_total_variation(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """Data within a total variation distance lose at most that probability.

    Hypotheses: a proved total variation distance, which no finite sample gives in high dimension.
    """
    return _shifted_law(facts, quantity, alpha, "total_variation", _VARIATION)
