"""Scans of all pixels, searches of few, fixed pixels, and the conjectures that they speak to."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from empirics.activations import ACTIVATIONS
from empirics.classifiers.conv import SmallConvolutional
from empirics.classifiers.mlp import MultiLayerPerceptron
from empirics.config import load_preset
from empirics.correct_images import CorrectImages, correct_images
from empirics.data import Dataset
from empirics.judge import judge_records
from empirics.measures.fewest_changes import FewestChanges
from empirics.measures.fixed_pixels import FixedPixels
from empirics.measures.pixel_scan import PixelScan, success_shares
from empirics.pixel_ascent import ascent
from empirics.plan import plan
from empirics.plugins import Context, Subject
from empirics.record import Record
from empirics.run import run
from empirics.seeds import torch_stream
from empirics.settings import identity
from empirics.single_changes import SingleChanges
from empirics.store import preset_records
from empirics.train import initialise
from theory.claim import CLAIMS, Kind, OutOfScopeError, Status
from theory.conjectures import pixels
from theory.conjectures.deeper_is_no_harder import deeper_is_no_harder
from theory.conjectures.sigmoid_resists_one_pixel import sigmoid_resists_one_pixel
from theory.conjectures.smooth_steps_resist import smooth_steps_resist
from theory.errors import InputError
from theory.evidence import Interval, Radii

IDS = (
    "shamir2019/any-pixels-will-do",
    "shamir2019/deeper-is-no-harder",
    "shamir2019/depth-does-not-help",
    "shamir2019/eleven-fixed-pixels-suffice",
    "shamir2019/half-in-own-range",
    "shamir2019/smooth-steps-resist",
    "shamir2019/ten-fixed-pixels-fail",
    "su2019/sigmoid-resists-one-pixel",
    "vargas2020/successful-pixels-cluster",
)
PRESET = """
description = "small"
data = "digits"

[[image_classifier]]
name = "mlp"
label = "relu"
hidden = [16]
steps = 250
learning_rate = 0.01

[[image_classifier]]
name = "mlp"
label = "sigmoid"
hidden = [16]
activation = "sigmoid"
steps = 250
learning_rate = 0.02

[[image_classifier]]
name = "mlp"
label = "relu-2"
hidden = [16, 16]
steps = 250
learning_rate = 0.01

[measure.pixel_scan]
images = 40

[measure.fewest_changes]
images = 12

