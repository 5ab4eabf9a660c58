"""What conjectures on trends are measured by: relative radii, tangential shares, groups."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from empirics.config import Part, load_preset
from empirics.data import Dataset
from empirics.measures.best_classifier import BestClassifier, of_all_classes
from empirics.measures.compared_radii import ComparedRadii
from empirics.measures.radii import Radii2
from empirics.measures.tangential_share import TangentialShare, tangential_shares
from empirics.measures.transfer_agreement import (
    TransferAgreement,
    _disorder,
    _ordered_targets,
)
from empirics.nearest_changes import nearest_changes
from empirics.plan import plan
from empirics.plugins import CLASSIFIERS, Context, Subject
from empirics.seeds import torch_stream
from empirics.settings import identity
from empirics.store import Store
from empirics.workshop import Workshop
from tests.linear_nets import linear
from theory.errors import InputError
from theory.evidence import Radii

SHAPE, D, K = (1, 3, 3), 2, 3
CONTEXT = Context(torch.device("cpu"), 0, "a test", ("test",))


def generator() -> nn.Sequential:
    return nn.Sequential(*linear(1, (D,), 9), nn.Unflatten(1, SHAPE)).eval().requires_grad_(False)


def classifiers(n: int = 3) -> dict[str, nn.Sequential]:
    return {str(i): linear(10 + i, SHAPE, K).eval().requires_grad_(False) for i in range(n)}


def subject(**parts: Any) -> Subject:  # noqa: ANN401
    return Subject(None, generator(), D, SHAPE, n_classes=K, **parts)


def weights(module: nn.Sequential) -> torch.Tensor:
    (layer,) = [each for each in module if isinstance(each, nn.Linear)]
    return layer.weight.detach().double()


def tilted(shift: float) -> nn.Sequential:
    """The classifier "0", its weights moved a little."""
    module = linear(10, SHAPE, K)
    with torch.no_grad():
        noise = torch.randn(module[1].weight.shape, generator=torch_stream(5, "tilt"))
        module[1].weight += shift * noise
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def compared() -> Mapping[str, Radii]:
    settings = ComparedRadii(n=30, with_radii=True)
    found = settings.measure(subject(classifier=classifiers()["0"]), CONTEXT)
    assert found.facts["n"] == 30
    assert "errors" not in found.facts
    return {name: seen for name, seen in found.evidence.items() if isinstance(seen, Radii)}


def test_relative_radii_are_those_of_the_same_points(compared: Mapping[str, Radii]) -> None:
    same = Radii2(n=30, restarts=1, steps=20, polish_steps=10, relaxed=0)
    again = same.measure(subject(classifier=classifiers()["0"]), CONTEXT).evidence
    z = CONTEXT.normal(30, D, "latents")
    sizes = {
        "r_latent": z.double().norm(dim=1).numpy(),
        "r_in": generator()(z).flatten(1).double().norm(dim=1).numpy(),
    }
    sizes["r_unc"] = sizes["r_in"]
    for name, size in sizes.items():
        radii, relative = compared[f"{name}[l2]"], compared[f"{name}_relative[l2]"]
        for end in ("lower", "upper"):
            np.testing.assert_array_equal(getattr(radii, end), getattr(again[f"{name}[l2]"], end))
            np.testing.assert_allclose(
                getattr(relative, end), getattr(radii, end) / size, rtol=1e-4
            )


def test_the_ratio_of_linear_models_is_a_projections(compared: Mapping[str, Radii]) -> None:
    within, free = compared["r_in[l2]"], compared["r_unc[l2]"]
    ratio, found = compared["radius_ratio[l2]"], compared["found_radius_ratio[l2]"]
    assert np.all(ratio.lower <= free.upper / within.upper)
    assert np.all(ratio.upper <= 1)
    assert np.all((found.lower >= ratio.lower) & (found.upper <= ratio.upper))
    # Both radii are exact here: the ratio is known to a thousandth.
    assert np.median(ratio.upper - ratio.lower) < 1e-3
    q, _ = np.linalg.qr(weights(generator()).numpy())
    w = weights(classifiers()["0"]).numpy()
    shares = [
        np.linalg.norm(q.T @ (w[i] - w[j])) / np.linalg.norm(w[i] - w[j])
        for i in range(K)
        for j in range(i)
    ]
    assert ratio.lower.min() >= min(shares) - 1e-3


def test_without_the_radii_only_quotients_are_evidence() -> None:
    found = ComparedRadii(n=5).measure(subject(classifier=classifiers()["0"]), CONTEXT)
    assert set(found.evidence) == {
        *ComparedRadii.provides,
        "found_radius_ratio[l2]",
    }
    with pytest.raises(InputError, match="needs a classifier"):
        ComparedRadii().measure(subject(), CONTEXT)


def test_shares_are_squares_of_cosines() -> None:
    tangents = torch.zeros(3, 4, 2, dtype=torch.float64)
    tangents[:, 0, 0] = 2.0
    tangents[1, 1, 1] = 1e-3
    offset = torch.tensor([[1.0, 1.0, 0, 0], [1.0, 1.0, 0, 0], [0, 0, 0, 3.0]]).double()
    share, rank = tangential_shares(tangents, offset)
    assert share.tolist() == pytest.approx([0.5, 1.0, 0.0])
    # A direction that the generator does not move in is no tangent.
    assert rank == 1 + 2 + 1


def test_the_share_of_a_linear_classifier_is_that_of_its_normal() -> None:
    module = linear(3, SHAPE, 2).eval().requires_grad_(False)
    found = TangentialShare(n=12).measure(subject(classifier=module), CONTEXT)
    seen = found.evidence["tangential_share[l2]"]
    assert isinstance(seen, Radii)
    w = weights(module).numpy()
    q, _ = np.linalg.qr(weights(generator()).numpy())
    normal = w[0] - w[1]
    expected = np.linalg.norm(q.T @ normal) ** 2 / np.linalg.norm(normal) ** 2
    np.testing.assert_allclose(seen.lower, expected, rtol=1e-3)
    assert found.facts["tangent_space"] == {"dimension": D, "pixels": 9}
    assert found.facts["failed"] == 12 - seen.n == 0
    with pytest.raises(InputError, match="needs a classifier"):
        TangentialShare().measure(subject(), CONTEXT)


def test_the_nearest_change_of_a_linear_classifier_is_found() -> None:
    module = linear(3, SHAPE, 2).eval().requires_grad_(False)
    images = generator()(CONTEXT.normal(8, D, "images"))
    seen = nearest_changes(
        module, images, stream=CONTEXT.stream("s"), restarts=1, steps=20, polish_steps=10
    )
    assert bool(seen.found.all())
    logits = module(images).double()
    normal = (weights(module)[0] - weights(module)[1]).norm()
    exact = (logits[:, 0] - logits[:, 1]).abs() / normal
    np.testing.assert_allclose(seen.offset.norm(dim=1), exact, rtol=1e-3, atol=1e-5)
    constant = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    nn.init.zeros_(constant[1].weight)
    never = nearest_changes(
        constant, images, stream=CONTEXT.stream("s"), restarts=1, steps=5, polish_steps=1
    )
    assert not bool(never.found.any())
    assert float(never.offset.abs().max()) == 0


def test_the_best_classifier_is_the_most_robust_one() -> None:
    known = {**classifiers(2), "two": linear(30, SHAPE, 2).eval().requires_grad_(False)}
    group = subject(classifiers=known)
    assert set(of_all_classes(group)) == {"0", "1"}
    settings = BestClassifier(n=20, choice=9, n_labels=500)
    found = settings.measure(group, CONTEXT)
    choice = replace(CONTEXT, scope=(*CONTEXT.scope, "choice"))
    same = {"restarts": 1, "steps": 20, "polish_steps": 10, "relaxed": 0}
    for label, score in found.facts["tried"].items():
        tried = Radii2(n=9, **same).measure(subject(classifier=known[label]), choice).evidence
        # The third of nine is the least below which lies a quarter.
        quartiles = [np.sort(tried[f"{r}[l2]"].upper)[2] for r in ("r_latent", "r_in")]  # type: ignore[union-attr]
        assert score == pytest.approx(np.prod(quartiles))
    assert found.facts["best"] == max(found.facts["tried"], key=found.facts["tried"].get)
    assert sum(found.facts["class_counts"]) == 500
    fresh = replace(CONTEXT, scope=(*CONTEXT.scope, "evidence"))
    best = subject(classifier=known[found.facts["best"]])
    seen = Radii2(n=20, **same).measure(best, fresh).evidence
    for name in ("r_latent[l2]", "r_in[l2]"):
        inverse, radii = found.evidence[f"nearness_{name}"], seen[name]
        assert isinstance(inverse, Radii)
        assert isinstance(radii, Radii)
        np.testing.assert_allclose(inverse.lower, 1 / radii.upper)
        np.testing.assert_allclose(inverse.upper, 1 / radii.lower)
    with pytest.raises(InputError, match="of all classes"):
        settings.measure(subject(classifiers={"two": known["two"]}), CONTEXT)


def test_transfer_follows_agreement_between_like_classifiers() -> None:
    known = {"0": classifiers()["0"], "near": tilted(0.1), "far": tilted(0.8)}
    group = subject(classifiers=known, teacher=known["0"])
    found = TransferAgreement(n=60, n_labels=3000).measure(group, CONTEXT)
    table = found.facts["transfer"]
    agreement = np.array(table["agreement"])
    np.testing.assert_array_equal(agreement, agreement.T)
    assert np.all(np.diag(agreement) == 1)
    assert agreement[0, 1] > agreement[0, 2]
    fooled = np.array(table["fooled"])
    assert np.all(np.diag(fooled) == 1)
    assert found.facts["compared_targets"] >= 1
    seen = found.evidence["transfer_disorder"]
    assert isinstance(seen, Radii)
    np.testing.assert_array_equal(seen.lower, seen.upper)
    assert seen.lower.mean() < 0.5
    two = subject(classifiers={"0": known["0"], "near": known["near"]}, teacher=known["0"])
    found = TransferAgreement(n=5).measure(two, CONTEXT)
    assert not found.evidence
    assert found.facts["compared_targets"] == 0
    assert found.facts["transfer"] == {"classifiers": ["0", "near"]}


def test_disorder_counts_each_ordered_pair_of_targets() -> None:
    agree = np.array([[100, 90, 10], [90, 100, 50], [10, 50, 100]])
    ordered = _ordered_targets(agree, 100)
    assert ordered == [(0, 1, 2), (1, 0, 2), (2, 1, 0)]
    assert _ordered_targets(np.array([[9, 5, 5], [5, 9, 5], [5, 5, 9]]), 9) == []
    fooled = np.zeros((3, 3, 5), dtype=bool)
    fooled[0, 1, 0] = True  # transfers to the one that agrees
    fooled[1, 2, 1] = True  # to the one that does not
    fooled[2, :2, 2] = True  # to both
    fooled[0, 1, 4] = True  # but there was nothing to transfer
    found = np.ones((3, 5), dtype=bool)
    found[0, 4] = False
    disorder = _disorder(fooled, found, ordered)
    np.testing.assert_allclose(disorder, [0.5 - 1 / 6, 0.5 + 1 / 6, 0.5, 0.5, 0.5])


def test_labels_are_merged_and_dealt_as_asked(tmp_path: Any) -> None:  # noqa: ANN401
    mlp = CLASSIFIERS["mlp"]
    merged, shuffled = mlp(classes=2), mlp(shuffled=True)
    assert identity(mlp()) == {k: v for k, v in identity(merged).items() if k != "classes"}
    assert "shuffled" not in identity(mlp())
    labels = torch.arange(10)
    assert merged.merged(labels).tolist() == [0, 1] * 5
    assert mlp().merged(labels) is labels
    with pytest.raises(InputError, match="classes must be at least 2"):
        mlp(classes=1)

    workshop = Workshop(load_preset("smoke"), Store(tmp_path), torch.device("cpu"))
    n = 6
    images = np.random.default_rng(0).random((n * 10, 1, 4, 4), dtype=np.float32)
    truth = np.repeat(np.arange(10), n)
    names = tuple("0123456789")
    workshop._data = Dataset("digits", "here", images, truth, images, truth, names)
    stream = torch_stream(0, "draws")
    for settings, classes in ((merged, 2), (shuffled, 10), (mlp(shuffled=True, classes=2), 2)):
        seen, drawn = workshop._real_batches(settings)(4000, stream)
        index = {image.tobytes(): i for i, image in enumerate(images)}
        own = np.array([index[image.tobytes()] for image in seen.numpy()])
        by_image = dict(zip(own.tolist(), drawn.tolist(), strict=True))
        assert len(by_image) == n * 10
        assert [by_image[i] for i in own.tolist()] == drawn.tolist()
        dealt = np.array([by_image[i] for i in range(n * 10)])
        assert np.bincount(dealt).tolist() == [n * 10 // classes] * classes
        follows = np.mean(dealt == truth % classes)
        assert (follows == 1) == (settings is merged)
    parts = {"classifier": Part("mlp", "mlp", merged)}
    built = workshop._build("classifier", parts["classifier"], (1, 4, 4), 10)
    assert built(torch.zeros(1, 1, 4, 4)).shape == (1, 2)


def test_the_preset_asks_for_pairs_that_differ_in_one_thing() -> None:
    preset = load_preset("trends")
    cells = plan(preset)
    measured = [cell.request for cell in cells if cell.measure is not None]
    assert {request.plugin for request in measured} == {
        "modulus",
        "class_masses",
        "compared_radii",
        "tangential_share",
        "best_classifier",
        "transfer_agreement",
    }
    pairs = len(preset.generators) * len(preset.classifiers)
    counts = {name: sum(r.plugin == name for r in measured) for name in preset.measures}
    assert counts["compared_radii"] == pairs + len(preset.families)
    assert counts["tangential_share"] == pairs
    assert counts["best_classifier"] == counts["transfer_agreement"] == len(preset.generators)
