"""Joint radii: linear models' optima, order among sets, verified ends, Theorem 3 judged."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, nnls
from torch import nn

from empirics.attacks.jointly import minimal_joint
from empirics.data import load
from empirics.judge import judge_records
from empirics.measures.joint_image_radii import JointImageRadii
from empirics.measures.joint_radii import JointRadii
from empirics.plugins import Context, Outcome, Subject
from empirics.record import Record, Request
from empirics.seeds import torch_stream
from empirics.train import initialise
from tests.linear_models import linear
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Radii

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
DATA = load("digits")
UNIT = (0.0, 1.0)


def least_l2(a: FloatArray, b: FloatArray) -> float:
    """Least |d| with a d >= b: Lawson and Hanson's least distance programming."""
    system, right = np.vstack([a.T, b[None]]), np.zeros(a.shape[1] + 1)
    right[-1] = 1
    u, missed = nnls(system, right)
    if missed < 1e-9:
        return float("inf")
    r = system @ u - right
    return float(np.linalg.norm(r[:-1] / r[-1]))


def least_linf(a: FloatArray, b: FloatArray, bounds: list[tuple[float, float]]) -> float:
    d = a.shape[1]
    sides = [np.hstack([s * np.eye(d), -np.ones((d, 1))]) for s in (1, -1)]
    rows = np.vstack([np.hstack([-a, np.zeros((len(a), 1))]), *sides])
    limits = np.concatenate([-b, np.zeros(2 * d)])
    solved = linprog(np.eye(d + 1)[-1], rows, limits, bounds=[*bounds, (0, None)])
    return float(solved.fun) if solved.status == 0 else float("inf")


@pytest.mark.parametrize("box", [None, UNIT])
@pytest.mark.parametrize("p", [2.0, np.inf])
def test_linear_models_have_the_optimum_of_a_programme(
    p: float, box: tuple[float, float] | None
) -> None:
    n, d, k = 6, 12, 3
    models, weights = zip(*(linear(seed, d, k) for seed in range(2)), strict=True)
    x = torch.rand(n, d, generator=torch_stream(0, "x"))
    y = torch.stack([model(x).argmax(dim=1) for model in models])
    true = []
    for i in range(n):
        rows = []
        for model, weight, own in zip(models, weights, y[:, i].tolist(), strict=True):
            logits, w = model(x[i : i + 1])[0].double().numpy(), weight.double().numpy()
            rows.append([(w[j] - w[own], logits[own] - logits[j]) for j in range(k) if j != own])
        values = []
        for pair in itertools.product(*rows):
            a, b = np.array([row[0] for row in pair]), np.array([row[1] for row in pair])
            here = x[i].double().numpy()
            if p == 2:
                if box is not None:
                    a = np.vstack([a, np.eye(d), -np.eye(d)])
                    b = np.concatenate([b, -here, here - 1])
                values.append(least_l2(a, b))
            else:
                reach = [(-v, 1 - v) if box else (-1e3, 1e3) for v in here]
                values.append(least_linf(a, b, reach))
        true.append(min(values))
    points, radii = minimal_joint(models, x, y, p=p, budget="quick", box=box)
    left = torch.stack([model(points).argmax(dim=1) for model in models]) != y
    found = torch.isfinite(radii)
    assert found.sum() >= n - 1
    assert left[:, found].all()
    if box is not None:
        assert points.min() >= 0
        assert points.max() <= 1
    ratio = radii[found].numpy() / np.array(true)[found.numpy()]
    assert ratio.min() > 1 - 1e-4
    assert np.median(ratio) < 1 + 1e-4
    assert ratio.max() < 1.02


def test_a_model_twice_has_the_radius_of_one() -> None:
    model, _ = linear(0, 8, 3)
    x = torch.rand(5, 8, generator=torch_stream(0, "x"))
    y = model(x).argmax(dim=1)
    _, once = minimal_joint([model], x, y[None], p=2, budget="quick")
    _, twice = minimal_joint([model, model], x, torch.stack([y, y]), p=2, budget="quick")
    assert torch.allclose(once, twice, rtol=1e-3)


@pytest.mark.parametrize(
    ("models", "p", "message"), [(0, 2, "models: none"), (1, 1, "p: 1"), (2, 2, "y: shape")]
)
def test_unfit_arguments_are_named(models: int, p: float, message: str) -> None:
    model, _ = linear(0, 4, 3)
    x = torch.rand(2, 4, generator=torch_stream(0, "x"))
    with pytest.raises(InputError, match=message):
        minimal_joint([model] * models, x, torch.zeros(1, 2, dtype=torch.long), p=p)


