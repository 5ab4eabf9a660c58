"""Theorem 4: the mean robustness of data that a generator approximates."""

import functools

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import (
    ROUNDING,
    Bound,
    Facts,
    Kind,
    Quantity,
    Ref,
    Relation,
    required,
    theorem,
)
from theory.claims.fawzi2018.corollaries import (
    Form,
    checked_form,
    known_equal_classes,
    printed_offset,
)
from theory.claims.fawzi2018.mean import latent_mean, mean_limits, require_concave
from theory.claims.fawzi2018.robustness import (
    KEY,
    SOURCE,
)
from theory.evidence import Interval
from theory.gaussian import mean_survival
from theory.latent import (
    checked_classes,
    checked_distance,
    checked_masses,
    known_modulus,
    require_gaussian_latent,
)
from theory.modulus import Modulus
from theory.parameter import MASSES, MODULUS, Integers, Parameter, Reals

R_DATA = Quantity("r_unc_data", "l2")
"""Unconstrained robustness at a point of the data, which may lie off the generator's range."""


def approximate_generator_mean_bound(
    modulus: Modulus, class_masses: npt.ArrayLike, wasserstein: npt.ArrayLike
) -> FloatArray:
    """Return an upper bound on the mean unconstrained robustness of real data.

    Parameters
    ----------
    modulus : Modulus
        omega of the generator, concave.
    class_masses : array_like, shape (..., K)
        p_i, the classes' masses under the generator's law.
    wasserstein : array_like
        W_1 between the generator's law and that of the data, in the image norm of r and omega; at
        least 0. An estimate from samples is no upper bound on it.

    Returns
    -------
    ndarray
        omega(sum_i [phi(a_i) - a_i p_i]) + W_1.

    Raises
    ------
    OutOfScopeError
        If omega is not concave.
    ValueError
        If masses are invalid or the distance is negative or NaN.

    References
    ----------
    Theorem 4, first inequality.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega = LipschitzModulus(1.0)
    >>> round(float(approximate_generator_mean_bound(omega, [0.1] * 10, 0.01)), 12)
    0.48343175378
    """
    require_concave(modulus)
    distance = checked_distance("wasserstein", wasserstein)
    return modulus(latent_mean(checked_masses(class_masses))) + distance


def approximate_generator_equiprobable_mean_bound(
    modulus: Modulus,
    n_classes: npt.ArrayLike,
    wasserstein: npt.ArrayLike,
    *,
    form: Form = "sharp",
) -> FloatArray:
    """Return the mean bound for K classes of equal mass.

    Parameters
    ----------
    modulus : Modulus
        omega of the generator, concave.
    n_classes : array_like of int
        K >= 2 (printed form: K >= 5).
    wasserstein : array_like
        W_1, as in `approximate_generator_mean_bound`.
    form : {"sharp", "printed"}
        omega(K phi(a_K) - a_K) + W_1, or omega(log(4 pi log K) / sqrt(2 log K)) + W_1.

    Raises
    ------
    OutOfScopeError
        If omega is not concave; printed form, and K < 5.
    ValueError
        If K is not a whole number of at least 2, or the distance is negative or NaN.

    References
    ----------
    Theorem 4, second inequality.

    Examples
    --------
    >>> from theory.modulus import LipschitzModulus
    >>> omega = LipschitzModulus(1.0)
    >>> mean = approximate_generator_equiprobable_mean_bound
    >>> round(float(mean(omega, 10, 0.0, form="printed")), 12)
    1.568084793046
    >>> round(float(mean(omega, 10, 0.0)), 12)
    0.47343175378
    """
    require_concave(modulus)
    k, distance = checked_classes(n_classes), checked_distance("wasserstein", wasserstein)
    if checked_form(form) == "sharp":
        return modulus(k * mean_survival(1.0 / k)) + distance
    printed_offset(n_classes)
    return modulus(np.log(4.0 * np.pi * np.log(k)) / np.sqrt(2.0 * np.log(k))) + distance


