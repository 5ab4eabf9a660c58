"""Timed attacks: what is read, what is counted, and what is judged again."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from empirics.attacks import ATTACKS, attack
from empirics.correct_images import correct_images
from empirics.data import Dataset, load
from empirics.instruments import Instrument, Passes, stored
from empirics.measures.strength import Strength
from empirics.plugins import Context, Outcome, Subject
from theory.errors import InputError

DATA: Dataset = load("digits")
CONTEXT = Context(torch.device("cpu"), 0, "strength", ("strength",))
N = 5
LINES = ("ddn:steps=30", "minimal:budget=quick", "deepfool", "apgd:steps=10")


def linear() -> Subject:
    """Return the classifier by the nearest class mean, which is linear."""
    flat = DATA.train_images.reshape(len(DATA.train_images), -1)
    means = np.stack([flat[DATA.train_labels == k].mean(axis=0) for k in range(DATA.n_classes)])
    layer = nn.Linear(flat.shape[1], DATA.n_classes)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(means))
        layer.bias.copy_(torch.from_numpy(-0.5 * (means**2).sum(axis=1)))
    model = nn.Sequential(nn.Flatten(), layer).eval().requires_grad_(False)
    shape = DATA.image_shape
    return Subject(DATA, nn.Sequential(nn.Identity()), 64, shape, classifier=model, n_classes=10)


@pytest.fixture
def strange() -> Iterator[None]:
    """Register attacks as others might write them: one that lies, one that raises."""

    @attack("foolbox-lies")
    def lies(_model: nn.Module, x: torch.Tensor, _y: torch.Tensor) -> torch.Tensor:
        x[0], x[1] = torch.nan, 3.0  # its inputs are not its own
        return x

    @attack("foolbox-raises")
    def raises(
        _model: nn.Module, _x: torch.Tensor, _y: torch.Tensor, **settings: int
    ) -> torch.Tensor:
        raise KeyError(f"no such\n{settings}")

    yield
    for name in ("foolbox-lies", "foolbox-raises"):
        del ATTACKS._items[name]


@pytest.fixture(scope="module")
def timed() -> Outcome:
    settings = Strength(images=N, l2=LINES, linf=("fgsm",), l1=(), l0=("greedy_l0",))
    return settings.measure(linear(), CONTEXT)


def test_distances_are_those_of_a_linear_classifier(timed: Outcome) -> None:
    subject = linear()
    images = correct_images(subject, N)
    assert subject.classifier is not None
    weight = subject.classifier[1].weight.double().numpy()
    logits = images.flat @ weight.T + subject.classifier[1].bias.double().numpy()
    gaps = logits[np.arange(N), images.labels][:, None] - logits
    slopes = np.linalg.norm(weight[images.labels][:, None] - weight, axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        least = np.nanmin(gaps / slopes, axis=1)
    radii = timed.arrays["l2.radii"]
    assert radii.shape == (len(LINES), N)
    assert np.isfinite(radii).all()
    assert (radii >= least * (1 - 1e-5)).all()  # the box only adds to the distance
    assert (radii[1] <= radii.min(axis=0) * 1.001).all()


def test_times_and_passes_are_counted(timed: Outcome) -> None:
    lines = timed.facts["instruments"]["l2"]
    assert [line["line"] for line in lines] == list(LINES)
    for line in lines:
        assert line["library"] is None
        assert line["cpu_seconds"] > 0
        assert line["wall_seconds"] > 0
    ddn = lines[0]
    assert ddn["settings"] == {"steps": 30}
    # A gradient a step, and few passes more.
    assert 29 * N <= ddn["backward"] <= 33 * N
    assert ddn["backward"] <= ddn["forward"] <= 60 * N
    assert timed.facts["failed"] == timed.facts["absent"] == []


def test_passes_are_counted_only_within() -> None:
    module = nn.Sequential(nn.Linear(3, 2))
    x = torch.ones(4, 3, requires_grad=True)
    with Passes(module) as passes:
        module(x.detach()[:3])
        module(x).sum().backward()  # type: ignore[no-untyped-call]
    module(x).sum().backward()  # type: ignore[no-untyped-call]
    assert (passes.forward, passes.backward) == (7, 4)


@pytest.mark.usefixtures("strange")
def test_others_attacks_are_judged_again_and_stop_no_other() -> None:
    lines = ("foolbox-lies", "foolbox-raises:steps=2", "foolbox-missing:steps=9", "deepfool")
    outcome = Strength(images=3, l2=lines, linf=(), l1=(), l0=()).measure(linear(), CONTEXT)
    lied, own = outcome.arrays["l2.radii"]
    assert np.isinf(lied[[0, 2]]).all()
    assert np.isfinite(own).all()
    assert [line["library"] for line in outcome.facts["instruments"]["l2"]] == ["foolbox", None]
    assert outcome.facts["absent"] == ["foolbox-missing:steps=9"]
    (failure,) = outcome.facts["failed"]
    assert failure["line"] == "foolbox-raises:steps=2"
    assert failure["error"] == "KeyError: \"no such\\n{'steps': 2}\""


def test_points_are_cut_to_the_box_before_they_are_judged() -> None:
    images = correct_images(linear(), 2)
    far = torch.from_numpy(images.flat.astype(np.float32)).clone()
    far[0] = torch.where(far[0] > 0.5, -5.0, 5.0)
    far[1, 0] = torch.inf
    flat, labels, found = stored(far, images)
    assert flat.min() >= 0
    assert flat.max() <= 1
    assert found.tolist() == [bool(labels[0] != images.labels[0]), False]
    assert np.array_equal(flat[1], images.flat[1].astype(np.float32))
    with pytest.raises(InputError, match="points of shape"):
        stored(far[:1], images)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ddm:steps=3", "unknown attack 'ddm'; did you mean 'ddn'"),
        ("ddn:step=3", "unknown setting 'step'; did you mean 'steps'"),
        ("ddn:steps=many", "steps must be of type int"),
        ("ddn:steps=1.5", "steps must be of type int"),
        ("ddn:steps", "expected name:key=value"),
        ("ddn:steps=1,steps=2", "gives a setting twice"),
        ("ddn:box=1", "unknown setting 'box'"),
        ("minimal:budget=quik", "unknown budget 'quik'; did you mean 'quick'"),
        ("", "expected name:key=value"),
    ],
)
def test_lines_are_read_strictly(line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Strength(l2=(line,))


def test_values_have_types() -> None:
    line = "cw_l0:steps=60,step_size=1,last_weight=1e3"
    settings = Instrument.read(line).settings
    assert settings == {"steps": 60, "step_size": 1, "last_weight": 1000.0}
    assert Instrument.read("one_pixel:local=true").settings == {"local": True}
    assert Instrument.read("art-none:mode=fast").settings == {"mode": "fast"}


def test_every_minimal_attack_is_timed_by_default() -> None:
    lines = [line for norm in ("l2", "linf", "l1", "l0") for line in getattr(Strength(), norm)]
    timed = {Instrument.read(line).name for line in lines}
    minimal = {name for name, run in ATTACKS.items() if "minimal" in (run.__doc__ or "")[:400]}
    assert {"ddn", "alma", "fmn", "greedy_l0", "hop_skip_jump"} <= minimal
    assert minimal - timed == {"synthesis"}  # which says that it is not
