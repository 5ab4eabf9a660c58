"""The projected classifier: closed forms, brute force on a curve, doubt, Theorem 2 judged."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from empirics.certificates import Certifier
from empirics.classifiers.half_space import HalfSpace
from empirics.judge import judge_records
from empirics.latent_inversion import AffineHull, invert, project
from empirics.measures.projected import Projected
from empirics.plugins import Context, Outcome, Subject
from empirics.projected_search import ProjectedBatch
from empirics.record import Record, Request
from empirics.seeds import torch_stream
from empirics.trace import traced_layers
from empirics.train import initialise
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Radii

CPU = torch.device("cpu")
CONTEXT = Context(CPU, 0, "test", ("test",))
QUICK = Projected(
    n=12, restarts=1, steps=15, polish_steps=8, relaxed=0, relaxed_units=0, inversion_steps=4
)


def no_error(size: FloatArray) -> FloatArray:
    return np.zeros_like(size)


def subject(seed: int, generator: nn.Sequential, classifier: nn.Sequential, d: int) -> Subject:
    for name, module in (("g", generator), ("f", classifier)):
        initialise(module, torch_stream(seed, name))
        module.eval().requires_grad_(False)
    return Subject(None, generator, d, (6,), classifier=classifier, n_classes=3)


def affine(seed: int) -> Subject:
    return subject(seed, nn.Sequential(nn.Linear(3, 6)), nn.Sequential(nn.Linear(6, 3)), 3)


def curved(seed: int) -> Subject:
    g = nn.Sequential(nn.Linear(2, 9), nn.ReLU(), nn.Linear(9, 6))
    f = nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 3))
    found = subject(seed, g, f, 2)
    first, last = g[0], f[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        first.bias.normal_(generator=torch_stream(seed, "bias"))
        # So that no class has all points.
        z = torch.randn(1000, 2, generator=torch_stream(seed, "z"))
        last.bias.sub_(f(g(z)).mean(dim=0))
    return found


def ends(outcome: Outcome, name: str) -> Radii:
    radii = outcome.evidence[name]
    assert isinstance(radii, Radii)
    return radii


def weights(module: nn.Sequential) -> tuple[FloatArray, FloatArray]:
    layer = module[0]
    assert isinstance(layer, nn.Linear)
    return layer.weight.double().numpy(), layer.bias.double().numpy()


def verdicts(outcome: Outcome) -> dict[str, str]:
    names = {"generator": {"label": "g"}, "classifier": {"label": "f"}}
    record = Record(
        Request("measure", "projected", {}, names, 0), outcome.evidence, outcome.facts, {}
    )
    return {v.claim: v.outcome for v in judge_records([record], 0.05, "fawzi2018/thm2*")}


def test_an_affine_generator_has_the_closed_form() -> None:
    case = affine(0)
    assert case.classifier is not None
    outcome = QUICK.measure(case, CONTEXT)
    (a, shift), (w, b) = weights(case.generator), weights(case.classifier)
    z = CONTEXT.normal(12, 3, "latents").double().numpy()
    x = z @ a.T + shift
    logits = x @ w.T + b
    basis, _ = np.linalg.qr(a)
    true = []
    for own, row in zip(logits.argmax(axis=1), logits, strict=True):
        # The projected classifier sees of a perturbation what lies along the range.
        normals = (w[own] - w) @ basis @ basis.T
        others = [j for j in range(3) if j != own]
        true.append(min((row[own] - row[j]) / np.linalg.norm(normals[j]) for j in others))
    for name in ("r_in[l2]", "r_unc_projected[l2]"):
        found = ends(outcome, name)
        assert (found.lower <= true).all()
        assert (found.upper >= np.array(true) * (1 - 1e-12)).all()
        np.testing.assert_allclose(found.lower, true, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(found.upper, true, rtol=1e-3, atol=1e-5)
    facts = outcome.facts["projected"]
    assert facts["affine"]
    assert facts["hull_dimension"] == 3
    assert facts["gap"]["q75"] < 1e-12
    assert facts["cold_distance"]["q75"] < 1e-12
    assert verdicts(outcome) == {"fawzi2018/thm2": "HOLDS", "fawzi2018/thm2-slack": "HOLDS"}


def test_the_identity_projects_on_all_images() -> None:
    f = HalfSpace().build((4,), 2)
    case = Subject(None, nn.Sequential(nn.Identity()), 4, (4,), classifier=f, n_classes=2)
    outcome = QUICK.measure(case, CONTEXT)
    z = CONTEXT.normal(12, 4, "latents").double().numpy()
    with torch.no_grad():
        gradient = f.double()(torch.eye(4).double()) - f(torch.zeros(1, 4).double())
        values = f(torch.from_numpy(z)).numpy()
    normal = (gradient[:, 1] - gradient[:, 0]).numpy()
    true = np.abs(values[:, 1] - values[:, 0]) / np.linalg.norm(normal)
    np.testing.assert_allclose(ends(outcome, "r_unc_projected[l2]").upper, true, rtol=1e-3)
    assert set(verdicts(outcome).values()) == {"HOLDS"}


def range_points(case: Subject) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a fine grid of latents, its images and their labels."""
    line = torch.linspace(-5, 5, 500, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"), dim=-1).reshape(-1, 2)
    with torch.no_grad():
        images = case.generator.double()(grid)
        assert case.classifier is not None
        labels = case.classifier.double()(images).argmax(dim=1).numpy()
        case.generator.float()
        case.classifier.float()
    return grid.numpy(), images.numpy(), labels


@pytest.mark.parametrize("seed", [1, 4])
def test_what_is_proved_of_a_curve_survives_brute_force(seed: int) -> None:
    case = curved(seed)
    assert case.classifier is not None
    _, images, labels = range_points(case)
    certifier = Certifier(case)
    batch = ProjectedBatch(replace(QUICK, inversion_steps=12), case, certifier, CPU)
    batch.origins(CONTEXT.normal(24, 2, "latents"))
    rng, certain_points, doubtful = np.random.default_rng(seed), 0, 0
    near: list[bool] = []
    for scale in (0.01, 0.1, 0.5):
        y = batch.x64.roll(1, 0) + scale * torch.from_numpy(rng.normal(size=(24, 6)))
        known = batch.projections(y, [batch.z64.roll(1, 0), torch.zeros_like(batch.z64)])
        certain = batch.certain(known, batch.labels)
        found = batch.labels_of(known.found)
        for i, image in enumerate(y.numpy()):
            distance = np.linalg.norm(images - image, axis=1)
            nearest = int(distance.argmin())
            near.append(known.distance[i] <= 1.01 * distance[nearest] + 1e-9)
            assert known.least[i] <= known.distance[i]
            # All that could be nearest lie where the doubt says.
            possible = images[distance <= known.distance[i]]
            assert (np.linalg.norm(possible - known.center[i], axis=1) <= known.doubt[i]).all()
            if certain[i]:
                assert labels[nearest] != batch.labels[i]
                assert found[i] != batch.labels[i]
            certain_points += int(certain[i])
            doubtful += int(found[i] != batch.labels[i] and not certain[i])
    assert np.mean(near) > 0.8
    assert certain_points > 0
    assert doubtful > 0


def test_a_descent_that_stops_early_proves_nothing() -> None:
    """Where the projection found is far off, its label is seen and does not count."""
    case = curved(1)
    lazy = replace(QUICK, inversions=0, inversion_steps=1)
    outcome, again = (lazy.measure(case, CONTEXT) for _ in range(2))
    assert np.array_equal(again.arrays["projected.seen"], outcome.arrays["projected.seen"])
    within, proved = (ends(outcome, f"{n}[l2]").upper for n in ("r_in", "r_unc_projected"))
    seen = outcome.arrays["projected.seen"]
    assert (proved <= within).all()
    assert (seen <= proved).all()
    assert (seen < proved).any()
    assert (ends(outcome, "r_unc_projected[l2]").lower == 0).all()


def test_theorem_2_is_judged_on_a_curved_generator() -> None:
    case = curved(4)
    outcome = QUICK.measure(case, CONTEXT)
    assert not outcome.facts["projected"]["affine"]
    assert outcome.facts["projection_slack"] == 0
    judged = verdicts(outcome)
    assert judged["fawzi2018/thm2"] == "UNDECIDED"
    within = ends(outcome, "r_in[l2]")
    assert (within.lower > 0).mean() > 0.5
    assert (ends(outcome, "r_unc_projected[l2]").upper >= within.lower / 2).all()


def test_an_open_range_is_out_of_scope() -> None:
    case = subject(
        0,
        nn.Sequential(nn.Linear(2, 6), nn.Sigmoid()),
        nn.Sequential(nn.Linear(6, 3)),
        2,
    )
    outcome = replace(QUICK, n=3, inversions=0, inversion_steps=1).measure(case, CONTEXT)
    assert "projection_slack" not in outcome.facts
    assert set(verdicts(outcome).values()) == {"OUT OF SCOPE"}


def test_the_hull_of_a_narrow_last_layer_bounds_the_gap_from_below() -> None:
    g = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 6))
    initialise(g, torch_stream(0, "g"))
    g.double().requires_grad_(False)
    hull = AffineHull.of(traced_layers(g, (2,)))
    assert hull is not None
    assert not hull.exact
    assert hull.basis.shape == (6, 3)
    z = torch.randn(5, 2, generator=torch_stream(0, "z"), dtype=torch.float64)
    image = g(z)
    np.testing.assert_allclose(hull.project(image.numpy()), image.numpy(), atol=1e-12)
    normal = np.linalg.svd(hull.basis)[0][:, -1]
    off = image + 0.3 * torch.from_numpy(normal)
    known = project(g, hull, off, [z], steps=0, error=no_error)
    np.testing.assert_allclose(known.least, 0.3, rtol=1e-9)
    np.testing.assert_allclose(known.distance, 0.3, rtol=1e-9)
    assert (known.doubt < 1e-5).all()
    without = project(g, None, off, [z], steps=0, error=no_error)
    np.testing.assert_allclose(without.doubt, 0.3, rtol=1e-9)
    blurred = project(g, hull, off, [z], steps=0, error=lambda size: size + 1)
    assert (blurred.doubt > 1).all()


def test_descents_never_leave_their_start_behind() -> None:
    case = curved(2)
    g = case.generator.double()
    start = torch.randn(9, 2, generator=torch_stream(0, "start"), dtype=torch.float64)
    target = g(torch.randn(9, 2, generator=torch_stream(0, "end"), dtype=torch.float64))
    before = [(g(invert(g, target, start, n)) - target).norm(dim=1) for n in (0, 2, 20)]
    for more, fewer in pairwise(before[::-1]):
        assert (more <= fewer).all()
    assert before[-1].median() < 1e-6 < before[0].median()


def test_a_classifier_is_needed() -> None:
    with pytest.raises(InputError, match="needs a classifier"):
        QUICK.measure(replace(affine(0), classifier=None), CONTEXT)