WASSERSTEIN = Parameter(
    "wasserstein",
    r"\delta",
    "Wasserstein distance of the data from the generator's law, in the image norm",
    Reals(typical=(0.0, 0.5)),
    0.01,
)
_FIVE = Parameter("n_classes", "K", "number of classes", Integers(5, 10**6), 10)
_TWO = Parameter("n_classes", "K", "number of classes", Integers(2, 10**6), 10)
DATA = (
    r"Let $x$ follow the data's law $\mu$ and $z \sim \mathcal{N}(0, I_d)$, where the generator $g$"
    r" has the modulus of continuity $\omega$, and let $f$ be any classifier with class masses"
    r" $p_i = \Pr(f(g(z)) = i)$"
)
NEAR = r"$W_1(g_\ast \gamma, \mu) \le \delta$ in the image norm"
_CONCAVE = r"$\omega$ is concave"


def near_data(facts: Facts) -> float:
    """Return the proved W_1 to the data; raises OutOfScopeError if none is known."""
    return float(required(facts, "wasserstein_1", "a proved Wasserstein distance to the data"))


mean_theorem = functools.partial(
    theorem, kind=Kind.MEAN, quantities=(R_DATA,), relation=Relation.AT_MOST, setting=DATA
)


@mean_theorem(
    "fawzi2018/thm4",
    ref=Ref(KEY, SOURCE, "Theorem 4, first inequality"),
    hypotheses=(NEAR, _CONCAVE),
    bound=Bound((MODULUS, MASSES, WASSERSTEIN), approximate_generator_mean_bound),
)
def theorem4(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """Real data are as fragile as generated ones, up to their distance.

    Hypotheses: a proved Wasserstein distance in the norm of the radius, and a concave modulus.
    """
    require_gaussian_latent(facts)
    modulus, distance = known_modulus(facts, quantity), near_data(facts)
    require_concave(modulus)
    low, high = (float(modulus(end)) + distance for end in mean_limits(facts, alpha))
    return Interval(low * (1 - ROUNDING), high * (1 + ROUNDING))


@mean_theorem(
    "fawzi2018/thm4-equiprobable",
    ref=Ref(KEY, SOURCE, "Theorem 4, second inequality"),
    hypotheses=(NEAR, _CONCAVE, r"$p_i = 1/K$", r"$K \ge 5$"),
    bound=Bound(
        (MODULUS, _FIVE, WASSERSTEIN),
        functools.partial(approximate_generator_equiprobable_mean_bound, form="printed"),
    ),
    stronger="fawzi2018/thm4-equiprobable-sharp",
)
def theorem4_printed(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """The printed constant for equal classes, log(4 pi log K) / sqrt(2 log K).

    Hypotheses: those of Theorem 4, equal class masses, and at least five classes.
    """
    return _equal_classes(facts, quantity, "printed")


@mean_theorem(
    "fawzi2018/thm4-equiprobable-sharp",
    ref=Ref(KEY, SOURCE, "Theorem 4, first inequality for equal masses"),
    hypotheses=(NEAR, _CONCAVE, r"$p_i = 1/K$"),
    bound=Bound((MODULUS, _TWO, WASSERSTEIN), approximate_generator_equiprobable_mean_bound),
)
def theorem4_sharp(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """Equal classes, with the sum of Theorem 4 as it is.

    Hypotheses: those of Theorem 4, and equal class masses.
    """
    return _equal_classes(facts, quantity, "sharp")


def _equal_classes(facts: Facts, quantity: Quantity, form: Form) -> Interval:
    require_gaussian_latent(facts)
    modulus, distance = known_modulus(facts, quantity), near_data(facts)
    n = known_equal_classes(facts)
    value = float(approximate_generator_equiprobable_mean_bound(modulus, n, distance, form=form))
    return Interval.exact(value, value * ROUNDING)