def net(seed: int, *layers: nn.Module) -> nn.Sequential:
    module = nn.Sequential(nn.Flatten(), *layers)
    initialise(module, torch_stream(seed, "weights"))
    images, labels = torch.from_numpy(DATA.train_images), torch.from_numpy(DATA.train_labels)
    optimiser = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(images), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject(
        data=DATA,
        generator=nn.Sequential(nn.Identity()),
        latent_dimension=64,
        image_shape=DATA.image_shape,
        n_classes=10,
        classifiers={
            "linear": net(0, nn.Linear(64, 10)),
            "mlp": net(1, nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10)),
            "other": net(2, nn.Linear(64, 10)),
        },
    )


@pytest.fixture(scope="module")
def attacked(subject: Subject) -> Outcome:
    return JointImageRadii(images=4, effort="quick").measure(subject, CONTEXT)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_ends_rise_with_the_set(attacked: Outcome, norm: str) -> None:
    members = attacked.arrays["members"]
    lower, upper = (attacked.arrays[f"{norm}.{end}"] for end in ("lower", "upper"))
    assert members.sum(axis=1).tolist() == [3, 2, 2, 2, 1, 1, 1]
    assert (lower[-3:] > 0).all()
    assert (lower <= upper).all()
    for i, j in itertools.permutations(range(len(members)), 2):
        if (members[i] <= members[j]).all():
            assert (upper[i] <= upper[j]).all()
            assert (lower[i] <= lower[j]).all()
    whole = attacked.evidence[f"joint_distance[{norm}]"]
    assert isinstance(whole, Radii)
    assert np.array_equal(whole.upper, upper[0])
    assert (upper[0] > upper[-3:].max(axis=0) * (1 - 1e-9)).all()
    assert np.isfinite(upper).all()
    assert attacked.facts[f"not_found[{norm}]"] == [0] * 7


def generated(subject: Subject) -> Subject:
    g = nn.Sequential(nn.Linear(4, 64), nn.Unflatten(1, DATA.image_shape))
    initialise(g, torch_stream(3, "generator"))
    pair = {label: subject.classifiers[label] for label in ("linear", "other")}
    return replace(
        subject,
        generator=g.eval().requires_grad_(False),
        latent_dimension=4,
        classifiers=pair,
        data=None,
    )


def test_theorem_3_is_judged_on_the_radius_of_two(subject: Subject) -> None:
    both = generated(subject)
    settings = JointRadii(n=8, batch=5, n_labels=2000, restarts=1, steps=8, polish_steps=8)
    outcome = settings.measure(both, CONTEXT)
    joint, single = outcome.evidence["r_joint[l2]"], outcome.arrays["r_in.upper"]
    assert isinstance(joint, Radii)
    assert (joint.upper >= single.max(axis=0)).all()
    assert (joint.lower == outcome.arrays["r_in.lower"].max(axis=0)).all()
    assert (joint.lower > 0).mean() > 0.9
    counts = outcome.facts["disagreement_counts"]
    assert counts["n"] == sum(outcome.facts["class_counts"]) == 2000
    assert 0 < counts["different"] < 2000
    layer = both.generator[0]
    assert isinstance(layer, nn.Linear)
    constant = float(torch.linalg.matrix_norm(layer.weight.double(), 2)) * (1 + 1e-9)
    names = {
        "generator": {"label": "affine"},
        "classifiers": [{"label": label} for label in both.classifiers],
    }
    known = {
        "latent_law": "gaussian",
        "moduli[l2->l2]": [{"kind": "lipschitz", "constant": constant, "certified": True}],
    }
    records = [
        Record(Request("measure", "joint_radii", {}, names, 0), outcome.evidence, outcome.facts),
        Record(Request("measure", "modulus", {}, {"generator": names["generator"]}, 0), {}, known),
    ]
    verdicts = {v.claim: v for v in judge_records(records, 0.05)}
    assert {"fawzi2018/thm3", "fawzi2018/thm3-sharp"} <= verdicts.keys()
    assert verdicts["fawzi2018/thm3-sharp"].outcome in ("HOLDS", "UNDECIDED")
    assert verdicts["fawzi2018/thm3-sharp"].subject == "affine · linear + other"
    again = settings.measure(both, CONTEXT)
    assert np.array_equal(again.arrays["r_in.upper"], single)


def test_joint_radii_are_of_two(subject: Subject) -> None:
    with pytest.raises(InputError, match="needs two classifiers, got 3"):
        JointRadii().measure(subject, CONTEXT)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norms": ()}, "norms is empty"),
        ({"norms": ("l3",)}, "unknown norm 'l3'"),
        ({"effort": "quik"}, "did you mean 'quick'"),
    ],
)
def test_unknown_settings_are_named(settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        JointImageRadii(**settings)  # type: ignore[arg-type]
