"""Randomised smoothing as a certificate with its confidence.

The smoothed classifier at x is the class that a base classifier gives most probably to x + sigma
epsilon, epsilon ~ N(0, I). Counts of classes in a sample of the noise bound that probability, and
the certificate holds with the confidence of these bounds: for the smoothed classifier, in whatever
space the noise is added, with no access to the base classifier but its labels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claims.cohen2019 import certified_radius
from theory.statistics import checked_count, checked_level, clopper_pearson

ABSTAIN: Final = -1
"""The label of a point that nothing is certified of."""
Predict = Callable[[FloatArray], npt.ArrayLike]
_ENTRIES: Final = 2**22
_OUTWARD: Final = 2.0**-40
"""More than the relative error of the quantiles of the beta and the normal distribution."""


def smoothed_radius(
    counts_top: npt.ArrayLike, n: int, sigma: npt.ArrayLike, alpha: float
) -> FloatArray:
    """Return the radius that a count of the chosen class certifies with confidence 1 - alpha.

    Parameters
    ----------
    counts_top : array_like of int
        How many of n samples gave the class, which was chosen without them.
    n : int
        Independent samples of the noise, at least 1.
    sigma : array_like
        Standard deviation of the noise, positive, in the unit of the radius.
    alpha : float
        Allowed probability, in (0, 1), that the certificate is wrong.

    Returns
    -------
    ndarray
        sigma Phi^{-1}(p) for the lower limit p of Clopper and Pearson, in l2; 0, and no statement,
        where it is at most 1/2.

    Raises
    ------
    ValueError
        If a count is not whole or not in 0..n, n is below 1, sigma not positive and finite, or
        alpha outside (0, 1).

    References
    ----------
    Cohen, Rosenfeld and Kolter, Certified adversarial robustness via randomized smoothing (ICML
    2019), theorem 1 with p_B = 1 - p_A, and section 3.2.2.

    Examples
    --------
    >>> smoothed_radius([100_000, 99_000, 50_000], 100_000, 1.0, 0.001).round(6)
    array([3.811457, 2.29    , 0.      ])
    """
    counts: npt.NDArray[np.integer] = np.asarray(counts_top)
    _, above = clopper_pearson(n - _whole(counts, n), n, alpha, "upper")
    # The complement keeps its accuracy where the limit is near 1.
    rest = np.minimum(above * (1 + _OUTWARD), 1.0)
    return certified_radius(1.0 - rest, sigma, complement=rest) * (1 - _OUTWARD)


def smoothed_pair_radius(
    counts: npt.ArrayLike, sigma: npt.ArrayLike, alpha: float, label: npt.ArrayLike | None = None
) -> FloatArray:
    """Return the radius that the counts of all classes certify with confidence 1 - alpha.

    A lower limit on the probability of the class and upper limits on all others hold at once, of
    alpha / K each; of alpha / (2 K) where the class is chosen by the same counts, as limits of
    both sides on all classes then have to hold.

    Parameters
    ----------
    counts : array_like of int, shape (..., K)
        How many of the samples gave each class; their sum is the number of samples.
    sigma : array_like, shape () or (...)
    alpha : float
    label : array_like of int, shape (...), optional
        The class; by default the first that has the largest count.

    Returns
    -------
    ndarray, shape (...)
        (sigma / 2) (Phi^{-1}(p_A) - Phi^{-1}(p_B)), at least 0. Above `smoothed_radius` where the
        probability is spread over several other classes.

    Raises
    ------
    ValueError
        As `smoothed_radius`, or if there are fewer than 2 classes or samples differ in number.

    References
    ----------
    Cohen, Rosenfeld and Kolter (ICML 2019), theorem 1; Bonferroni's inequality.

    Examples
    --------
    >>> round(float(smoothed_pair_radius([600, 200, 200], 1.0, 0.001)), 6)
    0.39392
    >>> round(float(smoothed_radius(600, 1000, 1.0, 0.001)), 6)
    0.128379
    """
    given: npt.NDArray[np.integer] = np.asarray(counts)
    if given.ndim < 1 or given.shape[-1] < 2 or not given.size:
        raise ValueError(f"counts have the shape (..., K) with K at least 2, got {given.shape}")
    totals = given.sum(axis=-1)
    n = checked_count(float(totals.flat[0]), "the number of samples")
    if np.any(totals != n):
        raise ValueError("counts of all points must add up to the same number of samples")
    whole, k = _whole(given, n), given.shape[-1]
    level = checked_level(alpha) / (2 * k if label is None else k)
    if label is None:
        chosen = whole.argmax(axis=-1)
    else:
        chosen = np.asarray(label)
        if chosen.shape != totals.shape or chosen.dtype.kind not in "iu":
            raise ValueError(f"label needs a whole number for each point, got {label!r}")
        if np.any((chosen < 0) | (chosen >= k)):
            raise ValueError(f"label must be from 0 to {k - 1}, got {label!r}")
    top = np.take_along_axis(whole, chosen[..., None], axis=-1)[..., 0]
    _, rest = clopper_pearson(n - top, n, level, "upper")
    _, other = clopper_pearson(whole, n, level, "upper")
    np.put_along_axis(other, chosen[..., None], 0.0, axis=-1)
    rest = np.minimum(rest * (1 + _OUTWARD), 1.0)
    # No other class has more than all that the first leaves.
    second = np.minimum(other.max(axis=-1) * (1 + _OUTWARD), rest)
    return certified_radius(1.0 - rest, sigma, second, complement=rest) * (1 - _OUTWARD)


@dataclass(frozen=True)
class Smoothed:
    """What is certified of the smoothed classifier at a point.

    Attributes
    ----------
    label : int
        `ABSTAIN` where nothing is certified.
    radius : float
        l2 distance within which the smoothed classifier has the label, but for a probability alpha.
    count, n : int
        How many of the samples of the second step gave the label chosen in the first.
    """

    label: int
    radius: float
    count: int
    n: int


def certify(
    predict: Predict,
    x: npt.ArrayLike,
    sigma: float,
    n0: int = 100,
    n: int = 100_000,
    alpha: float = 0.001,
    rng: np.random.Generator | None = None,
    *,
    batch: int | None = None,
) -> Smoothed:
    """Certify the smoothed classifier at a point.

    A class is chosen by n0 samples and judged by n others, so that its limit holds as it is.

    Parameters
    ----------
    predict : callable
        The base classifier: inputs of shape (b, *x.shape) in double precision to b labels, whole
        numbers of at least 0. A network on a device, or a decoder followed by one, is wrapped.
    x : array_like
        Finite, of any shape.
    sigma : float
        Standard deviation of the noise, positive, in the unit of x.
    n0, n : int
    alpha : float
        Allowed probability, in (0, 1), that a certificate is wrong.
    rng : numpy.random.Generator, optional
        Draws the noise; by default one with the seed 0.
    batch : int, optional
        The most inputs that are drawn at once; it changes nothing in the result.

    Returns
    -------
    Smoothed

    Raises
    ------
    ValueError
        If an input is malformed, or the base classifier gives something else than b labels.

    References
    ----------
    Cohen, Rosenfeld and Kolter (ICML 2019), algorithm CERTIFY with its default settings.

    Examples
    --------
    >>> found = certify(lambda x: x[:, 0] > 0, [1.0, 0.0], 0.5, n=10_000)
    >>> found.label, 0.9 < found.radius <= 1.0
    (1, True)
    """
    point = np.asarray(x, dtype=np.float64)
    if not point.size or not np.all(np.isfinite(point)):
        raise ValueError("x must be finite and not empty")
    if not 0 < sigma < np.inf:
        raise ValueError(f"sigma must be positive and finite, got {sigma!r}")
    checked_level(alpha)
    first, second = checked_count(n0, "n0"), checked_count(n, "n")
    step = max(1, _ENTRIES // point.size) if batch is None else checked_count(batch, "batch")
    draws = np.random.default_rng(0) if rng is None else rng
    counts = _counted(predict, point, sigma, first, draws, step)
    label = max(counts, key=lambda each: (counts[each], -each))
    count = _counted(predict, point, sigma, second, draws, step).get(label, 0)
    radius = float(smoothed_radius(count, second, sigma, alpha))
    return Smoothed(label if radius > 0 else ABSTAIN, radius, count, second)


def _counted(
    predict: Predict,
    x: FloatArray,
    sigma: float,
    n: int,
    rng: np.random.Generator,
    step: int,
) -> dict[int, int]:
    """Return how many of n noisy inputs got each label."""
    counts: dict[int, int] = {}
    for start in range(0, n, step):
        size = min(step, n - start)
        labels = np.asarray(predict(x + sigma * rng.standard_normal((size, *x.shape))))
        if labels.shape != (size,) or labels.dtype.kind not in "biu":
            raise ValueError(
                f"predict must give {size} whole numbers for as many inputs, got {labels.dtype}"
                f" of shape {labels.shape}"
            )
        labels = labels.astype(np.int64)
        if np.any(labels < 0):
            raise ValueError(f"predict must give labels of at least 0, got {labels.min()}")
        for each, count in zip(*np.unique(labels, return_counts=True), strict=True):
            counts[int(each)] = counts.get(int(each), 0) + int(count)
    return counts


def _whole(counts: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.int64]:
    """Return counts that are whole and in 0..n, or raise ValueError."""
    checked_count(n, "n")
    if counts.dtype.kind not in "iu" or not counts.size or np.any((counts < 0) | (counts > n)):
        raise ValueError(f"counts must be whole numbers in 0..{n}, got {counts!r}")
    return counts.astype(np.int64)
