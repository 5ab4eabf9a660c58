"""The two figures of the generators' moduli: numbers against the records they were written from."""

import dataclasses
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from empirics.judge import FACT_SHARE
from empirics.record import Record
from figures import style
from figures.moduli import certified_moduli, largest_rate_seen
from figures.numbers import printed
from figures.plates.image_bound import PROBABILISTIC, bounds_by_modulus, image_bound, lower_quantile
from figures.plates.moduli import moduli
from figures.registry import Drawing, Row
from figures.view import NothingToDraw, View, seen_quantile
from tests.synthetic import PROVENANCE, request
from theory.claims.fawzi2018 import cdf_lower_bound, quantile_upper_bound
from theory.claims.fawzi2018.probabilistic import probabilistic_cdf_lower_bound
from theory.evidence import Radii
from theory.modulus import LipschitzModulus, SampledModulus, modulus_from_dict
from theory.modulus.expansion import ExpansionTable

DISTANCES = (0.01, 0.1, 1.0, 6.0)
RADII = (0.05, 0.1, 0.3, 1.0, 2.0)
PRODUCT, SEMIDEFINITE, SEEN = 8.0, 5.0, 2.0
MASSES = [0.2, 0.3, 0.1, 0.4]
LATENTS, POINTS = 240, 300


def constant(method: str, lower: float | None = None, upper: float | None = None) -> dict[str, Any]:
    return {"method": method, "lower": lower, "upper": upper, "verified": None, "seconds": None}


def modulus_facts(product: float, semidefinite: float | None, seen: float) -> dict[str, Any]:
    constants = [constant("product", upper=product), constant("sampled", lower=seen)]
    constants.append(constant("free pattern", lower=0.99 * product))
    if semidefinite is not None:
        constants.append(constant("semidefinite", upper=semidefinite))
    least = LipschitzModulus(min(product, semidefinite or product))
    slower = tuple(seen * 0.9 * t for t in DISTANCES)
    return {
        "latent_law": "gaussian",
        "constants[l2->l2]": constants,
        "moduli[l2->l2]": [least.to_dict(), SampledModulus(DISTANCES, slower).to_dict()],
    }


def record(measure: str, facts: dict[str, Any], *names: str, **parts: Any) -> Record:  # noqa: ANN401
    return Record(request(measure, *names), facts=facts, provenance=PROVENANCE, **parts)


def table(rng: np.random.Generator, most: float) -> ExpansionTable:
    rates = most * rng.beta(4.0, 2.0, (len(RADII), LATENTS))
    values = np.sort(rates, axis=1) * np.array(RADII)[:, None]
    return ExpansionTable(RADII, tuple(map(tuple, values.tolist())))


def pair_records(generator: str, classifier: str, upper: np.ndarray[Any, Any]) -> list[Record]:
    facts = {"n_classes": len(MASSES), "class_masses": MASSES}
    evidence = {"r_in[l2]": Radii(0.3 * upper, upper)}
    evidence["r_in[l2]"] = Radii(np.where(np.isfinite(upper), 0.3 * upper, 0.0), upper)
    return [
        record("class_masses", facts, generator, classifier),
        record("radii", {"n": upper.size}, generator, classifier, evidence=evidence),
    ]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    rng = np.random.default_rng(5)
    found = [
        record("modulus", modulus_facts(PRODUCT, SEMIDEFINITE, SEEN), "vae"),
        record("expansions", {"expansions[l2->l2]": table(rng, SEMIDEFINITE).to_dict()}, "vae"),
        record("modulus", modulus_facts(0.7, None, 0.7), "affine"),
    ]
    exact = tuple((0.7 * t,) * LATENTS for t in RADII)
    facts = {"expansions[l2->l2]": ExpansionTable(RADII, exact).to_dict()}
    found.append(record("expansions", facts, "affine"))
    for generator in ("vae", "affine"):
        found += pair_records(generator, "weak", rng.exponential(0.05, POINTS))
        found += pair_records(generator, "strong", rng.exponential(0.2, POINTS))
    identity = {"expansions[l2->l2]": ExpansionTable((1.0,), ((1.0,),)).to_dict()}
    found.append(record("modulus", modulus_facts(1.0, None, 1.0), "identity"))
    return [*found, record("expansions", identity, "identity")]


