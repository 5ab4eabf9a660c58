"""Figures and the table drawn from the theory alone: what they show against other formulas."""

import csv
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.lines import Line2D
from scipy import integrate, special, stats

from figures import style
from figures.draw import draw
from figures.plates.claims import compared, improvement
from figures.plates.scaling import CITED
from figures.registry import FIGURES, Drawing, Row, Table
from figures.save import _markdown
from figures.wording import symbol
from tests.synthetic import synthetic_records, write_run
from theory.claim import CLAIMS, Relation, Status
from theory.gaussian import argmax_family_cdf

NAMES = ("forms", "scaling", "transfer", "spaces")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def drawings() -> dict[str, Drawing]:
    with style.applied():
        return {name: FIGURES[name].draw() for name in NAMES}


@pytest.fixture(scope="module")
def table() -> Table:
    made: Table = FIGURES["claims"].draw()
    return made


def points(lines: Iterable[Line2D]) -> set[tuple[float, float]]:
    """Return every point of the curves and markers of a figure; lines across the axes are none."""
    found: set[tuple[float, float]] = set()
    for line in lines:
        x, y = (np.asarray(data, dtype=np.float64) for data in line.get_data())
        if tuple(x) == (0.0, 1.0):
            continue
        found |= {(float(a), float(b)) for a, b in zip(x, y, strict=True) if np.isfinite(b)}
    return found


def select(drawing: Drawing, **given: Any) -> list[Row]:  # noqa: ANN401
    return [row for row in drawing.rows if all(row.get(k) == v for k, v in given.items())]


def curve(rows: list[Row], x: str, y: str) -> tuple[Any, Any]:
    """Return the columns x and y of the rows that have both."""
    pairs = [(row[x], row[y]) for row in rows if row.get(y) is not None]
    return tuple(np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))


COORDINATES: dict[str, Callable[[Row], list[tuple[Any, Any]]]] = {
    "forms": lambda row: [
        (row["eta"], y) for name, y in row.items() if name not in ("classes", "panel", "eta")
    ],
    "scaling": lambda row: [
        (row["dimension"] if row["panel"] == "dimension" else row["classes"], row["value"])
    ],
    "transfer": lambda row: [(row["disagreement"], row["value"])],
    "spaces": lambda row: [(row["x"], row["value"])],
}


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_what_is_plotted(drawings: dict[str, Drawing], name: str) -> None:
    drawing = drawings[name]
    plotted = points(line for axes in drawing.figure.axes for line in axes.get_lines())
    if name == "transfer":
        # The limit of the argument is a reference, as lines across the axes are.
        plotted -= {(d, 1 - d) for d in np.linspace(0, 0.5, 201).tolist()}
    assert plotted == {point for row in drawing.rows for point in COORDINATES[name](row)}


def test_forms_by_other_formulas(drawings: dict[str, Drawing]) -> None:
    for k in (2, 5, 10, 100):
        rows = select(drawings["forms"], classes=k, panel="law")
        offset = stats.norm.isf(1 / k)
        t, sharp = curve(rows, "eta", "equal_sharp")
        np.testing.assert_allclose(sharp, 1 - k * stats.norm.sf(offset + t), atol=1e-14)
        _, balanced = curve(rows, "eta", "balanced_sharp")
        np.testing.assert_allclose(balanced, 1 - 2 * stats.norm.sf(t), atol=1e-14)
        at, printed = curve(rows, "eta", "balanced_printed")
        np.testing.assert_allclose(printed, 1 - np.sqrt(np.pi / 2) * np.exp(-(at**2) / 2))
        assert at[0] == pytest.approx(np.sqrt(np.log(np.pi / 2)), abs=0.013)
        _, exact = curve(rows, "eta", "exact")
        for i in (20, 60, 150):
            lost = integrate.quad(
                lambda x, s, n: stats.norm.pdf(x) * stats.norm.cdf(x - s * np.sqrt(2)) ** (n - 1),
                -10,
                12,
                args=(t[i], k),
                epsabs=1e-13,
            )[0]
            assert exact[i] == pytest.approx(1 - k * lost, abs=1e-10)
        assert (exact >= sharp - 1e-14).all()
        assert (sharp >= balanced - 1e-14).all()
        if k == 2:
            np.testing.assert_allclose(exact, sharp, rtol=1e-12, atol=1e-300)
        else:
            at, printed = curve(rows, "eta", "equal_printed")
            alpha = np.sqrt(np.log(k**2 / (4 * np.pi * np.log(k))))
            formula = 1 - np.sqrt(np.pi / 2) * np.exp(-(at**2) / 2 - at * alpha)
            np.testing.assert_allclose(printed, formula, atol=1e-14)
            assert (printed < 1 - k * stats.norm.sf(offset + at)).all()
    assert select(drawings["forms"], classes=2)[0].keys() & {"equal_printed"} == set()