[measure.fixed_pixels]
images = 2
counts = [2, 10, 11]
ascent_counts = [3, 10]
ascent_steps = 12
"""
CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """What the measures found on three networks."""
    folder = tmp_path_factory.mktemp("pixels")
    (folder / "few.toml").write_text(PRESET)
    preset = load_preset(str(folder / "few.toml"))
    assert run(preset, folder / "build", torch.device("cpu")).failed == ()
    return [r for r in preset_records("few", folder / "build")[0] if r.request.action == "measure"]


def record(records: list[Record], measure: str, label: str) -> Record:
    """Return the record of a measure of one network."""
    wanted = (measure, label)
    (found,) = (
        r
        for r in records
        if (r.request.plugin, r.request.subject["image_classifier"]["label"]) == wanted
    )
    return found


def images_of(module: nn.Module, shape: tuple[int, ...], n: int = 3) -> CorrectImages:
    """Return random images with the labels that a network gives them."""
    drawn = torch.rand(n, *shape, generator=torch_stream(1, "images"))
    with torch.no_grad():
        labels = module(drawn).argmax(dim=1).numpy()
    flat = drawn.flatten(1).double().numpy()
    return CorrectImages(flat, np.arange(n), labels, 0.0, module, shape, torch.device("cpu"))


@pytest.mark.parametrize(
    ("plugin", "shape", "quick"),
    [
        (MultiLayerPerceptron(hidden=(9, 9), activation="gelu"), (2, 5, 6), True),
        (SmallConvolutional(channels=(3, 4), pooling="max"), (1, 8, 8), True),
        (MultiLayerPerceptron(hidden=(9,), median_filter=3), (1, 6, 5), False),
    ],
)
def test_single_changes_are_those_of_the_whole_network(
    plugin: Any,  # noqa: ANN401
    shape: tuple[int, int, int],
    quick: bool,
) -> None:
    module = plugin.build(shape, 4).eval()
    initialise(module, torch_stream(0, "weights"))
    images = images_of(module, shape)
    changes = SingleChanges(images)
    assert changes.quick is quick
    altered = 0
    for i, label in enumerate(images.labels):
        for value in (-9.0, 12.0):
            colour = np.full(shape[0], value, dtype=np.float32)
            whole = np.repeat(images.flat[i].astype(np.float32)[None], shape[1] * shape[2], 0)
            seen = whole.reshape(len(whole), shape[0], -1)
            seen[np.arange(len(whole)), :, np.arange(len(whole))] = value
            with torch.no_grad():
                labels = module(torch.from_numpy(whole.reshape(-1, *shape))).argmax(1).numpy()
            found = changes.altered(i, colour)
            assert np.array_equal(found, labels != label)
            altered += int(found.sum())
    # A median does not see a single pixel of these.
    assert (altered > 0) is quick


def test_shares_of_neighbours_and_of_others_are_counted() -> None:
    stream = np.random.default_rng(0)
    for _ in range(5):
        success = stream.random((4, 5, 2)) < 0.3
        among = stream.random((4, 5)) < 0.8
        near, far = [], []
        for i, j, c in zip(*np.nonzero(success & among[:, :, None]), strict=True):
            others = [(a, b) for a, b in zip(*np.nonzero(among), strict=True) if (a, b) != (i, j)]
            touching = [at for at in others if max(abs(at[0] - i), abs(at[1] - j)) == 1]
            if touching:
                near.append(np.mean([success[(*at, c)] for at in touching]))
                far.append(np.mean([success[(*at, c)] for at in others]))
        assert success_shares(success, among) == pytest.approx((np.mean(near), np.mean(far)))
    nothing = np.zeros((3, 3, 1), dtype=bool)
    assert success_shares(nothing, np.ones((3, 3), dtype=bool)) is None
    one = nothing.copy()
    one[1, 1] = True
    assert success_shares(one, np.ones((3, 3), dtype=bool)) == (0.0, 0.0)
    assert success_shares(one, one[:, :, 0]) is None


def test_a_scan_says_what_resists_and_where_successes_lie(records: list[Record]) -> None:
    seen = record(records, "pixel_scan", "relu")
    for low, high in pixels.SCANS:
        space = pixels.scanned(low, high, 2)
        counts = seen.arrays[f"{space}.counts"]
        share = seen.evidence[f"resisting_share[{space}]"]
        assert share == Interval(np.mean(counts == 0), np.mean(counts == 0))
        near, far = seen.arrays[f"{space}.neighbours"], seen.arrays[f"{space}.others"]
        assert np.array_equal(np.isnan(near), counts == 0)
        both = counts > 0
        elsewhere = seen.evidence.get(f"elsewhere[{space}]")
        if elsewhere is not None:
            assert isinstance(elsewhere, Radii)
            total = (near + far)[both]
            expected = np.where(total > 0, far[both] / np.where(total > 0, total, 1), 0.5)
            assert np.allclose(elsewhere.upper, expected, atol=1e-6)
            assert np.allclose(elsewhere.lower, elsewhere.upper, atol=1e-6)
        assert seen.arrays[f"{space}.by_pixel"].max() <= both.sum()
    # The ends of a wider box alter no less here.
    shares = [seen.evidence[f"resisting_share[{pixels.scanned(*b, 2)}]"] for b in pixels.SCANS]
    assert [s.upper for s in shares] == sorted((s.upper for s in shares), reverse=True)
    assert shares[-1].upper < 1


def test_one_search_serves_all_networks(records: list[Record]) -> None:
    for label, linear in (("relu", True), ("sigmoid", False)):
        seen = record(records, "fewest_changes", label)
        assert seen.facts["piecewise_linear"] is linear
        for quantity in pixels.FOUND_CHANGES:
            radii, mean = seen.evidence[f"r_unc[{quantity.norm}]"], seen.evidence[str(quantity)]
            assert isinstance(radii, Radii)
            assert (radii.lower == 1).all()
            assert np.isfinite(radii.upper).all()
            assert mean == Interval(radii.upper.mean(), radii.upper.mean())
    with pytest.raises(InputError, match=r"unknown effort 'quik'.*quick"):
        FewestChanges(effort="quik")


def one_pixel_decides(at: int) -> tuple[Subject, nn.Sequential]:
    """Return nine pixels of which one tells the two classes apart, at a half."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(9, 2)).eval().requires_grad_(False)
    module[1].weight.zero_()
    module[1].weight[1] = 1e-4
    module[1].weight[1, at] = 1.0
    module[1].bias.copy_(torch.tensor([0.5, 0.0]))
    drawn = torch.rand(20, 1, 3, 3, generator=torch_stream(0, "images"))
    arrays = drawn.numpy(), module(drawn).argmax(dim=1).numpy()
    data = Dataset("drawn", "here", *arrays, *arrays, ("below", "above"))
    subject = Subject(data, nn.Sequential(), 9, (1, 3, 3), classifier=module, n_classes=2)
    return subject, module


