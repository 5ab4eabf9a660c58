"""A few coordinates of a product: all points of small cubes, 40 digits, and the continuous law."""

import itertools
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from theory.claim import CLAIMS, OutOfScopeError
from theory.claims.mcdiarmid1989 import (
    HAMMING,
    LABEL_CHANGE,
    hamming_change_count,
    hamming_change_log_survival,
    hamming_change_lower_bound,
    least_count,
    prediction_change,
    product,
)
from theory.claims.talagrand1995 import product as talagrand
from theory.concentration import HammingForm, hamming_enlargement, hamming_log_survival
from theory.law_verdict import judge_law
from theory.outcome import Outcome
from theory.proof import PROOFS
from theory.proofs.mcdiarmid1989 import exact_distances, product_measure

CLAIM_IDS = ["mcdiarmid1989/product", "mcdiarmid1989/prediction-change", "talagrand1995/product"]
FORMS: tuple[HammingForm, ...] = ("mcdiarmid", "talagrand")
EQUAL = [0.1] * 10


def test_accepted_numbers() -> None:
    # The survival of a budget of 79 is the tail at a distance of 80.
    assert float(hamming_enlargement(0.5, 79, 784)) == pytest.approx(
        0.999966083892919060, rel=1e-14
    )
    assert float(hamming_enlargement(0.5, 79, 784, "talagrand")) == pytest.approx(
        0.999430139022246862, rel=1e-14
    )
    # Uniform bits, at most half of them ones: the true tail at a distance of 20, and the bounds.
    mass = stats.binom.cdf(50, 100, 0.5)
    tails = np.exp([hamming_log_survival(mass, 19, 100, f) for f in FORMS])
    assert stats.binom.sf(69, 100, 0.5) == pytest.approx(3.925e-5, rel=1e-3)
    np.testing.assert_allclose(tails, [0.01538, 0.03393], rtol=3e-4)


@pytest.mark.parametrize("name", CLAIM_IDS)
def test_values_logarithms_and_inverses_at_fresh_parameters(name: str) -> None:
    bound, form, rng = CLAIMS[name].bound, PROOFS[name]().form, np.random.default_rng(3)
    assert bound is not None
    assert bound.log_survival is not None
    assert bound.inverse is not None
    for _ in range(15):
        values = {p.name: p.domain.draw(rng) for p in bound.parameters}
        kept = form.exact(values, "survival")
        with mp.workdps(40):
            log = min(float(mp.log(kept)), 0.0) if kept else -np.inf
            value = max(float(1 - kept), 0.0)
        assert float(bound.value(**values)) == pytest.approx(value, rel=1e-12, abs=1e-14)
        assert float(bound.log_survival(**values)) == pytest.approx(log, rel=1e-12, abs=1e-14)
        others = {key: v for key, v in values.items() if key != "k"}
        for q in (0.0, 1e-6, 0.5, 0.999, 1.0):
            k = float(bound.inverse(q, **others))
            assert float(bound.value(k=k, **others)) >= q - 1e-14
            if k > 0:
                assert float(bound.log_survival(k=k - 1, **others)) > np.log1p(-q) if q < 1 else k


def cubes(rng: np.random.Generator) -> list[np.ndarray]:
    """Probabilities of a one in each coordinate: uniform, biased, nearly certain."""
    return [
        np.full(3, 0.5),
        np.full(10, 0.5),
        rng.uniform(0, 1, 8),
        rng.uniform(0, 0.1, 9),
        np.array([0.5, 1e-3, 0.999, 0.3, 0.3, 0.7]),
    ]


