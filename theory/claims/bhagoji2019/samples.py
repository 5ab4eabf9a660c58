"""The least adversarial loss on finite samples, by a matching or a linear programme."""

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from theory.adversarial_transport import (
    Norm,
    Plan,
    checked_points,
    conflicts,
    feasible_flow,
    float_above,
    float_below,
    largest_matching,
    lightest_cover,
    propose,
)
from theory.arrays import FloatArray
from theory.claim import (
    ROUNDING,
    Bound,
    Facts,
    Kind,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    required,
    theorem,
)
from theory.latent import SUM_TOLERANCE, checked_probability
from theory.parameter import Parameter, Reals
from theory.statistics import checked_count, checked_level

KEY, SOURCE = "bhagoji2019", "Bhagoji, Cullina and Mittal, NeurIPS 2019"
ADVERSARIAL_LOSS = tuple(Quantity("adversarial_loss", norm) for norm in ("l2", "linf"))
"""0-1 loss where each point is moved within a budget; the two classes count equally."""


def loss_at_cost(cost: npt.ArrayLike) -> FloatArray:
    """Return the least adversarial loss (1 - C) / 2 of any classifier.

    Parameters
    ----------
    cost : array_like
        C in [0, 1]: the least probability, over all couplings of the two laws, that the
        neighbourhoods of a pair do not meet.

    Returns
    -------
    ndarray
        In [0, 1/2].

    Raises
    ------
    ValueError
        If a cost lies outside [0, 1].

    References
    ----------
    Theorem 1.

    Examples
    --------
    >>> float(loss_at_cost(0.75))
    0.125
    """
    return 0.5 * (1.0 - checked_probability("cost", cost))


def minimal_adversarial_loss(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    budget: float,
    norm: Norm = "l2",
    *,
    coordinate_error: float = 0.0,
) -> Plan:
    """Return the least adversarial 0-1 loss of any classifier on two samples of equal size.

    It is exact for the samples. For the laws that they come from it is an estimate, too small on
    average; see `population_lower_bound`.

    Parameters
    ----------
    first, second : array_like, shape (n, ...)
        Points of the two classes, each of weight 1 / (2 n).
    budget : float
        Distance by which each point may be moved, at least 0; neighbourhoods are closed.
    norm : {"l1", "l2", "linf"}
        That of the budget.
    coordinate_error : float
        Error of each coordinate, and of the budget: 2^-53 for pixels k/255 in float64.

    Returns
    -------
    Plan
        The loss is M / (2 n), M the size of a largest matching of points whose neighbourhoods meet;
        the cover proves that none is larger. The ends differ only where a distance cannot be told
        from twice the budget, which in linf needs a coordinate error.

    Raises
    ------
    ValueError
        If the sizes or dimensions differ, points are not finite, the budget or the error is
        negative or infinite, or the norm is unknown.

    References
    ----------
    Theorem 1, for empirical laws; Koenig's theorem.

    Examples
    --------
    >>> found = minimal_adversarial_loss([[0.0], [4.0]], [[1.0], [9.0]], 0.75)
    >>> found.lower, found.upper, found.pairs.tolist()
    (0.25, 0.25, [[0, 0]])
    """
    x, y = checked_points("first", first), checked_points("second", second)
    if len(x) != len(y):
        raise ValueError(
            f"the samples must have one size, got {len(x)} and {len(y)} points: use weights"
        )
    sure, possible = conflicts(x, y, budget, norm, coordinate_error=coordinate_error)
    pairs, *cover = largest_matching(sure)
    if possible is not sure:
        _, *cover = largest_matching(possible)
    whole = 2 * len(x)
    given_up = cover[0].size + cover[1].size
    flow = np.full(len(pairs), 1.0 / whole)
    return Plan(len(pairs) / whole, given_up / whole, pairs, flow, cover[0], cover[1])


def minimal_adversarial_loss_weighted(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    weights_first: npt.ArrayLike,
    weights_second: npt.ArrayLike,
    budget: float,
    norm: Norm = "l2",
    *,
    coordinate_error: float = 0.0,
) -> Plan:
    """Return the least adversarial 0-1 loss of any classifier on two weighted samples.

    A linear programme proposes a plan and a cover; both are made feasible, and weighed, in rational
    arithmetic, so that the ends are proved whatever the solver did.

    Parameters
    ----------
    first, second : array_like, shapes (n, ...) and (m, ...)
        Points of the two classes.
    weights_first, weights_second : array_like, shapes (n,) and (m,)
        Probability of each labelled point; together they sum to 1, each class to its own prior.
    budget, norm, coordinate_error
        As in `minimal_adversarial_loss`. The programme has a variable for each pair of points whose
        neighbourhoods meet: up to some hundred thousand of them are a matter of seconds.

    Returns
    -------
    Plan
        Its ends are proved; the gap is that of rounding and of the solver.

    Raises
    ------
    ValueError
        If weights are negative, do not sum to 1 within 1e-9 or are not one a point, or as in
        `minimal_adversarial_loss`.
    ArithmeticError
        If the programme was not solved.

    References
    ----------
    Theorem 1, for any class priors: the plan sends no more from a point than its probability.

    Examples
    --------
    >>> found = minimal_adversarial_loss_weighted(
    ...     [[0.0], [4.0]], [[1.0]], [0.25, 0.25], [0.5], 0.75
    ... )
    >>> found.lower, found.upper
    (0.25, 0.25)
    """
    x, y = checked_points("first", first), checked_points("second", second)
    a, b = _checked_weights(weights_first, weights_second, len(x), len(y))
    sure, possible = conflicts(x, y, budget, norm, coordinate_error=coordinate_error)
    proposed, dual = propose(sure, a, b)
    pairs, flow = feasible_flow(sure, a, b, proposed)
    if possible is not sure:
        _, dual = propose(possible, a, b)
    rows, columns, given_up = lightest_cover(possible, a, b, dual)
    lower, upper = float_below(sum(flow, start=Fraction(0))), float_above(given_up)
    return Plan(lower, upper, pairs, np.array([float(part) for part in flow]), rows, columns)


