"""Points of a class in a cube, by the number of coordinates that change: printed, and sharper."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import Facts, Kind, LawBound, Quantity, Ref, Relation, theorem
from theory.claims.mcdiarmid1989 import COUNT, HAMMING, checked_whole, least_count, whole_number_law
from theory.claims.shafahi2019.common import (
    CUBE_DIMENSION,
    FORMS,
    HALF,
    KEY,
    LOG_DENSITY,
    SOURCE,
    checked_form,
    checked_log_density,
    class_bound,
    known_class,
    log_goal,
    setting,
    value_at,
)
from theory.concentration import hamming_log_survival

_LOG_TWO = float(np.log(2.0))


def hamming_cdf_lower_bound(
    k: npt.ArrayLike, log_density: npt.ArrayLike, n: npt.ArrayLike, *, form: str = "sharp"
) -> FloatArray:
    """Return the lower bound on the probability of an error k coordinates or fewer away.

    Parameters
    ----------
    k : array_like of int
        Coordinates of a point of [0, 1]^n that may change, at least 0.
    log_density : array_like
        log U, where U is the largest density of the class in the cube; at least 0.
    n : array_like of int
        Dimension, at least 1.
    form : {"sharp", "printed"}
        1 - U min(1/2, exp(-2 (k + 1 - sqrt(n log(2) / 2))_+^2 / n)), and 1 from k = n on; or
        1 - 2 U exp(-k^2 / n). Both are 0 where negative.

    Returns
    -------
    ndarray
        In [0, 1]. That the classifier says c on at most half of the cube is for the caller to
        know; the claims check it.

    Raises
    ------
    ValueError
        If k or n is no such number, a log density is negative, or the form is unknown.

    References
    ----------
    Shafahi et al. (2019), theorem on sparse perturbations; McDiarmid (1989) for the sharp form.

    Examples
    --------
    >>> [round(float(hamming_cdf_lower_bound(80, 0.0, 784, form=f)), 12) for f in FORMS]
    [0.999975534194, 0.999430139022]
    """
    return value_at(hamming_log_survival_upper_bound(k, log_density, n, form=form))


def hamming_log_survival_upper_bound(
    k: npt.ArrayLike, log_density: npt.ArrayLike, n: npt.ArrayLike, *, form: str = "sharp"
) -> FloatArray:
    """Return log of the upper bound on the probability that no error is that near.

    Parameters and errors are those of `hamming_cdf_lower_bound`.

    Examples
    --------
    >>> round(float(hamming_log_survival_upper_bound(700, 100.0, 784)), 6)
    -1095.312525
    """
    count, density = checked_whole("k", k, 0), checked_log_density(log_density)
    size = checked_whole("n", n, 1)
    if checked_form(form, FORMS) == "sharp":
        log_tail = hamming_log_survival(0.5, count, size)
    else:
        log_tail = _LOG_TWO - count**2 / size
    return np.minimum(density + log_tail, 0.0)


def hamming_quantile_upper_bound(
    probability: npt.ArrayLike,
    log_density: npt.ArrayLike,
    n: npt.ArrayLike,
    *,
    form: str = "sharp",
) -> FloatArray:
    """Return the least k at which the bound for few coordinates reaches a probability.

    Compared are the log survivals; inf where not even k = n gets there, as in the printed form
    where the density is above exp(n).

    Examples
    --------
    >>> float(hamming_quantile_upper_bound(0.99, 100.0, 784))
    218.0
    """
    return least_count(
        lambda k: hamming_log_survival_upper_bound(k, log_density, n, form=form),
        log_goal(probability, log_density),
        checked_whole("n", n, 1),
    )


_HAMMING = {
    form: class_bound(
        (COUNT, LOG_DENSITY, CUBE_DIMENSION),
        (hamming_cdf_lower_bound, hamming_log_survival_upper_bound, hamming_quantile_upper_bound),
        form,
    )
    for form in FORMS
}


_HAMMING_SETTING = setting(
    "in $[0, 1]^n$", "the least number of coordinates in which $x$ differs from a point"
)


@theorem(
    "shafahi2019/hamming",
    kind=Kind.LAW,
    quantities=(HAMMING,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on sparse perturbations"),
    setting=_HAMMING_SETTING,
    hypotheses=HALF,
    bound=_HAMMING["printed"],
    stronger="shafahi2019/hamming-sharp",
)
def hamming(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """A change of about sqrt(n) coordinates leads most points of a class to an error.

    Hypotheses: those of the theorem on the cube. Never tight.
    """
    return whole_number_law(_HAMMING["printed"], **known_class(facts, "cube"))


@theorem(
    "shafahi2019/hamming-sharp",
    kind=Kind.LAW,
    quantities=(HAMMING,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on sparse perturbations, with bounded differences"),
    setting=_HAMMING_SETTING,
    hypotheses=HALF,
    bound=_HAMMING["sharp"],
)
def hamming_sharp(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """The same by the bounded differences of the distance, and as k + 1 must be missed.

    Hypotheses: those of the theorem on the cube. Tight at k = 0, for a uniform class and half
    of the cube.
    """
    return whole_number_law(_HAMMING["sharp"], **known_class(facts, "cube"))
