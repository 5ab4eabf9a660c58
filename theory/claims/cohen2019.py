"""Cohen, Rosenfeld and Kolter, Certified adversarial robustness via randomized smoothing (2019).

A base classifier f is smoothed: F(x) is the class that f most probably gives to x + sigma epsilon,
epsilon ~ N(0, I). Around x, F keeps its class up to a radius R(x), by the Neyman-Pearson lemma. In
a Gaussian latent space the isoperimetric inequality bounds the same radius from the other side.
"""

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
from theory.claims.fawzi2018.robustness import (
    cdf_lower_bound,
    law_bound,
    log_survival_upper_bound,
    quantile_upper_bound,
)
from theory.gaussian import half_space_offset, halfspace_enlargement_distance
from theory.latent import checked_probability
from theory.modulus import LipschitzModulus
from theory.parameter import MASSES, Parameter, Reals
from theory.statistics import checked_count, checked_level

KEY, SOURCE = "cohen2019", "Cohen, Rosenfeld and Kolter, ICML 2019"
SMOOTHING_RADIUS = Quantity("smoothing_radius", "l2")
"""R(x) = (sigma / 2) (Phi^{-1}(p_A) - Phi^{-1}(p_B)), p_A and p_B the two largest probabilities."""
R_SMOOTHED = Quantity("r_smoothed", "l2")
"""Distance from x to the nearest point with another label of the smoothed classifier."""
_IDENTITY = LipschitzModulus(1.0)


def _checked_sigma(sigma: npt.ArrayLike) -> FloatArray:
    scale = np.asarray(sigma, dtype=np.float64)
    if not np.all((scale > 0) & (scale < np.inf)):
        raise ValueError(f"sigma must be positive and finite, got {sigma!r}")
    return scale


def certified_radius(
    p_first: npt.ArrayLike,
    sigma: npt.ArrayLike,
    p_second: npt.ArrayLike | None = None,
    *,
    complement: npt.ArrayLike | None = None,
) -> FloatArray:
    """Return the radius (sigma / 2) (Phi^{-1}(p_A) - Phi^{-1}(p_B)) around a point.

    Parameters
    ----------
    p_first : array_like
        Lower bound on the probability p_A of the most probable class under noise, in [0, 1].
    sigma : array_like
        Standard deviation of the noise, positive, in the unit of the radius.
    p_second : array_like, optional
        Upper bound on the probability p_B of any other class; 1 - p_first where it is not given.
    complement : array_like, optional
        1 - p_first, where it is known more accurately than that difference (p_first near 1).

    Returns
    -------
    ndarray
        Euclidean radius; 0 where p_first is not above p_second, as nothing is certified there, and
        +inf where one of them is 1 or 0.

    Raises
    ------
    ValueError
        If a probability lies outside [0, 1] or sigma is not positive and finite.

    References
    ----------
    Theorem 1.

    Examples
    --------
    >>> round(float(certified_radius(0.99, 0.5)), 12)
    1.16317393702
    >>> round(float(certified_radius(0.8, 0.5, 0.1)), 12)
    0.530793199779
    >>> round(float(certified_radius(1.0, 1.0, complement=1e-30)), 12)
    11.464024688444
    """
    p, scale = checked_probability("p_first", p_first), _checked_sigma(sigma)
    rest = 1.0 - p if complement is None else checked_probability("complement", complement)
    if p_second is None:
        return scale * np.maximum(half_space_offset(rest), 0.0)
    other = checked_probability("p_second", p_second)
    with np.errstate(divide="ignore"):
        logs = np.log(rest)
    # From mass p_B to mass p_A a half-space grows by the difference of the two quantiles.
    return 0.5 * scale * halfspace_enlargement_distance(p, other, log_survival=logs)


