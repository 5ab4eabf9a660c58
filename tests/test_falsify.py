"""The falsifier: planted falsehoods are found and shrunk to the least, and theorems survive."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.falsehoods import TINY, loaded, searched
from theory.claim import CLAIMS, OutOfScopeError
from theory.errors import InputError
from theory.evidence import Interval
from theory.falsify.laboratories.networks import Architecture
from theory.falsify.laboratory import trials
from theory.falsify.search import Effort, Search
from theory.falsify.sides import sides


@pytest.fixture(scope="module", autouse=True)
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of false claims, loaded."""
    with loaded(tmp_path_factory.mktemp("claims")) as path:
        yield path


@pytest.fixture(scope="module")
def few_regions() -> Any:  # noqa: ANN401
    example, _ = searched("planted/few-regions")
    assert example is not None
    return example


@pytest.fixture(scope="module")
def below() -> Any:  # noqa: ANN401
    example, _ = searched("planted/below")
    assert example is not None
    return example


def test_three_lines_have_seven_regions(few_regions: Any) -> None:  # noqa: ANN401
    shape = few_regions.specimen.structure
    assert (shape.n_inputs, shape.widths) == (2, (3,))
    assert few_regions.verified.left.lower == few_regions.verified.left.upper == 7
    assert few_regions.verified.right.upper == pytest.approx(6)
    # Only what keeps the lines in general position is not 0.
    assert set(few_regions.specimen.weights.tolist()) <= {0.0, 1.0, -1.0}


def test_two_units_lose_the_product_of_norms() -> None:
    example = Search(trials(CLAIMS["planted/product"])[0], 0, Effort(8, 2, 12)).run()
    assert example is not None
    shape = example.specimen.structure
    assert (shape.n_inputs, shape.widths, shape.n_outputs) == (1, (2,), 1)
    assert example.verified.left.upper < example.verified.right.lower


def test_a_line_in_the_plane_is_farther_than_the_plane(below: Any) -> None:  # noqa: ANN401
    shape = below.specimen.structure
    assert (shape.n_inputs, shape.widths, shape.n_outputs, shape.n_latents) == (2, (), 2, 1)
    assert below.found.left.lower > below.found.right.upper
    assert below.verified.left.lower > 1.01 * below.verified.right.upper


def test_strips_are_farther_apart_than_cones() -> None:
    example, _ = searched("planted/cones")
    shape = example.specimen.structure
    assert (shape.n_classes, shape.cones, shape.again) == (3, False, 0)
    assert example.found.at == example.verified.at > 2


def test_a_false_mean_is_refuted_by_half_spaces() -> None:
    example, _ = searched("planted/mean")
    assert example.specimen.structure.n_classes == 2
    assert example.verified.left.lower > 0.7


def test_a_formula_is_refuted_by_a_theorem() -> None:
    claim = CLAIMS["planted/many-regions"]
    (trial,) = [each for each in trials(claim) if each.laboratory.name.startswith("against")]
    assert trial.laboratory.name == "against montufar2014/max-linear-regions"
    example = Search(trial, 0, TINY).run()
    assert example is not None
    # Three lines, or more of them in more dimensions, have more than w + 1 regions.
    assert example.specimen.facts == {"n_inputs": 2, "width": 2, "depth": 1}
    assert example.verified.left.lower == pytest.approx(4)


@pytest.mark.parametrize(
    "name",
    [
        "fawzi2018/unconstrained-below-in-distribution",
        "szegedy2014/product-of-norms",
        "serra2018/linear-regions",
        "fawzi2018/thm1",
        "fawzi2018/thm1-mean",
        "borell1975/isoperimetry",
        "milman2022/multi-bubble-slope",
        "milman2022/simplex-cones",
    ],
)
def test_theorems_survive(name: str) -> None:
    trial = trials(CLAIMS[name])[0]
    search = Search(trial, 1, Effort(4, 1, 5))
    assert search.run() is None
    # It was tried, and the inequality is nearly an equality somewhere or holds with room.
    assert search.tally.evaluations >= 4
    assert -1e-9 < search.tally.least < 1


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("planted/nan", "its formula returns NaN"),
        ("planted/raises", "its formula raised ZeroDivisionError: division by zero"),
        ("planted/words", "its formula returns 'many', which is no number"),
        ("shamir2019/eleven-pixels", "the error rate on test images is not known"),
    ],
)
def test_a_claim_that_says_nothing_says_why(name: str, why: str) -> None:
    trial = trials(CLAIMS[name])[0]
    structure = Architecture(1, (), 2, point=True)
    specimen = trial.laboratory.specimen(structure, np.ones(structure.n_weights))
    with pytest.raises(OutOfScopeError) as reason:
        sides(trial, specimen)
    assert str(reason.value) == why


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("planted/elsewhere", r"no exact value of beauty is known; known are .*lipschitz"),
        ("planted/comparison", "a claim of the kind 'comparison', about more than one subject"),
        ("fawzi2018/thm3", r"no exact law of r_joint\[l2\] is known; known are .*r_latent"),
    ],
)
def test_what_cannot_be_falsified_here(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        trials(CLAIMS[name])


def test_a_law_is_compared_where_it_is_worst() -> None:
    (trial,) = trials(CLAIMS["planted/cones"])
    structure = trial.laboratory.read(
        {"n_classes": 3, "again": 0, "equal": True, "cones": False, "spare": 0, "scaled": False}
    )
    specimen = trial.laboratory.specimen(structure, np.zeros(0))
    worst = sides(trial, specimen)
    assert worst.violated
    assert not sides(trial, specimen, at=0.5).violated
    assert sides(trial, specimen, verified=True, at=worst.at).slack == pytest.approx(
        worst.slack, abs=1e-4
    )


def test_a_first_method_that_errs_makes_no_counterexample() -> None:
    (trial,) = trials(CLAIMS["szegedy2014/product-of-norms"])
    (provider,) = trial.providers
    lies = replace(provider, found=lambda specimen, quantity: Interval.at_least(1e3))
    search = Search(replace(trial, providers=(lies,)), 0, Effort(2, 1, 2))
    assert search.run() is None
    assert search.tally.least < 0
