"""A label of a random affine classifier: what few coordinates do, given that its rows share one.

The K - 1 rows w_t - w_j of a label share w_t, so that coins do not say how often it is reached: its
cell is a cone of another shape than an orthant, and wider.
"""

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.arrangement.broadcast import broadcast_count, whole_number
from theory.arrays import FloatArray
from theory.claim import Bound, Facts, Kind, OutOfScopeError, Quantity, Relation, required, theorem
from theory.claims.shamir2019.setting import (
    CHANGED,
    LABEL_REACH_PROBABILITY,
    LINEAR,
    known,
    known_classes,
)
from theory.parameter import Integers, Parameter

CLASSES = Parameter("n_classes", "K", "number of classes, at most 1000", Integers(2, 20), 10)
_MOST_CLASSES = 1000
_ERROR = 1e-10
"""Relative; a thousandth part of it is the complex error function's, which is raised to powers."""
_STEP, _REACH = 0.05, 12.0


def label_reach_probability(k: npt.ArrayLike, n_classes: npt.ArrayLike) -> FloatArray:
    r"""Return the probability that k fixed coordinates reach a fixed label of a random classifier.

    Parameters
    ----------
    k : array_like of int
        Coordinates that may change, at least 0.
    n_classes : array_like of int
        K, from 2 to 1000; the rows of weights and biases are independent and Gaussian, of mean 0
        and one nonsingular covariance.

    Returns
    -------
    ndarray
        1 / K for k = 0, 1 from k = K - 1 on; of relative error 1e-10.

    Raises
    ------
    ValueError
        If an argument is no whole number of its range.

    Notes
    -----
    It is P(S <= k) for the number S of rivals that the projection of K Gaussian outputs to the cone
    where output t is largest makes equal to it, with :math:`P(S = s) = \binom{K - 1}{s} \beta_s
    \gamma_s`: the angles of a regular simplex of s + 1 vertices at a vertex, inside, and of one of
    K vertices at a face of s + 1, outside.

    References
    ----------
    Kabluchko and Zaporozhets, Absorption probabilities for Gaussian polytopes and regular spherical
    simplices, Adv. Appl. Probab. 52 (2020).

    Examples
    --------
    >>> label_reach_probability([0, 1, 2, 3], 4).round(6).tolist()
    [0.25, 0.70613, 0.95613, 1.0]
    """
    return broadcast_count(_reach, k=(k, 0), n_classes=(n_classes, 2))


def _reach(k: int, n_classes: int) -> float:
    if n_classes > _MOST_CLASSES:
        raise ValueError(f"n_classes must be at most {_MOST_CLASSES}, got {n_classes}")
    if k >= n_classes - 1:
        return 1.0
    rivals = np.arange(n_classes)
    log_ways = -np.log(n_classes) - special.betaln(n_classes - rivals, rivals + 1.0)
    parts = np.exp(log_ways + _log_inner_angle(rivals) + _log_outer_angle(rivals, n_classes))
    below, above = float(parts[: k + 1].sum()), float(parts[k + 1 :].sum())
    return below if below < above else 1.0 - above


def _log_inner_angle(s: npt.NDArray[np.intp]) -> FloatArray:
    """Return the logarithm of the angle of a regular simplex of s + 1 vertices at one of them.

    It is the integral of Phi(i y)^s exp(-(s + 1) y^2 / 2), along a line on which its largest value
    is at its middle: on the real one it oscillates.
    """
    c = np.zeros(len(s))
    for _ in range(20):
        # The saddle is where c (s + 1) = s phi(c) / Phi(-c).
        hazard = np.sqrt(2 / np.pi) / special.erfcx(c / np.sqrt(2))
        c += (s * hazard - (s + 1) * c) / (1 + s * (1 - hazard * (hazard - c)))
    y = np.arange(0.0, _REACH, _STEP)
    z = y + 1j * c[:, None]
    logs = s[:, None] * np.log(special.wofz(z / np.sqrt(2)) / 2) - z**2 / 2
    peak = logs[:, 0].real
    values = np.exp(logs - peak[:, None]).real
    total = _STEP * (2 * values.sum(axis=1) - values[:, 0])
    return np.asarray(peak + np.log(total) + 0.5 * np.log((s + 1) / (2 * np.pi)))


def _log_outer_angle(s: npt.NDArray[np.intp], n_classes: int) -> FloatArray:
    """Return log P(a mean of s + 1 normal variables is above n_classes - 1 - s others)."""
    others = (n_classes - 1 - s)[:, None]

    def log_density(u: FloatArray) -> FloatArray:
        return np.asarray(others * special.log_ndtr(u / np.sqrt(s + 1)[:, None]) - u**2 / 2)

    coarse = np.arange(0.0, 4 * np.sqrt(n_classes) + 5, 0.25)
    middle = coarse[log_density(coarse[None]).argmax(axis=1)]
    logs = log_density(middle[:, None] + np.arange(-_REACH, _REACH, _STEP))
    return np.asarray(special.logsumexp(logs, axis=1) + np.log(_STEP) - 0.5 * np.log(2 * np.pi))


@theorem(
    "shamir2019/k-coordinates-label",
    kind=Kind.SCALAR,
    quantities=(LABEL_REACH_PROBABILITY,),
    relation=Relation.AT_LEAST,
    ref=LINEAR,
    setting=(
        r"Let $f(x) = \arg\max_i (w_i \cdot x + c_i)$ with $K$ independent rows $(w_i, c_i) \sim"
        r" \mathcal{N}(0, \Sigma)$, fix $x$, $k$ coordinates and a label, and let $p$ be the"
        r" probability that some change of these coordinates reaches it"
    ),
    hypotheses=(r"$\Sigma$ is not singular",),
    bound=Bound((CHANGED, CLASSES), label_reach_probability, rounding=_ERROR),
)
def k_coordinates_label(facts: Facts, quantity: Quantity) -> float:
    """A few fixed coordinates reach a label more often than coins would say: an equality.

    An average over the starting label, as that for cells is.

    Hypotheses: an affine classifier whose rows are known to be independent, Gaussian and of one
    law, and the coordinates may take any real value.
    """
    law = required(facts, "output_law", "the law of the random outputs")
    if law != "gaussian":
        raise OutOfScopeError(f"the law of the outputs is {law}, not gaussian")
    k = known(facts, "n_changed", "the number of coordinates that may change", 0)
    n_classes = whole_number("n_classes", known_classes(facts), 2)
    return _reach(k, n_classes) * (1 - _ERROR)