def test_tails_of_the_forms(drawings: dict[str, Drawing]) -> None:
    numbers = drawings["forms"].numbers
    for k in (2, 5, 10, 100):
        rows = select(drawings["forms"], classes=k, panel="survival")
        t, exact = curve(rows, "eta", "exact")
        _, sharp = curve(rows, "eta", "equal_sharp")
        assert (np.diff(exact) < 0).all()
        assert (exact <= sharp * (1 + 1e-12)).all()
        assert sharp[-1] == pytest.approx(k * stats.norm.sf(stats.norm.isf(1 / k) + t[-1]))
        bound = stats.norm.isf(1e-12 / k) - stats.norm.isf(1 / k)
        assert numbers[f"{k}.tail_bound"] == pytest.approx(bound, abs=1e-4)
        assert float(numbers[f"{k}.tail_exact"] or 0) <= bound + 1e-4


def test_scaling_by_other_formulas(drawings: dict[str, Drawing]) -> None:
    drawing = drawings["scaling"]
    for k in (2, 10, 100):
        rows = select(drawing, panel="dimension", series="bound", classes=k)
        d, bound = curve(rows, "dimension", "value")
        # At d = 1e5 differences of log-gammas have lost some digits.
        norm = np.sqrt(2) * np.exp(special.gammaln((d + 1) / 2) - special.gammaln(d / 2))
        quantile = stats.norm.isf(0.75 / k) - stats.norm.isf(1 / k)
        np.testing.assert_allclose(bound, quantile / norm, rtol=1e-9)
        assert bound[-1] / bound[0] == pytest.approx(np.sqrt(d[0] / d[-1]), rel=0.03)
        exact = curve(
            select(drawing, panel="dimension", series="exact", classes=k), "dimension", "value"
        )
        assert exact[0].min() == max(k, 10)
        np.testing.assert_allclose(argmax_family_cdf(exact[1][0] * norm[d == exact[0][0]], k), 0.25)
    k, quotient = curve(select(drawing, panel="quotient", series="bound"), "classes", "value")
    assert quotient[0] == pytest.approx(1, abs=1e-12)
    assert (np.diff(quotient) > 0).all()
    assert quotient[-1] < np.sqrt(2)
    k, exact_here = curve(select(drawing, panel="classes", series="exact"), "classes", "value")
    assert k.max() == 100
    assert (np.diff(exact_here) < 0).all()


def test_the_cited_value_is_the_one_in_the_table(drawings: dict[str, Drawing]) -> None:
    golden = tomllib.loads((ROOT / "tests" / "golden" / "fawzi2018.toml").read_text())
    cited = golden["table"][0]["latent"]["bound"]
    assert CITED["printed"] == cited["printed"]
    assert CITED["classes"] == golden["setting"]["classes"]
    assert CITED["dimension"] == golden["setting"]["latent_dimension"]
    numbers = drawings["scaling"].numbers
    assert numbers["bound"] == pytest.approx(float(cited["printed"]), abs=cited["tolerance"])
    assert numbers["printed"] != pytest.approx(float(cited["printed"]), abs=cited["tolerance"])


