"""Errors on a sphere: the exact cap at 40 digits, Monte Carlo on caps, and what is refuted."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest

from theory.claim import CLAIMS, Kind, OutOfScopeError, Quantity, Status
from theory.claims.gilmer2018 import (
    CHORD,
    GEODESIC,
    Metric,
    asymptotic_mean_distance,
    cap,
    cap_chord,
    law,
    mean_cap_distance,
    rate,
)
from theory.concentration import cap_angle, sphere_enlargement
from theory.law_verdict import judge_law
from theory.outcome import Outcome
from theory.proof import PROOFS
from theory.proofs.gilmer2018 import exact_cap_angle, exact_cap_mass, exact_mean

CLAIM_IDS = ["gilmer2018/cap", "gilmer2018/cap-chord", "gilmer2018/law", "gilmer2018/thm"]
SPHERE = {"data_law": "uniform-sphere", "dimension": 50}
NO_ERRORS = {"wrong": 0, "n": 9}


def uniform_points(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    points = rng.standard_normal((count, n))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def distance_to_caps(points: np.ndarray, centers: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Geodesic distance to a union of caps: on a sphere the least of those to each is exact."""
    angles = np.arccos(np.clip(points @ centers.T, -1, 1))
    return np.maximum(angles - radii, 0.0).min(axis=1)


def test_accepted_numbers() -> None:
    assert float(mean_cap_distance(0.01, 500)) == pytest.approx(0.104250773512953738, rel=1e-14)
    assert float(mean_cap_distance(0.01, 500, "chord")) == pytest.approx(0.104178, abs=5e-7)
    assert float(asymptotic_mean_distance(0.01, 500)) == pytest.approx(0.104037, abs=5e-7)


@pytest.mark.parametrize("name", CLAIM_IDS)
def test_values_and_logarithms_at_fresh_parameters(name: str) -> None:
    bound, form = CLAIMS[name].bound, PROOFS[name]().form
    assert bound is not None
    rng = np.random.default_rng(18)
    for _ in range(6):
        values = {p.name: p.domain.draw(rng) for p in bound.parameters}
        true = float(form.exact(values))
        assert float(bound.value(**values)) == pytest.approx(max(true, 0.0), rel=1e-12, abs=1e-290)
        if CLAIMS[name].kind is Kind.LAW:
            assert bound.log_survival is not None
            kept = form.exact(values, "survival")
            seen = float(bound.log_survival(**values))
            with mp.workdps(40):
                assert abs(seen - float(mp.log(kept))) <= 1e-12 * abs(seen) if kept else True


@pytest.mark.parametrize("metric", ["geodesic", "chord"])
def test_mean_from_two_to_a_million_dimensions(metric: Metric) -> None:
    rng = np.random.default_rng(19)
    cases = [(1e-12, 10**6), (0.99, 10**6), (1 - 1e-12, 3), (1e-12, 2), (1e-300, 7)]
    cases += [
        (float(10 ** rng.uniform(-12, -0.005)), int(10 ** rng.uniform(0.31, 6))) for _ in range(6)
    ]
    for mass, n in cases:
        with mp.workdps(40):
            true = exact_mean({"risk": mp.mpf(mass), "n": mp.mpf(n)}, metric == "chord")
            seen = float(mean_cap_distance(mass, n, metric))
            assert abs(seen / true - 1) < 1e-12, (mass, n)


def test_closed_forms() -> None:
    mass = np.array([1e-9, 0.01, 0.25, 0.5, 0.9, 1 - 1e-6, 1.0])
    circle = (np.pi * (1 - mass)) ** 2 / (2 * np.pi)
    np.testing.assert_allclose(mean_cap_distance(mass, 2), circle, rtol=1e-12)
    start = 2 * np.arcsin(np.sqrt(mass[:5]))
    sphere = (np.pi - start - np.sin(start)) / 2
    np.testing.assert_allclose(mean_cap_distance(mass[:5], 3), sphere, rtol=1e-12)
    with mp.workdps(40):
        # By Archimedes, and by the two series.
        assert abs(exact_cap_mass(mp.mpf("0.3"), 3) - mp.sin(mp.mpf("0.15")) ** 2) < 1e-38
        angle = exact_cap_angle(mp.mpf("0.2"), 10**6)
        assert abs(exact_cap_mass(angle, 10**6) - mp.mpf("0.2")) < 1e-38
        beta = mp.betainc(249.5, 0.5, 0, mp.sin(mp.mpf("1.4")) ** 2, regularized=True) / 2
        assert abs(exact_cap_mass(mp.mpf("1.4"), 500) / beta - 1) < 1e-35


