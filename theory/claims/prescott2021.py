"""Prescott, Zhang and Evans, Improved estimation of concentration under l_p-norm (ICLR 2021)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

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
from theory.claims.mahloujifar2019.error_region import (
    ERROR_L2,
    ERROR_LINF,
    RISK,
    checked_positive,
    law_at_risk,
)
from theory.claims.mahloujifar2019.gaussian import (
    isoperimetric_budget,
    isoperimetric_log_survival,
    isoperimetric_lower_bound,
)
from theory.claims.mahloujifar2019.regions import (
    MeasuredConcentration,
    checked_points,
    checked_share,
    measured_concentration,
)
from theory.latent import checked_distance
from theory.parameter import DISTANCE, Parameter, Reals

KEY, SOURCE = "prescott2021", "Prescott, Zhang and Evans, ICLR 2021"
Norm = Literal["l1", "l2", "linf"]
_DUAL_ORDER = {"l1": np.inf, "l2": 2, "linf": 1}
_CHUNK = 256
"""Directions projected on at once."""
_SYMMETRIC = 1e-10
"""Relative asymmetry, and relative negative eigenvalue, that rounding may leave in a covariance."""


def largest_variance(covariance: npt.ArrayLike) -> float:
    """Return the spectral norm of a covariance, the largest variance of a unit direction.

    Parameters
    ----------
    covariance : array_like, shape (d, d)
        Symmetric and positive semidefinite, in the unit of the data squared.

    Raises
    ------
    OutOfScopeError
        If it is 0: the data are one point.
    ValueError
        If it is not a finite symmetric matrix, or has a negative eigenvalue.

    Examples
    --------
    >>> largest_variance([[4.0, 0.0], [0.0, 1.0]])
    4.0
    """
    sigma = np.asarray(covariance, dtype=np.float64)
    if sigma.ndim != 2 or not sigma.size or sigma.shape[0] != sigma.shape[1]:
        raise ValueError(f"covariance must be a square matrix, got shape {sigma.shape}")
    if not np.all(np.isfinite(sigma)):
        raise ValueError("covariance must be finite")
    scale = float(np.abs(sigma).max())
    if np.abs(sigma - sigma.T).max() > _SYMMETRIC * scale:
        raise ValueError("covariance must be symmetric")
    values = np.linalg.eigvalsh(0.5 * (sigma + sigma.T))
    if values[0] < -_SYMMETRIC * scale:
        raise ValueError(f"covariance must be positive semidefinite, has eigenvalue {values[0]}")
    if scale == 0:
        raise OutOfScopeError("the covariance is 0: all data are one point")
    return float(values[-1])


def gaussian_variance(facts: Facts) -> float:
    """Return the largest variance of the data where they are known to be Gaussian.

    Raises
    ------
    OutOfScopeError
        If they are not, or their covariance is not known.

    Examples
    --------
    >>> gaussian_variance({"data_law": "gaussian", "data_covariance": [[2.0]]})
    2.0
    """
    law = required(facts, "data_law", "the law of the data")
    if law != "gaussian":
        raise OutOfScopeError(f"the law of the data is {law}, not Gaussian")
    return largest_variance(required(facts, "data_covariance", "the covariance of the data"))


def gaussian_enlargement(
    mass: npt.ArrayLike, eps: npt.ArrayLike, covariance: npt.ArrayLike
) -> FloatArray:
    """Return the least measure of an l_p-neighbourhood, p >= 2, under N(m, Sigma).

    Parameters
    ----------
    mass : array_like
        Measure of the set, in (0, 1].
    eps : array_like
        Radius of the neighbourhood, at least 0, in l_p for any p >= 2; broadcasts with mass.
    covariance : array_like, shape (d, d)
        Sigma, symmetric and positive semidefinite.

    Returns
    -------
    ndarray
        Phi(Phi^{-1}(mass) + eps / sqrt(||Sigma||_2)): the measure for p = 2, of a half-space along
        a top eigenvector; for p > 2 attained where a top eigenvector is a coordinate axis, and a
        lower bound elsewhere.

    Raises
    ------
    OutOfScopeError
        If a mass is 0, or the covariance is 0.
    ValueError
        If a mass lies outside [0, 1], eps is negative or NaN, or the matrix is no covariance.

    References
    ----------
    Prescott, Zhang and Evans (2021), the theorem on Gaussian measures.

    Examples
    --------
    >>> round(float(gaussian_enlargement(0.01, 10.0, [[4.0, 0.0], [0.0, 1.0]])), 12)
    0.996248488125
    """
    return gaussian_enlargement_at(eps, mass, largest_variance(covariance))


def gaussian_enlargement_at(
    eta: npt.ArrayLike, risk: npt.ArrayLike, variance: npt.ArrayLike
) -> FloatArray:
    """Return `gaussian_enlargement` for a covariance of this spectral norm.

    Examples
    --------
    >>> round(float(gaussian_enlargement_at(10.0, 0.01, 4.0)), 12)
    0.996248488125
    """
    return isoperimetric_lower_bound(eta, risk, np.sqrt(checked_positive("variance", variance)))


def gaussian_log_survival(
    eta: npt.ArrayLike, risk: npt.ArrayLike, variance: npt.ArrayLike
) -> FloatArray:
    """Return log(1 - gaussian_enlargement_at(eta, risk, variance)), accurate in the tail.

    Examples
    --------
    >>> round(float(gaussian_log_survival(80.0, 0.5, 4.0)), 6)
    -804.608442
    """
    return isoperimetric_log_survival(eta, risk, np.sqrt(checked_positive("variance", variance)))


def gaussian_budget(
    probability: npt.ArrayLike, risk: npt.ArrayLike, variance: npt.ArrayLike
) -> FloatArray:
    """Return the least eta at which `gaussian_enlargement_at` reaches a probability.

    Examples
    --------
    >>> round(float(gaussian_budget(0.99, 0.01, 4.0)), 6)
    9.305391
    """
    return isoperimetric_budget(probability, risk, np.sqrt(checked_positive("variance", variance)))


@dataclass(frozen=True)
class HalfSpace:
    """The points with <direction, x> <= offset.

    Attributes
    ----------
    direction : ndarray, shape (d,)
        Of dual norm 1, so that distances are differences of the inner product.
    offset : float
    """

    direction: FloatArray
    offset: float

    def distance(self, points: FloatArray) -> FloatArray:
        """Return the distances of the points, shape (n, d), in the norm of the direction's dual."""
        return np.asarray(np.maximum(points @ self.direction - self.offset, 0.0))