def random_sets(n: int, measure: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Error sets of all sizes: by chance, by a random linear form, by the number of ones."""
    shape = (2,) * n
    bits = np.array(list(itertools.product((0, 1), repeat=n)))
    scores = [rng.uniform(size=2**n), bits @ rng.standard_normal(n), bits.sum(axis=1) + 0.0]
    found = []
    for score, share in itertools.product(scores, (0.01, 0.2, 0.5, 0.9)):
        order = np.argsort(-score)
        mass = np.cumsum(measure.ravel()[order])
        inside = np.zeros(2**n, dtype=bool)
        inside[order[: int(np.searchsorted(mass, share)) + 1]] = True
        found.append(inside.reshape(shape))
    return found


def test_breadth_first_search_finds_the_distances() -> None:
    rng = np.random.default_rng(0)
    points = np.array(list(itertools.product((0, 1), repeat=5)))
    for inside in random_sets(5, np.full((2,) * 5, 1 / 32), rng):
        direct = np.abs(points[:, None] - points[inside.ravel()]).sum(axis=2).min(axis=1)
        np.testing.assert_array_equal(exact_distances(inside).ravel(), direct)
    assert product_measure(np.array([0.2, 0.7])).ravel() == pytest.approx([0.24, 0.56, 0.06, 0.14])


@pytest.mark.parametrize("form", FORMS)
def test_error_sets_of_small_cubes(form: HammingForm) -> None:
    rng = np.random.default_rng(1)
    for shares in cubes(rng):
        n, measure = shares.size, product_measure(shares)
        for inside in random_sets(n, measure, rng):
            mass, distance = min(float(measure[inside].sum()), 1.0), exact_distances(inside)
            for k in range(n + 1):
                within = float(measure[distance <= k].sum())
                assert within >= float(hamming_enlargement(mass, k, n, form)) - 1e-12


def test_classifiers_on_small_cubes() -> None:
    rng = np.random.default_rng(2)
    for shares, classes in itertools.product(cubes(rng), (2, 3, 6)):
        n, measure = shares.size, product_measure(shares)
        bits = np.array(list(itertools.product((0.0, 1.0), repeat=n)))
        by_chance = rng.integers(classes, size=2**n)
        linear = (bits @ rng.standard_normal((n, classes)) + rng.standard_normal(classes)).argmax(1)
        weight = (bits.sum(axis=1) * classes // (n + 1)).astype(int)
        for label in (by_chance, linear, weight):
            labels = label.reshape((2,) * n)
            masses = [float(measure[labels == i].sum()) for i in range(classes)]
            radius = np.full(labels.shape, np.inf)
            for i in np.unique(label):
                if np.any(labels != i):
                    radius[labels == i] = exact_distances(labels != i)[labels == i]
            masses = np.array(masses) / np.sum(masses)
            for k in range(n + 1):
                changed = float(measure[radius <= k].sum())
                assert changed >= float(hamming_change_lower_bound(k, masses, n)) - 1e-12


def test_mcdiarmid_is_never_below_talagrand() -> None:
    k, n = np.arange(0, 500)[:, None, None], np.array([[1], [10], [784], [10**5]])
    mass = np.array([1e-300, 1e-9, 0.01, 0.3, 0.5, 0.9, 1.0])
    better, worse = (hamming_log_survival(mass, k, n, f) for f in FORMS)
    # Both may be right to a few last digits of the larger terms of the exponent.
    finite = np.isfinite(worse)
    assert np.all(better[~finite] == -np.inf)
    assert np.all(better[finite] <= worse[finite] + 1e-12 * (1 + np.abs(worse[finite])))
    # Equal where k + 1 = sqrt(2 n log(1/mass)).
    surprise = 20**2 / (2 * 100)
    tails = [hamming_log_survival(np.exp(-surprise), 19, 100, f) for f in FORMS]
    assert float(tails[0]) == pytest.approx(float(tails[1]), rel=1e-12)
    assert CLAIMS["talagrand1995/product"].stronger == "mcdiarmid1989/product"


def test_merging_classes_and_ends() -> None:
    k, n = np.arange(0, 120, 5), 100
    assert np.all(np.diff(hamming_change_log_survival(k[:20], EQUAL, n)) < 1e-15)
    # Two classes taken for one change their label less often, but may have the better bound.
    merged = hamming_change_lower_bound(k, [0.2, *EQUAL[2:]], n)
    assert np.ptp(np.sign(merged - hamming_change_lower_bound(k, EQUAL, n))) == 2
    assert np.all(hamming_change_lower_bound(k, [1.0, 0.0], n) == 0)
    assert float(hamming_change_count(0.5, [0.0, 1.0], n)) == np.inf
    assert float(hamming_change_lower_bound(n, [0.999, 0.001], n)) == 1
    assert float(hamming_change_count(1.0, EQUAL, n)) == n
    assert float(hamming_change_count(0.0, EQUAL, n)) == 0
    # A tiny class keeps its own mass, to all digits.
    tiny = hamming_change_log_survival(0, [1e-30, 1.0], 3)
    assert float(tiny) == pytest.approx(0.0, abs=1e-15)
    both = hamming_change_log_survival(0, np.full((2, 4), 0.25), np.array([1, 10]))
    assert both.shape == (2,)
    assert least_count(lambda k: -k, np.array(-3.0), 2.0) == np.inf


def test_counted_masses_cover_the_bound() -> None:
    rng, n, masses = np.random.default_rng(5), 60, np.array([0.5, 0.3, 0.15, 0.05])
    facts = {"data_law": "product", "dimension": n}
    known = prediction_change(facts | {"class_masses": masses}, LABEL_CHANGE, 0.1)
    eta, missed = np.linspace(0, 60, 61), 0
    for counts in rng.multinomial(300, masses, size=100):
        counted = prediction_change(facts | {"class_counts": counts}, LABEL_CHANGE, 0.1)
        low, high, true = counted.lower(eta), counted.upper(eta), known.lower(eta)
        assert np.all(low <= high)
        missed += bool(np.any(low > true + 1e-12) or np.any(high < true - 1e-12))
        at = counted.quantile(0.5)
        assert float(counted.upper(np.array(at))) == pytest.approx(0.5, abs=1e-9)
    assert missed <= 25


def test_the_continuous_law_judges_whole_radii_as_they_are() -> None:
    rng, n = np.random.default_rng(6), 100
    bits = rng.uniform(size=(4000, n)) < 0.5
    d = np.maximum(55 - bits.sum(axis=1), 0).astype(np.float64)
    risk = float(stats.binom.sf(54, n, 0.5))
    facts = {"data_law": "product", "dimension": n, "error_mass": risk}
    for claim, form in zip((product, talagrand), FORMS, strict=True):
        law = claim(facts, HAMMING, 0.05)
        for k in range(n):
            step = float(hamming_enlargement(risk, k, n, form))
            ends = np.array([k, k + 0.3, k + 0.999, k + 1])
            assert np.all(law.upper(ends[:3]) <= step + 1e-11)
            assert float(law.upper(ends[3:])[0]) == pytest.approx(step, abs=1e-11)
            assert np.all(np.diff(law.lower(ends)) >= 0)
        for q in (0.2, 0.5, 0.99):
            at = law.quantile(q)
            assert float(law.upper(np.array(at))) == pytest.approx(q, abs=1e-9)
        assert law.quantile(0.0) == 0
        assert judge_law(d, d, law, 0.05, eta_range=(5.0, 20.0)).outcome is Outcome.HOLDS
        assert judge_law(d + 40, d + 40, law, 0.05).outcome is Outcome.VIOLATED
        assert float(law.lower(np.array(1e300))) == pytest.approx(1.0, abs=1e-10)
    # Radii that attain a law exactly, at every whole number, do not violate it.
    step = hamming_enlargement(risk, np.arange(n + 1), n)
    exact = np.repeat(np.arange(n + 1.0), np.diff(np.floor(np.append(0, step) * 10**5)).astype(int))
    law = product(facts, HAMMING, 0.05)
    assert judge_law(exact, exact, law, 0.05).outcome is not Outcome.VIOLATED


@pytest.mark.parametrize(
    ("claim", "changes", "reason"),
    [
        (product, {"data_law": "gaussian"}, "gaussian, not one of independent coordinates"),
        (talagrand, {"data_law": None}, "law of the data is not known"),
        (product, {"dimension": None}, "the dimension is not known"),
        (talagrand, {"error_mass": None}, "not known"),
        (product, {"error_mass": 0.0}, "must be positive"),
        (prediction_change, {"data_law": "uniform-sphere"}, "not one of independent coordinates"),
        (prediction_change, {"class_masses": None}, "law of the predicted classes is not known"),
        (prediction_change, {"dimension": None}, "the dimension is not known"),
    ],
)
def test_hypotheses_that_fail_are_named(
    claim: Any,  # noqa: ANN401
    changes: dict[str, object],
    reason: str,
) -> None:
    known: dict[str, object] = {
        "data_law": "product",
        "dimension": 30,
        "error_mass": 0.1,
        "class_masses": EQUAL,
    }
    claim(known, HAMMING, 0.05)
    facts = {name: v for name, v in (known | changes).items() if v is not None}
    with pytest.raises(OutOfScopeError, match=reason):
        claim(facts, HAMMING, 0.05)


@pytest.mark.parametrize(
    ("k", "masses", "n", "message"),
    [
        (-1, EQUAL, 5, "k must be a whole number"),
        (0.5, EQUAL, 5, "k must be a whole number"),
        (np.nan, EQUAL, 5, "k must be a whole number"),
        (1, EQUAL, 0, "n must be a whole number"),
        (1, EQUAL, 2.5, "n must be a whole number"),
        (1, [0.5, 0.6], 5, "must sum to 1"),
        (1, [1.5, -0.5], 5, r"must lie in \[0, 1\]"),
    ],
)
def test_nonsense_is_refused(k: float, masses: list[float], n: float, message: str) -> None:
    for function in (hamming_change_lower_bound, hamming_change_log_survival):
        with pytest.raises(ValueError, match=message):
            function(k, masses, n)
    with pytest.raises(ValueError, match=r"probability must lie in \[0, 1\]"):
        hamming_change_count(1.1, EQUAL, 5)
