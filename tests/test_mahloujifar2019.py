"""Concentration: exact numbers, the inequalities on real sets, and which way a search points."""

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from theory.claim import CLAIMS, Kind, OutOfScopeError, Quantity, Status
from theory.claims.mahloujifar2019 import (
    BallUnion,
    RectangleComplement,
    empirical_concentration,
    gaussian_risk_budget,
    gaussian_risk_lower_bound,
    greedy_balls,
    greedy_rectangles,
    isoperimetric_lower_bound,
    levy_budget,
    levy_half_distance,
    levy_lower_bound,
    levy_mean_upper_bound,
    measured_concentration,
    two_sided_risk,
)
from theory.concentration import sphere_enlargement
from theory.modulus import LipschitzModulus
from theory.proof import PROOFS

IDENTITY = LipschitzModulus(1.0)
LATENT, DATA = Quantity("error_distance_latent", "l2"), Quantity("error_distance", "l2")
GAUSS = {"k1": 0.5, "k2": 0.5, "n": 1}


def check_against_the_form(name: str, draws: int, seed: int) -> None:
    """Compare value, log survival and inverse of a claim with its form, at random parameters."""
    rng, bound, form = np.random.default_rng(seed), CLAIMS[name].bound, PROOFS[name]().form
    assert bound is not None
    law = CLAIMS[name].kind is Kind.LAW
    for _ in range(draws):
        values = {p.name: p.domain.draw(rng) for p in bound.parameters}
        try:
            seen = float(bound.value(**values))
        except OutOfScopeError:
            continue
        true = form.exact(values)
        clipped = min(max(true, mp.mpf(0)), mp.mpf(1)) if law else true
        assert abs(mp.mpf(seen) - clipped) <= float(bound.error(float(clipped))), (values, seen)
        if not law:
            continue
        assert bound.log_survival is not None
        assert bound.inverse is not None
        left = form.exact(values, "survival")
        if 0 < left < mp.mpf("0.5"):
            logs = float(bound.log_survival(**values))
            slack = mp.mpf("1e-12") * abs(mp.log(left)) + mp.mpf("2e-13")
            assert abs(mp.mpf(logs) - mp.log(left)) <= slack, (values, logs)
        first = bound.parameters[0].name
        others = {key: value for key, value in values.items() if key != first}
        q = float(rng.uniform(0.001, 0.999))
        at = float(bound.inverse(q, **others))
        if math.isfinite(at):
            assert float(bound.value(**{first: at}, **others)) >= q * (1 - 1e-9)
            below = float(bound.value(**{first: at * (1 - 1e-6)}, **others))
            assert at == 0 or below <= q * (1 + 1e-9)


NAMES = ("levy", "levy-mean", "gaussian", "empirical-lower-bound")


@pytest.mark.parametrize("name", NAMES)
def test_fifty_digits(name: str) -> None:
    check_against_the_form(f"mahloujifar2019/{name}", 25, 20190)


def test_accepted_budgets() -> None:
    assert float(gaussian_risk_budget(0.99, 0.01, IDENTITY)) == pytest.approx(
        4.652695748081682, rel=1e-14
    )
    levy = float(levy_budget(0.99, 0.01, **GAUSS))
    assert levy == pytest.approx(5.594299245073074, rel=1e-14)
    assert float(levy_half_distance(0.01, **GAUSS)) == pytest.approx(levy / 2, rel=1e-15)
    assert float(levy_lower_bound(levy, 0.01, **GAUSS)) == pytest.approx(0.99, abs=1e-14)


def test_the_levy_bound_jumps_where_one_half_is_reached() -> None:
    start = float(levy_half_distance(0.01, **GAUSS))
    below = np.nextafter(start, 0.0)
    assert levy_lower_bound([below, start], 0.01, **GAUSS).tolist() == [0.0, 0.5]
    # Near the constant itself b_1 is small, and has its digits.
    close = float(levy_half_distance(1 - 2.0**-53, 1.0, 0.5, 1))
    assert close == pytest.approx(2.0**-26, rel=1e-15)
    # More errors than the concentration function has at 0: one half is reached at once.
    assert float(levy_half_distance(0.7, **GAUSS)) == 0.0
    assert float(levy_lower_bound(0.0, 0.7, **GAUSS)) == 0.5


@pytest.mark.parametrize("risk", [1e-12, 0.01, 0.3, 0.5])
def test_isoperimetry_says_more_than_the_levy_form(risk: float) -> None:
    eta = np.linspace(0, 12, 200)
    exact = gaussian_risk_lower_bound(eta, risk, IDENTITY)
    assert np.all(levy_lower_bound(eta, risk, **GAUSS) <= exact + 1e-14)


