"""Transfer between classifiers: counted again from stored points' makers, closed forms, noise."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from empirics.attacks.transfer import magnified, transfer_matrix
from empirics.data import load
from empirics.measures.transfer_matrix import TransferMatrix
from empirics.plugins import Context, Outcome, Subject
from empirics.seeds import torch_stream
from empirics.train import initialise
from theory.errors import InputError

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
DATA = load("digits")


def net(seed: int) -> nn.Sequential:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    initialise(module, torch_stream(seed, "weights"))
    images, labels = torch.from_numpy(DATA.train_images), torch.from_numpy(DATA.train_labels)
    optimiser = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(80):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(images), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def subject() -> Subject:
    first = net(0)
    return Subject(
        data=DATA,
        generator=nn.Sequential(nn.Identity()),
        latent_dimension=64,
        image_shape=DATA.image_shape,
        n_classes=10,
        classifiers={"first": first, "twin": first, "other": net(1)},
    )


@pytest.fixture(scope="module")
def outcome(subject: Subject) -> Outcome:
    return TransferMatrix(images=8, steps=30).measure(subject, CONTEXT)


def test_identical_classifiers_are_fooled_alike(outcome: Outcome) -> None:
    rows = {row["label"]: row for row in outcome.facts["crafted_on"]}
    assert [row["n"] for row in rows.values()] == [8, 8, 8]
    assert rows["first"]["fooled"][:2] == rows["twin"]["fooled"][:2] == [8, 8]
    assert rows["first"]["fooled"] == rows["twin"]["fooled"]
    assert rows["other"]["fooled"][2] == 8
    assert rows["other"]["fooled"][0] == rows["other"]["fooled"][1]


def test_images_are_those_all_classifiers_get_right(subject: Subject, outcome: Outcome) -> None:
    images = torch.from_numpy(DATA.test_images)
    right = np.stack(
        [f(images).argmax(dim=1).numpy() == DATA.test_labels for f in subject.classifiers.values()]
    )
    index = np.flatnonzero(right.all(axis=0))[:8]
    assert np.array_equal(outcome.arrays["index"], index)
    assert outcome.facts["n_drawn"] == index[-1] + 1
    assert outcome.facts["test_errors"]["other"] == pytest.approx(1 - right[2].mean())


def test_facts_are_counts_of_the_arrays(outcome: Outcome) -> None:
    fooled, found = outcome.arrays["fooled"], outcome.arrays["found"]
    size = outcome.arrays["distortion"]
    for i, row in enumerate(outcome.facts["crafted_on"]):
        assert row["fooled"] == fooled[i].sum(axis=1).tolist()
        assert row["distortion"] == pytest.approx(size[i][found[i]].mean())
    more = outcome.arrays["magnified 0.1"]
    assert [row["fooled"] for row in outcome.facts["magnified"]] == more.sum(axis=2).tolist()
    for row in outcome.facts["magnified"]:
        assert 0.05 < row["distortion"] <= 0.1 + 1e-6
    assert [row["deviation"] for row in outcome.facts["noise"]] == [0.1, 0.3]
    sizes = [row["distortion"] for row in outcome.facts["noise"]]
    assert 0.05 < sizes[0] < 0.1 < sizes[1] < 0.3
    assert outcome.facts["noise"][1]["fooled"] == outcome.arrays["noise 0.3"].sum(axis=1).tolist()


def test_minimal_distortions_of_linear_classifiers(subject: Subject, outcome: Outcome) -> None:
    # Without the box, the distance to the nearest of nine planes; the box can only lengthen it.
    layer = subject.classifiers["other"][1]
    assert isinstance(layer, nn.Linear)
    weight, bias = layer.weight.double().numpy(), layer.bias.double().numpy()
    at = outcome.arrays["index"]
    x = DATA.test_images[at].reshape(8, -1).astype(np.float64)
    logits, label = x @ weight.T + bias, outcome.arrays["label"]
    least = np.full(8, np.inf)
    for i, k in itertools.product(range(8), range(10)):
        if k != label[i]:
            gap = logits[i, label[i]] - logits[i, k]
            least[i] = min(least[i], gap / np.linalg.norm(weight[label[i]] - weight[k]))
    seen = outcome.arrays["distortion"][2] * 8
    assert (seen >= least * (1 - 1e-6)).all()
    assert np.median(seen / least) < 1.3


def test_a_random_aim_is_farther_and_other_attacks_are_as_near(
    subject: Subject, outcome: Outcome
) -> None:
    near = outcome.arrays["distortion"]
    settings = TransferMatrix(images=8, by="ddn", steps=60, noise=(), magnified=())
    other = settings.measure(subject, CONTEXT).arrays["distortion"]
    assert np.median(other / near) == pytest.approx(1, abs=0.1)
    aimed = replace(settings, towards="random").measure(subject, CONTEXT)
    assert np.median(aimed.arrays["distortion"] / other) > 1.1
    assert {"noise 0.1", "magnified 0.1"}.isdisjoint(aimed.arrays)


def test_the_same_seed_gives_the_same_arrays(subject: Subject) -> None:
    settings = TransferMatrix(images=3, by="deepfool", towards="random")
    state = torch.random.get_rng_state()
    runs = [settings.measure(subject, CONTEXT) for _ in range(2)]
    assert torch.equal(state, torch.random.get_rng_state())
    assert runs[0].facts == runs[1].facts
    for name, array in runs[0].arrays.items():
        assert np.array_equal(array, runs[1].arrays[name])


def test_magnified_directions_have_the_distortion_unless_clipped() -> None:
    x = torch.rand(5, 1, 3, 3, generator=torch_stream(0, "x"))
    points = x + 0.01 * torch.randn(x.shape, generator=torch_stream(1, "x"))
    points[0] = x[0]
    moved = magnified(x, points, 0.2)
    size = (moved - x).flatten(1).square().mean(dim=1).sqrt()
    assert size.tolist() == pytest.approx([0, 0.2, 0.2, 0.2, 0.2], abs=1e-6)
    clipped = magnified(x, points, 0.2, box=(0.0, 1.0))
    assert clipped.min() >= 0
    assert clipped.max() <= 1
    assert ((clipped - x).flatten(1).square().mean(dim=1).sqrt() <= size + 1e-6).all()
    with pytest.raises(InputError, match="distortion: 0"):
        magnified(x, points, 0.0)
    with pytest.raises(InputError, match="points: shape"):
        magnified(x, points[:2], 0.1)


def test_points_of_the_matrix_are_kept(subject: Subject) -> None:
    x = torch.from_numpy(DATA.test_images[:4])
    models = list(subject.classifiers.values())
    y = models[0](x).argmax(dim=1)
    found = transfer_matrix(models, x, y, by="deepfool", box=(0.0, 1.0))
    assert found.points.shape == (3, *x.shape)
    again = torch.stack([model(found.points[0]).argmax(dim=1) != y for model in models])
    assert torch.equal(found.fooled[0], again & found.counted[0])


def test_one_classifier_is_not_enough(subject: Subject) -> None:
    alone = replace(subject, classifiers={"first": subject.classifiers["first"]})
    with pytest.raises(InputError, match="1 classifiers; expected a data set and two or more"):
        TransferMatrix().measure(alone, CONTEXT)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"by": "lbgfs"}, "unknown attack 'lbgfs'; did you mean 'lbfgs'"),
        ({"towards": "all"}, "unknown aim 'all'"),
    ],
)
def test_unknown_settings_are_named(settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TransferMatrix(**settings)  # type: ignore[arg-type]
