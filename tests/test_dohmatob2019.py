"""Transport inequalities: exact numbers, laws that satisfy T_2 and one that does not, and l_q."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from tests.test_mahloujifar2019 import DATA, LATENT, check_against_the_form, sets_with_distances
from theory.claim import CLAIMS, OutOfScopeError, Quantity, Status
from theory.claims.dohmatob2019 import (
    natural_noise_distance,
    printed_mean_upper_bound,
    quoted_lq_lower_bound,
    transport_log_survival,
    transport_lower_bound,
)
from theory.claims.mahloujifar2019 import isoperimetric_log_survival, isoperimetric_lower_bound
from theory.gaussian import mean_survival
from theory.proof import PROOFS

LINF = Quantity("error_distance", "linf")
NAMES = (
    "no-free-lunch",
    "gaussian",
    "mean-distance",
    "mean-distance-printed",
    "lq",
    "lq-corollary",
)


@pytest.mark.parametrize("name", NAMES)
def test_fifty_digits(name: str) -> None:
    check_against_the_form(f"dohmatob2019/{name}", 20, 20191)


ACCEPTED = (
    ("no-free-lunch", transport_log_survival, 0.145017784532180113),
    ("gaussian", isoperimetric_log_survival, 0.003751511874843136),
)


@pytest.mark.parametrize(("name", "function", "value"), ACCEPTED)
def test_accepted_robust_accuracies(name: str, function: Any, value: float) -> None:  # noqa: ANN401
    assert math.exp(float(function(5.0, 0.01, 1.0))) == pytest.approx(value, rel=1e-13)
    # The form has one percent as the double that it is.
    exact = PROOFS[f"dohmatob2019/{name}"]().form.exact(
        {"eta": 5.0, "risk": 0.01, "sigma": 1.0}, "survival"
    )
    assert float(exact) == pytest.approx(value, rel=1e-15)


@given(st.floats(1e-300, 1), st.floats(0.01, 100))
def test_twice_the_noise_distance_exchanges_risk_and_accuracy(risk: float, sigma: float) -> None:
    eta = 2 * float(natural_noise_distance(risk, sigma))
    logs = float(transport_log_survival(eta, risk, sigma))
    assert logs == pytest.approx(math.log(risk), rel=1e-12, abs=1e-15)


@given(st.floats(1e-12, 1), st.floats(0, 30), st.floats(0.1, 10))
def test_isoperimetry_says_more(risk: float, eta: float, sigma: float) -> None:
    weak = float(transport_log_survival(eta, risk, sigma))
    strong = float(isoperimetric_log_survival(eta, risk, sigma))
    assert strong <= weak + 1e-12 * abs(weak)
    assert float(natural_noise_distance(risk, sigma)) < float(printed_mean_upper_bound(risk, sigma))


GRID = np.linspace(-9, 9, 36_001)
LAWS = {
    # Densities exp(-V) with V'' >= 1/sigma^2, which therefore satisfy T_2(sigma^2).
    "normal": (np.exp(-(GRID**2) / 2), 1.0),
    "quartic": (np.exp(-(GRID**2) / 8 - GRID**4 / 20), 2.0),
    "truncated": (np.exp(-(GRID**2) / 2) * ((GRID > -1) & (GRID < 0.7)), 1.0),
    "tilted": (np.exp(-(GRID**2) / 2 - np.logaddexp(0, 3 * GRID)), 1.0),
}


def line_sets() -> dict[str, np.ndarray]:
    return {
        "right": GRID >= 0.5,
        "far right": GRID >= 0.65,
        "interval": np.abs(GRID - 0.2) <= 0.05,
        "both sides": np.abs(GRID) >= 0.6,
        "point-like": np.abs(GRID + 0.8) <= 0.004,
    }


def robust_accuracies(density: np.ndarray, errors: np.ndarray, eta: np.ndarray) -> Any:  # noqa: ANN401
    """Risk, robust accuracies and mean distance of a law on the grid, which is a law itself."""
    law = density / density.sum()
    places = GRID[errors]
    right = np.searchsorted(places, GRID).clip(1, places.size - 1)
    distance = np.minimum(np.abs(GRID - places[right - 1]), np.abs(GRID - places[right]))
    distance[errors] = 0.0
    return law[errors].sum(), np.array([law[distance > e].sum() for e in eta]), law @ distance


@pytest.mark.parametrize("name", LAWS)
def test_strongly_log_concave_laws(name: str) -> None:
    density, sigma = LAWS[name]
    eta = np.linspace(0, 8, 81)
    for errors in line_sets().values():
        risk, kept, mean = robust_accuracies(density, errors, eta)
        assert 0 < risk < 1
        # The grid's steps are far below this slack in the distance.
        bound = transport_lower_bound(np.maximum(eta - 1e-3, 0), risk, sigma)
        assert np.all(kept <= 1 - bound + 1e-3)
        assert mean <= float(natural_noise_distance(risk, sigma)) + 1e-3
        log_bound = transport_log_survival(eta, risk, sigma)
        assert np.all(kept <= np.exp(log_bound) * 1.02 + 1e-14)


def test_not_every_log_concave_law_satisfies_the_inequality() -> None:
    # Laplace: errors beyond c have log risk -c - log 2, and robust accuracy exp(-s)/2 at c + s.
    for sigma in (1.0, 3.0, 10.0):
        c, s = 1.0, 50.0 * sigma**2
        claimed = float(transport_log_survival(c + s, math.exp(-c) / 2, sigma))
        assert -s - math.log(2) > claimed


@pytest.mark.parametrize("d", [2, 5])
def test_laws_on_sampled_gaussians(d: int) -> None:
    n, eta, sigma = 50_000, np.linspace(0, 12, 25), 2.0
    x = np.random.default_rng(d).normal(size=(n, d))
    for name, (risk, distance) in sets_with_distances(x).items():
        seen = (sigma * distance[:, None] <= eta).mean(axis=0)
        error = 5 * np.sqrt(seen * (1 - seen) / n) + 5 / n
        assert np.all(seen + error >= transport_lower_bound(eta, risk, sigma)), name
        exact = isoperimetric_lower_bound(eta, risk, sigma)
        assert np.all(seen + error >= exact), name
        assert sigma * distance.mean() <= float(natural_noise_distance(risk, sigma)), name
        if name == "half-space":
            np.testing.assert_array_less(np.abs(seen - exact), error + 1e-12)


@pytest.mark.parametrize("risk", [0.5, 0.1, 1e-3, 1e-9])
def test_mean_distance_to_a_half_space(risk: float) -> None:
    c = float(stats.norm.isf(risk))
    mean = integrate.quad(stats.norm.cdf, -np.inf, c)[0]
    assert mean == pytest.approx(c + float(mean_survival(risk)), rel=1e-9)
    assert mean <= float(natural_noise_distance(risk, 1.0))


@pytest.mark.parametrize("order", [2, 3, np.inf])
def test_same_budget_in_every_larger_norm(order: float) -> None:
    rng, n = np.random.default_rng(7), 40_000
    x, eta = rng.normal(size=(n, 8)), np.linspace(0, 6, 25)
    dual = 1.0 if np.isinf(order) else order / (order - 1)
    for w in (np.eye(8)[0], np.ones(8), rng.normal(size=8)):
        unit = w / np.linalg.norm(w)
        distance = np.maximum(1.5 - x @ unit, 0) / np.linalg.norm(unit, ord=dual)
        seen = (distance[:, None] <= eta).mean(axis=0)
        bound = transport_lower_bound(eta, float(stats.norm.sf(1.5)), 1.0)
        assert np.all(seen + 5 / math.sqrt(n) >= bound)


def test_the_corollary_for_lq_is_false() -> None:
    claim = CLAIMS["dohmatob2019/lq-corollary"]
    assert claim.status is Status.REFUTED
    assert claim.stronger == "dohmatob2019/lq"
    risk = float(stats.norm.sf(2.0))
    claimed = 1 - float(quoted_lq_lower_bound(0.5, risk, 1.0, 100, np.inf))
    assert claimed == pytest.approx(0.0797, abs=1e-4)
    x = np.random.default_rng(1).normal(size=(20_000, 100))
    # The nearest point of x_1 >= 2 differs in one coordinate: all l_q distances are equal.
    move = np.zeros_like(x)
    move[:, 0] = np.maximum(2.0 - x[:, 0], 0.0)
    distance = np.abs(move).max(axis=1)
    np.testing.assert_array_equal(distance, np.linalg.norm(move, axis=1))
    kept = float((distance > 0.5).mean())
    assert kept == pytest.approx(0.9332, abs=0.01)
    facts = {"transport_constant[l2]": 1.0, "dimension": 100, "error_mass": risk}
    law = claim.evaluate(facts, LINF, 0.05)
    assert float(law.lower(np.array([0.5]))[0]) > 0.92 > 1 - kept + 0.5
    repaired = CLAIMS["dohmatob2019/lq"].evaluate(facts, LINF, 0.05)
    assert float(repaired.upper(np.array([0.5]))[0]) <= 1 - kept
    # For q = 2 the quoted form is the law itself.
    eta = np.linspace(0, 5, 20)
    np.testing.assert_allclose(
        quoted_lq_lower_bound(eta, 0.1, 1.3, 50, 2.0), transport_lower_bound(eta, 0.1, 1.3)
    )


def test_laws_from_facts() -> None:
    facts = {"transport_constant[l2]": 2.0, "error_counts": {"wrong": 30, "n": 1000}}
    law = CLAIMS["dohmatob2019/no-free-lunch"].evaluate(facts, DATA, 0.05)
    eta = np.linspace(0, 30, 40)
    value = transport_lower_bound(eta, 0.03, 2.0)
    assert np.all(law.lower(eta) <= value)
    assert np.all(law.upper(eta) >= value)
    mean = CLAIMS["dohmatob2019/mean-distance"].evaluate(facts, DATA, 0.05)
    assert mean.lower < float(natural_noise_distance(0.03, 2.0)) < mean.upper
    printed = CLAIMS["dohmatob2019/mean-distance-printed"].evaluate(facts, DATA, 0.05)
    assert printed.lower > mean.lower
    data = {"data_law": "gaussian", "data_covariance": np.diag([9.0, 1.0]), "error_mass": 0.01}
    sharp = CLAIMS["dohmatob2019/gaussian"].evaluate(data, DATA, 0.05)
    assert sharp.quantile(0.99) == pytest.approx(3 * 4.652695748081682)
    latent = {"latent_law": "gaussian", "error_mass": 0.01}
    for name in ("no-free-lunch", "gaussian"):
        law = CLAIMS[f"dohmatob2019/{name}"].evaluate(latent, LATENT, 0.05)
        assert float(law.lower(np.array([8.0]))[0]) > 0.99


@pytest.mark.parametrize(
    ("name", "quantity", "facts", "reason"),
    [
        ("no-free-lunch", DATA, {"error_mass": 0.1}, "transport inequality of the data is not"),
        ("no-free-lunch", LATENT, {"error_mass": 0.1}, "latent law is not known"),
        ("no-free-lunch", DATA, {"transport_constant[l2]": 1.0}, "risk of the classifier is not"),
        ("gaussian", DATA, {"data_law": "uniform-sphere"}, "uniform-sphere, not Gaussian"),
        ("gaussian", DATA, {"data_law": "gaussian"}, "covariance of the data is not known"),
        ("mean-distance", DATA, {"transport_constant[l2]": 1.0, "error_mass": 0.0}, "empty"),
        ("lq-corollary", LINF, {"error_mass": 0.1}, "the dimension is not known"),
        ("lq-corollary", LINF, {"error_mass": 0.1, "dimension": 1}, "all norms are the same"),
    ],
)
def test_out_of_scope(name: str, quantity: Quantity, facts: dict[str, Any], reason: str) -> None:
    with pytest.raises(OutOfScopeError, match=reason):
        CLAIMS[f"dohmatob2019/{name}"].evaluate(facts, quantity, 0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 0.1, 1.0, 2, 3.0), "eta must be a distance"),
        ((1.0, -0.1, 1.0, 2, 3.0), r"risk must lie in \[0, 1\]"),
        ((1.0, 0.1, np.inf, 2, 3.0), "sigma must be positive and finite"),
        ((1.0, 0.1, 1.0, 0, 3.0), "n must be a whole number"),
        ((1.0, 0.1, 1.0, 2, 1.5), "q must be at least 2"),
        ((1.0, 0.0, 1.0, 2, 3.0), "empty error set"),
    ],
)
def test_nonsense_is_refused(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quoted_lq_lower_bound(*arguments)