def _checked_weights(
    first: npt.ArrayLike, second: npt.ArrayLike, n: int, m: int
) -> tuple[FloatArray, FloatArray]:
    a, b = (np.asarray(weights, dtype=np.float64) for weights in (first, second))
    if a.shape != (n,) or b.shape != (m,):
        raise ValueError(f"weights must be one a point, got shapes {a.shape} and {b.shape}")
    if not (np.all(a >= 0) and np.all(b >= 0)):
        raise ValueError(f"weights must be at least 0, got {min(a.min(), b.min())}")
    total = float(a.sum() + b.sum())
    if not abs(total - 1) <= SUM_TOLERANCE:
        raise ValueError(f"all weights must sum to 1 within 1e-9, got a sum of {total}")
    return a, b


def population_lower_bound(loss: npt.ArrayLike, n_points: int, alpha: float) -> FloatArray:
    """Return a lower confidence bound on the least adversarial loss on the laws themselves.

    The least loss on samples is on average at most that on their laws, and one point changes it by
    at most 1 / (2 n): McDiarmid's inequality.

    Parameters
    ----------
    loss : array_like
        Least adversarial loss on n independent points of each class.
    n_points : int
        n, at least 1.
    alpha : float
        Allowed probability that the bound is too large, in (0, 1).

    Returns
    -------
    ndarray
        max(loss - sqrt(log(1 / alpha) / (4 n)), 0).

    Raises
    ------
    ValueError
        If a loss lies outside [0, 1], n < 1, or alpha outside (0, 1).

    References
    ----------
    McDiarmid, On the method of bounded differences (1989).

    Examples
    --------
    >>> round(float(population_lower_bound(0.2, 5000, 0.05)), 12)
    0.187761265847
    """
    spread = math.log(1 / checked_level(alpha)) / (4 * checked_count(n_points, "n_points"))
    return np.maximum(checked_probability("loss", loss) - math.sqrt(spread), 0.0)


def known_budget(facts: Facts, quantity: Quantity, law: str) -> float:
    """Return the known budget where the loss is that over this law; raises OutOfScopeError else."""
    over = required(facts, "loss_over", "the law over which the loss is taken")
    if over != law:
        raise OutOfScopeError(f"the loss is over the {over}, not the {law}")
    budget = required(facts, f"adversarial_budget[{quantity.norm}]", "the budget of the attack")
    return float(budget)


@theorem(
    "bhagoji2019/finite-samples",
    kind=Kind.SCALAR,
    quantities=ADVERSARIAL_LOSS,
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 1, for finite samples"),
    setting=(
        r"Let $L$ be the 0-1 loss of any classifier on two classes of equal weight, whose points"
        r" are moved within a norm ball of radius $\epsilon$ before they are classified, and let"
        r" $C$ be the least probability that $\lVert x - x' \rVert > 2\epsilon$ under a coupling"
        r" of the two classes"
    ),
    bound=Bound(
        (Parameter("cost", "C", "least cost of a coupling", Reals(0.0, 1.0, (0.0, 1.0)), 0.5),),
        loss_at_cost,
    ),
)
def finite_samples(facts: Facts, quantity: Quantity) -> float:
    """No classifier loses less under attack than the largest matching of conflicting points.

    Hypotheses: the loss is over the very points that were matched, at a budget not below that of
    the matching. Exact for the sample, where some classifier attains it; for the population the
    number is an estimate and no bound, so that a loss over the population is out of scope.
    """
    budget = known_budget(facts, quantity, "sample")
    seen = required(facts, f"matching[{quantity.norm}]", "a matching of the points in conflict")
    if budget < seen["budget"]:
        raise OutOfScopeError(
            f"the matching is for a budget of {seen['budget']:g}, above the attack's {budget:g}"
        )
    matched, n = seen["matched"], checked_count(seen["n"], "n")
    if not 0 <= matched <= n:
        raise ValueError(f"matched must lie in [0, {n}], got {matched}")
    return float(matched / (2 * n) * (1 - ROUNDING))
