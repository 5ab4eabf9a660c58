"""Theorem 3: one perturbation fools several classifiers that mostly agree."""

import numpy as np
import numpy.typing as npt

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
from theory.claims.fawzi2018.corollaries import LOG_CONSTANT, Form, checked_form
from theory.claims.fawzi2018.robustness import KEY, SOURCE, image_quantile
from theory.gaussian import crossing_at, half_space_offset, log_survival_at
from theory.latent import (
    SUM_TOLERANCE,
    checked_masses,
    checked_probability,
    known_modulus,
    latent_distance,
    mass_limits,
    require_gaussian_latent,
)
from theory.modulus import Modulus
from theory.parameter import DISTANCE, MASSES, MODULUS, Masses, Parameter, Reals
from theory.statistics import clopper_pearson, most_equal_masses

R_JOINT = Quantity("r_joint", "l2")
"""The least norm of one perturbation, within the range of g, that changes every label."""


def _checked_disagreement(disagreement: npt.ArrayLike) -> FloatArray:
    return checked_probability("disagreement", disagreement)


def _checked_count(n_classifiers: int) -> int:
    if n_classifiers < 2 or n_classifiers != int(n_classifiers):
        raise ValueError(f"n_classifiers must be a whole number >= 2, got {n_classifiers!r}")
    return int(n_classifiers)


def worst_unions(
    class_masses: npt.ArrayLike, disagreement: float, n_classifiers: int = 2
) -> FloatArray:
    """Return the union masses that make the transfer bound least, given one classifier's masses.

    u_i = P(some classifier says i) lies between p_i and p_i + delta, and sum_i u_i - 1, the mean
    number of further labels, is at most (n - 1) delta. The kernel G_t is convex, so that the worst
    case gives delta to the largest classes first, whatever t.

    Parameters
    ----------
    class_masses : array_like, shape (K,)
        p_i of the first classifier.
    disagreement : float
        delta >= P(not all n labels are equal).
    n_classifiers : int
        n >= 2.

    Examples
    --------
    >>> worst_unions([0.5, 0.3, 0.2], 0.1).tolist()
    [0.6, 0.3, 0.2]
    """
    p = checked_masses(class_masses)
    if p.ndim != 1:
        raise ValueError(f"class_masses must be one list of K masses, got shape {p.shape}")
    delta = float(_checked_disagreement(disagreement))
    u, left = p.copy(), (_checked_count(n_classifiers) - 1) * delta
    for j in np.argsort(-p, kind="stable"):
        # A class that would exceed mass 1 leaves the rest to the next one.
        share = min(delta, left, 1.0 - u[j])
        u[j] += share
        left -= share
    return u


def transfer_lower_bound(
    eta: npt.ArrayLike,
    modulus: Modulus,
    class_masses: npt.ArrayLike,
    disagreement: float,
    *,
    n_classifiers: int = 2,
    form: Form = "sharp",
) -> FloatArray:
    """Return the lower bound on the probability that one v, ||v|| <= eta, fools all classifiers.

    Parameters
    ----------
    eta : array_like
        Distance in image space, at least 0.
    modulus : Modulus
        omega of the generator.
    class_masses : array_like, shape (K,)
        p_i of the first classifier.
    disagreement : float
        delta >= P(the labels of g(z) are not all equal).
    n_classifiers : int
        n >= 2; the printed form speaks of two.
    form : {"sharp", "printed"}
        1 - delta - sum_i G_t(u_i) at the worst union masses u (see `worst_unions`), or
        1 - sqrt(pi/2) exp(-t^2/2) - 2 delta; both 0 where negative.

    Returns
    -------
    ndarray
        In [0, 1], shaped as eta.

    Raises
    ------
    OutOfScopeError
        Printed form: a class with p_i + delta > 1/2, or more than two classifiers.
    ValueError
        If a probability lies outside [0, 1], masses do not sum to 1, or eta is negative or NaN.

    References
    ----------
    Theorem 3, equation (7). The sharp form needs no balance: a point on whose label i all agree
    and that is farther than t from every latent point where none says i lies in a set of mass u_i.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega, p = LipschitzModulus(1.0), [0.1] * 10
    >>> round(float(transfer_lower_bound(2.0, omega, p, 0.01, form="printed")), 12)
    0.810382376242
    >>> round(float(transfer_lower_bound(2.0, omega, p, 0.01)), 12)
    0.984727796339
    """
    survival = np.exp(
        transfer_log_survival_upper_bound(
            eta, modulus, class_masses, disagreement, n_classifiers=n_classifiers, form=form
        )
    )
    return np.asarray(1.0 - survival)


