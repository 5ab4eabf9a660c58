"""Conditional generators: one map for each class, errors and distances by hand, bounds judged."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import special
from torch import nn

from empirics.conditional import ClassOfLast, class_generators, is_conditional
from empirics.data import Dataset, load
from empirics.generators.conditional_vae import ConditionalVAE
from empirics.judge import judge_records
from empirics.lipschitz_graph import lipschitz_graph
from empirics.measures.class_errors import ClassErrors
from empirics.plugins import Context, Outcome, Subject
from empirics.record import Record, Request
from empirics.seeds import torch_stream
from empirics.train import initialise
from theory.errors import InputError
from theory.evidence import Radii

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
DATA = load("digits")
SMALL = ConditionalVAE(latent_dimension=5, hidden=(16,), steps=60, batch=64)


def trained(plugin: ConditionalVAE, data: Dataset, seed: int = 0) -> tuple[nn.Sequential, float]:
    context = Context(torch.device("cpu"), seed, "test")
    module = plugin.build(data.image_shape)
    initialise(module, context.stream("initial weights"))
    outcome = plugin.fit(module, data, context)
    return module.eval().requires_grad_(False), outcome.facts["final_loss"]


@pytest.fixture(scope="module")
def longer() -> nn.Sequential:
    return trained(ConditionalVAE(latent_dimension=5, hidden=(32,), steps=600), DATA)[0]


@pytest.mark.parametrize("k", [2, 3, 10])
def test_the_last_coordinate_chooses_equally_likely_classes(k: int) -> None:
    middle = special.ndtri((np.arange(k) + 0.5) / k)
    beside = special.ndtri(np.clip((np.arange(k) + 1) / k, 0, 1 - 1e-9)) - 1e-5
    for at in (middle, beside):
        latents = torch.tensor(np.stack([np.full(k, 7.0), at], axis=1))
        chosen = ClassOfLast(k)(latents)
        assert torch.equal(chosen[:, 0], latents[:, 0])
        assert torch.equal(chosen[:, 1:], torch.eye(k, dtype=torch.float64))
    drawn = torch.randn(20_000, 2, generator=torch_stream(0, "latents"))
    shares = ClassOfLast(k)(drawn)[:, 1:].mean(dim=0)
    assert (shares - 1 / k).abs().max() < 4 * np.sqrt(1 / k / 20_000)


def test_the_mixture_is_made_of_its_classes(longer: nn.Sequential) -> None:
    z = torch.randn(200, 5, generator=torch_stream(0, "latents"))
    classes = longer[0](z)[:, 4:].argmax(dim=1)
    every = torch.stack([each(z[:, :4]) for each in class_generators(longer)])
    own = every[classes, torch.arange(200)]
    torch.testing.assert_close(longer(z), own, rtol=1e-5, atol=1e-5)
    assert (every[0] - every[1]).abs().max() > 0.1
    # The mixture jumps: no constant may be certified for it, and one is for each class.
    with pytest.raises(InputError):
        lipschitz_graph(longer, (5,))
    lipschitz_graph(class_generators(longer)[0], (4,))
    assert not is_conditional(class_generators(longer)[0])
    with pytest.raises(InputError, match="choice of the class"):
        class_generators(nn.Sequential(nn.Linear(2, 3)))


def test_training_lowers_the_loss_and_can_be_repeated() -> None:
    module, loss = trained(SMALL, DATA)
    again, same = trained(SMALL, DATA)
    _, different = trained(SMALL, DATA, seed=1)
    assert loss == same != different
    z = torch.randn(7, 5, generator=torch_stream(1, "latents"))
    assert torch.equal(module(z), again(z))
    assert module(z).shape == (7, *DATA.image_shape)
    more = ConditionalVAE(**{**vars(SMALL), "steps": 300})
    assert trained(more, DATA)[1] < loss - 5
    with pytest.raises(InputError, match="n_classes must be that of the data set, 10, got 3"):
        trained(ConditionalVAE(n_classes=3), DATA)


def test_each_class_looks_like_its_own(longer: nn.Sequential) -> None:
    means = [DATA.train_images[DATA.train_labels == c].mean(axis=0) for c in range(10)]
    targets = torch.from_numpy(np.stack(means)).flatten(1)
    z = torch.randn(200, 4, generator=torch_stream(2, "latents"))
    for c, each in enumerate(class_generators(longer)):
        mean = each(z).flatten(1).mean(dim=0)
        assert (targets - mean).norm(dim=1).argmin() == c


def affine(k: int, spread: float) -> Subject:
    """Return class means with one Gaussian around each, widest between the first two."""
    d, pixels = 3, 64
    rng = np.random.default_rng(k)
    means = 0.1 * rng.normal(size=(pixels, k))
    axes = spread * 0.05 * rng.normal(size=(pixels, d))
    axes[:, 0] = spread * (means[:, 0] - means[:, 1]) / np.linalg.norm(means[:, 0] - means[:, 1])
    weight = np.concatenate([axes, means], axis=1)
    g = nn.Sequential(ClassOfLast(k), nn.Linear(d + k, pixels), nn.Unflatten(1, (1, 8, 8)))
    f = nn.Sequential(nn.Flatten(), nn.Linear(pixels, k))
    with torch.no_grad():
        for layer, value in ((g[1], weight), (f[1], weight[:, d:].T)):
            assert isinstance(layer, nn.Linear)
            layer.weight.copy_(torch.from_numpy(value))
            layer.bias.zero_()
    parts = (module.eval().requires_grad_(False) for module in (g, f))
    generator, classifier = parts
    shape = (1, 8, 8)
    return Subject(DATA, generator, d + 1, shape, classifier=classifier, n_classes=k)


def exact(subject: Subject, n: int) -> tuple[Any, Any]:
    """Return classes and distances of the measured points, from the weights alone."""
    assert subject.classifier is not None
    d, k = subject.latent_dimension - 1, subject.n_classes
    assert k is not None
    labels = torch.randint(k, (n,), generator=CONTEXT.stream("measured classes")).numpy()
    z = torch.randn(n, d, generator=CONTEXT.stream("measured latents")).double().numpy()
    first, last = subject.generator[1], subject.classifier[1]
    w, v = (layer.weight.double().numpy() for layer in (first, last))  # type: ignore[operator]
    images = z @ w[:, :d].T + w[:, d:].T[labels]
    logits = images @ v.T
    gaps = logits[np.arange(n), labels][:, None] - logits
    rates = np.linalg.norm(v[labels][:, None] - v[None], axis=2)
    far = np.divide(gaps, rates, out=np.full_like(gaps, np.inf), where=rates > 0)
    return labels, np.maximum(far.min(axis=1), 0.0)


def test_distances_and_errors_are_those_of_hand() -> None:
    subject = affine(4, spread=3.0)
    outcome = ClassErrors(n=60, counted=4000).measure(subject, CONTEXT)
    found = outcome.evidence["error_distance[l2]"]
    assert isinstance(found, Radii)
    labels, true = exact(subject, 60)
    np.testing.assert_array_equal(outcome.arrays["label"], labels)
    assert 0.05 < (true == 0).mean() < 0.95
    assert (found.lower <= true).all()
    assert (true <= found.upper).all()
    np.testing.assert_allclose(found.lower, true, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.upper, true, rtol=1e-2, atol=1e-4)
    facts = outcome.facts
    assert facts["class_weights"] == [0.25] * 4
    weight = subject.generator[1].weight[:, :3].double()  # type: ignore[index]
    constant = float(torch.linalg.matrix_norm(weight, 2))
    known = facts["conditional_lipschitz[l2->l2]"]["constants"]
    assert min(known) >= constant * (1 - 1e-12)
    np.testing.assert_allclose(known, [constant] * 4, rtol=1e-6)
    counts = facts["class_error_counts"]
    assert facts["error_counts"] == {"wrong": sum(counts["wrong"]), "n": 4000}
    _, many = exact(subject, 4000)
    assert sum(counts["wrong"]) / 4000 == pytest.approx((many == 0).mean(), abs=0.04)


def records(outcome: Outcome, factor: float = 1.0) -> list[Record]:
    facts = dict(outcome.facts)
    constants = facts["conditional_lipschitz[l2->l2]"]["constants"]
    facts["conditional_lipschitz[l2->l2]"] = {"constants": [factor * c for c in constants]}
    subject = {role: {"label": role} for role in ("generator", "classifier")}
    request = Request("measure", "class_errors", {}, subject, 0)
    return [Record(request, outcome.evidence, facts)]


def test_the_bounds_for_classes_are_judged() -> None:
    """Two classes and a half-space: the bound is tight, and a smaller constant is caught."""
    subject = affine(2, spread=1.0)
    outcome = ClassErrors(n=1500, counted=20_000).measure(subject, CONTEXT)
    for claim in ("zhang2020/class-wise", "zhang2020/average-risk"):
        (verdict,) = judge_records(records(outcome), 0.05, claim)
        assert verdict.outcome in ("HOLDS", "UNDECIDED"), verdict.reason
    (verdict,) = judge_records(records(outcome, 0.5), 0.05, "zhang2020/class-wise")
    assert verdict.outcome == "VIOLATED", verdict.reason
    (verdict,) = judge_records(records(outcome, 3.0), 0.05, "zhang2020/class-wise")
    assert verdict.decided is not None, verdict.reason
    assert verdict.decided > 0.5, verdict.reason


def test_other_generators_and_bad_settings() -> None:
    subject = affine(4, spread=1.0)
    plain = Subject(
        DATA,
        class_generators(subject.generator)[0],
        3,
        (1, 8, 8),
        classifier=subject.classifier,
        n_classes=4,
    )
    nothing = ClassErrors(n=5).measure(plain, CONTEXT)
    assert not nothing.evidence
    assert not nothing.facts
    with pytest.raises(InputError, match="counted = 2 latents leave a class of 4 without any"):
        ClassErrors(n=5, counted=2).measure(subject, CONTEXT)
    other = Subject(
        DATA, subject.generator, 4, (1, 8, 8), classifier=subject.classifier, n_classes=3
    )
    with pytest.raises(InputError, match="generator has 4 classes, the classifier 3"):
        ClassErrors(n=5).measure(other, CONTEXT)
    with pytest.raises(InputError, match="needs a classifier"):
        ClassErrors(n=5).measure(Subject(DATA, subject.generator, 4, (1, 8, 8)), CONTEXT)
    with pytest.raises(InputError, match="did you mean 'quick'"):
        ClassErrors(effort="quik")