def view_of(records: Iterable[Record]) -> View:
    return View("default", "measured here", list(records), 0.05)


def drawn(plate: Any, records: Iterable[Record]) -> Drawing:  # noqa: ANN401
    """Draw and render, which warns of what does not fit; every number can be printed."""
    with style.applied():
        made: Drawing = plate(view_of(records))
        made.figure.savefig(io.BytesIO(), format="png")
    for value in made.numbers.values():
        assert "nan" not in printed(value)
    return made


@pytest.fixture(scope="module")
def all_rates(records: list[Record]) -> Drawing:
    return drawn(moduli, records)


@pytest.fixture(scope="module")
def all_bounds(records: list[Record]) -> Drawing:
    return drawn(image_bound, records)


def without(records: Iterable[Record], *measures: str) -> list[Record]:
    return [r for r in records if r.request.plugin not in measures]


def rates(rows: Iterable[Row], generator: str, method: str) -> dict[float, float]:
    return {
        float(row["distance"] or 0): float(row["rate"] or 0)
        for row in rows
        if (row["generator"], row["method"]) == (generator, method)
    }


# Expansion rates


def test_rates_are_those_of_the_records(records: list[Record], all_rates: Drawing) -> None:
    made = all_rates
    (stored,) = (
        r.facts["expansions[l2->l2]"]
        for r in records
        if r.request.plugin == "expansions" and r.request.subject["generator"]["label"] == "vae"
    )
    for t, values in zip(stored["radii"], stored["values"], strict=True):
        for key, share in (("q50", 0.5), ("q95", 0.95), ("max", 1.0)):
            expected = made.numbers[f"vae.local_at_{t:g}.{key}"]
            assert rates(made.rows, "vae", f"local_{key}")[t] == expected
            # The least value with so many latents at or below it, by counting.
            reached = [v for v in values if sum(w <= v for w in values) >= share * len(values)]
            assert expected == pytest.approx(min(reached) / t)
    everywhere = sorted({*DISTANCES, *RADII})
    for method, value in (("product", PRODUCT), ("semidefinite", SEMIDEFINITE)):
        assert made.numbers[f"vae.{method}"] == value
        assert rates(made.rows, "vae", method) == dict.fromkeys(everywhere, value)
        assert made.numbers[f"vae.{method}_over_sampled"] == pytest.approx(value / SEEN)
    assert made.numbers["vae.sampled"] == SEEN
    seen = rates(made.rows, "vae", "sampled")
    assert list(seen) == list(DISTANCES)
    assert list(seen.values()) == pytest.approx([0.9 * SEEN] * len(DISTANCES))
    assert made.numbers["vae.product_over_semidefinite"] == PRODUCT / SEMIDEFINITE
    assert made.numbers["vae.latents"] == LATENTS
    local = float(made.numbers["vae.local_at_0.1.q95"] or 0)
    assert made.numbers["vae.local_at_0.1.q95_over_sampled"] == pytest.approx(local / SEEN)


def test_extremes_name_their_generator(all_rates: Drawing) -> None:
    numbers = all_rates.numbers
    assert numbers["all.product_over_sampled_max"] == PRODUCT / SEEN
    assert numbers["all.product_over_sampled_max_of"] == "vae"
    assert numbers["all.product_over_sampled_min_of"] == "affine"
    assert numbers["generators"] == 2


def test_all_rates_of_an_affine_generator_are_equal(all_rates: Drawing) -> None:
    made = all_rates
    found = [float(row["rate"] or 0) for row in made.rows if row["generator"] == "affine"]
    seen = rates(made.rows, "affine", "sampled")
    others = [rate for rate in found if rate not in seen.values()]
    assert others == pytest.approx([0.7] * len(others))
    assert "affine.semidefinite" not in made.numbers
    assert made.numbers["affine.product_over_sampled"] == 1.0
    assert "affine: product 1, local at $t = 0.1$ (95%) 1" in made.caption


def test_a_relaxations_lower_end_is_no_rate_seen() -> None:
    facts = {"constants[l2->l2]": [constant("free pattern", lower=3.0)]}
    assert largest_rate_seen(facts) is None
    facts["constants[l2->l2]"].append(constant("exact", lower=2.0, upper=2.5))
    assert largest_rate_seen(facts) == 2.0


