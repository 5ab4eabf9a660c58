"""Distances of real images to another label: ordered, verified, closed for small networks."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from empirics.config import load_preset
from empirics.data import load
from empirics.judge import judge_records
from empirics.measures.image_radii import NORMS, ImageRadii
from empirics.plugins import Context, Outcome, Subject
from empirics.record import Record, Request
from empirics.run import run
from empirics.seeds import torch_stream
from empirics.store import preset_records
from empirics.train import initialise
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Radii

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
DATA = load("digits")


class Squares(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


def trained(*layers: nn.Module) -> Subject:
    """A classifier of the digits, trained on all images at once."""
    net = nn.Sequential(nn.Flatten(), *layers)
    initialise(net, torch_stream(0, "weights"))
    images, labels = torch.from_numpy(DATA.train_images), torch.from_numpy(DATA.train_labels)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Subject(
        data=DATA,
        generator=nn.Sequential(nn.Identity()),
        latent_dimension=64,
        image_shape=DATA.image_shape,
        classifier=net.eval().requires_grad_(False),
        n_classes=10,
    )


@pytest.fixture(scope="module")
def perceptron() -> Subject:
    return trained(nn.Linear(64, 10), nn.ReLU(), nn.Linear(10, 10))


@pytest.fixture(scope="module")
def attacked(perceptron: Subject) -> Outcome:
    return ImageRadii(images=14, effort="quick", shown=14).measure(perceptron, CONTEXT)


def radii(outcome: Outcome, norm: str) -> Radii:
    found = outcome.evidence[f"distance[{norm}]"]
    assert isinstance(found, Radii)
    return found


def checked_points(subject: Subject, outcome: Outcome, norm: str) -> None:
    """Raise unless both precisions give every stored point another label, at its distance."""
    assert subject.classifier is not None
    points, images = (outcome.arrays[name] for name in (f"{norm}.points", "image"))
    labels = outcome.arrays["label"][: len(points)]
    assert points.dtype == np.float32
    assert points.min() >= 0
    assert points.max() <= 1
    single = subject.classifier(torch.from_numpy(points)).argmax(dim=1).numpy()
    assert np.array_equal(single, outcome.arrays[f"{norm}.labels"])
    assert (single != labels).all()
    double = subject.classifier.double()(torch.from_numpy(points).double()).argmax(dim=1).numpy()
    subject.classifier.float()
    assert (double != labels).all()
    change = (points.astype(np.float64) - images.astype(np.float64)).reshape(len(points), -1)
    distance = np.linalg.norm(change, ord=NORMS[norm], axis=1)
    np.testing.assert_allclose(radii(outcome, norm).upper[: len(points)], distance, rtol=1e-11)


@pytest.mark.parametrize("norm", NORMS)
def test_ends_are_ordered_and_upper_ones_verified(
    perceptron: Subject, attacked: Outcome, norm: str
) -> None:
    found = radii(attacked, norm)
    assert found.n == 14
    assert (found.lower > 0).all()
    assert (found.lower <= found.upper).all()
    assert np.median(found.lower / found.upper) > 0.7
    assert attacked.facts[f"not_found[{norm}]"] == attacked.facts[f"exact[{norm}]"] == 0
    checked_points(perceptron, attacked, norm)


@pytest.mark.parametrize("norm", NORMS)
def test_the_exact_search_closes_the_intervals(
    perceptron: Subject, attacked: Outcome, norm: str
) -> None:
    settings = ImageRadii(images=4, norms=(norm,), effort="quick", exact_seconds=60, shown=4)
    outcome = settings.measure(perceptron, CONTEXT)
    found, before = radii(outcome, norm), radii(attacked, norm)
    assert outcome.facts[f"exact[{norm}]"] == 4
    np.testing.assert_allclose(found.lower, found.upper, rtol=2e-5)
    assert (before.lower[:4] <= found.upper).all()
    assert (found.lower <= before.upper[:4]).all()
    checked_points(perceptron, outcome, norm)
    larger = replace(settings, images=1, exact_units=9).measure(perceptron, CONTEXT)
    assert larger.facts[f"exact[{norm}]"] == 0
    assert set(outcome.evidence) == {f"distance[{norm}]"}


def nearest_on_line(
    x: FloatArray, w: FloatArray, way: FloatArray, behind: float, p: float
) -> float:
    """Least |d|_p with w @ d = behind and x + d in [0, 1], d = clip(t way), by bisection."""
    low, high = 0.0, 1e3

    def change(t: float) -> FloatArray:
        return np.clip(x + t * way, 0, 1) - x

    if w @ change(high) < behind:
        return np.inf
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if w @ change(middle) < behind else (low, middle)
    return float(np.linalg.norm(change(high), ord=p))


def test_a_linear_classifier_has_its_closed_form() -> None:
    subject = trained(nn.Linear(64, 10))
    outcome = ImageRadii(images=12, effort="quick").measure(subject, CONTEXT)
    assert subject.classifier is not None
    linear = subject.classifier[1]
    assert isinstance(linear, nn.Linear)
    weight, bias = (parameter.double().numpy() for parameter in (linear.weight, linear.bias))
    labels = outcome.arrays["label"]
    images = DATA.test_images[outcome.arrays["index"]].reshape(12, -1).astype(np.float64)
    for norm, p in NORMS.items():
        true = []
        for x, label in zip(images, labels, strict=True):
            distances = []
            for target in set(range(10)) - {int(label)}:
                w = weight[target] - weight[label]
                way = w if p == 2 else np.sign(w)
                behind = float(-(w @ x + bias[target] - bias[label]))
                distances.append(nearest_on_line(x, w, way, behind, p))
            true.append(min(distances))
        found = radii(outcome, norm)
        assert (found.lower <= true).all()
        assert (found.lower >= 0.99 * np.array(true)).all()
        assert (found.upper >= np.array(true) * (1 - 1e-12)).all()
        assert (found.upper <= 1.005 * np.array(true)).all()


def test_robust_accuracies_are_of_all_images_drawn(attacked: Outcome) -> None:
    facts = attacked.facts
    drawn = int(attacked.arrays["index"][-1]) + 1
    assert facts["n"] == 14 < facts["n_drawn"] == drawn
    for norm in NORMS:
        found, before = radii(attacked, norm), (1.0, 1.0)
        for each in facts[f"robust_accuracy[{norm}]"]:
            ends = each["lower"], each["upper"]
            assert ends[0] == (found.lower > each["budget"]).sum() / drawn
            assert ends[1] == (found.upper > each["budget"]).sum() / drawn
            assert 0 <= ends[0] <= ends[1] <= 14 / drawn
            assert ends <= before
            before = ends
        assert facts[f"robust_accuracy[{norm}]"][0]["lower"] > 0
        assert before == (0, 0)


def test_where_fewer_images_are_right_than_wanted_all_are_drawn(perceptron: Subject) -> None:
    first = replace(DATA, test_images=DATA.test_images[:14], test_labels=DATA.test_labels[:14])
    few = replace(perceptron, data=first)
    settings = ImageRadii(images=100, norms=("l2",), effort="quick", best_units=0)
    outcome = settings.measure(few, CONTEXT)
    assert outcome.facts["n"] == round(14 * (1 - outcome.facts["test_error"])) < 14
    assert outcome.facts["n_drawn"] == 14


def test_the_same_seed_gives_the_same_bytes(perceptron: Subject) -> None:
    settings = ImageRadii(images=2, effort="quick")

    def digest(context: Context) -> str:
        outcome = settings.measure(perceptron, context)
        content = hashlib.sha256(json.dumps(dict(outcome.facts)).encode())
        for norm in NORMS:
            content.update(radii(outcome, norm).lower.tobytes())
            content.update(radii(outcome, norm).upper.tobytes())
        for array in outcome.arrays.values():
            content.update(array.tobytes())
        return content.hexdigest()

    state = torch.random.get_rng_state()
    first = digest(CONTEXT)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first == digest(CONTEXT)


def test_every_norm_and_seed_has_its_own_draws(
    perceptron: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []

    def finds_nothing(
        model: nn.Module, x: torch.Tensor, y: torch.Tensor, *, seed: int, **settings: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        seeds.append(seed)
        return x, torch.full((len(x),), torch.inf)

    monkeypatch.setattr("empirics.image_distances.minimal", finds_nothing)
    for context in (CONTEXT, replace(CONTEXT, seed=1), CONTEXT):
        outcome = ImageRadii(images=2, best_units=0).measure(perceptron, context)
        assert outcome.facts["not_found[l2]"] == 2
        assert np.isinf(radii(outcome, "linf").upper).all()
        assert np.array_equal(outcome.arrays["l2.points"], outcome.arrays["image"])
        assert np.array_equal(outcome.arrays["l2.labels"], outcome.arrays["label"])
    assert len(set(seeds)) == 4
    assert seeds[:2] == seeds[4:]


def test_nothing_is_certified_of_a_network_without_a_trace() -> None:
    subject = trained(Squares(), nn.Linear(64, 10))
    outcome = ImageRadii(images=6, effort="quick", exact_seconds=60).measure(subject, CONTEXT)
    assert not outcome.facts["traced"]
    assert "Squares" in outcome.facts["not_traced_because"]
    for norm in NORMS:
        found = radii(outcome, norm)
        assert (found.lower == 0).all()
        assert np.isfinite(found.upper).all()
        assert all(each["lower"] == 0 for each in outcome.facts[f"robust_accuracy[{norm}]"])
        checked_points(subject, outcome, norm)


def test_a_curved_network_is_certified_and_not_searched_exactly() -> None:
    subject = trained(nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 10))
    settings = ImageRadii(images=2, norms=("l2",), effort="quick", exact_seconds=60)
    outcome = settings.measure(subject, CONTEXT)
    assert (radii(outcome, "l2").lower > 0).all()
    assert outcome.facts["exact[l2]"] == 0


def test_large_networks_are_certified_by_their_norms(
    perceptron: Subject, attacked: Outcome
) -> None:
    coarse = ImageRadii(images=14, effort="quick", best_units=9).measure(perceptron, CONTEXT)
    for norm in NORMS:
        least, best = radii(coarse, norm).lower, radii(attacked, norm).lower
        assert (least > 0).all()
        assert (least < best).all()


def test_no_law_of_generated_images_is_judged_on_real_ones(attacked: Outcome) -> None:
    request = Request("measure", "image_radii", {}, {"image_classifier": {"label": "mlp"}}, 0)
    assert judge_records([Record(request, attacked.evidence, attacked.facts)], 0.05) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norms": ("l3",)}, "unknown norm 'l3'; known: l2, linf"),
        ({"norms": ()}, "norms is empty; known: l2, linf"),
        ({"effort": "quik"}, "unknown effort 'quik'; did you mean 'quick'"),
    ],
)
def test_unknown_settings_are_named(settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ImageRadii(**settings)  # type: ignore[arg-type]


def test_it_runs_from_a_preset(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text(
        'description = "real"\ndata = "digits"\n'
        '[[image_classifier]]\nname = "mlp"\nhidden = [6]\nsteps = 200\n'
        '[measure.image_radii]\nimages = 3\neffort = "quick"\nshown = 2\nbudgets_l2 = [0.1]\n'
    )
    preset = load_preset(str(tmp_path / "real.toml"))
    assert run(preset, tmp_path / "build", torch.device("cpu")).failed == ()
    records, _ = preset_records("real", tmp_path / "build")
    (record,) = (r for r in records if r.request.plugin == "image_radii")
    found = record.evidence["distance[linf]"]
    assert isinstance(found, Radii)
    assert (found.lower <= found.upper).all()
    assert record.arrays["linf.points"].shape == (2, *DATA.image_shape)
    assert [each["budget"] for each in record.facts["robust_accuracy[l2]"]] == [0.1]
