"""Measured concentration: which way the inequality points, and the reading that is wrong."""

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrays import FloatArray
from theory.claim import (
    Bound,
    Facts,
    Kind,
    LawBound,
    Quantity,
    Ref,
    Relation,
    refuted,
    required,
    theorem,
)
from theory.claims.mahloujifar2019.error_region import (
    ERROR_LATENT,
    RISK,
    checked_risk,
    law_at_risk,
)
from theory.gaussian import half_space_offset
from theory.latent import checked_distance, checked_probability, require_gaussian_latent
from theory.parameter import DISTANCE

KEY = "mahloujifar2019"
SOURCE = "Mahloujifar, Zhang, Mahmoody and Evans, NeurIPS 2019"
CONCENTRATION = (Quantity("concentration", "l2"), Quantity("concentration", "linf"))
"""h(mu, a, b): the least measure of a b-neighbourhood of a set of measure at least a."""


def two_sided_risk(eta: npt.ArrayLike, risk: npt.ArrayLike) -> FloatArray:
    """Return the least growth within the family of sets |z_1| >= c of Gauss space.

    Parameters
    ----------
    eta : array_like
        Budget in l2, at least 0.
    risk : array_like
        Measure of the set, in (0, 1]; broadcasts with eta.

    Returns
    -------
    ndarray
        2 Phibar(c - eta) with c = isf(risk / 2), and 1 from eta = c on: the concentration that is
        measured if only these sets are searched. Half-spaces of the same measure grow less.

    Raises
    ------
    OutOfScopeError
        If the risk is 0.
    ValueError
        If the risk lies outside [0, 1], or eta is negative or NaN.

    References
    ----------
    Mahloujifar, Zhang, Mahmoody and Evans (2019), for one family G.

    Examples
    --------
    >>> round(float(two_sided_risk(1.0, 0.05)), 12)
    0.33707334142
    """
    return 2.0 * special.ndtr(-_gap(eta, risk))


def _gap(eta: npt.ArrayLike, risk: npt.ArrayLike) -> FloatArray:
    offset = half_space_offset(0.5 * checked_risk(risk))
    return np.maximum(offset - checked_distance("eta", eta), 0.0)


def two_sided_log_survival(eta: npt.ArrayLike, risk: npt.ArrayLike) -> FloatArray:
    """Return log(1 - two_sided_risk(eta, risk)); -inf where all is reached.

    Examples
    --------
    >>> round(float(two_sided_log_survival(1.0, 0.05)), 12)
    -0.411090915459
    """
    gap = _gap(eta, risk)
    kept = special.erf(gap / np.sqrt(2.0))
    with np.errstate(divide="ignore"):
        return np.where(kept < 0.5, np.log(kept), np.log1p(-2.0 * special.ndtr(-gap)))


def two_sided_budget(probability: npt.ArrayLike, risk: npt.ArrayLike) -> FloatArray:
    """Return the least budget at which `two_sided_risk` reaches a probability.

    Examples
    --------
    >>> round(float(two_sided_budget(1.0, 0.05)), 12)
    1.95996398454
    """
    q, rho = checked_probability("probability", probability), checked_risk(risk)
    end = half_space_offset(0.5 * np.maximum(q, rho))
    return np.asarray(np.maximum(half_space_offset(0.5 * rho) - end, 0.0))


_TWO_SIDED = Bound(
    (DISTANCE, RISK), two_sided_risk, two_sided_log_survival, two_sided_budget, absolute=1e-15
)


@theorem(
    "mahloujifar2019/empirical-concentration",
    kind=Kind.SCALAR,
    quantities=CONCENTRATION,
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Section 3"),
    setting=(
        r"Let $h(\mu, a, b)$ be the least measure of the $b$-neighbourhood of a set of measure at"
        r" least $a$ under the law $\mu$, and let $h(\mu, a, b, \mathcal{G})$ be the same over the"
        r" sets of a family $\mathcal{G}$ alone"
    ),
)
def empirical_concentration_is_upper(facts: Facts, quantity: Quantity) -> float:
    """The concentration that a search over some sets finds is an upper end of the true one.

    It says that no argument from concentration alone can prove more; of any given classifier's
    adversarial risk it proves nothing.

    Hypotheses: the upper end of the measure of the neighbourhood of one set of enough measure is
    known, as `theory.claims.mahloujifar2019.empirical_concentration` measures it.
    """
    name = f"restricted_concentration[{quantity.norm}]"
    return float(required(facts, name, "the concentration over a family of sets"))


@refuted(
    "mahloujifar2019/empirical-lower-bound",
    kind=Kind.LAW,
    quantities=(ERROR_LATENT,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the measured columns of the tables, read as limits on every classifier"),
    setting=(
        r"Let $z \sim \mathcal{N}(0, I_d)$, let $E$ be the set of latents where a classifier is"
        r" wrong, of measure $\rho > 0$, and let the concentration at $\rho$ be measured over the"
        r" family $\mathcal{G}$ of the sets $|z_1| \ge c$ alone"
    ),
    bound=_TWO_SIDED,
    stronger="mahloujifar2019/empirical-concentration",
)
def empirical_lower_bound(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """What a search over a family of sets finds is not a lower bound on every adversarial risk.

    A classifier that is wrong on a set outside of the family may be more robust: on a half-space
    here, and on the cube {0, 1}^3, where every subcube of measure 1/2 grows to everything within
    distance 1, a classifier wrong on the points with at most one coordinate 1 grows to 7/8.

    Hypotheses: Gaussian latent, and a positive risk, known or counted.
    """
    require_gaussian_latent(facts)
    return law_at_risk(_TWO_SIDED, facts, alpha)