def test_without_constants_the_certified_modulus_is_drawn(records: list[Record]) -> None:
    bare = [
        dataclasses.replace(r, facts={k: v for k, v in r.facts.items() if "constants" not in k})
        for r in records
    ]
    made = moduli(view_of(without(bare, "expansions")))
    assert {row["method"] for row in made.rows} == {"certified", "sampled", "sampled_anywhere"}
    assert made.numbers["vae.certified"] == SEMIDEFINITE
    assert not any("local" in key or "latents" in key for key in made.numbers)
    assert "Shaded" not in made.caption
    only_sampled = {"moduli[l2->l2]": [SampledModulus((1.0,), (2.0,))]}
    assert certified_moduli(only_sampled) == {}


def test_expansions_that_are_not_certified_are_left_out(records: list[Record]) -> None:
    open_ended = ExpansionTable((0.1, 1.0), ((0.1, 0.2, np.inf), (1.0, np.inf, np.inf)))
    facts = {"expansions[l2->l2]": open_ended.to_dict()}
    made = drawn(moduli, [*without(records, "expansions"), record("expansions", facts, "vae")])
    assert rates(made.rows, "vae", "local_q50") == {0.1: pytest.approx(2.0)}
    assert rates(made.rows, "vae", "local_max") == {}
    assert made.numbers["vae.local_at_1.q95"] == np.inf


