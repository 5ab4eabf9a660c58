"""Measured Lipschitz constants and expansions: ordered, certified, and judged by every claim."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from empirics.constants import Effort, lipschitz_constants, semidefinite_constant
from empirics.data import load
from empirics.feed_forward import feed_forward
from empirics.judge import judge_records
from empirics.measures.expansions import Expansions
from empirics.measures.lipschitz import LipschitzConstant
from empirics.measures.modulus import ModulusOfContinuity
from empirics.plugins import Context, Outcome, Subject
from empirics.record import Record, Request
from empirics.seeds import torch_stream
from empirics.train import initialise
from theory.evidence import Interval
from theory.modulus import modulus_from_dict
from theory.modulus.expansion import ExpansionTable
from theory.verdict import Outcome as Judged

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
SLACK = 1 + 1e-9


def module(*layers: nn.Module, seed: int = 0) -> nn.Sequential:
    made = nn.Sequential(*layers)
    initialise(made, torch_stream(seed, "weights"))
    return made.eval().requires_grad_(False)


def perceptron(*widths: int, seed: int = 0) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return module(*layers[:-1], seed=seed)


def found(net: nn.Sequential, n: int, **effort: int | bool) -> tuple[Outcome, float]:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((4, n))
    return lipschitz_constants(net, (n,), points, Effort(**effort), rng)


def by_method(outcome: Outcome) -> dict[str, dict[str, Any]]:
    return {each["method"]: each for each in outcome.facts["constants[l2->l2]"]}


@pytest.mark.parametrize("seed", range(4))
def test_methods_are_ordered_as_the_theorems_say(seed: int) -> None:
    outcome, upper = found(perceptron(4, 7, 6, 3, seed=seed), 4, exact_units=13)
    at = by_method(outcome)
    chain = [
        at["sampled"]["lower"],
        at["exact"]["upper"],
        at["semidefinite"]["upper"],
        at["cut points"]["upper"],
        at["product"]["upper"],
    ]
    assert all(a <= b * SLACK for a, b in itertools.pairwise(chain))
    assert at["exact"]["lower"] <= at["free pattern"]["lower"] * SLACK
    assert at["free pattern"]["lower"] <= at["semidefinite"]["upper"] * SLACK
    assert (
        at["semidefinite"]["upper"] <= min(at[m]["upper"] for m in ("stagewise", "split")) * SLACK
    )
    assert at["balanced"]["upper"] <= at["product"]["upper"] * SLACK
    assert at["semidefinite"]["verified"]
    assert at["stagewise"]["verified"]
    assert upper == min(e["upper"] for e in at.values() if e["upper"] is not None)
    assert all(each["seconds"] is None for each in at.values())


def test_times_are_kept_on_request_only() -> None:
    outcome, _ = found(perceptron(3, 4, 2), 3, timed=True)
    assert all(each["seconds"] >= 0 for each in by_method(outcome).values())


def test_every_claim_holds_of_what_was_measured() -> None:
    outcome, _ = found(perceptron(5, 8, 1), 5, exact_units=8)
    request = Request("measure", "lipschitz", {}, {"image_classifier": {"label": "mlp"}}, 0)
    record = Record(request, outcome.evidence, outcome.facts)
    verdicts = {v.claim: v.outcome for v in judge_records([record], 0.05) if v.quantity != "r_in"}
    for claim in (
        "fazlyab2019/neuron",
        "fazlyab2019/below-product",
        "virmaux2018/seqlip",
        "virmaux2018/below-product",
        "virmaux2018/sampled-lower",
        "combettes2020/cut-points",
        "combettes2020/below-product",
        "wang2022/semidefinite-ratio",
        "szegedy2014/product-of-norms",
    ):
        assert verdicts[claim] in (Judged.HOLDS, Judged.UNDECIDED)
    assert Judged.VIOLATED not in verdicts.values()
    assert verdicts["fazlyab2019/below-product"] == Judged.HOLDS


def test_a_sabotaged_bound_violates_its_claim() -> None:
    outcome, _ = found(perceptron(5, 8, 2), 5, exact_units=8)
    true = outcome.evidence["lipschitz[l2->l2]"]
    assert isinstance(true, Interval)
    facts = {**outcome.facts, "semidefinite_bound[l2->l2]": {"value": 0.9 * true.lower, "lower": 0}}
    request = Request("measure", "lipschitz", {}, {"image_classifier": {"label": "mlp"}}, 0)
    verdicts = judge_records([Record(request, outcome.evidence, facts)], 0.05)
    seen = {(v.claim, v.quantity): v.outcome for v in verdicts}
    assert seen["fazlyab2019/neuron", "lipschitz[l2->l2]"] == Judged.VIOLATED


def test_an_affine_map_is_known_exactly() -> None:
    net = module(nn.Linear(6, 9), nn.Unflatten(1, (1, 3, 3)))
    outcome, upper = found(net, 6)
    norm = np.linalg.norm(net[0].weight.double().numpy(), 2)
    true = outcome.evidence["lipschitz[l2->l2]"]
    assert isinstance(true, Interval)
    assert true.lower <= norm <= true.upper <= norm * SLACK
    assert norm <= upper <= norm * SLACK


def test_a_smooth_network_is_bounded_by_its_slopes() -> None:
    net = module(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 5), nn.Sigmoid())
    outcome, upper = found(net, 3)
    at = by_method(outcome)
    assert set(at) == {"product", "stagewise", "semidefinite"}
    x = torch.randn(2000, 3, generator=torch_stream(0, "x"), dtype=torch.float64)
    double = net.double()
    jacobians = torch.func.vmap(torch.func.jacrev(lambda v: double(v[None])[0]))(x)
    assert torch.linalg.matrix_norm(jacobians, 2).max() <= upper
    # A quarter is the steepest that a sigmoid is.
    assert at["semidefinite"]["upper"] <= at["product"]["upper"] * SLACK


def test_a_network_that_is_too_large_for_a_method_has_the_others() -> None:
    outcome, _ = found(perceptron(3, 9, 9, 2), 3, first_order_units=17)
    assert set(by_method(outcome)) == {"product", "sampled"}
    outcome, _ = found(perceptron(3, 9, 9, 2), 3, splits=17)
    assert "split" not in by_method(outcome)


def test_what_cannot_be_traced_has_no_bound() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * x

    outcome, upper = found(nn.Sequential(Odd()), 3)
    assert upper == np.inf
    assert outcome.evidence["lipschitz[l2->l2]"] == Interval(0.0, np.inf)


def generator(seed: int = 0) -> Subject:
    return Subject(
        data=None,
        generator=perceptron(4, 12, 12, 9, seed=seed).append(nn.Unflatten(1, (1, 3, 3))),
        latent_dimension=4,
        image_shape=(1, 3, 3),
    )


def test_no_image_moves_further_than_its_certified_expansion() -> None:
    subject = generator()
    radii = (0.05, 0.3, 1.0, 4.0)
    measure = Expansions(radii=radii, n=12, refined=20, units=24)
    table = ExpansionTable.from_dict(measure.measure(subject, CONTEXT).facts["expansions[l2->l2]"])
    assert table.radii == radii
    z = CONTEXT.normal(12, 4, "latents").double()
    net = subject.generator.double()
    everywhere = semidefinite_constant(feed_forward(subject.generator, (4,)))
    assert everywhere is not None
    for t, values in zip(radii, table.values, strict=True):
        r = torch.randn(500, 12, 4, generator=torch_stream(1, str(t)), dtype=torch.float64)
        r = t * r / r.norm(dim=2, keepdim=True)
        moved = (net((z + r).reshape(-1, 4)) - net(z).repeat(500, 1, 1, 1)).flatten(1).norm(dim=1)
        seen = moved.reshape(500, 12).max(dim=0).values.sort().values.numpy()
        assert np.all(seen <= np.array(values))
        assert max(values) <= everywhere.value * t * SLACK
    # The smallest balls are nearly affine: there the ends are nearly attained.
    jacobians = torch.func.vmap(torch.func.jacrev(lambda v: net(v[None]).flatten()))(z)
    rates = torch.linalg.matrix_norm(jacobians, 2)
    assert np.median(table.values[0]) <= 1.3 * radii[0] * rates.median().item()


def test_the_certified_modulus_is_the_least_bound() -> None:
    measure = ModulusOfContinuity(distances=(0.1, 1.0), n=20, steps=5, norm_samples=50)
    outcome = measure.measure(generator(), CONTEXT)
    certified, sampled = (modulus_from_dict(m) for m in outcome.facts["moduli[l2->l2]"])
    assert certified.certified
    assert not sampled.certified
    bounds = [c["upper"] for c in outcome.facts["constants[l2->l2]"] if c["upper"] is not None]
    assert float(certified(1.0)) == pytest.approx(min(bounds))
    assert np.all(sampled([0.1, 1.0]) <= certified([0.1, 1.0]))


def test_a_classifier_is_measured_at_its_own_images() -> None:
    data = load("digits")
    subject = Subject(
        data=data,
        generator=nn.Sequential(nn.Identity()),
        latent_dimension=64,
        image_shape=data.image_shape,
        classifier=module(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 10)),
        n_classes=10,
    )
    outcome = LipschitzConstant(starts=3).measure(subject, CONTEXT)
    at = by_method(outcome)
    assert at["sampled"]["lower"] <= at["semidefinite"]["upper"] <= at["product"]["upper"] * SLACK
    assert outcome.facts["n_hidden_layers"] == 1