@pytest.mark.parametrize("at", [0, 5])
def test_the_least_number_is_the_place_of_the_pixel_that_decides(at: int) -> None:
    subject, _ = one_pixel_decides(at)
    counts = tuple(range(1, 10))
    settings = FixedPixels(images=3, orders=3, overshoots=(0.0,), counts=counts)
    found = FixedPixels.measure(settings, subject, CONTEXT)
    lower = found.arrays["hamming in 0..1.fixed_pixels.lower"]
    upper = found.arrays["hamming in 0..1.fixed_pixels.upper"]
    assert np.array_equal(lower, upper)
    # One place an order, whatever the image.
    assert (lower == lower[:, :1]).all()
    assert len(set(lower[:, 0, 0])) > 1
    expected = float(np.sort(lower.ravel())[lower.size // 2])
    assert found.evidence["fixed_pixels_median[hamming in 0..1]"] == Interval(expected, expected)
    wide = FixedPixels(images=3, orders=3, overshoots=(50.0,), counts=counts, ascent_counts=counts)
    seen = wide.measure(subject, CONTEXT)
    space = "hamming in -50..51"
    assert (seen.arrays[f"{space}.fixed_pixels.lower"] == 1).all()
    for kind in ("fixed_pixels", "ascent_pixels"):
        assert np.array_equal(seen.arrays[f"{space}.{kind}.upper"], lower)


def test_an_ascent_moves_the_given_pixels_alone() -> None:
    subject, module = one_pixel_decides(5)
    images = correct_images(subject, 6)
    x = torch.from_numpy(images.flat.astype(np.float32))
    given = torch.tensor([[5, 2], [2, 5], [1, 2], [5, 0], [3, 4], [8, 5]])
    targets = 1 - torch.from_numpy(images.labels)
    points = ascent(
        module,
        x,
        targets,
        given,
        (1, 3, 3),
        box=(0.0, 1.0),
        steps=20,
        stream=torch_stream(0, "ascent"),
        device=torch.device("cpu"),
    )
    moved = points != x
    assert not moved.scatter(1, given, False).any()
    assert points.min() >= 0
    assert points.max() <= 1
    reached = module(points.reshape(-1, 1, 3, 3)).argmax(dim=1) == targets
    assert reached.tolist() == [5 in row for row in given.tolist()]
    assert not moved[~reached].any()


def test_networks_without_programmes_say_what_the_ascent_found(records: list[Record]) -> None:
    for label, programmes in (("relu", True), ("sigmoid", False), ("relu-2", True)):
        evidence = record(records, "fixed_pixels", label).evidence
        assert str(pixels.ASCENT_NINTH_DECILE) in evidence
        assert (str(pixels.FIXED_NINTH_DECILE) in evidence) is programmes
    narrow = record(records, "fixed_pixels", "relu").evidence[
        "fixed_pixels_median[hamming in 0..1]"
    ]
    assert isinstance(narrow, Interval)
    assert narrow.lower in (1.0, 3.0, 11.0, 12.0)
    assert narrow.upper in (2.0, 10.0, 11.0, np.inf)


def test_each_conjecture_meets_the_records_it_speaks_of(records: list[Record]) -> None:
    verdicts = judge_records(records, 0.05)
    judged = {v.claim for v in verdicts}
    asked_elsewhere = {"shamir2019/depth-does-not-help", "shamir2019/half-in-own-range"}
    assert set(IDS) - asked_elsewhere <= judged
    fixed = [v for v in verdicts if v.claim == "shamir2019/eleven-fixed-pixels-suffice"]
    assert {v.subject for v in fixed} == {"relu", "relu-2"}
    assert {v.quantity for v in fixed} == {str(q) for q in pixels.FIXED_MEDIAN}
    deeper = [v for v in verdicts if v.claim == "shamir2019/deeper-is-no-harder"]
    assert {v.subject for v in deeper} == {"relu-2 vs relu"}
    # The sigmoid is trained at another rate: a pair must differ in one thing.
    sigmoid = [v for v in verdicts if v.claim == "su2019/sigmoid-resists-one-pixel"]
    assert {v.outcome for v in sigmoid} == {"OUT OF SCOPE"}


def side(linear: bool = True, **settings: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what is known of one trained network."""
    part = {"name": "mlp", "label": str(settings), "settings": {"hidden": [16], **settings}}
    return {"image_classifier": part, "test_error": 0.05, "piecewise_linear": linear}


def test_comparisons_speak_of_pairs_that_differ_in_one_thing() -> None:
    relu, sigmoid = side(), side(False, activation="sigmoid")
    one, found = pixels.RESISTING[0], pixels.FOUND_CHANGES[0]
    assert sigmoid_resists_one_pixel(sigmoid, relu, one) is None
    assert smooth_steps_resist(sigmoid, relu, found) is None
    assert smooth_steps_resist(side(False, median_filter=3), relu, found) is None
    assert deeper_is_no_harder(side(hidden=[16, 16]), relu, found) is None
    for claim, first, second, reason in (
        (sigmoid_resists_one_pixel, relu, sigmoid, "the activations are relu and sigmoid"),
        (sigmoid_resists_one_pixel, side(False, activation="tanh"), relu, "tanh and relu"),
        (sigmoid_resists_one_pixel, sigmoid | {"test_error": 0.2}, relu, "0.2 of the test images"),
        (smooth_steps_resist, relu, sigmoid, "only the second"),
        (smooth_steps_resist, side(False, hidden=[16, 16]), relu, "not in image_classifier"),
        (deeper_is_no_harder, relu, side(hidden=[16, 16]), "the first must have more"),
        (deeper_is_no_harder, side(hidden=[16, 8]), relu, "all of one width"),
        (deeper_is_no_harder, side(False, hidden=[16, 16]), relu, "not piecewise linear"),
    ):
        with pytest.raises(OutOfScopeError, match=reason):
            claim(first, second, found)


@pytest.mark.parametrize("name", IDS)
def test_conjectures_say_why_one_would_believe_them(name: str) -> None:
    claim = CLAIMS[name]
    assert claim.status is Status.CONJECTURED
    assert "\n    Believed because: " in (claim.evaluate.__doc__ or "")
    facts = {"n_classes": 10, "test_error": 0.05, "piecewise_linear": True}
    if claim.kind is Kind.MEAN:
        assert claim.evaluate(facts, claim.quantities[0], 0.01) == Interval(0.5, 0.5)
    elif claim.kind is not Kind.COMPARISON:
        assert claim.evaluate(facts, claim.quantities[0]) in (10, 11)
        with pytest.raises(OutOfScopeError, match="not piecewise linear"):
            claim.evaluate(facts | {"piecewise_linear": False}, claim.quantities[0])


def test_activations_of_both_networks() -> None:
    assert "activation" not in identity(SmallConvolutional())
    assert identity(SmallConvolutional(activation="gelu"))["activation"] == "gelu"
    for name, kind in ACTIVATIONS.items():
        dense = MultiLayerPerceptron(activation=name, hidden=(3, 3)).build((1, 4, 4), 2)
        windows = SmallConvolutional(activation=name).build((1, 4, 4), 2)
        for module in (dense, windows):
            assert sum(isinstance(layer, type(kind())) for layer in module) == 2
    for plugin in (MultiLayerPerceptron, SmallConvolutional):
        with pytest.raises(InputError, match=r"activation 'gelo' is not known.*'gelu'"):
            plugin(activation="gelo")


def test_the_preset_has_pairs_enough() -> None:
    cells = plan(load_preset("pixels"))
    parts = {
        cell.request.subject["image_classifier"]["label"]: cell.request.subject
        for cell in cells
        if cell.request.plugin == "pixel_scan"
    }
    known = {
        name: {**subject, "test_error": 0.05, "piecewise_linear": "relu" in name or "max" in name}
        for name, subject in parts.items()
    }

    def pairs(claim: Any, quantity: Any) -> int:  # noqa: ANN401
        found = 0
        for first in known.values():
            for second in known.values():
                try:
                    claim(first, second, quantity)
                except OutOfScopeError:
                    continue
                found += 1
        return found

    assert pairs(sigmoid_resists_one_pixel, pixels.RESISTING[0]) == 7
    assert pairs(deeper_is_no_harder, pixels.FOUND_CHANGES[0]) == 6
    assert pairs(smooth_steps_resist, pixels.FOUND_CHANGES[0]) == 12


def test_a_scan_needs_images() -> None:
    subject, _ = one_pixel_decides(1)
    flat = Subject(subject.data, nn.Sequential(), 9, (9,), classifier=subject.classifier)
    with pytest.raises(InputError, match=r"pixel_scan needs images .* got shape \(9,\)"):
        PixelScan().measure(flat, CONTEXT)
