"""Adversarial loss by optimal transport: every classifier by hand, simulated attacks, claims."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import stats

from empirics.data import load
from tests.test_adversarial_transport import exact_conflicts, least_cover
from theory.adversarial_transport import gaussian_margin
from theory.claim import OutOfScopeError, Quantity, Relation
from theory.claims.bhagoji2019 import (
    finite_samples,
    gaussian,
    gaussian_adversarial_loss,
    loss_at_cost,
    loss_at_margin,
    minimal_adversarial_loss,
    minimal_adversarial_loss_weighted,
    population_lower_bound,
)
from theory.evidence import Interval
from theory.verdict import Outcome, judge_scalar

NORMS = ("l1", "l2", "linf")
L2, LINF = Quantity("adversarial_loss", "l2"), Quantity("adversarial_loss", "linf")


# Finite samples


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(8))
def test_loss_is_that_of_the_best_of_all_sets_of_right_points(norm: Any, seed: int) -> None:  # noqa: ANN401
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(1, 8)), int(rng.integers(1, 4))
    x, y = rng.normal(size=(2, n, d))
    budget = float(rng.uniform(0, 1.2))
    found = minimal_adversarial_loss(x, y, budget, norm)
    equal = np.full(n, 1.0)
    exact = least_cover(exact_conflicts(x, y, budget, norm), equal, equal) / (2 * n)
    assert found.lower == found.upper == float(exact)
    assert found.gap == 0
    assert found.flow.sum() == pytest.approx(found.lower)


@pytest.mark.parametrize("seed", range(6))
def test_no_classifier_on_the_line_loses_less(seed: int) -> None:
    """All labellings of the cells that the ends of the four neighbourhoods cut out."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 24, size=(2, 2)) / 4
    budget = float(rng.integers(1, 6)) / 4
    points = np.concatenate([x, y])
    ends = np.unique(np.concatenate([points - budget, points + budget]))
    cells = np.sort(np.concatenate([ends, (ends[1:] + ends[:-1]) / 2]))
    labels = (np.arange(2**cells.size)[:, None] >> np.arange(cells.size)) & 1
    loss = np.zeros(len(labels))
    for point, label in zip(points, (0, 0, 1, 1), strict=True):
        reached = np.abs(cells - point) <= budget
        loss += np.any(labels[:, reached] != label, axis=1) / 4
    found = minimal_adversarial_loss(x[:, None], y[:, None], budget)
    # Quarters are exact, and so are ties: the upper end counts closed neighbourhoods.
    assert found.upper == loss.min()
    assert found.lower <= found.upper
    assert minimal_adversarial_loss(x[:, None], y[:, None], budget + 1e-9).lower == loss.min()


@pytest.mark.parametrize("seed", range(12))
def test_weighted_loss_is_the_lightest_cover(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 7, size=2)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    weights = rng.dirichlet(np.full(n + m, 0.4))
    if seed % 3 == 0:
        weights[rng.integers(n + m)] = 0.0
        weights /= weights.sum()
    a, b = weights[:n], weights[n:]
    norm = NORMS[seed % 3]
    budget = float(rng.uniform(0.1, 1.0))
    found = minimal_adversarial_loss_weighted(x, y, a, b, budget, norm)
    exact = least_cover(exact_conflicts(x, y, budget, norm), a, b)
    assert Fraction(found.lower) <= exact <= Fraction(found.upper)
    assert found.gap <= 1e-15
    assert found.interval.lower == found.lower
    assert np.all(found.flow > 0)


def test_equal_weights_are_no_weights() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 60, 3))
    for budget in (0.0, 0.2, 0.5, 3.0):
        plain = minimal_adversarial_loss(x, y, budget)
        weights = np.full(60, 1 / 120)
        other = minimal_adversarial_loss_weighted(x, y, weights, weights, budget)
        assert other.lower == pytest.approx(plain.lower, abs=1e-14)
        assert other.gap < 1e-13


def test_loss_rises_with_the_budget_to_one_half() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 150, 4)) + np.array([0.0, 3.0])[:, None, None]
    for norm in NORMS:
        losses = [
            minimal_adversarial_loss(x, y, budget, norm).lower for budget in np.linspace(0, 16, 9)
        ]
        assert losses[0] == 0
        assert losses[-1] == 0.5
        assert np.all(np.diff(losses) >= 0)


def test_a_large_sample_approaches_its_law() -> None:
    rng = np.random.default_rng(7)
    n, budget = 2500, 0.3
    x, y = 1.0 + rng.normal(size=(n, 1)), -1.0 + rng.normal(size=(n, 1))
    seen = minimal_adversarial_loss(x, y, budget).lower
    assert seen == pytest.approx(float(gaussian_adversarial_loss([1.0], 1.0, budget)), abs=0.02)