def sets_with_distances(x: np.ndarray) -> dict[str, tuple[float, np.ndarray]]:
    """Error sets under N(0, I_d): their exact measure, and the exact distances of the points."""
    d = x.shape[1]
    norm, first = np.linalg.norm(x, axis=1), x[:, 0]
    inner, outer = stats.chi2(d).ppf(0.05) ** 0.5, stats.chi2(d).ppf(0.97) ** 0.5
    return {
        "half-space": (float(stats.norm.sf(1.7)), np.maximum(1.7 - first, 0)),
        "ball": (0.05, np.maximum(norm - inner, 0)),
        "outside of a ball": (0.03, np.maximum(outer - norm, 0)),
        "slab": (float(2 * stats.norm.cdf(0.1) - 1), np.maximum(np.abs(first) - 0.1, 0)),
        "two half-spaces": (float(2 * stats.norm.sf(2.0)), np.maximum(2.0 - np.abs(first), 0)),
    }


@pytest.mark.parametrize("d", [1, 6])
def test_laws_and_means_on_sampled_gaussians(d: int) -> None:
    n, eta = 100_000, np.linspace(0, 5, 26)
    x = np.random.default_rng(d).normal(size=(n, d))
    for name, (risk, distance) in sets_with_distances(x).items():
        seen = (distance[:, None] <= eta).mean(axis=0)
        error = 5 * np.sqrt(seen * (1 - seen) / n) + 5 / n
        bound = gaussian_risk_lower_bound(eta, risk, IDENTITY)
        assert np.all(seen + error >= bound), name
        assert np.all(seen + error >= levy_lower_bound(eta, risk, **GAUSS)), name
        assert distance.mean() <= float(levy_mean_upper_bound(risk, **GAUSS)), name
        if name == "half-space":
            np.testing.assert_array_less(np.abs(seen - bound), error + 1e-12)


def test_law_through_a_generator() -> None:
    # sin is 1-Lipschitz, 3 sin therefore 3-Lipschitz in l2 and in linf.
    z = np.random.default_rng(0).normal(size=(100_000, 3))
    x = 3.0 * np.sin(z)
    distance, eta = np.maximum(2.5 - x[:, 0], 0), np.linspace(0, 6, 25)
    risk = float((distance == 0).mean()) - 0.003
    bound = gaussian_risk_lower_bound(eta, risk, LipschitzModulus(3.0))
    assert np.all((distance[:, None] <= eta).mean(axis=0) >= bound)


@pytest.mark.parametrize("n", [10, 100])
def test_levy_family_of_spheres(n: int) -> None:
    # On S^{n-1} the extremal sets are caps, so that their growth is the concentration function.
    family = {"k1": math.sqrt(math.pi / 8), "k2": (n - 2) / 2 / n, "n": n}
    angle = np.linspace(0, 1.5, 60)
    rate = family["k2"] * n
    hypothesis = 1 - sphere_enlargement(0.5, angle, n) <= family["k1"] * np.exp(-rate * angle**2)
    assert hypothesis.all()
    for risk in (1e-6, 0.01, 0.2):
        exact = sphere_enlargement(risk, angle, n)
        assert np.all(levy_lower_bound(angle, risk, **family) <= exact + 1e-12)
        distance = np.trapezoid(1 - exact, angle)
        assert distance <= float(levy_mean_upper_bound(risk, **family))


def test_levy_family_of_hamming_cubes() -> None:
    n, k = 100, np.arange(101)
    family = {"k1": 2.0, "k2": 1 / n, "n": 1}
    for weight in (30, 40, 50):
        risk = float(stats.binom(n, 0.5).cdf(weight))
        grown = stats.binom(n, 0.5).cdf(weight + k)
        assert np.all(levy_lower_bound(k, risk, **family) <= grown + 1e-12)


def levy_facts(**changes: object) -> dict[str, Any]:
    return {"latent_law": "gaussian", "error_mass": 0.01} | changes


def test_laws_are_continuous_and_in_order() -> None:
    law = CLAIMS["mahloujifar2019/levy"].evaluate(levy_facts(), LATENT, 0.05)
    start = float(levy_half_distance(0.01, **GAUSS))
    near = start * (1 + np.linspace(-3e-9, 3e-9, 4001))
    for curve in (law.lower(near), law.upper(near)):
        assert np.all(np.diff(curve) >= 0)
        assert np.diff(curve).max() < 0.01
    value = levy_lower_bound(near, 0.01, **GAUSS)
    assert np.all(law.lower(near) <= value)
    assert np.all(law.upper(near) >= value)
    assert law.quantile(0.25) == pytest.approx(start, rel=1e-8)
    assert law.quantile(0.99) == pytest.approx(5.594299245073074)
    assert law.quantile(0.0) == 0


