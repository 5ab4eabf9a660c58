"""Conditional generators: sampled classes, the worst spread by brute force, sampled expansions."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import theory.claims.zhang2020.average as average_module
from tests.test_mahloujifar2019 import DATA, check_against_the_form
from theory.claim import CLAIMS, OutOfScopeError, Quantity, Status
from theory.claims.zhang2020 import (
    ConditionalGenerators,
    average_budget,
    average_log_survival,
    average_lower_bound,
    class_wise_budget,
    class_wise_log_survival,
    class_wise_lower_bound,
)
from theory.claims.zhang2020.classes import ClassRisks, Generators
from theory.proof import PROOFS

LOCAL = Quantity("local_lipschitz", "l2->l2")
NAMES = ("class-wise", "average-risk", "average-as-class-wise")


@pytest.mark.parametrize("name", NAMES)
def test_fifty_digits(name: str) -> None:
    check_against_the_form(f"zhang2020/{name}", 12, 20193)


def generators_of(k: int, seed: int, **changes: Any) -> ConditionalGenerators:  # noqa: ANN401
    rng = np.random.default_rng(seed)
    weights, constants = rng.dirichlet(np.ones(k)), rng.uniform(0.5, 3, k)
    return ConditionalGenerators(tuple(weights), tuple(constants), **changes)


@pytest.mark.parametrize("seed", range(3))
def test_class_wise_on_linear_generators(seed: int) -> None:
    rng, n, d = np.random.default_rng(seed), 60_000, 4
    generators, eta = generators_of(3, seed), np.linspace(0, 8, 17)
    offsets = rng.uniform(0.5, 2.5, 3)
    labels = rng.choice(3, n, p=generators.weights)
    z, directions = rng.normal(size=(n, d)), rng.normal(size=(3, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # Data L_c z + m_c, and errors of class c where <w_c, z> >= b_c: a half-space of the data.
    distance = np.maximum(offsets[labels] - (z * directions[labels]).sum(axis=1), 0)
    distance *= np.asarray(generators.constants)[labels]
    seen = (distance[:, None] <= eta).mean(axis=0)
    error = 5 * np.sqrt(seen * (1 - seen) / n) + 5 / n
    alphas = stats.norm.sf(offsets)
    bound = class_wise_lower_bound(eta, alphas, generators)
    np.testing.assert_array_less(np.abs(seen - bound), error + 1e-12)
    risk = float(np.dot(generators.weights, alphas))
    assert np.all(average_lower_bound(eta, risk, generators) <= bound + 1e-13)
    # Slabs of the same measure grow more.
    half = stats.norm.isf(0.5 - alphas / 2)
    slab = np.maximum(np.abs((z * directions[labels]).sum(axis=1)) - half[labels], 0)
    slab *= np.asarray(generators.constants)[labels]
    assert np.all((slab[:, None] <= eta).mean(axis=0) + error >= bound)


def test_a_generator_that_is_steep_in_places() -> None:
    # Slope 1 up to z = 1.5 and 10 beyond: locally 1-Lipschitz to radius 1 where z <= 1/2.
    z, eta = np.random.default_rng(3).normal(size=200_000), np.linspace(0, 3, 31)
    x = z + 9 * np.maximum(z - 1.5, 0)
    steep = float(stats.norm.sf(0.5))
    for radius, failure in ((1.0, steep), (0.5, float(stats.norm.sf(1.0)))):
        generators = ConditionalGenerators((1.0,), (1.0,), (failure,), radius)
        for edge in (0.0, 1.0, 1.7):
            distance = np.maximum(edge + 9 * max(edge - 1.5, 0) - x, 0)
            seen = (distance[:, None] <= eta).mean(axis=0)
            bound = class_wise_lower_bound(eta, float(stats.norm.sf(edge)), generators)
            assert np.all(seen + 0.006 >= bound)
            # Nothing more is claimed beyond the radius.
            assert float(class_wise_lower_bound(50.0, 0.3, generators)) == pytest.approx(
                float(class_wise_lower_bound(radius, 0.3, generators))
            )


@pytest.mark.parametrize("seed", range(8))
def test_average_risk_by_brute_force_over_two_classes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    generators, risk = generators_of(2, seed), float(rng.uniform(0.01, 0.99))
    one, two = generators.weights
    first = np.clip(np.linspace((risk - two) / one, risk / one, 20_001), 0, 1)
    spreads = np.stack([first, np.clip((risk - one * first) / two, 0, 1)], axis=1)
    for eta in (0.1, 1.0, 4.0):
        each = [float(class_wise_lower_bound(eta, spread, generators)) for spread in spreads[::40]]
        ends = [float(class_wise_lower_bound(eta, spreads[j], generators)) for j in (0, -1)]
        bound = float(average_lower_bound(eta, risk, generators))
        assert bound <= min(each) + 1e-12
        assert bound == pytest.approx(min(ends), rel=1e-10)


def naive_average(eta: float, risk: float, generators: ConditionalGenerators) -> float:
    """The least value over all subsets of full classes and one in between."""
    weights, k = np.asarray(generators.weights), generators.n_classes
    found = []
    for j, full in itertools.product(range(k), itertools.product((0.0, 1.0), repeat=k - 1)):
        alphas = np.insert(np.asarray(full), j, 0.0)
        share = (risk - weights @ alphas) / weights[j]
        if -1e-13 <= share <= 1 + 1e-13:
            alphas[j] = np.clip(share, 0, 1)
            found.append(float(class_wise_lower_bound(eta, alphas, generators)))
    return min(found)


@pytest.mark.parametrize("seed", range(12))
def test_average_risk_is_the_least_of_all_subsets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k, risk = int(rng.integers(2, 8)), float(10 ** rng.uniform(-4, 0))
    generators = generators_of(k, seed, radius=float(rng.choice([1.0, np.inf])))
    for eta in (0.0, 0.3, 2.0, 6.0):
        bound = float(average_lower_bound(eta, risk, generators))
        assert bound == pytest.approx(naive_average(eta, risk, generators), rel=1e-9)
        assert bound >= risk * (1 - 1e-12)
    spread = rng.dirichlet(np.ones(k), 200) * risk / np.asarray(generators.weights)
    for alphas in spread[np.all(spread <= 1, axis=1)]:
        here = class_wise_lower_bound(2.0, alphas, generators)
        assert float(average_lower_bound(2.0, risk, generators)) <= float(here) + 1e-12


@pytest.mark.parametrize("k", [17, 18])
def test_many_classes_are_relaxed_from_below(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    eta = np.linspace(0, 6, 7)
    for seed, risk in ((0, 0.02), (1, 0.3), (2, 0.003)):
        generators = generators_of(k, seed)
        relaxed = average_lower_bound(eta, risk, generators)
        logs = average_log_survival(eta, risk, generators)
        with monkeypatch.context() as patch:
            patch.setattr(average_module, "EXACT_UP_TO", k)
            exact = average_lower_bound(eta, risk, generators)
            assert np.all(logs >= average_log_survival(eta, risk, generators) - 1e-9)
        assert np.all(relaxed <= exact + 1e-12)
        assert np.all(relaxed >= risk * (1 - 1e-12))
        # Below the smallest weight nothing is lost: no class can be full.
        if risk < min(generators.weights):
            np.testing.assert_allclose(relaxed, exact, rtol=1e-10)


def test_many_equal_classes_are_exact() -> None:
    k, eta = 200, np.linspace(0, 6, 13)
    generators = ConditionalGenerators((1 / k,) * k, (1.0,) * k)
    for risk in (0.0033, 0.1237, 0.5021):
        full, share = math.floor(risk * k) / k, risk * k - math.floor(risk * k)
        grown = stats.norm.sf(stats.norm.isf(share) - eta)
        bound = average_lower_bound(eta, risk, generators)
        np.testing.assert_allclose(bound, full + grown / k, rtol=1e-9)


def test_errors_that_fill_whole_classes() -> None:
    generators = ConditionalGenerators((0.1,) * 10, (1.0,) * 10)
    # 0.3 is not the sum of three tenths as doubles are: the bound stays on the safe side.
    for risk in (0.1, 0.3, 0.7, 1.0):
        bound = average_lower_bound([0.5, 3.0, 30.0], risk, generators)
        np.testing.assert_allclose(bound, risk, rtol=1e-14)
    assert float(average_log_survival(3.0, 1.0, generators)) == -np.inf
    # The law is flat at 0.3: just below, every budget is enough, just above, none is.
    assert average_budget([0.0, 0.2999, 0.3001], 0.3, generators).tolist() == [0.0, 0.0, np.inf]


@pytest.mark.parametrize("extra", [1e-4, 1e-8, 1e-12, -1e-8])
def test_errors_that_nearly_fill_a_class(extra: float) -> None:
    # What is left over is a tiny share of another class, and grows by orders of magnitude.
    generators = ConditionalGenerators((0.37, 0.35, 0.28), (1.0, 1.0, 1.0))
    for eta in (3.0, 6.0):
        values = {"eta": eta, "risk": 0.37 + extra, "generators": generators}
        true = PROOFS["zhang2020/average-risk"]().form.exact(values)
        assert float(average_lower_bound(**values)) == pytest.approx(float(true), rel=1e-13)


def test_the_average_does_not_stand_for_every_class() -> None:
    claim = CLAIMS["zhang2020/average-as-class-wise"]
    assert claim.status is Status.REFUTED
    assert claim.bound is not None
    generators = ConditionalGenerators((0.5, 0.5), (1.0, 1.0))
    eta = np.array([0.5, 1.0, 3.0])
    claimed = claim.bound.value(eta=eta, risk=0.5, generators=generators)
    np.testing.assert_allclose(claimed, stats.norm.cdf(eta), rtol=1e-13)
    # Class 1 always wrong, class 2 never: the distance is 0 for half, infinite for the others.
    distance = np.where(np.random.default_rng(0).random(20_000) < 0.5, 0.0, np.inf)
    seen = (distance[:, None] <= eta).mean(axis=0)
    assert np.all(seen < claimed - 0.15)
    assert np.all(average_lower_bound(eta, 0.5, generators) <= seen + 0.02)
    np.testing.assert_allclose(average_lower_bound(eta, 0.5, generators), 0.5)
    # With a tenth of the risk too: all errors in one class, a fifth of its points.
    one = class_wise_lower_bound(2.0, [0.2, 0.0], generators)
    assert float(one) < float(claim.bound.value(eta=2.0, risk=0.1, generators=generators)) - 0.1
    assert float(average_lower_bound(2.0, 0.1, generators)) == pytest.approx(float(one), rel=1e-12)


def test_random_directions_do_not_show_the_constant() -> None:
    rng, d = np.random.default_rng(1), 100
    singular = np.ones(d)
    singular[0] = 10.0
    u = rng.normal(size=(2000, d))
    seen = np.linalg.norm(u * singular, axis=1) / np.linalg.norm(u, axis=1)
    assert math.sqrt(np.mean(seen**2)) == pytest.approx(math.sqrt(1.99), rel=0.03)
    assert seen.max() < 5
    v = np.zeros(d)
    v[:2] = 1 / math.sqrt(2), -1 / math.sqrt(2)
    jacobian = np.eye(d) + 9 * np.outer(v, v)
    assert np.linalg.norm(jacobian, 2) == pytest.approx(10)
    # The best direction of the positive orthant, and many drawn ones.
    best = np.eye(d)[0]
    assert np.linalg.norm(jacobian @ best) == pytest.approx(math.sqrt(50.5))
    u = rng.random((2000, d)) ** rng.uniform(0.1, 9, (2000, 1))
    seen = np.linalg.norm(u @ jacobian, axis=1) / np.linalg.norm(u, axis=1)
    assert seen.max() <= math.sqrt(50.5)
    facts = {"sampled_expansion[l2->l2]": float(seen.max())}
    for name in ("random-direction-lipschitz", "sampled-expansion"):
        assert CLAIMS[f"zhang2020/{name}"].evaluate(facts, LOCAL) == facts[next(iter(facts))]
    assert CLAIMS["zhang2020/random-direction-lipschitz"].status is Status.REFUTED


def zhang_facts(**changes: object) -> dict[str, Any]:
    known = {
        "latent_law": "gaussian",
        "class_weights": [0.5, 0.3, 0.2],
        "class_risks": [0.1, 0.05, 0.2],
        "error_mass": 0.105,
        "conditional_lipschitz[l2->l2]": {"constants": [1.0, 2.0, 1.5], "failures": [0.0, 0.01, 0]},
    }
    return {name: value for name, value in (known | changes).items() if value is not None}


def test_laws_from_facts() -> None:
    eta = np.linspace(0, 8, 30)
    generators = ConditionalGenerators((0.5, 0.3, 0.2), (1.0, 2.0, 1.5), (0.0, 0.01, 0.0))
    law = CLAIMS["zhang2020/class-wise"].evaluate(zhang_facts(), DATA, 0.05)
    value = class_wise_lower_bound(eta, [0.1, 0.05, 0.2], generators)
    assert np.all(law.lower(eta) <= value)
    assert np.all(law.upper(eta) >= value)
    counts = {"wrong": [100, 50, 200], "n": [1000, 1000, 1000]}
    counted = zhang_facts(class_risks=None, class_error_counts=counts)
    wide = CLAIMS["zhang2020/class-wise"].evaluate(counted, DATA, 0.05)
    assert np.all(wide.lower(eta) <= law.lower(eta))
    assert np.all(wide.upper(eta) >= law.upper(eta))
    average = CLAIMS["zhang2020/average-risk"].evaluate(zhang_facts(), DATA, 0.05)
    assert np.all(average.lower(eta) <= law.lower(eta) + 1e-12)
    as_class = CLAIMS["zhang2020/average-as-class-wise"].evaluate(zhang_facts(), DATA, 0.05)
    assert np.all(as_class.lower(eta) >= average.lower(eta) - 1e-12)
    assert average.quantile(0.999) == np.inf
    assert 0 < law.quantile(0.9) < wide.quantile(0.9) * 1.5


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("class-wise", {"latent_law": None}, "latent law is not known"),
        ("class-wise", {"class_weights": None}, "shares of the classes is not known"),
        ("class-wise", {"conditional_lipschitz[l2->l2]": None}, "local Lipschitz constant"),
        ("class-wise", {"class_risks": None}, "the risk of each class is not known"),
        ("class-wise", {"class_risks": [0.0, 0.0, 0.0]}, "no error was seen in any class"),
        ("average-risk", {"error_mass": None}, "the risk of the classifier is not known"),
        ("average-as-class-wise", {"error_mass": 0.0}, "empty error set"),
    ],
)
def test_out_of_scope(name: str, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(OutOfScopeError, match=reason):
        CLAIMS[f"zhang2020/{name}"].evaluate(zhang_facts(**changes), DATA, 0.05)
    with pytest.raises(OutOfScopeError, match="largest expansion"):
        CLAIMS["zhang2020/sampled-expansion"].evaluate({}, LOCAL)


def test_no_risk_is_out_of_scope() -> None:
    generators = generators_of(2, 0)
    for function in (class_wise_lower_bound, class_wise_log_survival, average_lower_bound):
        with pytest.raises(OutOfScopeError, match="empty error set"):
            function(1.0, 0.0, generators)
    with pytest.raises(OutOfScopeError, match="empty error set"):
        class_wise_budget(0.5, [0.0, 0.0], generators)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0.5, 0.6), (1.0, 1.0)), "must sum to 1"),
        (((0.5, 0.5), (1.0,)), "one weight, constant and failure a class"),
        (((1.0, 0.0), (1.0, 1.0)), "weights must be positive"),
        (((0.5, 0.5), (1.0, 0.0)), "constants must be positive"),
        (((0.5, 0.5), (1.0, 1.0), (0.0, 2.0)), r"failures must lie in \[0, 1\]"),
        (((0.5, 0.5), (1.0, 1.0), (), 0.0), "radius must be positive"),
        (((0.5, 0.5), (1.0, 1.0), (), math.nan), "radius must be positive"),
    ],
)
def test_no_generators(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConditionalGenerators(*arguments)


def test_nonsense_is_refused() -> None:
    generators = generators_of(3, 0)
    with pytest.raises(ValueError, match="class_risks must be one number or one for each of 3"):
        class_wise_lower_bound(1.0, [0.1, 0.2], generators)
    with pytest.raises(ValueError, match=r"class_risks must lie in \[0, 1\]"):
        class_wise_lower_bound(1.0, 1.5, generators)
    with pytest.raises(ValueError, match="eta must be a distance"):
        average_lower_bound(-1.0, 0.1, generators)
    with pytest.raises(ValueError, match="risk must be one number"):
        average_lower_bound(1.0, [0.1, 0.2], generators)  # type: ignore[arg-type]


def test_what_users_write() -> None:
    assert ClassRisks().parse("0.1") == 0.1
    assert ClassRisks().parse("0.1,0.2") == [0.1, 0.2]
    parsed = Generators().parse("0.5:2,0.5:3:0.1")
    assert parsed == ConditionalGenerators((0.5, 0.5), (2.0, 3.0), (0.0, 0.1))
    with pytest.raises(ValueError, match="expected weight:constant"):
        Generators().parse("0.5,0.5")