def test_transfer_by_other_formulas(drawings: dict[str, Drawing]) -> None:
    drawing = drawings["transfer"]
    for t in (1, 2, 3):
        rows = select(drawing, eta=t, form="printed", classifiers=2)
        d, printed = curve(rows, "disagreement", "value")
        formula = 1 - np.sqrt(np.pi / 2) * np.exp(-(t**2) / 2) - 2 * d
        np.testing.assert_allclose(printed, formula, atol=1e-14)
        assert d.max() <= 0.4 + 1e-12
        curves = {}
        for n in (2, 3, 5):
            rows = select(drawing, eta=t, form="sharp", classifiers=n)
            d, sharp = curve(rows, "disagreement", "value")
            curves[n] = sharp
            # Here every union stays below 1: n - 1 classes have the whole disagreement more.
            kept = (n - 1) * stats.norm.sf(stats.norm.isf(0.1 + d) + t)
            kept += (11 - n) * stats.norm.sf(stats.norm.isf(0.1) + t)
            np.testing.assert_allclose(sharp, 1 - d - kept, atol=1e-13)
            assert (np.diff(sharp) < 0).all()
            assert (sharp <= 1 - d).all()
        assert (curves[2][: printed.size] > printed).all()
        for fewer, more in ((2, 3), (3, 5)):
            size = curves[more].size
            assert (curves[fewer][:size] >= curves[more] - 1e-14).all()