def transfer_log_survival_upper_bound(
    eta: npt.ArrayLike,
    modulus: Modulus,
    class_masses: npt.ArrayLike,
    disagreement: float,
    *,
    n_classifiers: int = 2,
    form: Form = "sharp",
) -> FloatArray:
    """Return log of the upper bound on the probability that no v of that norm fools all.

    Parameters and errors are those of `transfer_lower_bound`; it tends to log delta, or to
    log 2 delta in the printed form.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega = LipschitzModulus(1.0)
    >>> round(float(transfer_log_survival_upper_bound(100.0, omega, [0.1] * 10, 0.0)), 6)
    -5132.210699
    """
    u = worst_unions(class_masses, disagreement, n_classifiers)
    if checked_form(form) == "sharp":
        return _log_survival(latent_distance(eta, modulus), u, disagreement)
    if n_classifiers != 2:
        raise OutOfScopeError(f"the printed form speaks of two classifiers, got {n_classifiers}")
    if u.max() > 0.5:
        raise OutOfScopeError(
            f"the printed form needs p_i + delta <= 1/2, got {u.max():.4g} for the largest class"
        )
    t = latent_distance(eta, modulus)
    with np.errstate(divide="ignore", over="ignore"):
        both = np.logaddexp(LOG_CONSTANT - 0.5 * t**2, np.log(2.0 * disagreement))
    return np.minimum(both, 0.0)


def _log_survival(t: FloatArray, u: FloatArray, disagreement: float) -> FloatArray:
    kept = log_survival_at(half_space_offset(u), t[..., None])
    with np.errstate(divide="ignore"):
        missed = np.broadcast_to(np.log(disagreement), (*t.shape, 1))
    total = np.logaddexp.reduce(np.concatenate([kept, missed], axis=-1), axis=-1)
    return np.asarray(np.minimum(total, 0.0))


def transfer_lower_bound_from_unions(
    eta: npt.ArrayLike, modulus: Modulus, union_masses: npt.ArrayLike, disagreement: float
) -> FloatArray:
    """Return the transfer bound where the union masses themselves are known.

    Parameters
    ----------
    eta : array_like
        Distance in image space, at least 0.
    modulus : Modulus
        omega of the generator.
    union_masses : array_like, shape (K,)
        u_i = P(some classifier says i), in [0, 1]; they sum to at least 1, and for two classifiers
        to 1 + P(they disagree).
    disagreement : float
        delta >= P(the labels are not all equal).

    Returns
    -------
    ndarray
        max(1 - delta - sum_i G_t(u_i), 0).

    Raises
    ------
    ValueError
        If a probability lies outside [0, 1], the unions sum to less than 1, or they sum to more
        than K delta can add.

    References
    ----------
    The proof of Theorem 3.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega, u = LipschitzModulus(1.0), [0.505, 0.505]
    >>> round(float(transfer_lower_bound_from_unions(2.0, omega, u, 0.01)), 12)
    0.943129278667
    """
    u = checked_probability("union_masses", union_masses)
    delta = float(_checked_disagreement(disagreement))
    if u.ndim != 1 or not u.size:
        raise ValueError(f"union_masses must have one entry a class, got {union_masses!r}")
    if not 1 - SUM_TOLERANCE <= u.sum() <= 1 + (u.size - 1) * delta + SUM_TOLERANCE:
        raise ValueError(
            f"union_masses must sum to a number in [1, {1 + (u.size - 1) * delta:.6g}] for a"
            f" disagreement of {delta}, got {u.sum()}"
        )
    return np.asarray(1.0 - np.exp(_log_survival(latent_distance(eta, modulus), u, delta)))


