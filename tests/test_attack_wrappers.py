"""Expectation over transformations, given backward passes, and the flags that ask for them."""

import functools
import math

import pytest
import torch
from torch import nn

from empirics.adversary.batch import Model
from empirics.attacks import ATTACKS
from empirics.attacks.flags import Flag, diagnosed
from empirics.attacks.wrappers import averaged, straight_through
from empirics.seeds import torch_stream
from theory.errors import InputError

UNIT = (0.0, 1.0)


def quantised(x: torch.Tensor) -> torch.Tensor:
    return (8 * x).round() / 8


@functools.cache
def problem() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a random network, points of the unit cube, and their labels."""
    stream = torch_stream(3, "weights")
    module = nn.Sequential(nn.Linear(12, 32), nn.Tanh(), nn.Linear(32, 4))
    with torch.no_grad():
        for parameter in module.parameters():
            draw = torch.randn(parameter.shape, generator=stream)
            parameter.copy_(2 * draw / parameter.shape[-1] ** 0.5)
    x = torch.rand(60, 12, generator=torch_stream(3, "x"))
    module.eval().requires_grad_(False)
    return module, x, module(x).argmax(dim=1)


def gradient(model: Model, x: torch.Tensor) -> torch.Tensor:
    point = x.clone().requires_grad_(True)
    (found,) = torch.autograd.grad(model(point)[:, 0].sum(), point)
    return found


def test_the_gradient_of_a_mean_is_the_mean_gradient() -> None:
    # E sin(x + u) for u uniform on (-1, 1) is sin(x) sin(1), with derivative cos(x) sin(1).
    def shifted(x: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
        return x + 2 * torch.rand((), generator=stream, dtype=x.dtype) - 1

    x = torch.linspace(-3, 3, 50, dtype=torch.float64)[:, None]
    samples = 1000
    mean = averaged(torch.sin, shifted, samples, torch_stream(0, "draws"))
    # Five standard errors, each term being at most 1.
    error = 5 / samples**0.5
    assert (mean(x) - x.sin() * math.sin(1)).abs().max() < error
    found = gradient(mean, x)
    assert (found - x.cos() * math.sin(1)).abs().max() < error
    one = averaged(torch.sin, shifted, 1, torch_stream(0, "draws"))
    assert (gradient(one, x) - x.cos() * math.sin(1)).abs().max() > error


def test_a_mean_is_deterministic_and_leaves_the_global_state() -> None:
    module, x, _ = problem()
    dropped = nn.Sequential(nn.Dropout(0.3), module).train()
    before = torch.get_rng_state()
    mean = averaged(dropped, None, 8, torch_stream(1, "draws"))
    assert torch.equal(mean(x), mean(x))
    again = averaged(dropped, None, 8, torch_stream(1, "draws"))
    assert torch.equal(mean(x), again(x))
    other = averaged(dropped, None, 8, torch_stream(2, "draws"))
    assert not torch.equal(mean(x), other(x))
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(InputError, match="samples"):
        averaged(module, None, 0, torch_stream(1, "draws"))


@pytest.mark.parametrize("name", ["pgd", "apgd", "ddn"])
def test_attacks_take_a_mean_of_a_random_model(name: str) -> None:
    module, x, y = problem()

    def random(p: torch.Tensor) -> torch.Tensor:
        return module(p + 0.05 * torch.randn_like(p))

    settings = {"pgd": {"restarts": 1, "radius": 0.8}, "apgd": {"norm": "l2", "radius": 0.8}}
    attack = functools.partial(ATTACKS[name], **settings.get(name, {}))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with pytest.raises(InputError, match="different logits"):
            attack(random, x, y)
    mean = averaged(random, None, 16, torch_stream(1, "draws"))
    found = attack(mean, x, y)
    right = mean(x).argmax(dim=1) == y
    fooled = module(found).argmax(dim=1) != y
    assert fooled[right].double().mean() > 0.5


def test_values_are_of_one_map_and_derivatives_of_the_other() -> None:
    x = torch.rand(20, 5, generator=torch_stream(0, "x"), dtype=torch.float64)
    assert torch.equal(straight_through(quantised)(x), quantised(x))
    assert torch.equal(gradient(quantised, x), torch.zeros_like(x))
    identity = gradient(straight_through(quantised), x)
    assert torch.equal(identity, torch.eye(5, dtype=torch.float64)[0].expand(20, 5))
    squared = gradient(straight_through(quantised, torch.square), x)
    assert torch.allclose(squared[:, 0], 2 * x[:, 0])
    # Through the map of a later layer the chain rule goes on.
    guard = straight_through(quantised)
    chained = gradient(lambda p: guard(p) ** 3, x)
    assert torch.allclose(chained[:, 0], 3 * quantised(x)[:, 0] ** 2)


def test_a_map_that_returns_its_input_is_let_through() -> None:
    x = torch.rand(4, 3)
    through = straight_through(lambda p: p)
    assert torch.equal(gradient(through, x)[:, 0], torch.ones(4))


def test_the_identity_cannot_stand_for_another_number_of_entries() -> None:
    with pytest.raises(InputError, match="give a backward map"):
        straight_through(lambda p: p.repeat(1, 2))(torch.zeros(2, 3))
    wide = straight_through(lambda p: p.round().repeat(1, 2), lambda p: p.repeat(1, 2))
    assert torch.equal(gradient(wide, torch.zeros(2, 3))[:, 0], torch.ones(2))


def test_straight_through_breaks_a_rounding_defence() -> None:
    module, x, y = problem()
    y = module(quantised(x)).argmax(dim=1)
    settings = {"radius": 0.3, "norm": "linf", "restarts": 1, "box": UNIT}
    blocked = ATTACKS["pgd"](lambda p: module(quantised(p)), x, y, **settings)
    assert torch.equal(blocked, x)
    guard = straight_through(quantised)
    found = ATTACKS["pgd"](lambda p: module(guard(p)), x, y, **settings)
    assert (module(quantised(found)).argmax(dim=1) != y).double().mean() > 0.5


def names(flags: list[Flag]) -> set[str]:
    assert all(flag.explanation and flag.remedy and 0 < flag.share <= 1 for flag in flags)
    return {flag.name for flag in flags}


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_plain_model_raises_no_flag(norm: str, dtype: torch.dtype) -> None:
    module, x, y = problem()
    weights = [p.to(dtype) for p in module.parameters()]

    def plain(p: torch.Tensor) -> torch.Tensor:
        return (p @ weights[0].T + weights[1]).tanh() @ weights[2].T + weights[3]

    assert diagnosed(plain, x.to(dtype), y, norm=norm) == []


def test_masked_models_are_flagged() -> None:
    module, x, y = problem()
    assert names(diagnosed(lambda p: 1e5 * module(p), x, y)) == {"vanishing"}
    assert names(diagnosed(lambda p: 1e38 * module(p) * 1e3, x, y)) == {"not finite"}
    found = names(diagnosed(lambda p: module(quantised(p)), x, module(quantised(x)).argmax(dim=1)))
    assert {"not differentiable", "random direction", "blind attack", "budget"} <= found
    detached = names(diagnosed(lambda p: module(p.detach()), x, y))
    assert {"not differentiable", "random direction", "blind attack", "budget"} <= detached
    # Values of the model, with the gradient's sign turned round.
    turned = names(diagnosed(lambda p: module(2 * p.detach() - p), x, y))
    assert {"random direction", "blind attack"} <= turned
    assert "not differentiable" not in turned


def test_randomness_is_flagged_until_it_is_averaged() -> None:
    module, x, y = problem()

    def random(p: torch.Tensor) -> torch.Tensor:
        return module(p + 0.1 * torch.randn_like(p))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert "random" in names(diagnosed(random, x, y))
    mean = averaged(random, None, 20, torch_stream(0, "draws"))
    assert diagnosed(mean, x, mean(x).argmax(dim=1)) == []


def test_the_remedies_work() -> None:
    module, x, _ = problem()
    guard = straight_through(quantised)
    y = module(quantised(x)).argmax(dim=1)
    remedied = names(diagnosed(lambda p: module(guard(p)), x, y))
    assert "not differentiable" not in remedied
    assert "budget" not in remedied


def test_infinite_gradients_are_flagged() -> None:
    def model(p: torch.Tensor) -> torch.Tensor:
        return torch.stack([(p - p).abs().sqrt().sum(dim=1) + 1, p.sum(dim=1)], dim=1)

    x = torch.zeros(5, 3)
    assert names(diagnosed(model, x, torch.zeros(5, dtype=torch.long))) == {"not finite"}
    with pytest.raises(InputError, match="y: shape"):
        diagnosed(model, x, torch.zeros(4, dtype=torch.long))