def test_mean_has_the_shape_that_it_must() -> None:
    mass, n = np.linspace(0.001, 1.0, 60), np.array([[2], [3], [17], [500], [10**5]])
    geodesic, chord = (mean_cap_distance(mass, n, metric) for metric in ("geodesic", "chord"))
    assert geodesic.shape == (5, 60)
    assert np.all(np.diff(geodesic, axis=1) < 0)
    assert np.all((chord <= geodesic) & (chord >= 2 / np.pi * geodesic))
    assert np.all(geodesic[:, -1] == 0)
    one = [[float(mean_cap_distance(m, int(d))) for m in mass[::20]] for d in n[:, 0]]
    np.testing.assert_allclose(geodesic[:, ::20], one, rtol=1e-14)


def test_the_rate_is_no_bound() -> None:
    claim = CLAIMS["gilmer2018/thm"]
    assert claim.status is Status.REFUTED
    assert claim.stronger == "gilmer2018/cap"
    assert claim.bound is not None
    standard = claim.bound.standard()
    assert standard == {"risk": 0.01, "n": 500}
    for metric in ("geodesic", "chord"):
        assert mean_cap_distance(0.01, 500, metric) > claim.bound.value(**standard)
    mass, n = np.geomspace(0.01, 0.5, 40), np.array([[500], [10**4], [10**6]])
    assert np.all(mean_cap_distance(mass, n) > asymptotic_mean_distance(mass, n))
    assert np.all(mean_cap_distance(0.5, np.arange(2, 50)) > asymptotic_mean_distance(0.5, 7))
    # The limit is E (z + a)_+, not a.
    excess = np.array([float(mp.npdf(a) - a * mp.ncdf(-a)) for a in (0.0, 1.0, 2.0)])
    at = np.array([float(mp.ncdf(-a)) for a in (0.0, 1.0, 2.0)])
    limit = np.sqrt(1e6) * (mean_cap_distance(at, 10**6) - asymptotic_mean_distance(at, 10**6))
    np.testing.assert_allclose(limit, excess, atol=1e-5)


@pytest.mark.parametrize("n", [3, 10, 50])
@pytest.mark.parametrize("mass", [0.01, 0.3, 0.8])
def test_caps_attain_mean_and_law(n: int, mass: float) -> None:
    rng = np.random.default_rng(n)
    radius, pole = cap_angle(mass, n), np.eye(1, n)
    d = distance_to_caps(uniform_points(n, 60_000, rng), pole, radius)
    for metric, seen in (("geodesic", d), ("chord", 2 * np.sin(d / 2))):
        off = seen.mean() - float(mean_cap_distance(mass, n, metric))
        assert abs(off) < 5 * seen.std() / np.sqrt(seen.size) + 1e-12
    for angle in (0.0, 0.05, 0.2, 0.6):
        share, exact = np.mean(d <= angle), float(sphere_enlargement(mass, angle, n))
        assert abs(share - exact) < 5 * np.sqrt(exact * (1 - exact) / d.size) + 1e-12


@pytest.mark.parametrize("n", [3, 10, 50])
@pytest.mark.parametrize("count", [2, 5])
def test_unions_of_caps_are_nearer(n: int, count: int) -> None:
    rng = np.random.default_rng(100 * n + count)
    centers = uniform_points(n, count, rng)
    radii = cap_angle(rng.uniform(0.02, 0.1, count), n)
    counted, fresh = (
        distance_to_caps(uniform_points(n, 40_000, rng), centers, radii) for _ in range(2)
    )
    facts = {
        "data_law": "uniform-sphere",
        "dimension": n,
        "error_counts": {"wrong": int((counted == 0).sum()), "n": counted.size},
    }
    bound = law(facts, GEODESIC, 1e-6)
    judged = judge_law(fresh, fresh, bound, 1e-6)
    assert judged.outcome is not Outcome.VIOLATED
    # The same distances, stretched, are those of no error set of this measure.
    planted = judge_law(6 * fresh, 6 * fresh, bound, 1e-6)
    assert planted.outcome is Outcome.VIOLATED
    for claim, quantity, seen in (
        (cap, GEODESIC, fresh),
        (cap_chord, CHORD, 2 * np.sin(fresh / 2)),
    ):
        limit = claim(facts, quantity, 1e-6)
        assert limit.lower < limit.upper
        assert seen.mean() < limit.upper