def test_counted_errors_widen_the_laws() -> None:
    counted = {"latent_law": "gaussian", "error_counts": {"wrong": 20, "n": 1000}}
    eta = np.linspace(0, 6, 30)
    for name in ("levy", "gaussian"):
        claim = CLAIMS[f"mahloujifar2019/{name}"]
        wide = claim.evaluate(counted, LATENT, 0.05)
        narrow = claim.evaluate(levy_facts(error_mass=0.02), LATENT, 0.05)
        assert np.all(wide.lower(eta) <= narrow.lower(eta) + 1e-12)
        assert np.all(wide.upper(eta) >= narrow.upper(eta) - 1e-12)
    mean = CLAIMS["mahloujifar2019/levy-mean"].evaluate(counted, LATENT, 0.05)
    assert mean.lower < float(levy_mean_upper_bound(0.02, **GAUSS)) < mean.upper
    family = levy_facts(**{"normal_levy[l2]": {"k1": 2.0, "k2": 0.5, "n": 10}})
    law = CLAIMS["mahloujifar2019/levy"].evaluate(family, DATA, 0.05)
    assert float(law.lower(np.array([3.0]))[0]) == pytest.approx(
        float(levy_lower_bound(3.0, 0.01, 2.0, 0.5, 10)), rel=1e-11
    )
    image = levy_facts(**{"moduli[l2->l2]": [LipschitzModulus(2.0)]})
    seen = CLAIMS["mahloujifar2019/gaussian"].evaluate(image, DATA, 0.05)
    assert seen.quantile(0.99) == pytest.approx(2 * 4.652695748081682)