def test_sample_losses_are_low_on_average_and_the_confidence_bound_holds() -> None:
    rng = np.random.default_rng(8)
    n, budget, alpha = 60, 0.3, 0.2
    law = float(gaussian_adversarial_loss([1.0], 1.0, budget))
    seen = np.array(
        [
            minimal_adversarial_loss(
                1.0 + rng.normal(size=(n, 1)), -1.0 + rng.normal(size=(n, 1)), budget
            ).lower
            for _ in range(300)
        ]
    )
    assert seen.mean() < law
    misses = int(np.count_nonzero(population_lower_bound(seen, n, alpha) > law))
    assert stats.binomtest(misses, seen.size, alpha, alternative="greater").pvalue > 1e-3
    assert population_lower_bound(0.01, 10, 0.05) == 0


def test_a_distance_on_the_limit_leaves_an_interval() -> None:
    pixels = np.arange(256)[:, None] / 255
    for norm in NORMS:
        found = minimal_adversarial_loss(
            pixels, pixels + 2 * 8 / 255, 8 / 255, norm, coordinate_error=2.0**-53
        )
        inside = minimal_adversarial_loss(pixels, pixels + 16 / 255, 7.999 / 255, norm)
        beyond = minimal_adversarial_loss(pixels, pixels + 16 / 255, 8.001 / 255, norm)
        assert (found.lower, found.upper) == (inside.lower, beyond.upper)
        assert found.gap > 0
        assert inside.gap == beyond.gap == 0
        weights = np.full(256, 1 / 512)
        weighted = minimal_adversarial_loss_weighted(
            pixels, pixels + 16 / 255, weights, weights, 8 / 255, norm, coordinate_error=2.0**-53
        )
        assert weighted.lower == pytest.approx(found.lower, abs=1e-13)
        assert weighted.upper == pytest.approx(found.upper, abs=1e-13)


def test_equal_points_conflict_at_any_budget() -> None:
    x = np.array([[0.1, 0.2], [0.5, 0.5], [0.3, 0.9]])
    for norm in NORMS:
        assert minimal_adversarial_loss(x, x[::-1], 0.0, norm).lower == 0.5
        assert minimal_adversarial_loss(x, x + 1, 0.0, norm).upper == 0.0


# Two Gaussians


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_linear_classifier_attains_the_loss(norm: Any) -> None:  # noqa: ANN401
    rng = np.random.default_rng(31)
    mean, budget, n = np.array([1.0, 0.4, -0.8]), 0.5, 100_000
    covariance = np.array([[1.0, 0.3, 0.0], [0.3, 0.8, 0.2], [0.0, 0.2, 1.5]])
    loss = float(gaussian_adversarial_loss(mean, covariance, budget, norm))
    # The nearest point of the ball, by projected gradient steps.
    v = np.zeros(3)
    for _ in range(4000):
        v = v + 0.3 * np.linalg.solve(covariance, mean - v)
        if norm == "l2":
            v *= min(1.0, budget / np.linalg.norm(v))
        else:
            v = np.clip(v, -budget, budget)
    w = np.linalg.solve(covariance, mean - v)
    z = rng.multivariate_normal(np.zeros(3), covariance, size=n)
    worst = budget * (np.linalg.norm(w) if norm == "l2" else np.abs(w).sum())
    wrong = int(np.count_nonzero((mean + z) @ w <= worst))
    assert stats.binomtest(wrong, n, loss).pvalue > 1e-3
    # Any classifier loses at least as much to the adversary who moves a class by -v.
    for _ in range(5):
        other = w + rng.normal(size=3)
        moved = int(np.count_nonzero((mean - v + z) @ other <= 0))
        assert stats.binomtest(moved, n, loss, alternative="less").pvalue > 1e-3


def test_losses_broadcast_over_budgets() -> None:
    budgets = np.array([[0.0, 0.5], [1.0, 9.0]])
    losses = gaussian_adversarial_loss([1.0, 2.0], 1.5, budgets, "linf")
    assert losses.shape == (2, 2)
    assert losses[1, 1] == 0.5
    assert np.all(np.diff(losses.ravel()) > 0)
    assert gaussian_adversarial_loss([1.0], 1.0, []).shape == (0,)
    assert float(loss_at_margin(40.0)) == pytest.approx(3.655893540915e-350, abs=1e-300)
    np.testing.assert_array_equal(loss_at_cost([0.0, 1.0]), [0.5, 0.0])


# Claims


