"""Frechet distances in closed form, classes and diversity of what is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import nn

from empirics.data import load
from empirics.measures.quality import (
    Quality,
    class_histogram,
    extrapolated_distance,
    frechet_distance,
    mean_pairwise_distance,
    penultimate_features,
)
from empirics.plugins import Context, Subject
from empirics.seeds import torch_stream
from empirics.train import initialise
from theory.arrays import FloatArray
from theory.errors import InputError

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
DATA = load("digits")


def standardised(rng: np.random.Generator, n: int, d: int) -> FloatArray:
    """Return a sample of mean 0 and covariance I, exactly."""
    x = rng.normal(size=(n, d))
    x -= x.mean(axis=0)
    return np.asarray(x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T)


def test_gaussians_of_known_distance() -> None:
    rng = np.random.default_rng(0)
    white = standardised(rng, 40, 5)
    first, second = rng.normal(size=(2, 5, 5))
    a, b = white @ first.T, white @ second.T + 3.0
    covariances = first @ first.T, second @ second.T
    root = linalg.sqrtm(covariances[0] @ covariances[1])
    trace = np.trace(covariances[0] + covariances[1] - 2 * root.real)
    np.testing.assert_allclose(frechet_distance(a, b), 45 + trace, rtol=1e-9)
    np.testing.assert_allclose(frechet_distance(b, a), 45 + trace, rtol=1e-9)
    # Commuting covariances: the difference of the standard deviations.
    np.testing.assert_allclose(frechet_distance(white * 2, white * 5), 5 * 9, rtol=1e-9)
    assert frechet_distance(a, rng.permutation(a)) < 1e-9


def test_singular_covariances_are_no_obstacle() -> None:
    rng = np.random.default_rng(0)
    few = rng.normal(size=(4, 30))
    assert frechet_distance(few, few + 1e-3) == pytest.approx(30e-6, rel=1e-3)
    point = np.zeros((3, 2))
    spread = standardised(rng, 10, 2)
    assert frechet_distance(point, spread) == pytest.approx(2.0)
    for shapes in (((1, 2), (3, 2)), ((3, 2), (3, 4))):
        with pytest.raises(InputError, match="two points or more"):
            frechet_distance(*(np.zeros(shape) for shape in shapes))


def test_extrapolation_takes_the_bias_away() -> None:
    rng = np.random.default_rng(1)
    reference = standardised(rng, 4000, 8)
    plain, extrapolated = [], []
    for _ in range(10):
        sample = rng.normal(size=(400, 8))
        plain.append(frechet_distance(sample, reference))
        extrapolated.append(
            extrapolated_distance(sample, reference, [60, 80, 120, 200, 300, 400], rng)
        )
    assert abs(np.mean(extrapolated)) < 0.25 * np.mean(plain)


def test_features_are_what_enters_the_last_layer() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.ReLU(), nn.Linear(7, 10))
    images = torch.from_numpy(DATA.test_images[:1500])
    features, labels = penultimate_features(net, images)
    with torch.no_grad():
        np.testing.assert_allclose(features, net[:3](images).double().numpy())
        assert np.array_equal(labels, net(images).argmax(dim=1).numpy())
    assert features.dtype == np.float64
    assert not net[3]._forward_pre_hooks
    with pytest.raises(InputError, match="no linear layer"):
        penultimate_features(nn.Sequential(nn.Flatten()), images)


def test_histograms_and_pairs() -> None:
    found = class_histogram(np.repeat(np.arange(4), [40, 40, 19, 1]), 4)
    assert found["counts"] == [40, 40, 19, 1]
    assert found["missing"] == [3]
    even = class_histogram(np.arange(10), 10)
    assert even["relative_entropy"] == pytest.approx(1)
    assert even["missing"] == []
    one = class_histogram(np.zeros(5, dtype=np.int64), 3)
    assert (one["entropy"], one["missing"]) == (0, [1, 2])
    three = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 8.0]])
    assert mean_pairwise_distance(three) == pytest.approx((5 + 8 + 5) / 3)


class Replay(nn.Module):
    """Gives training images, the same share of them to each part of the latents' line."""

    def __init__(self, images: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("images", images)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        images = self.get_buffer("images")
        place = torch.special.ndtr(z[:, 0]) * len(images)
        return images[place.long().clamp_max(len(images) - 1)]


def subject(images: torch.Tensor) -> Subject:
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    initialise(teacher, torch_stream(0, "teacher"))
    optimiser = torch.optim.Adam(teacher.parameters(), 0.01)
    train, labels = torch.from_numpy(DATA.train_images), torch.from_numpy(DATA.train_labels)
    for _ in range(80):
        optimiser.zero_grad()
        nn.functional.cross_entropy(teacher(train), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    g = nn.Sequential(Replay(images))
    return Subject(DATA, g.eval(), 2, DATA.image_shape, teacher=teacher.requires_grad_(False))


def test_a_generator_of_the_data_is_as_good_as_the_data_and_one_of_a_class_is_not() -> None:
    train = torch.from_numpy(DATA.train_images)
    settings = Quality(sizes=5, pairs=200)
    good = settings.measure(subject(train), CONTEXT).facts["quality"]
    assert (good["n"], good["n_test"], good["features"]) == (1437, 360, 16)
    assert good["frechet_generated"] < 2 * good["frechet_train"]
    assert good["classes_generated"]["missing"] == []
    assert good["classes_generated"]["relative_entropy"] > 0.98
    assert 0.9 < good["diversity"] < 1.1
    assert good["frechet_train_extrapolated"] < good["frechet_train"]
    threes = train[torch.from_numpy(DATA.train_labels == 3)]
    collapsed = settings.measure(subject(threes), CONTEXT).facts["quality"]
    assert collapsed["frechet_generated"] > 10 * good["frechet_generated"]
    assert len(collapsed["classes_generated"]["missing"]) >= 6
    assert collapsed["diversity"] < 0.8
    assert collapsed["frechet_train"] == good["frechet_train"]
    single = settings.measure(subject(train[:1]), CONTEXT).facts["quality"]
    assert single["diversity"] == 0
    assert (
        "frechet_generated_extrapolated"
        not in (replace(settings, sizes=0).measure(subject(threes), CONTEXT).facts["quality"])
    )


def test_a_teacher_is_needed() -> None:
    without = replace(subject(torch.from_numpy(DATA.train_images)), teacher=None)
    with pytest.raises(InputError, match="needs a data set and a teacher"):
        Quality().measure(without, CONTEXT)