@pytest.mark.parametrize(
    ("name", "quantity", "facts", "reason"),
    [
        ("levy", DATA, levy_facts(), "concentration function of the data is not known"),
        ("levy", LATENT, levy_facts(latent_law="uniform"), "latent law is uniform"),
        ("levy", LATENT, {"latent_law": "gaussian"}, "risk of the classifier is not known"),
        ("levy-mean", LATENT, levy_facts(error_mass=0.0), "nothing is near an empty error set"),
        ("gaussian", DATA, levy_facts(), "no certified modulus"),
        (
            "gaussian",
            LATENT,
            {"latent_law": "gaussian", "error_counts": {"wrong": 0, "n": 50}},
            "no error was seen in 50 points",
        ),
        ("empirical-concentration", Quantity("concentration", "l2"), {}, "is not known"),
        ("empirical-lower-bound", LATENT, {"error_mass": 0.1}, "latent law is not known"),
    ],
)
def test_out_of_scope(name: str, quantity: Quantity, facts: dict[str, Any], reason: str) -> None:
    claim = CLAIMS[f"mahloujifar2019/{name}"]
    arguments = (facts, quantity) if claim.kind is Kind.SCALAR else (facts, quantity, 0.05)
    with pytest.raises(OutOfScopeError, match=reason):
        claim.evaluate(*arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eta": -1.0}, "eta must be a distance"),
        ({"risk": 1.5}, r"risk must lie in \[0, 1\]"),
        ({"k1": 0.0}, "k1 must be positive"),
        ({"k2": np.nan}, "k2 must be positive"),
        ({"n": 1.5}, "n must be a whole number"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        levy_lower_bound(**({"eta": 1.0, "risk": 0.1, "k1": 1.0, "k2": 1.0, "n": 2} | changes))
    with pytest.raises(ValueError, match="sigma must be positive"):
        isoperimetric_lower_bound(1.0, 0.1, 0.0)


def test_what_is_measured_is_no_lower_bound() -> None:
    claim = CLAIMS["mahloujifar2019/empirical-lower-bound"]
    assert claim.status is Status.REFUTED
    law = claim.evaluate(levy_facts(error_mass=0.5), LATENT, 0.05)
    eta = np.array([float(stats.norm.isf(0.25))])
    # A classifier wrong on z_1 >= 0 has the adversarial risk 3/4; everything is claimed.
    x = np.random.default_rng(4).normal(size=20_000)
    risk = (np.maximum(-x, 0)[:, None] <= eta).mean()
    assert risk == pytest.approx(0.75, abs=0.02)
    assert float(law.lower(eta * (1 + 1e-9))[0]) > 0.999999
    assert float(two_sided_risk(0.0, 0.05)) == pytest.approx(0.05, rel=1e-14)
    # It is the truth of its own family.
    both = np.maximum(2.0 - np.abs(x), 0)
    seen = (both <= 0.7).mean()
    assert seen == pytest.approx(float(two_sided_risk(0.7, 2 * stats.norm.sf(2.0))), abs=0.015)


def test_restricted_concentration_is_passed_on() -> None:
    claim = CLAIMS["mahloujifar2019/empirical-concentration"]
    facts = {"restricted_concentration[linf]": 0.3}
    assert claim.evaluate(facts, Quantity("concentration", "linf")) == 0.3


@pytest.mark.parametrize("seed", range(3))
def test_searches_measure_an_upper_estimate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    train, test = rng.normal(size=(2, 1500, 2))
    mass, budget = 0.2, 0.5
    regions = [
        *(greedy_balls(train, mass, budget, k, rng=rng, n_candidates=40) for k in (1, 4)),
        *(greedy_rectangles(train, mass, budget, k, rng=rng, n_candidates=8) for k in (1, 3)),
    ]
    for region in regions:
        assert np.mean(region.distance(train) <= 0) >= mass
        seen = measured_concentration(region, test, budget)
        # A l_inf neighbourhood of the same radius is the larger one.
        least = float(isoperimetric_lower_bound(budget, seen.mass_limits.lower, 1.0))
        assert seen.expansion_limits.upper >= least
    best, seen = empirical_concentration(regions, train, test, mass, budget)
    grown = [np.mean(region.distance(train) <= budget) for region in regions]
    assert best is regions[int(np.argmin(grown))]
    assert seen.expansion == pytest.approx(np.mean(best.distance(test) <= budget))


def test_distances_of_regions() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-2, 2, (60, 2))
    grid = np.stack(np.meshgrid(*[np.linspace(-4, 4, 201)] * 2), axis=-1).reshape(-1, 2)
    step = 0.04
    balls = BallUnion(np.array([[0.0, 0.0], [1.0, 0.5]]), np.array([0.5, 0.3]))
    boxes = RectangleComplement(
        np.array([[-1.0, -1.0], [-0.5, -1.5]]), np.array([[1.0, 1.0], [1.5, 0.5]])
    )
    one = RectangleComplement(boxes.lower[:1], boxes.upper[:1])
    for region, order, exact in ((balls, 2, True), (one, np.inf, True), (boxes, np.inf, False)):
        inside = grid[region.distance(grid) <= 0]
        for point, distance in zip(points, region.distance(points), strict=True):
            nearest = float(np.linalg.norm(inside - point, ord=order, axis=1).min())
            assert distance <= nearest + 1e-12
            if exact:
                assert nearest <= distance + 2 * step


def test_confidence_limits_cover() -> None:
    rng, region = np.random.default_rng(9), BallUnion(np.zeros((1, 1)), np.ones(1))
    inside, near = (float(2 * stats.norm.cdf(r) - 1) for r in (1.0, 1.5))
    missed = 0
    for _ in range(300):
        seen = measured_concentration(region, rng.normal(size=(100, 1)), 0.5, 0.1)
        held = seen.mass_limits.lower <= inside <= seen.mass_limits.upper
        missed += not (held and seen.expansion_limits.lower <= near <= seen.expansion_limits.upper)
    assert missed <= 0.1 * 300 + 3 * math.sqrt(300 * 0.09)


def test_bad_searches_are_refused() -> None:
    rng, points = np.random.default_rng(0), np.zeros((5, 2))
    region = BallUnion(np.full((1, 2), 9.0), np.ones(1))
    with pytest.raises(OutOfScopeError, match="no candidate region holds"):
        empirical_concentration([region], points, points, 0.5, 1.0)
    with pytest.raises(OutOfScopeError, match="every box enlarged by 1"):
        greedy_rectangles(points, 0.5, 1, 1, rng=rng)
    with pytest.raises(ValueError, match="mass must lie strictly between"):
        greedy_balls(points, 1.0, 1.0, 1, rng=rng)
    with pytest.raises(ValueError, match="number of regions"):
        greedy_balls(points, 0.5, 1.0, 0, rng=rng)
    with pytest.raises(ValueError, match="budget must be a distance"):
        measured_concentration(region, points, -1.0)
    with pytest.raises(ValueError, match="finite array of shape"):
        measured_concentration(region, np.full((2, 2), np.nan), 1.0)