def test_claims_judge_losses() -> None:
    matching = {"matched": 30, "n": 100, "budget": 0.1}
    facts = {"loss_over": "sample", "adversarial_budget[l2]": 0.1, "matching[l2]": matching}
    bound = finite_samples(facts, L2)
    assert bound == pytest.approx(0.15, rel=1e-11)
    assert bound < 0.15
    population = {
        "loss_over": "population",
        "adversarial_budget[linf]": 0.5,
        "class_mean": [1.0, 0.2],
        "class_scale": 1.0,
    }
    value = gaussian(population, LINF)
    assert value == pytest.approx(stats.norm.sf(0.5), rel=1e-11)
    seen = Interval(0.31, 0.32)
    assert judge_scalar(seen, Relation.AT_LEAST, value).outcome is Outcome.HOLDS
    assert judge_scalar(Interval(0.0, 0.1), Relation.AT_LEAST, value).outcome is Outcome.VIOLATED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"loss_over": "population"}, "the loss is over the population, not the sample"),
        ({"adversarial_budget[l2]": 0.09}, "above the attack's 0.09"),
        ({"loss_over": None}, "the law over which the loss is taken is not known"),
        ({"matching[l2]": None}, "a matching of the points in conflict is not known"),
        ({"adversarial_budget[l2]": None}, "the budget of the attack is not known"),
    ],
)
def test_samples_speak_of_themselves_only(changes: dict[str, Any], reason: str) -> None:
    facts = {
        "loss_over": "sample",
        "adversarial_budget[l2]": 0.1,
        "matching[l2]": {"matched": 3, "n": 10, "budget": 0.1},
    }
    known = {name: value for name, value in (facts | changes).items() if value is not None}
    with pytest.raises(OutOfScopeError, match=reason):
        finite_samples(known, L2)
    with pytest.raises(OutOfScopeError, match=r"is not known|not the population"):
        gaussian(known, L2)
    with pytest.raises(ValueError, match=r"matched must lie in \[0, 10\]"):
        finite_samples(facts | {"matching[l2]": {"matched": 11, "n": 10, "budget": 0.1}}, L2)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: minimal_adversarial_loss([[0.0]], [[1.0], [2.0]], 1.0), "one size"),
        (lambda: minimal_adversarial_loss([[0.0]], [[1.0, 2.0]], 1.0), "one dimension"),
        (lambda: minimal_adversarial_loss([[np.nan]], [[1.0]], 1.0), "first must lie in"),
        (lambda: minimal_adversarial_loss([0.0], [[1.0]], 1.0), "first must hold"),
        (lambda: minimal_adversarial_loss([[0.0]], [[1.0]], -1.0), "budget must be"),
        (lambda: minimal_adversarial_loss([[0.0]], [[1.0]], np.inf), "budget must be"),
        (lambda: minimal_adversarial_loss([[0.0]], [[1.0]], 1.0, "l3"), "norm must be"),  # type: ignore[arg-type]
        (
            lambda: minimal_adversarial_loss([[0.0]], [[1.0]], 1.0, coordinate_error=-1.0),
            "coordinate_error must be",
        ),
        (
            lambda: minimal_adversarial_loss_weighted([[0.0]], [[1.0]], [0.5], [0.6], 1.0),
            "sum to 1 within 1e-9",
        ),
        (
            lambda: minimal_adversarial_loss_weighted([[0.0]], [[1.0]], [1.5], [-0.5], 1.0),
            "at least 0",
        ),
        (
            lambda: minimal_adversarial_loss_weighted([[0.0]], [[1.0]], [0.5, 0.0], [0.5], 1.0),
            "one a point",
        ),
        (lambda: gaussian_margin([], 1.0, 1.0), "mean must be"),
        (lambda: gaussian_margin([np.inf], 1.0, 1.0), "mean must be"),
        (lambda: gaussian_margin([1.0], 0.0, 1.0), "sigma must be positive"),
        (lambda: gaussian_margin([1.0], 1.0, np.nan), "budget must be"),
        (lambda: gaussian_margin([1.0], 1.0, 1.0, "l1"), "norm must be"),  # type: ignore[arg-type]
        (lambda: gaussian_margin([1.0], [1.0], 1.0), "must have shape"),
        (lambda: gaussian_margin([1.0, 1.0], [[1.0, 0.5], [0.4, 1.0]], 0.1), "symmetric"),
        (lambda: gaussian_margin([1.0, 1.0], [[1.0, 2.0], [2.0, 1.0]], 0.1), "positive definite"),
        (lambda: population_lower_bound(0.1, 0, 0.05), "n_points must be"),
        (lambda: population_lower_bound(0.1, 10, 1.0), "alpha must lie"),
        (lambda: loss_at_cost(1.5), "cost must lie"),
        (lambda: loss_at_margin(-1e-9), "margin must be a distance"),
    ],
)
def test_nonsense_is_refused(action: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        action()


@pytest.mark.data("mnist")
def test_threes_and_sevens() -> None:
    mnist = load("mnist")
    images = mnist.test_images.reshape(len(mnist.test_labels), -1).astype(np.float64)
    x, y = (images[mnist.test_labels == label][:500] for label in (3, 7))
    losses = [minimal_adversarial_loss(x, y, budget).interval for budget in (0.0, 2.0, 3.0, 3.5, 5)]
    assert losses[0].upper == 0
    ends = [end for loss in losses for end in (loss.lower, loss.upper)]
    assert np.all(np.diff(ends) >= 0)
    assert losses[1].upper < 0.05
    assert losses[-1].lower > 0.4
    large = minimal_adversarial_loss(x, y, 0.499, "linf")
    assert large.lower <= minimal_adversarial_loss(x, y, 0.5, "linf").lower == 0.5