def maximal_radius(
    n_samples: npt.ArrayLike, alpha: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """Return the largest radius that n samples of noise can certify: all gave one class.

    Parameters
    ----------
    n_samples : array_like
        n, whole and at least 1.
    alpha : array_like
        Allowed probability that the certificate is wrong, in (0, 1).
    sigma : array_like
        Standard deviation of the noise, positive.

    Returns
    -------
    ndarray
        sigma Phi^{-1}(alpha^{1/n}), from the lower limit of Clopper and Pearson; 0 where that limit
        is at most 1/2.

    Raises
    ------
    ValueError
        If n is not whole or below 1, alpha outside (0, 1), or sigma not positive and finite.

    References
    ----------
    The section on certification; it grows like sigma sqrt(2 log n).

    Examples
    --------
    >>> round(float(maximal_radius(100_000, 0.001, 1.0)), 12)
    3.81145656339
    """
    n, level = np.asarray(n_samples, dtype=np.float64), np.asarray(alpha, dtype=np.float64)
    for count in n.ravel():
        checked_count(count, "n_samples")
    for each in level.ravel():
        checked_level(each)
    power = np.log(level) / n
    return certified_radius(np.exp(power), sigma, complement=-np.expm1(power))


_ETA = Parameter("eta", r"\eta", "Euclidean distance in latent space", Reals(), 1.0)
LAW = Bound(
    (_ETA, MASSES),
    lambda eta, class_masses: cdf_lower_bound(eta, _IDENTITY, class_masses),
    lambda eta, class_masses: log_survival_upper_bound(eta, _IDENTITY, class_masses),
    lambda probability, class_masses: quantile_upper_bound(probability, _IDENTITY, class_masses),
)
_SMOOTHING = (
    r"Let $F(x) = \arg\max_c \Pr(f(x + \sigma\epsilon) = c)$, $\epsilon \sim \mathcal{N}(0, I)$,"
    r" let $p_A \ge p_B$ be the two largest of these probabilities at $x$"
)


def _require_gaussian_noise(facts: Facts) -> None:
    noise = required(facts, "smoothing_noise", "the law of the noise that smooths")
    if noise != "gaussian":
        raise OutOfScopeError(f"the noise is {noise}, not N(0, sigma^2 I)")


@theorem(
    "cohen2019/thm1",
    kind=Kind.POINTWISE,
    quantities=(SMOOTHING_RADIUS, R_SMOOTHED),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Theorem 1"),
    setting=_SMOOTHING + r", and let $r$ be the distance to another label of $F$",
)
def theorem1(facts: Facts) -> None:
    """A smoothed classifier keeps its label up to the radius of its probabilities.

    Hypotheses: isotropic Gaussian noise, and both radii belong to one smoothed classifier and the
    same points. Tight for a base classifier that is a half-space.
    """
    _require_gaussian_noise(facts)


@theorem(
    "cohen2019/isoperimetry",
    kind=Kind.LAW,
    quantities=(SMOOTHING_RADIUS,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 1, with Gaussian isoperimetry"),
    setting=_SMOOTHING + r" $= z \sim \mathcal{N}(0, I_d)$, let $p_i = \Pr(F(z) = i)$, and let"
    r" $R = \frac{\sigma}{2} (\Phi^{-1}(p_A) - \Phi^{-1}(p_B))$",
    bound=LAW,
)
def isoperimetry(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """In a Gaussian latent space no smoothing certifies more than half-spaces would allow.

    Hypotheses: Gaussian latent, isotropic Gaussian noise added in latent space, and the class
    masses of the smoothed classifier itself are known or were counted on an independent sample.
    The certificate and the bound are one function with opposite inequalities: both are equalities
    for half-spaces (K = 2), so a violation means a bug in the certificate.
    """
    _require_gaussian_noise(facts)
    space = required(facts, "smoothing_space", "the space in which the noise is added")
    if space != "latent":
        raise OutOfScopeError(f"the noise is added in {space} space, not in latent space")
    own = {
        name: facts[f"smoothed_{name}"]
        for name in ("class_masses", "class_counts")
        if f"smoothed_{name}" in facts
    }
    if not own:
        raise OutOfScopeError("the law of the smoothed classifier's classes is not known")
    if "latent_law" in facts:
        own["latent_law"] = facts["latent_law"]
    return law_bound(own, _IDENTITY, alpha)