def test_two_antipodal_caps_of_known_measure() -> None:
    n, each, rng = 10, 0.05, np.random.default_rng(4)
    pole = np.eye(1, n)
    centers, radii = np.concatenate([pole, -pole]), np.full(2, cap_angle(each, n))
    d = distance_to_caps(uniform_points(n, 40_000, rng), centers, radii)
    bound = float(mean_cap_distance(2 * each, n))
    assert d.mean() < 0.8 * bound
    angles = np.linspace(0, 1, 11)
    shares = np.mean(d[:, None] <= angles, axis=0)
    assert np.all(shares >= sphere_enlargement(2 * each, angles, n) - 5 * 0.5 / np.sqrt(d.size))


@pytest.mark.parametrize(
    ("claim", "quantity", "changes", "reason"),
    [
        (cap, GEODESIC, {"data_law": None}, "the law of the data is not known"),
        (cap, GEODESIC, {"data_law": "gaussian"}, "gaussian, not uniform on a sphere"),
        (law, GEODESIC, {"data_law": "product"}, "product, not uniform on a sphere"),
        (cap_chord, CHORD, {"dimension": None}, "the dimension is not known"),
        (cap, GEODESIC, {"error_mass": None}, "not known"),
        (law, GEODESIC, {"error_mass": 0.0}, "must be positive"),
        (rate, CHORD, {"error_mass": 0.6}, "accuracy is below one half"),
        (
            law,
            GEODESIC,
            {"error_mass": None, "error_counts": {"wrong": 0, "n": 9}},
            "no error was seen",
        ),
    ],
)
def test_hypotheses_that_fail_are_named(
    claim: Any,  # noqa: ANN401
    quantity: Quantity,
    changes: dict[str, object],
    reason: str,
) -> None:
    known = {k: v for k, v in (SPHERE | {"error_mass": 0.1} | changes).items() if v is not None}
    with pytest.raises(OutOfScopeError, match=reason):
        claim(known, quantity, 0.05)


def test_known_risks_give_the_formula() -> None:
    facts = SPHERE | {"error_mass": 0.1}
    for claim, function in (
        (cap, mean_cap_distance),
        (rate, asymptotic_mean_distance),
        (cap_chord, lambda mass, n: mean_cap_distance(mass, n, "chord")),
    ):
        limit, value = claim(facts, GEODESIC, 0.05), float(function(0.1, 50))
        assert limit.lower <= value <= limit.upper
        assert limit.upper - limit.lower < 1e-11
    bound, angles = law(facts, GEODESIC, 0.05), np.linspace(0, 3, 7)
    np.testing.assert_allclose(bound.upper(angles), sphere_enlargement(0.1, angles, 50), rtol=1e-11)
    at = bound.quantile(0.7)
    assert float(sphere_enlargement(0.1, at, 50)) == pytest.approx(0.7, rel=1e-12)


@pytest.mark.parametrize(
    ("mass", "n", "metric", "message"),
    [
        (-0.1, 5, "geodesic", r"mass must lie in \[0, 1\]"),
        (np.nan, 5, "chord", r"mass must lie in \[0, 1\]"),
        (0.1, 1, "geodesic", "n must be a whole number"),
        (0.1, 2.5, "geodesic", "n must be a whole number"),
        (0.1, np.nan, "geodesic", "n must be a whole number"),
        (0.1, 5, "euclidean", "metric must be 'geodesic' or 'chord'"),
        (0.0, 5, "geodesic", "must be positive"),
    ],
)
def test_nonsense_is_refused(mass: float, n: float, metric: Metric, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mean_cap_distance(mass, n, metric)
    if metric in ("geodesic", "chord"):
        with pytest.raises(ValueError, match=message):
            asymptotic_mean_distance(mass, n)