@pytest.mark.parametrize("count", [1, 4, 7])
def test_any_number_of_generators_fits(count: int) -> None:
    made = drawn(
        moduli,
        [record("modulus", modulus_facts(3.0 * i + 3, 3.0, 2.0), f"g{i}") for i in range(count)],
    )
    shown = [axes for axes in made.figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [f"g{i}" for i in range(count)]
    assert all(len(axes.get_yticks()) >= 2 for axes in shown)


def test_no_generator_is_nothing_to_draw(records: list[Record]) -> None:
    families = [r for r in records if r.request.subject["generator"]["label"] == "identity"]
    for few in ([], families):
        with pytest.raises(NothingToDraw, match="modulus"):
            moduli(view_of(few))


# The bound in image space


def test_bounds_are_the_claims_at_their_modulus(all_bounds: Drawing) -> None:
    numbers = all_bounds.numbers
    for generator, method, value in (
        ("vae", "product", PRODUCT),
        ("vae", "semidefinite", SEMIDEFINITE),
        ("affine", "product", 0.7),
    ):
        exact = float(quantile_upper_bound(0.25, LipschitzModulus(value), MASSES))
        assert numbers[f"{generator}.shown.{method}"] == pytest.approx(exact, rel=1e-9)
    assert numbers["vae.shown.product_over_semidefinite"] == pytest.approx(PRODUCT / SEMIDEFINITE)
    sampled = SampledModulus(DISTANCES, tuple(0.9 * SEEN * t for t in DISTANCES))
    exact = float(quantile_upper_bound(0.25, sampled, MASSES))
    assert numbers["vae.shown.sampled"] == pytest.approx(exact, rel=1e-9)
    assert "affine.shown.semidefinite" not in numbers
    ratio = numbers["affine.shown.product"] / numbers["affine.shown.measured"]  # type: ignore[operator]
    assert numbers["affine.shown.product_over_measured"] == ratio


def test_the_probabilistic_bound_is_the_claims_lower_end(
    records: list[Record], all_bounds: Drawing
) -> None:
    view = view_of(records)
    pair = next(p for p in view.pairs if (p.generator, p.classifier) == ("vae", "strong"))
    bound = bounds_by_modulus(view, pair)["probabilistic"]
    expansions = ExpansionTable.from_dict(pair.facts["expansions[l2->l2]"])
    # Half of the claim's level goes to the class masses, half of the rest to upper limits.
    alpha = view.level * FACT_SHARE / 4
    jumps = expansions.knots()
    between = (jumps[:-1] + jumps[1:]) / 2
    direct = probabilistic_cdf_lower_bound(between, expansions, MASSES, alpha)
    np.testing.assert_allclose(bound.lower(between), np.maximum.accumulate(direct), atol=1e-9)
    quantile = lower_quantile(bound, 0.25)
    at = np.array([quantile * (1 - 1e-6), quantile * (1 + 1e-6)])
    below, above = probabilistic_cdf_lower_bound(at, expansions, MASSES, alpha)
    assert below < 0.25 <= above
    assert all_bounds.numbers["vae.strong.probabilistic"] == quantile


def test_curves_are_lower_bounds_and_in_order(all_bounds: Drawing) -> None:
    rows = [row for row in all_bounds.rows if row["generator"] == "vae"]
    column = {
        key: np.array([row[key] for row in rows], dtype=float) for key in rows[0] if "_" in key
    }
    eta = np.array([row["eta"] for row in rows], dtype=float)
    product, semidefinite = column["bound_product"], column["bound_semidefinite"]
    exact = cdf_lower_bound(eta, LipschitzModulus(PRODUCT), MASSES)
    np.testing.assert_allclose(product, exact, atol=1e-9)
    assert np.all(product <= semidefinite)
    assert np.all(semidefinite <= column["bound_sampled"])
    assert np.all(column["band_below"] <= column["law_of_upper_ends"])
    for curve in column.values():
        assert np.all(np.diff(curve) >= 0)


def test_the_most_robust_classifier_is_shown(records: list[Record], all_bounds: Drawing) -> None:
    made = all_bounds
    assert {row["classifier"] for row in made.rows} == {"strong"}
    for pair in view_of(records).pairs:
        expected = np.sort(pair.radii("r_in[l2]").upper)[int(np.ceil(0.25 * POINTS)) - 1]
        assert made.numbers[f"{pair.generator}.{pair.classifier}.measured"] == expected
        assert seen_quantile(pair.radii("r_in[l2]")) == expected
    assert made.numbers["vae.classifier"] == "strong"
    assert made.numbers["vae.shown.measured"] == made.numbers["vae.strong.measured"]


def test_counted_masses_enter_at_their_worst(records: list[Record], all_bounds: Drawing) -> None:
    counts = {"n_classes": len(MASSES), "class_counts": [200, 300, 100, 400]}
    counted = [
        dataclasses.replace(r, facts=counts) if r.request.plugin == "class_masses" else r
        for r in records
    ]
    known, estimated = all_bounds.numbers, image_bound(view_of(counted)).numbers
    for method in ("product", "semidefinite", "sampled"):
        key = f"vae.shown.{method}"
        assert float(estimated[key] or 0) > 1.01 * float(known[key] or 0)


def test_without_expansions_no_probabilistic_bound(records: list[Record]) -> None:
    made = image_bound(view_of(without(records, "expansions")))
    assert not any("probabilistic" in key for key in (*made.numbers, *made.rows[0]))
    assert "Local:" not in made.caption
    assert view_of(records).bound(PROBABILISTIC, view_of(records).pairs[0], "r_in[l2]") is not None


def test_radii_that_no_attack_found_have_no_ratio(records: list[Record]) -> None:
    none = np.full(POINTS, np.inf)
    hopeless = [
        *(r for r in records if r.request.plugin in ("modulus", "expansions")),
        *pair_records("vae", "strong", none),
    ]
    made = drawn(image_bound, hopeless)
    assert made.numbers["vae.shown.measured"] == np.inf
    assert not any(key.endswith("_over_measured") for key in made.numbers)
    assert float(made.numbers["vae.shown.product"] or 0) > 0


def test_nothing_to_draw_says_what_is_missing(records: list[Record]) -> None:
    with pytest.raises(NothingToDraw, match="radii"):
        image_bound(view_of(without(records, "radii")))
    for measure in ("class_masses", "modulus"):
        with pytest.raises(NothingToDraw, match="bound"):
            image_bound(view_of(without(records, measure, "expansions")))


def test_facts_hold_modulus_objects(records: list[Record]) -> None:
    stored = records[0].facts["moduli[l2->l2]"]
    facts = {"moduli[l2->l2]": [modulus_from_dict(item) for item in stored]}
    assert certified_moduli(facts) == {"certified": LipschitzModulus(SEMIDEFINITE)}