def test_spaces_by_other_formulas(drawings: dict[str, Drawing]) -> None:
    n = 784

    def series(panel: str, name: str) -> tuple[Any, Any]:
        return curve(select(drawings["spaces"], panel=panel, series=name), "x", "value")

    e, exact = series("sphere", "exact")
    cap = 0.5 * special.betainc((n - 1) / 2, 0.5, np.cos(e) ** 2)
    np.testing.assert_allclose(exact, cap, rtol=1e-9)
    for name, constant in (("sharp", 0.5), ("printed", np.sqrt(np.pi / 8))):
        e, bound = series("sphere", name)
        np.testing.assert_allclose(bound, constant * np.exp(-(n - 1) * e**2 / 2))
        assert (exact <= bound * (1 + 1e-12)).all()
    e, sharp = series("cube", "sharp")
    np.testing.assert_allclose(sharp, stats.norm.sf(np.sqrt(2 * np.pi) * e))
    e, printed = series("cube", "printed")
    np.testing.assert_allclose(printed, np.exp(-np.pi * e**2) / (2 * np.pi * e), rtol=1e-9)
    k, printed = series("hamming", "printed")
    np.testing.assert_allclose(printed, 2 * np.exp(-(k**2) / n))
    k, talagrand = series("hamming", "talagrand")
    np.testing.assert_allclose(talagrand, np.minimum(2 * np.exp(-((k + 1) ** 2) / n), 0.5))
    k, sharp = series("hamming", "sharp")
    excess = np.maximum(k + 1 - np.sqrt(n * np.log(2) / 2), 0)
    np.testing.assert_allclose(sharp, np.minimum(np.exp(-2 * excess**2 / n), 0.5))
    k, majority = series("hamming", "exact")
    np.testing.assert_allclose(majority, stats.binom.sf(n // 2 + k, n, 0.5))
    assert (majority <= sharp).all()
    assert (sharp <= talagrand * (1 + 1e-12)).all()


def test_mean_distance_on_the_sphere(drawings: dict[str, Drawing]) -> None:
    n, numbers = 500, drawings["spaces"].numbers
    # The cap of measure 0.01 is within this angle of its pole.
    start = np.arcsin(np.sqrt(special.betaincinv((n - 1) / 2, 0.5, 0.02)))
    whole = special.beta((n - 1) / 2, 0.5)
    reach = np.linspace(start, np.pi, 400_001)
    density = np.sin(reach) ** (n - 2) / whole
    mean = np.trapezoid((reach - start) * density, reach)
    chord = np.trapezoid(2 * np.sin((reach - start) / 2) * density, reach)
    rate = stats.norm.isf(0.01) / np.sqrt(n)
    assert numbers["mean.printed"] == pytest.approx(rate)
    assert numbers["mean.geodesic"] == pytest.approx(mean, rel=1e-6)
    assert numbers["mean.chord"] == pytest.approx(chord, rel=1e-6)
    assert numbers["mean.geodesic_missing_percent"] == pytest.approx(
        100 * (1 - rate / mean), rel=1e-3
    )
    rows = select(drawings["spaces"], panel="quotient", series="geodesic")
    risk, quotient = curve(rows, "x", "value")
    assert (np.diff(quotient) < 0).all()
    above = risk[quotient > 1].max()
    assert above <= float(numbers["mean.geodesic_crosses_at"] or 0) <= above * 1.1


@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_captions_are_finite(drawings: dict[str, Drawing], name: str) -> None:
    drawing = drawings[name]
    assert all(np.isfinite(float(value or 0)) for value in drawing.numbers.values())
    assert "nan" not in drawing.caption
    assert drawing.caption.count("$") % 2 == 0


# The table of claims


def test_every_claim_is_a_line_and_says_something(table: Table) -> None:
    assert [row["claim"] for row in table.rows] == list(CLAIMS)
    assert sum(len(section.body) for section in table.sections) == len(CLAIMS)
    assert table.numbers["count"] == len(CLAIMS)
    assert sum(int(table.numbers[str(status)] or 0) for status in Status) == len(CLAIMS)
    for section in table.sections:
        for cells in section.body:
            assert len(cells) == len(section.columns)
            assert all(cells)
    text = _markdown(table)
    assert not set("\\$") & set(text.replace("\\|", ""))
    for name in CLAIMS:
        assert f"| {name} |" in text


def test_sharper_forms_say_more(table: Table) -> None:
    gained = 0
    for row in table.rows:
        claim, found = CLAIMS[str(row["claim"])], compared(CLAIMS[str(row["claim"])])
        assert (row.get("value"), row.get("stronger_value")) == (found or (None, None))
        words = improvement(claim)
        assert (words == "--") is (not claim.stronger and claim.status is not Status.REFUTED)
        assert words.startswith("false") is (claim.status is Status.REFUTED)
        if found is None or claim.status is not Status.PROVED:
            continue
        gained += 1
        sign = 1 if claim.relation is Relation.AT_LEAST else -1
        assert sign * (found[1] - found[0]) > 0, claim.id
        assert r"\to" in words
    assert table.numbers["sharpened"] == gained > 10


def test_a_comparison_shows_digits_that_differ() -> None:
    assert improvement(CLAIMS["fawzi2018/thm1-equiprobable"]).startswith(r"$0.750 \to 0.887$")
    assert improvement(CLAIMS["gilmer2018/thm"]).endswith(r"$0.1040 \to 0.1043$")
    assert r"$1 - 5.7 \times 10^{-4} \to" in improvement(CLAIMS["shafahi2019/hamming"])


def test_sources_can_be_cited() -> None:
    known = set(re.findall(r"@\w+\{(\w+),", (ROOT / "paper" / "refs.bib").read_text()))
    assert {claim.ref.key for claim in CLAIMS.values()} <= known


def test_every_quantity_has_a_symbol() -> None:
    quantities = {str(quantity) for claim in CLAIMS.values() for quantity in claim.quantities}
    shown = {quantity: symbol(quantity) for quantity in quantities}
    assert not [quantity for quantity, text in shown.items() if text.startswith(r"\mathrm")]
    euclidean = [text for quantity, text in shown.items() if quantity.endswith(("[l2]", "l2]"))]
    assert len(set(euclidean)) == len(euclidean)
    assert symbol("error_distance[linf]") != symbol("error_distance[l1]")


def test_computer_algebra_is_imported_only_to_draw_the_table() -> None:
    code = (
        "import sys; from figures.registry import FIGURES; from theory.claim import CLAIMS;"
        " assert len(FIGURES) and len(CLAIMS) and 'sympy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# Drawn from no records


def test_no_record_changes_what_is_drawn_from_the_theory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(synthetic_records(), tmp_path)
    draw("default", tmp_path, "transfer")
    folder = tmp_path / "figures"
    about = json.loads((folder / "transfer.json").read_text())
    assert (about["records"], about["source"]) == ([], "theory")
    with (folder / "transfer.csv").open(newline="") as file:
        values = [float(row["value"]) for row in csv.DictReader(file)]
    assert values == [row["value"] for row in FIGURES["transfer"].draw().rows]
    capsys.readouterr()
    write_run(synthetic_records(seed=1, families=False), tmp_path)
    draw("default", tmp_path, "transfer", alpha=0.01)
    assert capsys.readouterr().err == ""
    assert FIGURES["transfer"].uses("radii") is False
    assert FIGURES["run"].uses("radii") is True
