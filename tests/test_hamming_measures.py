"""Measures of few changed pixels, on a small network trained on the embedded digits."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from empirics.attacks.one_pixel import one_pixel
from empirics.config import load_preset
from empirics.record import Record
from empirics.run import run
from empirics.seeds import torch_stream
from empirics.settings import ConfigError
from empirics.store import preset_records
from empirics.tangents import TorchClassifier, searchable
from empirics.train import shifted
from theory.evidence import Interval, Radii
from theory.relu import ReluNetwork

PRESET = """
description = "small"
data = "digits"

[[image_classifier]]
name = "mlp"
hidden = [12]
steps = 600

[measure.hamming]
images = 2
overshoots = [0, 1]
levels = 16
exact_seconds = 60

[measure.random_pixels]
images = 2
counts = [4, 11]
overshoots = [50]
draws = 8

[measure.planar_slice]

[measure.one_pixel]
images = 3
iterations = 5
"""


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """The records of the preset, by measure."""
    folder = tmp_path_factory.mktemp("hamming")
    (folder / "few.toml").write_text(PRESET)
    preset = load_preset(str(folder / "few.toml"))
    summary = run(preset, folder / "build", torch.device("cpu"))
    assert summary.failed == ()
    found, _ = preset_records("few", folder / "build")
    return {r.request.plugin: r for r in found if r.request.action == "measure"}


def test_intervals_of_each_box_are_intervals(records: dict[str, Record]) -> None:
    record = records["hamming"]
    for space in ("hamming in 0..1", "hamming in -1..2"):
        targeted = record.evidence[f"r_targeted[{space}]"]
        nearest = record.evidence[f"r_unc[{space}]"]
        assert isinstance(targeted, Radii)
        assert isinstance(nearest, Radii)
        assert targeted.n == 18
        assert (targeted.lower >= 1).all()
        assert (targeted.lower <= targeted.upper).all()
        assert np.array_equal(nearest.upper, targeted.upper.reshape(2, 9).min(axis=1))
        distance = record.evidence[f"label_distance[{space}]"]
        assert isinstance(distance, Interval)
        assert (distance.lower, distance.upper) == (targeted.lower.max(), targeted.upper.max())
    # A wider box needs no more pixels: the exact ends of the narrow one bound it from above.
    narrow, wide = (record.arrays[f"hamming in {box}.upper"] for box in ("0..1", "-1..2"))
    assert np.nanmedian(wide) <= np.nanmedian(narrow)


def test_stored_points_are_what_their_ends_say(records: dict[str, Record]) -> None:
    record = records["hamming"]
    images, labels = record.arrays["image"], record.arrays["label"]
    points, upper = record.arrays["hamming in 0..1.points"], record.arrays["hamming in 0..1.upper"]
    assert points.shape == (1, 10, 1, 8, 8)
    for target in range(10):
        changed = np.count_nonzero(points[0, target] != images[0])
        if target == labels[0]:
            assert np.isnan(upper[0, target])
            assert changed == 0
        else:
            assert changed == upper[0, target]
            new = points[0, target][points[0, target] != images[0]]
            assert np.allclose(new * 16, np.round(16 * new.astype(np.float64)), atol=1e-6)
            assert new.min() >= 0
            assert new.max() <= 1


def test_the_small_network_is_solved(records: dict[str, Record]) -> None:
    seen = records["hamming"].evidence["r_targeted[hamming in 0..1]"]
    assert isinstance(seen, Radii)
    assert np.mean(seen.lower == seen.upper) > 0.5


def test_one_pixel_of_unlimited_range(records: dict[str, Record]) -> None:
    record = records["hamming"]
    change = record.arrays["unlimited.change"]
    assert np.isnan(change).sum() == 2
    if record.facts["recession_classes"] == 10:
        assert record.evidence["label_distance[hamming]"] == Interval(1.0, 1.0)
        assert np.nanmin(change) > 0


def test_random_pixels_count_draws(records: dict[str, Record]) -> None:
    record = records["random_pixels"]
    tries, draws = record.arrays["climb.tries"], record.arrays["path.draws"]
    assert tries.shape == (1, 2, 18)
    assert draws.shape == (2, 18)
    assert tries.min() >= 0
    assert tries.max() <= 3
    assert draws.max() <= 8
    assert (tries[0, 1] > 0).mean() >= (tries[0, 0] > 0).mean()
    walk = record.facts["walk"]
    leads, progress = record.arrays["walk.leads"], record.arrays["walk.progress"]
    assert walk["status"] == "reached"
    assert (leads[-1] > 0).all()
    assert (leads[0] < 0).any()
    assert progress[0] == 0
    assert len(leads) == len(progress) == len(record.arrays["walk.change"])


def test_the_slice_is_cut_into_polygons(records: dict[str, Record]) -> None:
    record = records["planar_slice"]
    starts = record.arrays["starts"]
    vertices = record.arrays["vertices"].astype(np.float64)
    left, right, bottom, top = record.arrays["extent"]
    area = 0.0
    for begin, end in itertools.pairwise(starts):
        x, y = vertices[begin:end].T
        area += 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    assert area == pytest.approx((right - left) * (top - bottom), rel=1e-5)
    assert len(set(record.facts["image_labels"])) == 3


def test_differential_evolution_finds_what_one_pixel_can() -> None:
    linear = nn.Linear(16, 2)
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.copy_(torch.tensor([0.0, -0.9]))
        linear.weight[1, 5] = 1.0
    model = nn.Sequential(nn.Flatten(), linear)
    x, y = torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.long)
    found = one_pixel(model, x, y, population=40, iterations=60, stream=torch_stream(0, "de"))
    assert (model(found).argmax(dim=1) == 1).all()
    assert ((found != x).flatten(1).sum(dim=1) == 1).all()
    assert (found[:, 0, 1, 1] > 0.9).all()
    stuck = one_pixel(model, x, y, high=0.5, population=40, iterations=5)
    assert torch.equal(stuck, x)


def test_a_network_that_is_not_piecewise_linear_is_searched_by_tangents() -> None:
    stream = torch_stream(1, "weights")
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 3))
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=stream)
    found, reason = searchable(model, (1, 2, 3))
    assert isinstance(found, TorchClassifier)
    assert "Sigmoid" in str(reason)
    x = torch.randn(6, generator=stream, dtype=torch.float64).numpy()
    tangent = found.affine(x)
    assert np.allclose(tangent(x), found(x), rtol=1e-12)
    step = 1e-6 * np.eye(6)
    slopes = (found(x + step) - found(x - step)) / 2e-6
    assert np.allclose(tangent.weight.T, slopes, atol=1e-8)
    assert isinstance(searchable(nn.Sequential(nn.Linear(6, 3)), (6,))[0], ReluNetwork)


def test_shifts_move_whole_images() -> None:
    stream = torch_stream(2, "shift")
    images = torch.rand(5, 1, 6, 6, generator=stream)
    assert shifted(images, 0, stream) is images
    seen = set()
    for _ in range(60):
        moved = shifted(images, 1, stream)
        offsets = [
            (down, right)
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
            if torch.equal(
                torch.roll(moved, (down, right), (2, 3))[:, :, 1:-1, 1:-1], images[:, :, 1:-1, 1:-1]
            )
        ]
        assert len(offsets) == 1
        seen.add(offsets[0])
    assert len(seen) == 9


def test_unknown_companions_are_named(tmp_path: Path) -> None:
    path = tmp_path / "few.toml"
    path.write_text('companions = ["hammin"]\n' + PRESET)
    with pytest.raises(ConfigError, match="did you mean 'hamming'"):
        load_preset(str(path))