def half_space_concentration(
    train: npt.ArrayLike,
    test: npt.ArrayLike,
    mass: float,
    eps: float,
    norm: Norm = "l2",
    *,
    directions: npt.ArrayLike | None = None,
    powers: Sequence[float] = (1.0, 2.0, 4.0),
    alpha: float = 0.05,
) -> tuple[HalfSpace, MeasuredConcentration]:
    """Choose the half-space that grows least on one sample, and measure it on another.

    Both senses of these directions are tried: the principal components of the training points,
    their entries raised to each power with the sign kept, the coordinate axes, and those given.

    Parameters
    ----------
    train, test : array_like, shape (n, d)
        Independent samples of the law.
    mass : float
        Least share of the training points in the half-space, in (0, 1).
    eps : float
        Radius of the neighbourhood, at least 0.
    norm : {"l1", "l2", "linf"}
        Norm of the radius; the distance to {<w, x> <= b} is (<w, x> - b)_+ / ||w|| in its dual.
    directions : array_like, shape (k, d), optional
        Further directions, not 0.
    powers : sequence of float
        Positive; large ones bring a principal component near a coordinate axis.
    alpha : float
        Allowed probability that one of the two confidence intervals misses, in (0, 1).

    Returns
    -------
    half_space : HalfSpace
    measured : MeasuredConcentration
        On the test points alone. Other sets may grow less: it is an upper estimate of what
        concentration can prove, and no lower bound on the adversarial risk of any classifier.

    Raises
    ------
    ValueError
        If samples, norm, directions or powers are not as above, or a number is out of range.

    References
    ----------
    Prescott, Zhang and Evans (2021), the half-space search; with exact confidence limits.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> train, test = rng.normal(size=(2, 4000, 3)) * [3.0, 1.0, 1.0]
    >>> half_space, seen = half_space_concentration(train, test, 0.1, 2.0)
    >>> bool(abs(half_space.direction[0]) > 0.99), round(seen.expansion, 1)
    (True, 0.3)
    """
    seen, fresh = checked_points("train", train), checked_points("test", test)
    if seen.shape[1] != fresh.shape[1]:
        raise ValueError(f"train and test must have one dimension, got {seen.shape}, {fresh.shape}")
    if norm not in _DUAL_ORDER:
        raise ValueError(f"norm must be 'l1', 'l2' or 'linf', got {norm!r}")
    checked_distance("eps", eps)
    # The offset is an order statistic: the least that holds enough points.
    rank = int(np.ceil(checked_share(mass) * len(seen))) - 1
    w = _tried_directions(seen, directions, powers)
    w /= np.linalg.norm(w, ord=_DUAL_ORDER[norm], axis=1, keepdims=True)
    best: tuple[int, HalfSpace] | None = None
    for start in range(0, len(w), _CHUNK):
        chunk = w[start : start + _CHUNK]
        products = seen @ chunk.T
        for sign in (1.0, -1.0):
            offsets = np.partition(sign * products, rank, axis=0)[rank]
            grown = np.count_nonzero(sign * products <= offsets + eps, axis=0)
            j = int(np.argmin(grown))
            if best is None or grown[j] < best[0]:
                best = int(grown[j]), HalfSpace(sign * chunk[j], float(offsets[j]))
    assert best is not None
    return best[1], measured_concentration(best[1], fresh, eps, alpha)