def transfer_quantile_upper_bound(
    probability: npt.ArrayLike,
    modulus: Modulus,
    class_masses: npt.ArrayLike,
    disagreement: float,
    *,
    n_classifiers: int = 2,
    form: Form = "sharp",
) -> FloatArray:
    """Return the least eta whose transfer bound reaches a probability; +inf above 1 - delta.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega = LipschitzModulus(1.0)
    >>> at = transfer_quantile_upper_bound(0.5, omega, [0.1] * 10, 0.01)
    >>> round(float(transfer_lower_bound(at, omega, [0.1] * 10, 0.01)), 12)
    0.5
    """
    q = checked_probability("probability", probability)
    u = worst_unions(class_masses, disagreement, n_classifiers)
    if checked_form(form) == "printed":
        transfer_log_survival_upper_bound(
            0.0, modulus, class_masses, disagreement, n_classifiers=n_classifiers, form=form
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            left = 1.0 - q - 2.0 * disagreement
            t = np.sqrt(2.0 * np.maximum(LOG_CONSTANT - np.log(np.maximum(left, 0.0)), 0.0))
        return image_quantile(q, t, modulus)
    t = np.vectorize(_latent_quantile, otypes=[np.float64], excluded={1, 2})(q, u, disagreement)
    return image_quantile(q, t, modulus)


def _latent_quantile(q: float, u: FloatArray, disagreement: float) -> float:
    # sum_i [Phi(a_i + t) - Phi(a_i)] must make up for q, delta and what the unions exceed 1 by.
    target = q + disagreement + (u.sum() - 1.0)
    offsets = half_space_offset(u)
    if q == 0 or target >= u[u < 1].sum():
        return 0.0 if q == 0 else np.inf
    low, high = 0.0, 64.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        reached = float(crossing_at(offsets, np.array(middle)).sum()) >= target
        low, high = (low, middle) if reached else (middle, high)
    return high


_DISAGREEMENT = Parameter(
    "disagreement",
    r"\delta",
    "P(the labels are not all equal), at most",
    Reals(0.0, 1.0, typical=(0.0, 0.2)),
    0.01,
)
_ROOM = Parameter(
    "disagreement",
    r"\delta",
    "P(the labels differ), at most",
    Reals(0.0, 0.1, typical=(0.0, 0.1)),
    0.01,
)
_SHARP = Bound(
    (DISTANCE, MODULUS, MASSES, _DISAGREEMENT),
    transfer_lower_bound,
    transfer_log_survival_upper_bound,
    transfer_quantile_upper_bound,
    absolute=1e-14,
)
_SMALL = Parameter(
    "class_masses", "p", "masses of the first classifier's classes", Masses(0.4), [0.1] * 10
)
_PRINTED = Bound(
    (DISTANCE, MODULUS, _SMALL, _ROOM),
    lambda **given: transfer_lower_bound(**given, form="printed"),
    lambda **given: transfer_log_survival_upper_bound(**given, form="printed"),
    lambda probability, **given: transfer_quantile_upper_bound(
        probability, **given, form="printed"
    ),
    absolute=1e-14,
)
_SETTING = (
    r"Let $x = g(z)$, $z \sim \mathcal{N}(0, I_d)$, where $g$ has the modulus of continuity"
    r" $\omega$, let $f$, with class masses $p_i$, and $h$ be classifiers with"
    r" $\Pr(f(x) \neq h(x)) \le \delta$, and let $r$ be the least norm of one $v$ that changes both"
    r" labels"
)


def _disagreement_limits(facts: Facts, alpha: float) -> tuple[float, float]:
    if "disagreement" in facts:
        known = float(facts["disagreement"])
        return known, known
    seen = required(facts, "disagreement_counts", "the disagreement of the classifiers")
    low, high = clopper_pearson(seen["different"], seen["n"], alpha)
    return float(low), float(high)


def _law(facts: Facts, quantity: Quantity, alpha: float, form: Form) -> LawBound:
    require_gaussian_latent(facts)
    lower, upper = mass_limits(facts, alpha / 2)
    least, most = _disagreement_limits(facts, alpha / 2)
    modulus = known_modulus(facts, quantity)
    if form == "printed":
        limits = [
            {"class_masses": _room_for(upper, most), "disagreement": d} for d in (least, most)
        ]
        best, worst = (_PRINTED.law(modulus=modulus, **limit) for limit in limits)
        return LawBound(worst.lower, best.upper, best.quantile)
    equal = lower if lower is upper else most_equal_masses(lower, upper)
    best = _SHARP.law(modulus=modulus, class_masses=equal, disagreement=least)
    unions = np.minimum(upper, 1.0)
    unions[np.argmax(unions)] = min(unions.max() + most, 1.0)

    def worst_case(eta: FloatArray) -> FloatArray:
        kept = np.exp(_log_survival(latent_distance(eta, modulus), unions, most))
        return np.asarray(np.maximum(1.0 - kept - 1e-12, 0.0))

    return LawBound(worst_case, best.upper, best.quantile)


def _room_for(upper: FloatArray, disagreement: float) -> FloatArray:
    """Return masses for the printed form, which asks of them only that they leave room."""
    if upper.max() + disagreement > 0.5:
        raise OutOfScopeError(
            f"p_i + delta may exceed 1/2: {upper.max() + disagreement:.4g} for the largest class"
        )
    return np.full(upper.size, 1.0 / upper.size)


@theorem(
    "fawzi2018/thm3",
    kind=Kind.LAW,
    quantities=(R_JOINT,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 3, equation (7)"),
    setting=_SETTING,
    hypotheses=(r"$p_i + \delta \le 1/2$ for every class",),
    bound=_PRINTED,
    stronger="fawzi2018/thm3-sharp",
)
def theorem3(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """Perturbations transfer between classifiers that rarely disagree.

    Hypotheses: those of Theorem 1, a known disagreement, and no class near half of the mass.
    """
    return _law(facts, quantity, alpha, "printed")


@theorem(
    "fawzi2018/thm3-sharp",
    kind=Kind.LAW,
    quantities=(R_JOINT,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 3, its proof without the balance of the classes"),
    setting=_SETTING,
    bound=_SHARP,
)
def theorem3_sharp(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """Transfer for any class masses: the worst case puts all disagreement in the largest class.

    Hypotheses: those of Theorem 1, and a known disagreement.
    """
    return _law(facts, quantity, alpha, "sharp")
