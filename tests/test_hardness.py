"""Hardness of pairs of classes: every entry again from runs of its own, and closed forms."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from empirics.attacks.jsma import jsma
from empirics.config import load_preset
from empirics.data import load
from empirics.measures.hardness import Hardness, matrices, salient_pairs, trapezoid
from empirics.plugins import Context, Outcome, Subject
from empirics.run import run
from empirics.seeds import torch_stream
from empirics.store import preset_records
from empirics.train import initialise
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Radii

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
DATA = load("digits")
K, D = 10, 64


def subject_of(net: nn.Sequential) -> Subject:
    return Subject(
        data=DATA,
        generator=nn.Sequential(nn.Identity()),
        latent_dimension=D,
        image_shape=DATA.image_shape,
        classifier=net.eval().requires_grad_(False),
        n_classes=K,
    )


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
    return subject_of(net)


@pytest.fixture(scope="module")
def perceptron() -> Subject:
    return trained(nn.Linear(D, 24), nn.ReLU(), nn.Linear(24, K))


SETTINGS = Hardness(images=3, distortions=(0.01, 0.05, 0.1, 0.3))


@pytest.fixture(scope="module")
def attacked(perceptron: Subject) -> Outcome:
    return SETTINGS.measure(perceptron, CONTEXT)


def by_hand(subject: Subject, upsilon: float, index: int, target: int, **given: Any) -> float:  # noqa: ANN401
    """Changed pixels of one run by itself; inf where it fails."""
    assert subject.classifier is not None
    x = torch.from_numpy(DATA.test_images[index : index + 1])
    y = torch.from_numpy(DATA.test_labels[index : index + 1])
    box, goal = (0.0, 1.0), torch.tensor([target])
    found = jsma(subject.classifier, x, y, upsilon=upsilon, box=box, targets=goal, **given)
    assert 0 <= found.min() <= found.max() <= 1
    if int(subject.classifier(found).argmax()) != target:
        return math.inf
    return float((found != x).sum())


def slow_trapezoid(points: list[tuple[float, float]]) -> float:
    """The area below the line through (tau, eps) points, strip by strip."""
    area = 0.0
    for (t0, e0), (t1, e1) in itertools.pairwise(points):
        area += (t1 - t0) * min(e0, e1) + (t1 - t0) * abs(e1 - e0) / 2
    return area


# The attack


def test_the_first_right_images_of_each_class_are_attacked(
    perceptron: Subject, attacked: Outcome
) -> None:
    assert perceptron.classifier is not None
    predicted = perceptron.classifier(torch.from_numpy(DATA.test_images)).argmax(dim=1).numpy()
    right = predicted == DATA.test_labels
    expected = [np.flatnonzero(right & (DATA.test_labels == c))[:3] for c in range(K)]
    np.testing.assert_array_equal(attacked.arrays["index"], np.sort(np.concatenate(expected)))
    assert attacked.facts["images_by_class"] == [3] * K
    assert (attacked.facts["n"], attacked.facts["pairs"]) == (30, 270)
    assert attacked.facts["test_error"] == pytest.approx(1 - right.mean())


@pytest.mark.parametrize("increase", [True, False])
def test_one_run_tells_the_outcome_for_every_distortion(
    perceptron: Subject, increase: bool
) -> None:
    settings = replace(SETTINGS, images=1, increase=increase)
    outcome = settings.measure(perceptron, CONTEXT)
    theta = 1.0 if increase else -1.0
    for j, upsilon in enumerate((*settings.distortions, settings.upsilon)):
        success, distortion = np.full((2, K, K), np.nan)
        for i, index in enumerate(outcome.arrays["index"].tolist()):
            source = int(outcome.arrays["label"][i])
            for target in set(range(K)) - {source}:
                count = by_hand(perceptron, upsilon, index, target, theta=theta)
                success[source, target] = math.isfinite(count)
                if math.isfinite(count):
                    distortion[source, target] = count / D
        if j < len(settings.distortions):
            seen = [outcome.arrays[f"{n}_by_distortion"][j] for n in ("success", "distortion")]
        else:
            seen = [outcome.arrays[n] for n in ("success", "distortion")]
            reached = np.nansum(success)
            assert outcome.facts["reached"] == reached
            assert outcome.facts["distortion_reached"] == pytest.approx(np.nanmean(distortion))
            # 0.145 of 64 pixels are 4 steps, 8 pixels.
            whole = np.nansum(distortion) + (90 - reached) * 8 / 64
            assert outcome.facts["distortion_all"] == pytest.approx(whole / 90)
        np.testing.assert_array_equal(seen[0], success)
        np.testing.assert_allclose(seen[1], distortion)
    assert 0 < outcome.facts["reached"] < 90


def test_matrices_by_brute_force(attacked: Outcome) -> None:
    arrays = attacked.arrays
    changes, labels = arrays["changes"], arrays["label"]
    assert np.isnan(changes[np.arange(30), labels]).all()
    for source, target in itertools.product(range(K), repeat=2):
        if source == target:
            for name in ("success", "distortion", "hardness", "hardness_all", "distance"):
                assert np.isnan(arrays[name][source, target])
            continue
        counts = changes[labels == source, target].tolist()
        points, over_all = [], []
        for upsilon in SETTINGS.distortions:
            most = 2 * math.floor(D * upsilon / 2)
            found = [c / D for c in counts if c <= most]
            tau = len(found) / 3
            points.append((tau, sum(found) / len(found) if found else math.nan))
            over_all.append((tau, (sum(found) + (3 - len(found)) * most / D) / 3))
        # Without a success there is no distortion: that of the next point, for the whole strip.
        for k in (2, 1, 0):
            if points[k][0] == 0:
                points[k] = (0.0, points[k + 1][1])
        if points[-1][0] == 0:
            assert np.isnan(arrays["hardness"][source, target])
            assert np.isnan(arrays["hardness_all"][source, target])
            continue
        points = [point for point in points if not math.isnan(point[1])]
        assert arrays["hardness"][source, target] == pytest.approx(slow_trapezoid(points))
        assert arrays["hardness_all"][source, target] == pytest.approx(slow_trapezoid(over_all))


def test_the_changes_are_upper_ends(attacked: Outcome) -> None:
    seen = attacked.evidence["r_targeted[hamming in 0..1]"]
    assert isinstance(seen, Radii)
    assert seen.n == 270
    assert (seen.lower == 1).all()
    changes = attacked.arrays["changes"]
    np.testing.assert_array_equal(seen.upper, changes[~np.isnan(changes)])


def test_a_label_that_the_network_does_not_confirm_is_not_reached(
    perceptron: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claims_much(
        model: nn.Module, x: torch.Tensor, y: torch.Tensor, **settings: object
    ) -> torch.Tensor:
        return (x + 1e-3).clamp(0, 1)

    monkeypatch.setattr("empirics.measures.hardness.jsma", claims_much)
    outcome = SETTINGS.measure(perceptron, CONTEXT)
    assert outcome.facts["reached"] == 0
    assert outcome.facts["distortion_reached"] is None
    assert outcome.facts["distortion_all"] == pytest.approx(8 / 64)
    assert np.isnan(outcome.arrays["hardness"]).all()
    json.dumps(dict(outcome.facts), allow_nan=False)


# Classes without images, targets never reached


def test_a_class_without_a_correct_image_has_no_row(perceptron: Subject) -> None:
    biased = nn.Linear(K, K)
    with torch.no_grad():
        biased.weight.copy_(torch.eye(K))
        biased.bias.zero_()
        biased.bias[4] = -1e3  # 4 is never the label
    assert perceptron.classifier is not None
    outcome = replace(SETTINGS, images=2).measure(
        subject_of(nn.Sequential(*perceptron.classifier, biased)), CONTEXT
    )
    assert outcome.facts["images_by_class"][4] == 0
    assert outcome.facts["n"] == 18
    for name in ("success", "distortion", "hardness", "distance", "distance_pairs"):
        assert np.isnan(outcome.arrays[name][4]).all()
    # And nothing turns into a 4: that is a rate of 0, without distortion or hardness.
    others = [c for c in range(K) if c != 4]
    assert (outcome.arrays["success"][others, 4] == 0).all()
    assert np.isnan(outcome.arrays["distortion"][:, 4]).all()
    assert np.isnan(outcome.arrays["hardness"][:, 4]).all()
    assert np.isfinite(outcome.arrays["distance"][others, 4]).all()
    assert outcome.facts["reached"] > 0


def test_no_image_right_is_said_in_a_line() -> None:
    layer = nn.Linear(D, K)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.arange(K))  # everything is a 9
    others = DATA.test_labels != 9
    images, labels = DATA.test_images[others], DATA.test_labels[others]
    few = replace(DATA, test_images=images, test_labels=labels)
    net = nn.Sequential(nn.Flatten(), layer)
    with pytest.raises(InputError, match="gets no test image right"):
        SETTINGS.measure(replace(subject_of(net), data=few), CONTEXT)


# The trapezoid rule


def test_trapezoid_against_strips() -> None:
    rng = np.random.default_rng(3)
    tau = np.sort(rng.random((9, 5, 4)), axis=0)
    eps = rng.random((9, 5, 4))
    found = trapezoid(tau, eps)
    for i, j in itertools.product(range(5), range(4)):
        points = list(zip(tau[:, i, j].tolist(), eps[:, i, j].tolist(), strict=True))
        assert found[i, j] == pytest.approx(slow_trapezoid(points))


def test_a_constant_distortion_integrates_to_the_rise() -> None:
    tau = np.array([0.2, 0.2, 0.7, 0.9])
    assert trapezoid(tau, np.full(4, 0.05)) == pytest.approx(0.7 * 0.05)
    assert trapezoid([0.3, 0.3], [0.1, 0.1]) == 0
    assert np.isnan(trapezoid([0.0, 0.0], [np.nan, np.nan]))


# Adversarial distance


def linear() -> tuple[Subject, FloatArray]:
    """A linear network and its weights."""
    net = trained(nn.Linear(D, K))
    assert net.classifier is not None
    layer = net.classifier[1]
    assert isinstance(layer, nn.Linear)
    return net, layer.weight.double().numpy()


@pytest.mark.parametrize("increase", [True, False])
def test_adversarial_distance_of_a_linear_network(increase: bool) -> None:
    subject, weight = linear()
    settings = Hardness(images=1, distortions=(0.02, 0.1), increase=increase)
    outcome = settings.measure(subject, CONTEXT)
    sign = 1 if increase else -1
    least = {"distance": 2.0, "distance_pairs": 2.0}
    for target in range(K):
        gain, rest = sign * weight[target], sign * np.delete(weight, target, axis=0).sum(axis=0)
        single = sum(1 for a, b in zip(gain, rest, strict=True) if a > 0 > b)
        paired = sum(
            1
            for p, q in itertools.combinations(range(D), 2)
            if gain[p] + gain[q] > 0 > rest[p] + rest[q]
        )
        true = {"distance": 1 - single / D, "distance_pairs": 1 - paired / math.comb(D, 2)}
        sources = [s for s in range(K) if s != target]
        for name, value in true.items():
            np.testing.assert_allclose(outcome.arrays[name][sources, target], value, rtol=1e-12)
            least[name] = min(least[name], value)
    assert outcome.facts["robustness"] == pytest.approx(least["distance"])
    assert outcome.facts["robustness_pairs"] == pytest.approx(least["distance_pairs"])


def test_saliency_of_probabilities_is_the_sign_of_one_derivative(perceptron: Subject) -> None:
    outcome = Hardness(images=1, distortions=(0.02, 0.1), softmax=True).measure(perceptron, CONTEXT)
    net = perceptron.classifier
    assert net is not None
    for i, index in enumerate(outcome.arrays["index"].tolist()):
        x = torch.from_numpy(DATA.test_images[index : index + 1])
        source = int(outcome.arrays["label"][i])
        jacobian = torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]
            lambda point: net(point).softmax(dim=1)[0], x
        ).flatten(1)
        for target in set(range(K)) - {source}:
            share = float((jacobian[target] > 0).double().mean())
            assert outcome.arrays["distance"][source, target] == pytest.approx(1 - share)


def test_distance_is_averaged_over_the_images_of_a_class() -> None:
    labels = np.array([0, 0, 1])
    changes = np.array([[np.nan, 2.0], [np.nan, np.inf], [4.0, np.nan]])
    single = np.array([[0.0, 0.9], [0.0, 0.7], [0.5, 0.0]])
    paired = single / 2
    facts, arrays = matrices(
        Hardness(upsilon=0.5, distortions=(0.2, 0.5)), changes, (single, paired), labels, 10
    )
    # The label's own entry is no distance of any pair.
    assert facts["robustness"] == 0.5
    assert facts["robustness_pairs"] == 0.25
    # 0 to 1 is reached with 2 pixels already: its rate does not rise. 1 to 0 goes from 0 to 1.
    true = {
        "distance": (0.8, 0.5),
        "distance_pairs": (0.4, 0.25),
        "success": (0.5, 1.0),
        "distortion": (0.2, 0.4),
        "hardness": (0.0, 0.4),
        "hardness_all": (0.0, 0.3),
    }
    for name, (ahead, back) in true.items():
        matrix = arrays[name].tolist()
        assert matrix[0][1] == pytest.approx(ahead)
        assert matrix[1][0] == pytest.approx(back)
        assert math.isnan(matrix[0][0])
        assert math.isnan(matrix[1][1])
    # The failed one counts with the 4 pixels that 0.5 of 10 allow.
    assert facts["distortion_all"] == pytest.approx((2 + 4 + 4) / 30)


def test_pairs_of_pixels_by_brute_force() -> None:
    rng = np.random.default_rng(2)
    for d in (1, 2, 3, 17):
        gain, loss = np.round(rng.normal(size=(2, d)), 1)
        true = sum(
            gain[p] + gain[q] > 0 and loss[p] + loss[q] > 0
            for p, q in itertools.combinations(range(d), 2)
        )
        assert salient_pairs(gain, loss) == pytest.approx(true / max(math.comb(d, 2), 1))


# Settings, repetition, presets


def test_the_same_request_has_the_same_answer(perceptron: Subject, attacked: Outcome) -> None:
    state = torch.random.get_rng_state()
    again = SETTINGS.measure(perceptron, CONTEXT)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert again.facts == attacked.facts
    for name, array in attacked.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)


@pytest.mark.parametrize("distortions", [(0.1,), (), (0.2, 0.1), (0.1, 0.1)])
def test_distortions_must_increase(distortions: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="must be at least two, and increase"):
        Hardness(distortions=distortions)


def test_it_runs_from_a_preset(tmp_path: Path) -> None:
    (tmp_path / "hard.toml").write_text(
        'description = "hard"\ndata = "digits"\n'
        '[[image_classifier]]\nname = "mlp"\nhidden = [6]\nsteps = 200\n'
        "[measure.hardness]\nimages = 1\ndistortions = [0.02, 0.1]\n"
    )
    preset = load_preset(str(tmp_path / "hard.toml"))
    assert run(preset, tmp_path / "build", torch.device("cpu")).failed == ()
    records, _ = preset_records("hard", tmp_path / "build")
    (record,) = (r for r in records if r.request.plugin == "hardness")
    assert record.facts["pairs"] == 9 * record.facts["n"] > 0
    assert record.arrays["hardness"].shape == (K, K)
