"""Gaussian enlargements in l_p norms, and the half-space search where the truth is known."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from tests.test_mahloujifar2019 import DATA, check_against_the_form, sets_with_distances
from theory.claim import CLAIMS, OutOfScopeError, Quantity
from theory.claims.prescott2021 import (
    HalfSpace,
    gaussian_enlargement,
    half_space_concentration,
    largest_variance,
)

DUAL = {"l1": np.inf, "l2": 2, "linf": 1}


def random_covariance(rng: np.random.Generator, d: int) -> np.ndarray:
    factor = rng.normal(size=(d, d)) * rng.uniform(0.2, 2.0, d)
    return factor @ factor.T


def test_fifty_digits() -> None:
    check_against_the_form("prescott2021/half-space", 25, 20192)


def growth_of_half_space(
    covariance: np.ndarray, w: np.ndarray, mass: float, eps: np.ndarray, norm: str
) -> np.ndarray:
    """The exact measure of a neighbourhood of {<w, x> >= b} under N(0, covariance)."""
    deviation = math.sqrt(w @ covariance @ w) / np.linalg.norm(w, ord=DUAL[norm])
    return np.asarray(stats.norm.sf(stats.norm.isf(mass) - eps / deviation))


@pytest.mark.parametrize("seed", range(5))
def test_no_half_space_grows_less(seed: int) -> None:
    rng, eps = np.random.default_rng(seed), np.linspace(0, 6, 13)
    covariance = random_covariance(rng, 5)
    top = np.linalg.eigh(covariance)[1][:, -1]
    for mass in (1e-4, 0.05, 0.6):
        bound = gaussian_enlargement(mass, eps, covariance)
        for w in (top, *rng.normal(size=(6, 5)), *np.eye(5)):
            for norm in ("l2", "linf"):
                grown = growth_of_half_space(covariance, w, mass, eps, norm)
                assert np.all(grown >= bound - 1e-12)
        # Tight for p = 2 along the top eigenvector; for p > 2 that half-space grows more.
        tight = growth_of_half_space(covariance, top, mass, eps, "l2")
        np.testing.assert_allclose(tight, bound, rtol=1e-10)
        loose = growth_of_half_space(covariance, top, mass, eps, "linf")
        assert np.all(loose[1:] > bound[1:])
        # Tight for p > 2 where the top eigenvector is an axis.
        diagonal = np.diag([4.0, 1.0, 1.0, 0.5, 0.0])
        axis = growth_of_half_space(diagonal, np.eye(5)[0], mass, eps, "linf")
        np.testing.assert_allclose(axis, gaussian_enlargement(mass, eps, diagonal), rtol=1e-10)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_law_on_samples_of_other_sets(norm: str) -> None:
    rng, n = np.random.default_rng(3), 50_000
    z, eps = rng.normal(size=(n, 4)), np.linspace(0, 8, 17)
    # Balls, slabs and pairs of half-spaces: 2 z has the covariance 4 I.
    for name, (mass, distance) in sets_with_distances(z).items():
        if norm == "linf" and "ball" in name:
            continue
        seen = (2 * distance[:, None] <= eps).mean(axis=0)
        bound = gaussian_enlargement(mass, eps, 4 * np.eye(4))
        assert np.all(seen + 5 * np.sqrt(seen * (1 - seen) / n) + 5 / n >= bound), name
    # The l_inf distance to a box, under an anisotropic law.
    scales = np.array([2.0, 1.0, 0.5, 0.1])
    box = np.array([1.0, 0.8, 0.9, 0.3])
    mass = float(np.prod(2 * stats.norm.cdf(box / scales) - 1))
    gaps = np.maximum(np.abs(z * scales) - box, 0)
    distance = gaps.max(axis=1) if norm == "linf" else np.linalg.norm(gaps, axis=1)
    seen = (distance[:, None] <= eps).mean(axis=0)
    assert np.all(seen + 0.02 >= gaussian_enlargement(mass, eps, np.diag(scales**2)))


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_distance_to_a_half_space(norm: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(5):
        w, x, b = rng.normal(size=3), rng.normal(size=3) * 3, float(rng.normal())
        unit = w / np.linalg.norm(w, ord=DUAL[norm])
        seen = float(HalfSpace(unit, b).distance(x[None])[0])
        # The least norm of v with <unit, x + v> <= b, as a linear or quadratic programme.
        if norm == "l2":
            least = max(float(unit @ x) - b, 0) / np.linalg.norm(unit)
        else:
            least = _least_move(unit, float(unit @ x) - b, norm)
        assert seen == pytest.approx(least, abs=1e-8)


def _least_move(w: np.ndarray, excess: float, norm: str) -> float:
    """The least l1 or linf norm of a move v with <w, v> <= -excess."""
    d = w.size
    eye = np.eye(d)
    if norm == "linf":
        limits = np.block([[eye, -np.ones((d, 1))], [-eye, -np.ones((d, 1))]])
        cost = np.append(np.zeros(d), 1.0)
    else:
        limits = np.block([[eye, -eye], [-eye, -eye]])
        cost = np.append(np.zeros(d), np.ones(d))
    target = np.append(w, np.zeros(cost.size - d))
    found = optimize.linprog(
        cost,
        A_ub=np.vstack([limits, target]),
        b_ub=np.append(np.zeros(len(limits)), -excess),
        bounds=(None, None),
    )
    return float(found.fun)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_search_on_gaussian_data(norm: str) -> None:
    rng = np.random.default_rng(6)
    scales = np.array([3.0, 1.0, 1.0, 0.5])
    train, test = rng.normal(size=(2, 20_000, 4)) * scales
    covariance = np.diag(scales**2)
    for mass, eps in ((0.05, 1.0), (0.2, 2.0)):
        half_space, seen = half_space_concentration(train, test, mass, eps, norm)
        assert np.mean(half_space.distance(train) <= 1e-12) >= mass
        assert abs(half_space.direction[0]) > 0.99
        assert np.linalg.norm(half_space.direction, ord=DUAL[norm]) == pytest.approx(1)
        truth = float(gaussian_enlargement(mass, eps, covariance))
        assert seen.expansion == pytest.approx(truth, abs=0.02)
        # The estimate is from above, whatever the direction.
        least = float(gaussian_enlargement(seen.mass_limits.lower, eps, covariance))
        assert seen.expansion_limits.upper >= least
        assert seen.mass_limits.lower <= mass <= seen.mass_limits.upper


def test_search_finds_a_given_direction() -> None:
    rng, w = np.random.default_rng(8), np.ones(3) / math.sqrt(3)
    # Two groups along w, of total variance 1 in every direction: no component shows them.
    noise = rng.normal(size=(2, 4000, 3))
    along = rng.choice([-1.06, 1.06], size=(2, 4000), p=[0.3, 0.7]) + 0.22 * (noise @ w)
    train, test = noise + (along - noise @ w)[..., None] * w
    arguments = (train, test, 0.28, 0.6)
    plain = half_space_concentration(*arguments, powers=(1.0,))[1]
    half_space, given = half_space_concentration(*arguments, powers=(1.0,), directions=[2 * w])
    np.testing.assert_allclose(half_space.direction, w)
    # A cut between the groups grows by next to nothing.
    assert given.expansion == pytest.approx(np.mean(test @ w < 0), abs=0.01)
    assert given.expansion < plain.expansion - 0.05


@pytest.mark.parametrize("sense", [1.0, -1.0])
def test_search_tries_both_senses(sense: float) -> None:
    # The thin tail of an exponential law grows by exp(eps), its thick end by far more.
    samples = sense * np.random.default_rng(5).exponential(size=(2, 8000, 1))
    half_space, seen = half_space_concentration(samples[0], samples[1], 0.05, 0.5)
    assert half_space.direction.tolist() == [-sense]
    assert seen.expansion == pytest.approx(0.05 * math.exp(0.5), abs=0.01)


def test_powers_help_in_linf() -> None:
    # One dominant pixel with many weak ones: the component is spread, its power is not.
    rng, d = np.random.default_rng(10), 12
    direction = np.append(3.0, np.full(d - 1, 0.6))
    samples = rng.normal(size=(2, 6000, 1)) * direction + 0.3 * rng.normal(size=(2, 6000, d))
    train, test = samples
    spread = half_space_concentration(train, test, 0.1, 1.0, "linf", powers=(1.0,))[1]
    several = half_space_concentration(train, test, 0.1, 1.0, "linf", powers=(1.0, 2.0, 8.0))[1]
    assert several.expansion <= spread.expansion + 0.01
    small = half_space_concentration(train[:40], test, 0.1, 1.0)[1]
    assert 0 <= small.mass <= small.expansion <= 1


def test_law_from_facts() -> None:
    claim = CLAIMS["prescott2021/half-space"]
    facts = {
        "data_law": "gaussian",
        "data_covariance": [[4.0, 0.0], [0.0, 1.0]],
        "error_mass": 0.01,
    }
    for quantity in (DATA, Quantity("error_distance", "linf")):
        law = claim.evaluate(facts, quantity, 0.05)
        assert law.quantile(0.99) == pytest.approx(2 * 4.652695748081682)
    with pytest.raises(OutOfScopeError, match="law of the data is not known"):
        claim.evaluate({"error_mass": 0.1}, DATA, 0.05)
    with pytest.raises(OutOfScopeError, match="all data are one point"):
        claim.evaluate(facts | {"data_covariance": np.zeros((2, 2))}, DATA, 0.05)
    with pytest.raises(OutOfScopeError, match="empty error set"):
        gaussian_enlargement(0.0, 1.0, np.eye(2))


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.ones((2, 3)), "square matrix"),
        ([[1.0, 2.0], [0.0, 1.0]], "symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "positive semidefinite"),
        ([[np.nan]], "finite"),
    ],
)
def test_no_covariance(covariance: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        largest_variance(covariance)


def test_bad_searches_are_refused() -> None:
    points = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(ValueError, match="one dimension"):
        half_space_concentration(points, points[:, :1], 0.1, 1.0)
    with pytest.raises(ValueError, match="norm must be"):
        half_space_concentration(points, points, 0.1, 1.0, "l3")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mass must lie"):
        half_space_concentration(points, points, 0.0, 1.0)
    with pytest.raises(ValueError, match="eps must be a distance"):
        half_space_concentration(points, points, 0.1, -1.0)
    with pytest.raises(ValueError, match="powers must be positive"):
        half_space_concentration(points, points, 0.1, 1.0, powers=(0.0,))
    for wrong in ([[0.0, 0.0]], [[1.0, 0.0, 0.0]]):
        with pytest.raises(ValueError, match="directions must be non-zero"):
            half_space_concentration(points, points, 0.1, 1.0, directions=wrong)
