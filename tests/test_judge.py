"""Claims meet records: pairs of a table, formulas that fail, what verdicts say and print."""

import html
import json
import re
from typing import Any

import numpy as np
import pytest

from empirics.judge import Verdicts, judge_records, theorem_violated, verdicts_json
from empirics.record import Record
from empirics.store import read_frozen
from tests.planted import HALF_SPACE, LATENT, half_space_law, half_space_radii, plant, record
from theory.claim import (
    CLAIMS,
    Claim,
    Facts,
    Kind,
    LawBound,
    Quantity,
    Ref,
    Relation,
    Status,
)
from theory.command import main
from theory.comparison import only_difference
from theory.errors import InputError
from theory.evidence import Interval, Radii
from theory.proof import statement
from theory.statistics import quantile_interval
from theory.wording import plain_text

AT_MOST, AT_LEAST = Relation.AT_MOST, Relation.AT_LEAST
DIMENSION = "generator.settings.latent_dimension"


@pytest.fixture(autouse=True)
def _shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test plants is gone after it."""
    assert len(CLAIMS)
    monkeypatch.setattr(CLAIMS, "_items", dict(CLAIMS._items))


def smaller_dimension(first: Facts, second: Facts, quantity: Quantity) -> None:
    """A generator of fewer latents is nearer to its boundary."""
    one, two = only_difference(first, second, DIMENSION)
    if one >= two:
        raise AssertionError("formulas of conjectures may raise anything")


def generator(dimension: int, name: str = "vae") -> dict[str, Any]:
    label = f"{name}-{dimension}"
    return {"name": name, "label": label, "settings": {"latent_dimension": dimension}}


def table(**changes: Any) -> list[Record]:  # noqa: ANN401
    """Radii twice, three times, ... as long in 2, 3, ... dimensions, for two kinds of generator."""
    return [
        record(
            {"r_in[l2]": half_space_radii(300, 10 * d + len(name), float(d) ** 2)},
            {"expected_image_norm": 5.0},
            **({"generator": generator(d, name), "classifier": "mlp"} | changes),
        )
        for name in ("vae", "gan")
        for d in (2, 3, 5)
    ]


def test_pairs_are_those_that_the_claim_speaks_of() -> None:
    claim = plant(Kind.COMPARISON, AT_MOST, smaller_dimension, "r_in[l2]")
    verdicts = judge_records(table(), 0.05, claim.id)
    assert [v.subject for v in verdicts] == [
        *(
            f"{k}-{a} · mlp vs {k}-{b} · mlp"
            for k in ("vae", "gan")
            for a, b in ((2, 3), (2, 5), (3, 5))
        ),
        "all 6 pairs",
    ]
    *pairs, together = verdicts
    assert {v.outcome for v in pairs} == {"HOLDS"}
    assert all((v.n, v.alpha, len(v.records)) == (300, 0.05, 2) for v in pairs)
    assert {v.status for v in verdicts} == {"conjectured"}
    # Holm: six at a sixth of the level, those that are left at more.
    assert pairs[0].alpha_spent == pytest.approx(0.05 / 6)
    # All pairs of one kind share subjects: two independent ones can decide nothing.
    assert together.outcome == "UNDECIDED"
    assert "over 2 groups of 6 pairs that share a subject" in together.reason
    assert together.to_decide.startswith("at least 5 pairs that share no subject")
    assert (together.n, len(together.records), together.alpha_spent) == (6, 6, 0.05)
    backwards = plant(Kind.COMPARISON, AT_LEAST, smaller_dimension, "r_in[l2]")
    found = judge_records(table(), 0.05, backwards.id)
    assert {v.outcome for v in found[:-1]} == {"VIOLATED"}
    assert not theorem_violated(found)


def test_limits_of_a_pair_are_those_of_its_level() -> None:
    claim = plant(Kind.COMPARISON, AT_MOST, smaller_dimension, "r_in[l2]", statistic="median")
    pair = [each for each in table() if each.request.subject["generator"]["name"] == "vae"][:2]
    (verdict,) = judge_records(pair, 0.05, claim.id)
    j, k = quantile_interval(300, 0.5, 0.05)
    one, two = (np.sort(each.evidence["r_in[l2]"].upper) for each in pair)  # type: ignore[union-attr]
    assert verdict.slack == pytest.approx(two[j - 1] - one[k - 1])
    assert "(limits on the median)" in verdict.reason


def test_independent_pairs_decide_together() -> None:
    claim = plant(Kind.COMPARISON, AT_MOST, smaller_dimension, "r_in[l2]", statistic="median")
    rows = [
        record(
            {"r_in[l2]": half_space_radii(40, d + 10 * k, float(d))},
            generator=generator(d, f"kind{k}"),
        )
        for k in range(7)
        for d in (2, 3)
    ]
    *pairs, together = judge_records(rows, 0.05, claim.id)
    assert {v.outcome for v in pairs} == {"UNDECIDED"}
    assert all(
        "points of each would" in v.to_decide or "would refute" in v.to_decide for v in pairs
    )
    assert together.subject == "all 7 pairs"
    assert together.outcome == "HOLDS"


def test_only_equal_measurements_are_compared() -> None:
    claim = plant(Kind.COMPARISON, AT_MOST, smaller_dimension, "r_in[l2]")
    two, three = table()[:2]
    other = record(three.evidence, three.facts, n=9, **three.request.subject)
    assert len(judge_records([two, three], 0.05, claim.id)) == 1
    assert judge_records([two, other], 0.05, claim.id) == []
    assert judge_records([two], 0.05, claim.id) == []


def test_a_table_without_pairs_says_why() -> None:
    claim = plant(Kind.COMPARISON, AT_MOST, smaller_dimension, "r_in[l2]")
    rows = [each for each in table() if each.request.subject["generator"]["label"][-1] == "2"]
    (verdict,) = judge_records(rows, 0.05, claim.id)
    assert (verdict.outcome, verdict.n) == ("OUT OF SCOPE", 0)
    assert verdict.reason == (
        "no two of 2 subjects are a pair that it speaks of: the two differ in generator.name, and"
        f" not in {DIMENSION} alone"
    )
    assert verdict.to_decide


def test_means_are_compared_up_to_the_norm_of_what_is_moved() -> None:
    claim = plant(Kind.COMPARISON, AT_MOST, smaller_dimension, "found_r_in[l2]", statistic="mean")
    rows = table()[:2]
    (verdict,) = judge_records(rows, 0.05, claim.id)
    seen = [np.minimum(each.evidence["r_in[l2]"].upper, 5.0).mean() for each in rows]  # type: ignore[union-attr]
    ends = [float(x) for x in re.findall(r"[\d.]+(?=[,\]])", verdict.reason)]
    assert "(limits on the mean)" in verdict.reason
    assert ends[0] < seen[0] < ends[1]
    assert ends[2] < seen[1] < ends[3]
    unknown = [Record(each.request, each.evidence) for each in rows]
    (verdict,) = judge_records(unknown, 0.05, claim.id)
    assert "mean norm of images, at which radii are capped, is not known" in verdict.reason
    assert "measurement that states" in verdict.to_decide


@pytest.mark.parametrize("n", [99, 100])
def test_what_a_search_found_is_compared_from_a_hundred_points_on(n: int) -> None:
    claim = plant(Kind.COMPARISON, AT_MOST, smaller_dimension, "found_r_in[l2]")
    rows = []
    for d in (2, 3):
        found = half_space_radii(n, d, float(d) ** 3).upper
        rows.append(record({"r_in[l2]": Radii(0 * found, found)}, generator=generator(d)))
    verdicts = judge_records(rows, 0.05, claim.id)
    assert [v.outcome for v in verdicts] == (["HOLDS"] if n >= 100 else [])
    # Of the radius itself nothing is known.
    radius = plant(Kind.COMPARISON, AT_MOST, smaller_dimension, "r_in[l2]")
    assert [v.outcome for v in judge_records(rows, 0.05, radius.id)] == ["UNDECIDED"]


def test_intervals_of_a_pair_are_compared_exactly() -> None:
    claim = plant(Kind.COMPARISON, AT_MOST, smaller_dimension, "size")
    rows = [
        record({"size": Interval(d, d + 0.5)}, effort="quick", generator=generator(d))
        for d in (2, 3)
    ]
    (verdict,) = judge_records(rows, 0.05, claim.id)
    assert (verdict.outcome, verdict.alpha, verdict.alpha_spent) == ("HOLDS", None, None)
    assert (verdict.n, verdict.effort, verdict.tolerance) == (None, "quick", 0.0)


def failing(error: Exception) -> Any:  # noqa: ANN401
    def formula(*arguments: object) -> None:
        """It fails."""
        raise error

    return formula


def nan(*arguments: object) -> float:
    """It is no number."""
    return float("nan")


def nan_law(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """It is no law."""
    return LawBound(lambda eta: eta * np.nan, lambda eta: eta * np.nan, lambda q: np.nan)


EVIDENCE = {"size": Interval(1.0, 2.0), LATENT: half_space_radii(200, 0)}


@pytest.mark.parametrize(
    ("kind", "relation", "evaluate", "words"),
    [
        (Kind.SCALAR, AT_MOST, failing(ZeroDivisionError("x / 0")), "ZeroDivisionError: x / 0"),
        (Kind.SCALAR, AT_MOST, failing(KeyError("k")), "raised KeyError: 'k'"),
        (Kind.SCALAR, AT_MOST, nan, "got nan"),
        (Kind.COMBINATORIAL, AT_MOST, nan, "got nan"),
        (Kind.MEAN, AT_MOST, failing(RuntimeError("")), "raised RuntimeError$"),
        (Kind.LAW, AT_LEAST, failing(RuntimeError("r")), "RuntimeError: r"),
        (Kind.LAW, AT_LEAST, nan_law, "raised ValueError: "),
    ],
)
def test_a_formula_that_fails_speaks_of_nothing(
    kind: Kind,
    relation: Relation,
    evaluate: Any,  # noqa: ANN401
    words: str,
) -> None:
    quantity = LATENT if kind in (Kind.LAW, Kind.MEAN) else "size"
    claim = plant(kind, relation, evaluate, quantity)
    verdicts = judge_records([record(EVIDENCE, HALF_SPACE)], 0.05, claim.id)
    assert [v.outcome for v in verdicts] == ["OUT OF SCOPE"]
    assert re.search(words, verdicts[0].reason)
    assert verdicts[0].to_decide
    assert (verdicts[0].slack, verdicts[0].tolerance) == (None, None)
    # In a theorem it is an error of the proof, and is not hushed up.
    proved = plant(kind, relation, evaluate, quantity, Status.PROVED)
    with pytest.raises((ArithmeticError, LookupError, RuntimeError, ValueError)) as seen:
        judge_records([record(EVIDENCE, HALF_SPACE)], 0.05, proved.id)
    assert type(seen.value).__name__ in verdicts[0].reason


def test_conjectures_do_not_share_their_level() -> None:
    first = plant(Kind.LAW, AT_LEAST, half_space_law(2.0), LATENT)
    alone = judge_records([record(EVIDENCE, HALF_SPACE)], 0.05, first.id)
    plant(Kind.LAW, AT_LEAST, half_space_law(1.0), LATENT)
    plant(Kind.LAW, AT_LEAST, half_space_law(1.0), LATENT)
    together = judge_records([record(EVIDENCE, HALF_SPACE)], 0.05, "planted/*")
    assert [v for v in together if v.claim == first.id] == alone
    assert {v.alpha_spent for v in together} == {0.05}
    # Theorems do: one of them violated is an alarm.
    proved = [plant(Kind.LAW, AT_LEAST, half_space_law(), LATENT, Status.PROVED) for _ in range(4)]
    seen = judge_records([record(EVIDENCE, HALF_SPACE)], 0.05, "planted/*")
    assert {v.alpha_spent for v in seen if v.claim in {p.id for p in proved}} == {0.05 / 4}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"statistic": "quartil"}, "unknown statistic 'quartil': did you mean 'quartile'"),
        ({"kind": Kind.LAW, "relation": AT_MOST}, "a law claim says >="),
        ({"kind": Kind.MEAN, "relation": AT_LEAST}, "a mean claim says <="),
        ({"kind": Kind.POINTWISE, "relation": AT_LEAST}, "a pointwise claim says <="),
    ],
)
def test_claims_that_would_be_judged_wrongly_are_none(fields: Any, words: str) -> None:  # noqa: ANN401
    known = {"kind": Kind.COMPARISON, "relation": AT_MOST} | fields
    rest = {"quantities": (), "ref": Ref("k", "s", "l"), "setting": "", "hypotheses": ()}
    with pytest.raises(InputError, match=words):
        Claim("planted/none", status=Status.CONJECTURED, evaluate=nan, **known, **rest)


@pytest.mark.parametrize("kind", [Kind.COMPARISON, Kind.COMBINATORIAL])
def test_claims_of_each_kind_are_listed_and_stated(
    kind: Kind, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = plant(kind, AT_MOST, smaller_dimension, "r_in[l2]")
    said = plain_text(statement(claim))
    assert said == "For x. A generator of fewer latents is nearer to its boundary."
    assert main(["list", claim.id]) == 0
    assert "A generator of fewer latents" in capsys.readouterr().out
    assert main(["prove", claim.id]) == 0
    assert "no proof is registered" in capsys.readouterr().out
    assert main(["bound", claim.id]) == 2
    assert "is no formula" in capsys.readouterr().err


@pytest.fixture(scope="module")
def frozen() -> Verdicts:
    records = [*(read_frozen("lipschitz") or []), *(read_frozen("depth") or [])]
    return judge_records(records, 0.05)


def test_a_verdict_says_what_it_rests_on_and_what_would_decide_it(frozen: Verdicts) -> None:
    assert len(frozen) > 100
    for verdict in frozen:
        undecided = verdict.outcome in ("UNDECIDED", "OUT OF SCOPE")
        assert bool(verdict.to_decide) is undecided, verdict
        assert "\n" not in verdict.to_decide
        assert (verdict.tolerance is None) is (verdict.outcome == "OUT OF SCOPE")
    efforts = {v.effort for v in frozen}
    assert efforts >= {"", "0"}
    read = json.loads(verdicts_json(frozen))
    assert read == [json.loads(json.dumps(v.to_dict())) for v in frozen]
    assert {"tolerance", "alpha_spent", "effort", "to_decide"} <= set(read[0])


def test_verdicts_are_a_sequence_that_prints(frozen: Verdicts) -> None:
    assert list(frozen) == frozen
    assert frozen[:2] == [frozen[0], frozen[1]]
    assert isinstance(frozen[:2], Verdicts)
    assert frozen != frozen[1:]
    assert hash(frozen[:1]) == hash((frozen[0],))
    lines = str(frozen).splitlines()
    assert len(lines) == len(frozen) + 1
    assert re.match(r"outcome +claim +subject +quantity +reason +to decide$", lines[0])
    assert repr(frozen[:1]).startswith("Verdicts([Verdict(claim=")
    rows = frozen.to_dicts()
    assert len(rows) == len(frozen)
    assert all(
        value is None or isinstance(value, str | float | int)
        for row in rows
        for value in row.values()
    )
    assert rows[0]["records"] == " ".join(frozen[0].records)


def test_nothing_in_a_verdict_escapes_into_latex_or_html() -> None:
    claim = plant(Kind.SCALAR, AT_MOST, failing(ValueError("<b>&_#% 50~{x}^2")), "size")
    verdicts = judge_records([record(EVIDENCE, classifier="a_b & c")], 0.05, claim.id)
    latex = verdicts.to_latex()
    assert r"a\_b \& c" in latex
    assert r"$<$b$>$\&\_\#\% 50\textasciitilde{}\{x\}\textasciicircum{}2" in latex
    assert latex.count(r"\\") == 2
    assert latex.startswith(r"\begin{tabular}{")
    assert latex.count("{") == latex.count("}")
    shown = verdicts._repr_html_()
    assert html.escape("<b>&_#% 50~{x}^2") in shown
    assert "<b>" not in shown
    assert shown.count("<tr>") == 2
    assert 'font-weight:bold">OUT OF SCOPE<' in shown
    empty = Verdicts()
    assert (len(empty), empty.to_dicts()) == (0, [])
    assert "</table>" in empty._repr_html_()
