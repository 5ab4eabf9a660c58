"""Distance to the data: closed forms, order, limits that cover, Theorem 4 judged."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from empirics.data import load
from empirics.judge import judge_records
from empirics.measures.data_radii import DataRadii
from empirics.measures.wasserstein import (
    Wasserstein,
    sliced_wasserstein,
    variance_proxy,
    wasserstein_of_samples,
)
from empirics.plugins import Context, Outcome, Subject
from empirics.record import Record, Request
from empirics.seeds import torch_stream
from empirics.train import initialise
from theory.errors import InputError
from theory.evidence import Radii

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
DATA = load("digits")
RNG = np.random.default_rng(0)


def test_a_shifted_cloud_is_as_far_as_the_shift() -> None:
    cloud = RNG.normal(size=(60, 7))
    shift = RNG.normal(size=7)
    found = wasserstein_of_samples(cloud, RNG.permutation(cloud + shift))
    np.testing.assert_allclose(found, np.linalg.norm(shift), rtol=1e-9)
    assert wasserstein_of_samples(cloud, RNG.permutation(cloud)) < 1e-12


def test_few_points_are_assigned_as_by_brute_force() -> None:
    for _ in range(5):
        a, b = RNG.normal(size=(2, 6, 3)) + 100
        best = min(
            np.linalg.norm(a - b[list(order)], axis=1).mean()
            for order in itertools.permutations(range(6))
        )
        np.testing.assert_allclose(wasserstein_of_samples(a, b), best, rtol=1e-12)
        np.testing.assert_allclose(wasserstein_of_samples(b, a), best, rtol=1e-12)


def test_slices_never_exceed_the_distance() -> None:
    directions = RNG.normal(size=(50, 4))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for shift in (0.0, 1.0):
        a, b = RNG.normal(size=(2, 40, 4))
        b[:, 0] += shift
        mean, most = sliced_wasserstein(a, b, directions)
        assert mean <= most <= wasserstein_of_samples(a, b)
    on_a_line = RNG.normal(size=(2, 30, 1))
    mean, _ = sliced_wasserstein(*on_a_line, np.ones((1, 1)))
    np.testing.assert_allclose(mean, wasserstein_of_samples(*on_a_line), rtol=1e-12)


@pytest.mark.parametrize("shapes", [((3, 2), (4, 2)), ((3, 2), (3, 5)), ((0, 2), (0, 2))])
def test_samples_of_other_shapes_are_refused(shapes: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(InputError, match="two samples of one size"):
        wasserstein_of_samples(*(np.zeros(shape) for shape in shapes))


def test_the_proxy_bounds_the_spread_and_the_mean_is_above_the_distance() -> None:
    """A generator x -> L z and data on the corners of a cube: repeated measurements."""
    n, constant, width = 12, 0.7, 0.5
    values = []
    for _ in range(400):
        real = width * RNG.integers(0, 2, size=(n, 2))
        values.append(wasserstein_of_samples(real, constant * RNG.normal(size=(n, 2))))
    diameter = width * np.sqrt(2)
    proxy = variance_proxy(n, 1, diameter, constant, False)
    assert proxy is not None
    assert np.var(values) <= proxy
    t = 2 * np.sqrt(proxy)
    assert np.mean(np.array(values) < np.mean(values) - t) <= np.exp(-2)
    assert variance_proxy(n, 1, diameter, None, False) is None
    assert variance_proxy(n, 1, diameter, 1e3, True) == variance_proxy(n, 1, diameter, None, True)


def generated(*layers: nn.Module, seed: int = 0, size: float = 0.05) -> Subject:
    g = nn.Sequential(nn.Linear(4, 64), *layers, nn.Unflatten(1, DATA.image_shape))
    initialise(g, torch_stream(seed, "generator"))
    with torch.no_grad():
        linear = g[0]
        assert isinstance(linear, nn.Linear)
        linear.weight.mul_(size)
        linear.bias.copy_(torch.from_numpy(DATA.train_images.reshape(-1, 64).mean(axis=0)))
    f = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    initialise(f, torch_stream(seed, "classifier"))
    return Subject(
        DATA,
        g.eval().requires_grad_(False),
        4,
        DATA.image_shape,
        classifier=f.eval().requires_grad_(False),
        n_classes=10,
    )


SMALL = Wasserstein(n=80, batches=2, directions=20)


def test_the_measure_gives_the_limit_its_parts_give() -> None:
    subject = generated()
    facts = SMALL.measure(subject, CONTEXT).facts
    seen = facts["wasserstein"]
    layer = subject.generator[0]
    assert isinstance(layer, nn.Linear)
    constant = float(torch.linalg.matrix_norm(layer.weight.double(), 2))
    assert seen["lipschitz"] >= constant
    np.testing.assert_allclose(seen["lipschitz"], constant, rtol=1e-4)
    assert seen["n"] == 80
    assert seen["diameter"] == 8
    assert 0 < seen["sliced_mean"] < seen["sliced_max"] <= seen["of_samples"][0]
    excess = np.sqrt(2 * np.log(1000) * (constant**2 / 160 + 16 / 80))
    np.testing.assert_allclose(facts["wasserstein_1"], seen["of_samples_mean"] + excess, rtol=1e-4)
    # Blurred means lie far from the digits, and two samples of either law nearer to each other.
    assert seen["less_baselines"] > 0.3
    assert max(seen["real_and_real"], seen["generated_and_generated"]) < seen["of_samples_mean"]
    other = SMALL.measure(subject, replace(CONTEXT, seed=1)).facts["wasserstein"]
    assert other["of_samples"] != seen["of_samples"]
    assert SMALL.measure(subject, CONTEXT).facts == facts


def test_a_bounded_generator_needs_no_constant_and_an_unknown_one_has_no_limit() -> None:
    bounded = SMALL.measure(generated(nn.Sigmoid()), CONTEXT).facts
    assert bounded["wasserstein"]["generated_bounded"]
    assert bounded["wasserstein"]["variance_proxy"] == 16 / 80 + 16 / 160

    class Cube(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x**3

    unknown = SMALL.measure(generated(Cube()), CONTEXT).facts
    assert unknown["wasserstein"]["variance_proxy"] is None
    assert "wasserstein_1" not in unknown


def test_real_images_count_whatever_their_label() -> None:
    subject = generated()
    assert subject.classifier is not None
    outcome = DataRadii(images=30).measure(subject, CONTEXT)
    found = outcome.evidence["r_unc_data[l2]"]
    assert isinstance(found, Radii)
    images = DATA.test_images[outcome.arrays["index"]].reshape(30, 64).astype(np.float64)
    linear = subject.classifier[1]
    assert isinstance(linear, nn.Linear)
    w, b = linear.weight.double().numpy(), linear.bias.double().numpy()
    logits = images @ w.T + b
    own = logits.argmax(axis=1)
    assert np.array_equal(own, outcome.arrays["label"])
    assert (own != DATA.test_labels[outcome.arrays["index"]]).any()
    gaps = logits[np.arange(30), own][:, None] - logits
    rates = np.linalg.norm(w[own][:, None] - w[None], axis=2)
    true = np.divide(gaps, rates, out=np.full_like(gaps, np.inf), where=rates > 0).min(axis=1)
    # Not even pixels of the images' own range are asked for: the nearest point may be anywhere.
    assert (found.lower <= true).all()
    np.testing.assert_allclose(found.lower, true, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.upper, true, rtol=1e-2, atol=1e-4)
    assert outcome.facts["data_radii"]["n"] == 30
    assert outcome.facts["data_radii"]["test_error"] > 0.5


def record(name: str, roles: tuple[str, ...], outcome: Outcome) -> Record:
    subject = {role: {"label": role} for role in roles}
    return Record(Request("measure", name, {}, subject, 0), outcome.evidence, outcome.facts)


def test_theorem_4_is_judged() -> None:
    subject = generated(size=0.3)
    distance = SMALL.measure(subject, CONTEXT)
    radii = DataRadii(images=360).measure(subject, CONTEXT)
    constant = distance.facts["wasserstein"]["lipschitz"]
    known = {
        "latent_law": "gaussian",
        "moduli[l2->l2]": [{"kind": "lipschitz", "constant": constant, "certified": True}],
        "class_counts": [1000] * 10,
    }
    records = [
        record("wasserstein", ("generator",), distance),
        record("data_radii", ("generator", "classifier"), radii),
        record("modulus", ("generator",), Outcome(facts=known)),
    ]
    verdicts = {v.claim: v for v in judge_records(records, 0.05, "fawzi2018/thm4*")}
    assert verdicts["fawzi2018/thm4"].outcome == "HOLDS"
    assert all(v.outcome != "VIOLATED" for v in verdicts.values())
    without = {v.claim: v for v in judge_records(records[1:], 0.05, "fawzi2018/thm4*")}
    assert without["fawzi2018/thm4"].outcome == "OUT OF SCOPE"


def test_unknown_efforts_and_missing_data_are_named() -> None:
    with pytest.raises(InputError, match="did you mean 'quick'"):
        DataRadii(effort="quik")
    empty = replace(generated(), data=None)
    with pytest.raises(InputError, match="needs a data set"):
        SMALL.measure(empty, CONTEXT)
    with pytest.raises(InputError, match="needs a data set"):
        DataRadii().measure(empty, CONTEXT)
