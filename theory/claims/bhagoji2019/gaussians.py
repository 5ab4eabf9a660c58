"""The least adversarial loss for two Gaussian classes, by a projection."""

import numpy as np
import numpy.typing as npt
from scipy import special

from theory.adversarial_transport import BallNorm, gaussian_margin
from theory.arrays import FloatArray
from theory.claim import ROUNDING, Bound, Facts, Kind, Quantity, Ref, Relation, required, theorem
from theory.claims.bhagoji2019.samples import ADVERSARIAL_LOSS, KEY, SOURCE, known_budget
from theory.latent import checked_distance
from theory.parameter import Parameter, Reals


def loss_at_margin(margin: npt.ArrayLike) -> FloatArray:
    """Return the least adversarial loss Phibar(margin) for two Gaussians left apart by a margin.

    Parameters
    ----------
    margin : array_like
        Half the distance of the classes under attack in standard deviations, at least 0.

    Returns
    -------
    ndarray
        In [0, 1/2].

    Raises
    ------
    ValueError
        If a margin is negative or NaN.

    References
    ----------
    Bhagoji, Cullina and Mittal (2019), the theorem on Gaussian data.

    Examples
    --------
    >>> round(float(loss_at_margin(2.0)), 12)
    0.022750131948
    """
    return np.asarray(special.ndtr(-checked_distance("margin", margin)))


def gaussian_adversarial_loss(
    mean: npt.ArrayLike,
    sigma_or_covariance: npt.ArrayLike,
    budget: npt.ArrayLike,
    norm: BallNorm = "l2",
) -> FloatArray:
    """Return the least adversarial loss of any classifier for N(mean, Sigma) and N(-mean, Sigma).

    Parameters
    ----------
    mean : array_like, shape (d,)
        Half the difference of the class means.
    sigma_or_covariance : array_like
        A standard deviation, or a covariance of shape (d, d).
    budget : array_like
        Distance by which each point may be moved, at least 0.
    norm : {"l2", "linf"}
        That of the budget.

    Returns
    -------
    ndarray
        Shaped as budget: Phibar of the upper end of `gaussian_margin`, so for a covariance the
        proved lower end of the loss. Linear classifiers attain it.

    Raises
    ------
    ValueError
        If an argument is not finite or outside its range, or the covariance is not symmetric and
        positive definite.
    ArithmeticError
        If the covariance is too ill conditioned.

    References
    ----------
    Bhagoji, Cullina and Mittal (2019), the theorem on Gaussian data.

    Examples
    --------
    >>> gaussian_adversarial_loss([3.0, 4.0], 2.0, [0.0, 1.0, 6.0]).round(12).tolist()
    [0.006209665326, 0.022750131948, 0.5]
    """
    budgets = np.asarray(budget, dtype=np.float64)
    margins = [
        gaussian_margin(mean, sigma_or_covariance, float(each), norm).upper
        for each in budgets.ravel()
    ]
    return loss_at_margin(np.reshape(np.array(margins, dtype=np.float64), budgets.shape))


@theorem(
    "bhagoji2019/gaussian",
    kind=Kind.SCALAR,
    quantities=ADVERSARIAL_LOSS,
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the theorem on Gaussian data"),
    setting=(
        r"Let $L$ be the 0-1 loss of any classifier on the equally likely classes"
        r" $\mathcal{N}(\mu, \Sigma)$ and $\mathcal{N}(-\mu, \Sigma)$, whose points are moved"
        r" within a norm ball $B$ of radius $\epsilon$ before they are classified"
    ),
    hypotheses=(r"$\Sigma$ is positive definite",),
    bound=Bound(
        (Parameter("margin", "m", "margin in standard deviations", Reals(), 1.0),), loss_at_margin
    ),
)
def gaussian(facts: Facts, quantity: Quantity) -> float:
    """Two Gaussians: the best classifier under attack is linear, across what is left between them.

    Hypotheses: the classes are Gaussian with one covariance, known, and the loss is over their laws
    at a known budget. Attained by the half-space normal to Sigma^-1 (mu - v), v the nearest point
    of the ball.
    """
    budget = known_budget(facts, quantity, "population")
    mean = required(facts, "class_mean", "half the difference of the Gaussian class means")
    scale = required(facts, "class_scale", "the standard deviation or covariance of the classes")
    norm: BallNorm = "linf" if quantity.norm == "linf" else "l2"
    return float(gaussian_adversarial_loss(mean, scale, budget, norm)) * (1 - ROUNDING)