def _tried_directions(
    points: FloatArray, given: npt.ArrayLike | None, powers: Sequence[float]
) -> FloatArray:
    """Return all directions, shape (k, d), none of them 0."""
    d = points.shape[1]
    checked_positive("powers", list(powers))
    covariance = np.atleast_2d(np.cov(points, rowvar=False)) if len(points) > 1 else np.eye(d)
    components = np.linalg.eigh(covariance)[1].T[::-1]
    found = [np.sign(components) * np.abs(components) ** power for power in powers]
    found.append(np.eye(d))
    if given is not None:
        more = checked_points("directions", given)
        if more.shape[1] != d or not np.all(np.any(more != 0, axis=1)):
            raise ValueError(f"directions must be non-zero, of {d} entries, got {more.shape}")
        found.append(more)
    return np.concatenate(found)


_HALF_SPACE = Bound(
    (
        DISTANCE,
        RISK,
        Parameter(
            "variance",
            r"\lambda",
            "largest eigenvalue of the covariance, in the unit of the data squared",
            Reals(typical=(0.1, 5.0), ends=(False, False)),
            1.0,
        ),
    ),
    gaussian_enlargement_at,
    gaussian_log_survival,
    gaussian_budget,
)


@theorem(
    "prescott2021/half-space",
    kind=Kind.LAW,
    quantities=(ERROR_L2, ERROR_LINF),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on Gaussian measures under l_p-norms, p >= 2"),
    setting=(
        r"Let $x \sim \mathcal{N}(m, \Sigma)$ with $\lVert \Sigma \rVert_2 = \lambda$, let $E$ be"
        r" the set where a classifier is wrong, of measure $\rho > 0$, and let $d(x, E)$ be the"
        r" distance in $\ell_p$ for some $p \ge 2$"
    ),
    bound=_HALF_SPACE,
)
def half_space(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """For Gaussian data of any covariance half-spaces are the worst error sets.

    Hypotheses: Gaussian data of known covariance, and a positive risk, known or counted. Tight for
    p = 2, and for p > 2 where a top eigenvector of the covariance is a coordinate axis.
    """
    return law_at_risk(_HALF_SPACE, facts, alpha, variance=gaussian_variance(facts))
