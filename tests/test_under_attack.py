"""Accuracy under attack: laws between the rows, exact budgets, linear models in closed form."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from empirics.adversary.ball import Ball
from empirics.adversary.goal import Goal
from empirics.adversary.objective import objective_of
from empirics.adversary.trajectory import margin_loss, points_after
from empirics.attack_bench import BOX, AttackBench, Mask
from empirics.classifiers.conv import SmallConvolutional
from empirics.data import load
from empirics.measures.accuracy import predict
from empirics.measures.under_attack import UnderAttack
from empirics.plugins import Context, Outcome, Subject
from empirics.seeds import torch_stream
from empirics.train import fit_classifier, initialise
from theory.errors import InputError

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
DATA = load("digits")
SHORT = UnderAttack(
    images=60,
    radius=0.1,
    step=0.02,
    steps=(5, 12),
    restarts=3,
    apgd_steps=12,
    decision_images=4,
    certify="interval",
    certify_images=10,
)


def trained(name: str, *, adversarial: float = 0.0, channels: tuple[int, ...] = (4, 8)) -> Any:  # noqa: ANN401
    """A convolutional network of the digits, trained on PGD examples where a radius is given."""
    settings = SmallConvolutional(
        channels=channels,
        steps=100,
        batch=64,
        learning_rate=1e-2,
        adversarial_radius=adversarial,
        adversarial_steps=2,
    )
    net = settings.build(DATA.image_shape, 10)
    initialise(net, torch_stream(0, name))
    images, labels = torch.from_numpy(DATA.train_images), torch.from_numpy(DATA.train_labels)

    def draw(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(images), (size,), generator=stream)
        return images[chosen], labels[chosen]

    fit_classifier(net, draw, settings, replace(CONTEXT, scope=(name,)))
    return net


def subject(**nets: nn.Sequential) -> Subject:
    return Subject(
        data=DATA,
        generator=nn.Sequential(nn.Identity()),
        latent_dimension=64,
        image_shape=DATA.image_shape,
        n_classes=10,
        classifiers=nets,
    )


@pytest.fixture(scope="module")
def networks() -> Subject:
    return subject(
        robust=trained("robust", adversarial=0.5),
        copy=trained("copy", adversarial=0.5),
        natural=trained("natural", channels=(6, 6)),
    )


@pytest.fixture(scope="module")
def attacked(networks: Subject) -> Outcome:
    return SHORT.measure(networks, CONTEXT)


def row(outcome: Outcome, attack: str, source: str, *run: int) -> tuple[dict[str, Any], Mask]:
    """Return a row and which images were wrong under it."""
    found = [
        (line, outcome.arrays["wrong"][i])
        for i, line in enumerate(outcome.facts["rows"])
        if (line["attack"], line["source"]) == (attack, source)
        and (not run or (line["steps"], line["restarts"]) == run)
    ]
    assert len(found) == 1
    return found[0]


def test_rows_in_the_order_of_the_table(attacked: Outcome) -> None:
    shown = [(r["attack"], r["source"], r["steps"], r["restarts"]) for r in attacked.facts["rows"]]
    black = [
        [
            ("fgsm", name, None, None),
            ("pgd", name, 5, 1),
            ("pgd", name, 12, 3),
            ("cw", name, 5, 1),
            ("cw+", name, 5, 1),
        ]
        for name in ("copy", "natural")
    ]
    assert shown == [
        ("natural", "", None, None),
        ("fgsm", "robust", None, None),
        ("pgd", "robust", 5, 1),
        ("pgd", "robust", 12, 1),
        ("pgd", "robust", 5, 3),
        ("pgd", "robust", 12, 3),
        ("targeted", "robust", 5, 1),
        ("cw", "robust", 5, 1),
        ("cw+", "robust", 5, 1),
        ("apgd-ce", "robust", 12, 1),
        ("apgd-dlr", "robust", 12, 1),
        ("hop_skip_jump", "robust", None, None),
        *black[0],
        *black[1],
        ("worst", "", None, None),
    ]


def test_laws_between_rows(attacked: Outcome) -> None:
    rows, wrong = attacked.facts["rows"], attacked.arrays["wrong"]
    assert wrong.shape == (len(rows), 60)
    natural, worst = wrong[0], wrong[-1]
    # What is misclassified unchanged is wrong under every attack, and the worst case holds all.
    assert (wrong >= natural).all()
    assert np.array_equal(worst, wrong[:-1].any(axis=0))
    for line, mask in zip(rows, wrong, strict=True):
        n = 4 if line["attack"] == "hop_skip_jump" else 60
        assert (line["n"], line["right"]) == (n, n - mask[:n].sum())
        assert line["seconds"] is None
    for steps in (5, 12):
        once, often = (row(attacked, "pgd", "robust", steps, n)[1] for n in (1, 3))
        assert (often >= once).all()
    assert not row(attacked, "hop_skip_jump", "robust")[1][4:].any() or natural[4:].any()
    # The attacks do something, and own gradients more than those of others.
    assert rows[0]["right"] / 60 > 0.75
    assert worst.sum() > natural.sum() + 5
    white = row(attacked, "pgd", "robust", 12, 3)[1].sum()
    assert white >= row(attacked, "pgd", "copy", 12, 3)[1].sum()
    assert white >= row(attacked, "pgd", "natural", 12, 3)[1].sum()


def test_robust_accuracy_is_an_interval(attacked: Outcome) -> None:
    ends = attacked.facts["robust_accuracy[linf]"]
    certified, worst = attacked.arrays["certified"], attacked.arrays["wrong"][-1]
    assert ends == {"lower": certified.mean(), "upper": 1 - worst.mean()}
    assert attacked.facts["n_certified"] == certified.sum()
    assert not certified[10:].any()
    assert not (certified & worst).any()
    assert attacked.facts["not_certified_because"] is None


def test_small_budgets_are_certified(networks: Subject) -> None:
    settings = replace(
        SHORT, radius=0.002, images=10, steps=(2,), restarts=1, apgd_steps=2, decision_images=0
    )
    outcome = settings.measure(networks, CONTEXT)
    right = ~outcome.arrays["wrong"][-1]
    assert outcome.arrays["certified"].sum() >= right.sum() - 1 > 4
    none = replace(settings, certify="").measure(networks, CONTEXT)
    assert none.facts["robust_accuracy[linf]"]["lower"] == 0
    assert none.facts["not_certified_because"] == "none was sought"


def test_a_repetition_gives_the_same(networks: Subject, attacked: Outcome) -> None:
    again = SHORT.measure(networks, CONTEXT)
    assert again.facts == attacked.facts
    assert all(np.array_equal(again.arrays[k], attacked.arrays[k]) for k in attacked.arrays)
    other = replace(
        SHORT, certify="", target="copy", timed=True, steps=(5,), restarts=1, decision_images=0
    )
    outcome = other.measure(networks, CONTEXT)
    assert outcome.facts["target"] == "copy"
    sources = dict.fromkeys(line["source"] for line in outcome.facts["rows"])
    assert list(sources) == ["", "copy", "robust", "natural"]
    assert all(line["seconds"] >= 0 for line in outcome.facts["rows"])
    assert sum(line["attack"] == "pgd" for line in outcome.facts["rows"]) == 3


# Linear models


def linear(weight: np.ndarray[Any, Any], bias: float = 0.0) -> nn.Sequential:
    """Two classes: the second where weight @ x + bias > 0."""
    layer = nn.Linear(weight.size, 2)
    layer.weight.data = torch.tensor(np.stack([0 * weight, weight]), dtype=torch.float32)
    layer.bias.data = torch.tensor([0.0, bias])
    return nn.Sequential(nn.Flatten(), layer).requires_grad_(False)


@pytest.fixture(scope="module")
def halves() -> tuple[nn.Sequential, torch.Tensor, torch.Tensor, np.ndarray[Any, Any]]:
    """A half-space, images, labels and the least radius, in the box, that changes each label."""
    rng = np.random.default_rng(5)
    weight = rng.normal(size=20)
    x = rng.random((60, 1, 4, 5)).astype(np.float32)
    x[rng.random(x.shape) < 0.3] = 0.0
    bias = -float(np.median(x.reshape(60, 20) @ weight))
    net = linear(weight, bias)
    y = predict(net, torch.from_numpy(x))
    flat = x.reshape(60, 20).astype(np.float64)
    own, shift = (layer.double().numpy() for layer in (net[1].weight[1], net[1].bias[1]))
    radii = np.empty(60)
    for i, point in enumerate(flat):
        sign = -1 if y[i] else 1
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            moved = np.clip(point + sign * middle * np.sign(own), 0, 1)
            hit = sign * (moved @ own + shift) > 0
            low, high = (low, middle) if hit else (middle, high)
        radii[i] = high
    return net, torch.from_numpy(x), y, radii


@pytest.mark.parametrize("radius", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("confidence", [None, 0.0, 50.0])
def test_ascent_is_exact_on_half_spaces(
    halves: tuple[nn.Sequential, torch.Tensor, torch.Tensor, np.ndarray[Any, Any]],
    radius: float,
    confidence: float | None,
) -> None:
    net, x, y, radii = halves
    bench = AttackBench.of(net, x, y, radius)
    loss = Goal.gain if confidence is None else partial(margin_loss, confidence=confidence)
    tries = [(Goal(y), torch_stream(0, "start"))]
    (masks,) = bench.ascended(net, tries, loss, [12], radius / 5)
    clear = np.abs(radii - radius) > 1e-4
    expected = radii < radius
    assert 3 < expected.sum() < 57
    assert np.array_equal(masks[0][clear], expected[clear])
    (masks,) = bench.ascended(net, [(Goal(y), None)], loss, [1], radius)
    assert np.array_equal(masks[0][clear], expected[clear])


def test_two_classes_of_the_measure(
    halves: tuple[nn.Sequential, torch.Tensor, torch.Tensor, np.ndarray[Any, Any]],
) -> None:
    net, x, y, radii = halves
    images, labels = x.numpy(), y.numpy()
    data = replace(
        DATA,
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
        class_names=("0", "1"),
    )
    # Five steps cross the whole ball, from whatever start.
    settings = replace(SHORT, step=0.045, certify="product", certify_images=60)
    nets = replace(subject(half=net), data=data, image_shape=(1, 4, 5), n_classes=2)
    outcome = settings.measure(nets, CONTEXT)
    attacks = [line["attack"] for line in outcome.facts["rows"]]
    assert "apgd-dlr" not in attacks
    clear = np.abs(radii - 0.1) > 1e-4
    for name in ("fgsm", "targeted", "cw", "cw+", "apgd-ce", "worst"):
        wrong = outcome.arrays["wrong"][attacks.index(name)]
        assert np.array_equal(wrong[clear], (radii < 0.1)[clear]), name
    assert not (outcome.arrays["certified"] & (radii < 0.1)).any()


# Budget, box and judge


@pytest.mark.parametrize("radius", [0.3, 0.25, 0.1])
def test_budget_and_box_are_kept_exactly(networks: Subject, radius: float) -> None:
    net = networks.classifiers["robust"]
    x, y = torch.from_numpy(DATA.test_images[:30]), torch.from_numpy(DATA.test_labels[:30])
    x = (x * 0.93 + torch.rand(x.shape, generator=torch_stream(1, "noise")) * 0.05).clamp(0, 1)
    bench = AttackBench.of(net, x, y, radius)
    ball = Ball.around(x, bench.budget, "linf", BOX)
    start = bench._starts(torch_stream(2, "start"))
    objective = objective_of(net, Goal(y))
    stops: Sequence[int] = [7, 1, 3]
    found = points_after(objective, ball, start, 0.07, stops)
    seventh, first, third = found
    assert torch.equal(points_after(objective, ball, start, 0.07, [3])[0], third)
    assert not torch.equal(first, seventh)
    for points in found:
        assert points.min() >= 0
        assert points.max() <= 1
        change = (points.double() - x.double()).abs().amax()
        assert radius - 1e-6 < change <= radius


def test_points_outside_do_not_count(
    halves: tuple[nn.Sequential, torch.Tensor, torch.Tensor, np.ndarray[Any, Any]],
) -> None:
    net, x, y, _ = halves
    bench = AttackBench.of(net, x, y, 0.1)
    assert not bench.natural.any()
    change = torch.sign(net[1].weight[1]).reshape(1, 1, 4, 5)
    towards = torch.where(y == 1, -1.0, 1.0).reshape(-1, 1, 1, 1) * change
    assert not bench.run(lambda x, y: (x + 0.2 * towards[: len(x)]).clamp(0, 1)).any()
    assert not bench.run(lambda x, y: x + 0.05 * towards[: len(x)] - 2.0).any()
    rows = np.arange(60)
    free = AttackBench.of(net, x, y, 1.0)
    assert free.judged(rows, (x + towards).clamp(0, 1)).sum() > 50
    outside = ((x + towards) < 0) | ((x + towards) > 1)
    assert outside.flatten(1).any(dim=1).all()
    assert not free.judged(rows, x + towards).any()


def test_runs_go_on_behind_the_boundary() -> None:
    """A point that is meant for another network does not stop at the source's boundary."""
    net = linear(np.array([1.0, 1.0]))
    x, y = torch.full((1, 1, 1, 2), 0.5), torch.tensor([1])
    ball = Ball.around(x, 0.4, "linf", BOX)
    (last,) = points_after(objective_of(net, Goal(y)), ball, x, 0.1, [10])
    assert torch.allclose(last, x - 0.4)
    values = {}
    for confidence in (0.0, 50.0):
        loss = partial(margin_loss, confidence=confidence)
        shifted = linear(np.array([1.0, 1.0]), -0.75)
        (last,) = points_after(objective_of(shifted, Goal(y), loss), ball, x, 0.1, [10])
        values[confidence] = float(last.min())
    assert values[0.0] == pytest.approx(0.3, abs=1e-6)
    assert values[50.0] == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "classifiers", "message"),
    [
        ({"target": "robst"}, True, "did you mean 'robust'"),
        ({}, False, "needs a classifier"),
    ],
)
def test_bad_input(
    networks: Subject, settings: dict[str, str], classifiers: bool, message: str
) -> None:
    given = networks if classifiers else replace(networks, classifiers={})
    with pytest.raises(InputError, match=message):
        replace(SHORT, **settings).measure(given, CONTEXT)
    with pytest.raises(InputError, match="needs data"):
        SHORT.measure(replace(networks, data=None), CONTEXT)


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="did you mean 'interval'"):
        UnderAttack(certify="intervals")
    with pytest.raises(InputError, match="steps: none"):
        UnderAttack(steps=())


class Odd(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)


def test_networks_without_a_trace_are_not_certified(networks: Subject) -> None:
    net = nn.Sequential(Odd(), networks.classifiers["robust"])
    settings = replace(SHORT, steps=(5,), restarts=1, apgd_steps=3, decision_images=0, images=20)
    outcome = settings.measure(subject(odd=net), CONTEXT)
    assert outcome.facts["robust_accuracy[linf]"]["lower"] == 0
    assert outcome.facts["not_certified_because"] is not None
    assert "sin" in outcome.facts["not_certified_because"]
