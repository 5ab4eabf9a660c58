"""Attacks that see labels alone, or the gradients of another model."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from empirics.adversary.ball import sizes
from empirics.adversary.batch import Model, margin
from empirics.adversary.half_space import nearest_in_half_space, room_against
from empirics.attacks import ATTACKS
from empirics.attacks.substitute import trained_substitute
from empirics.attacks.transfer import transfer_matrix
from empirics.seeds import torch_stream
from theory.errors import InputError

UNIT = (0.0, 1.0)
ORDER = {"l2": 2.0, "linf": np.inf}


def half_space(
    seed: int, features: int, dtype: torch.dtype = torch.float32
) -> tuple[Model, torch.Tensor]:
    stream = torch_stream(seed, "weights")
    weight = torch.randn(2, features, generator=stream, dtype=torch.float64).to(dtype)
    return lambda p: p.flatten(1) @ weight.T, weight


def distance(model: Model, weight: torch.Tensor, x: torch.Tensor, norm: str) -> torch.Tensor:
    """Return the distances to the plane between two classes, (n,)."""
    rate = sizes((weight[:1] - weight[1:]).double(), {"l2": "l2", "linf": "l1"}[norm])
    logits = model(x).double()
    return (logits[:, 0] - logits[:, 1]).abs() / rate


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(
    ("n", "shape", "size", "dtype"),
    [
        (1, (3,), 1.0, torch.float64),
        (20, (1, 4, 4), 1e-3, torch.float32),
        (6, (25,), 1e3, torch.float32),
    ],
)
def test_hop_skip_jump_meets_the_optimum_of_half_spaces(
    norm: str, n: int, shape: tuple[int, ...], size: float, dtype: torch.dtype
) -> None:
    model, weight = half_space(1, int(np.prod(shape)), dtype)
    draw = torch.randn(n, *shape, generator=torch_stream(n, "x"), dtype=torch.float64)
    x = (size * draw).to(dtype)
    y = model(x).argmax(dim=1)
    ratios = []
    for iterations in (3, 40):
        found = ATTACKS["hop_skip_jump"](
            model, x, y, stream=torch_stream(0, "s"), norm=norm, iterations=iterations
        )
        assert found.dtype == dtype
        assert (model(found).argmax(dim=1) != y).all()
        ratios.append(sizes(found - x, norm).double() / distance(model, weight, x, norm))
    assert ratios[1].min() >= 1 - 1e-4
    assert ratios[1].max() <= 1.05
    assert ratios[1].median() < ratios[0].median()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_hop_skip_jump_in_a_box(norm: str) -> None:
    model, weight = half_space(2, 12)
    x = torch.randn(20, 12, generator=torch_stream(2, "x")).clamp(*UNIT)
    y = model(x).argmax(dim=1)
    normal = weight[y] - weight[1 - y]
    room = room_against(normal, x, UNIT)
    step = nearest_in_half_space(normal, margin(model(x), y), room, ORDER[norm])
    exact = torch.linalg.vector_norm(step, ord=ORDER[norm], dim=1)
    found = ATTACKS["hop_skip_jump"](model, x, y, stream=torch_stream(0, "s"), norm=norm, box=UNIT)
    assert (model(found).argmax(dim=1) != y).all()
    assert found.min() >= 0
    assert found.max() <= 1
    ratio = sizes(found - x, norm) / exact
    assert ratio.min() >= 1 - 1e-4
    assert ratio.median() <= 1.05
    assert ratio.max() <= 1.25


def test_hop_skip_jump_uses_labels_alone() -> None:
    model, _ = half_space(3, 8)
    x = torch.randn(5, 8, generator=torch_stream(3, "x"))
    y = model(x).argmax(dim=1)

    def labels(p: torch.Tensor) -> torch.Tensor:
        return nn.functional.one_hot(model(p).argmax(dim=1), 2).to(p)

    run = functools.partial(ATTACKS["hop_skip_jump"], iterations=4)
    seen = [run(each, x, y, stream=torch_stream(0, "s")) for each in (model, labels)]
    assert torch.equal(*seen)


def test_hop_skip_jump_starts_where_it_is_told() -> None:
    # The target is a cube that noise does not meet.
    def model(p: torch.Tensor) -> torch.Tensor:
        inside = (p - 0.95).abs().amax(dim=1) < 0.04
        return torch.stack([(~inside).to(p), inside.to(p)], dim=1)

    x, y = torch.full((3, 30), 0.2), torch.zeros(3, dtype=torch.long)
    run = functools.partial(ATTACKS["hop_skip_jump"], model, x, y, iterations=5, box=UNIT)
    assert torch.equal(run(stream=torch_stream(0, "s")), x)
    starts = torch.full((3, 30), 0.95)
    starts[2] = 0.5  # does not reach the goal
    found = run(stream=torch_stream(0, "s"), starts=starts)
    assert model(found).argmax(dim=1).tolist() == [1, 1, 0]
    assert torch.equal(found[2], x[2])
    assert (sizes(found - x, "l2")[:2] < sizes(starts - x, "l2")[:2]).all()


def test_hop_skip_jump_leaves_the_misclassified_alone_and_repeats_itself() -> None:
    model, _ = half_space(4, 8)
    x = torch.randn(6, 8, generator=torch_stream(4, "x"))
    y = model(x).argmax(dim=1)
    y[0] = 1 - y[0]
    before = torch.get_rng_state()
    runs = [
        ATTACKS["hop_skip_jump"](model, x, y, stream=torch_stream(seed, "s"), iterations=3)
        for seed in (0, 0, 1)
    ]
    assert torch.equal(runs[0][0], x[0])
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(InputError, match="norm"):
        ATTACKS["hop_skip_jump"](model, x, y, stream=torch_stream(0, "s"), norm="l1")


def turned(angle: float) -> Model:
    """Return a classifier of the plane by the sign of a direction."""
    direction = torch.tensor([np.cos(angle), np.sin(angle)], dtype=torch.float32)
    return lambda p: torch.stack([p @ direction, -(p @ direction)], dim=1)


def test_the_transfer_matrix_of_half_planes() -> None:
    # A step of length r along the normal of one changes the sign for another at angle t if
    # r cos t > its margin.
    models = [turned(0.0), turned(0.3), turned(np.pi / 2)]
    x = torch.rand(200, 2, generator=torch_stream(0, "x")) * 0.5 + 0.1
    y = torch.zeros(200, dtype=torch.long)
    settings = {"radius": 1.0, "norm": "l2"}
    found = transfer_matrix(models, x, y, by="fgsm", settings=settings)
    rates = found.rates
    assert torch.equal(rates.diagonal(), torch.ones(3).double())
    expected = (models[1](x)[:, 0] < np.cos(0.3)).double().mean()
    assert rates[0, 1].item() == pytest.approx(expected.item(), abs=0.01)
    assert rates[0, 2] == 0  # a step across leaves the other coordinate as it is
    assert found.counted.all()
    assert found.fooled.shape == (3, 3, 200)


def test_points_that_another_model_has_wrong_are_not_counted() -> None:
    models = [turned(0.0), turned(np.pi)]
    x, y = torch.tensor([[0.2, 0.3]]), torch.zeros(1, dtype=torch.long)
    found = transfer_matrix(models, x, y, by="fgsm", settings={"radius": 1.0})
    assert not found.counted.any()
    assert not found.fooled.any()
    assert torch.isnan(found.rates).all()
    with pytest.raises(InputError, match="models: none"):
        transfer_matrix([], x, y)


def test_transfer_returns_x_where_the_model_is_not_fooled() -> None:
    x = torch.rand(50, 2, generator=torch_stream(1, "x")) * 0.5 + 0.1
    y = torch.zeros(50, dtype=torch.long)
    settings = {"radius": 0.4, "norm": "l2"}
    judge, source = turned(0.5), turned(0.0)
    points = ATTACKS["transfer"](judge, x, y, source=source, by="fgsm", settings=settings)
    fooled = judge(points).argmax(dim=1) == 1
    assert 0 < int(fooled.sum()) < 50
    assert torch.equal(points[~fooled], x[~fooled])
    assert (sizes(points - x, "l2") <= 0.4).all()
    with pytest.raises(InputError, match="unknown attack 'fgms'"):
        ATTACKS["transfer"](judge, x, y, source=source, by="fgms")


def pupil(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 2))


def test_a_substitute_doubles_its_queries_and_learns_the_labels() -> None:
    model, _ = half_space(5, 6)
    queries = []

    def oracle(p: torch.Tensor) -> torch.Tensor:
        assert not p.requires_grad
        queries.append(len(p))
        return nn.functional.one_hot(model(p).argmax(dim=1), 2).to(p)

    samples = torch.randn(30, 6, generator=torch_stream(5, "samples"))
    module = pupil(0)
    before = [p.clone() for p in module.parameters()]
    found = trained_substitute(
        oracle, samples, module, stream=torch_stream(0, "s"), rounds=4, learning_rate=0.1
    )
    assert sum(queries) == len(found.inputs) == 30 * 2**3
    assert all(torch.equal(p, q) for p, q in zip(before, module.parameters(), strict=True))
    moved = (found.inputs[30:60] - samples).abs()
    assert torch.allclose(moved, torch.full_like(moved, 0.1), atol=1e-6)
    fresh = torch.randn(500, 6, generator=torch_stream(6, "fresh"))
    same = found.module(fresh).argmax(dim=1) == model(fresh).argmax(dim=1)
    assert same.double().mean() > 0.9
    assert len(found.agreement) == 4
    assert found.agreement[-1] > 0.9


def test_attacks_pass_through_a_substitute() -> None:
    model, weight = half_space(5, 6)
    samples = torch.randn(30, 6, generator=torch_stream(5, "samples"))
    x = torch.randn(60, 6, generator=torch_stream(7, "x"))
    y = model(x).argmax(dim=1)
    radius = 1.3 * float(distance(model, weight, x, "l2").max())
    run = functools.partial(
        ATTACKS["substitute"],
        model,
        x,
        y,
        samples=samples,
        module=pupil(0),
        training={"rounds": 4, "learning_rate": 0.1},
        settings={"radius": radius, "norm": "l2"},
    )
    before = torch.get_rng_state()
    points = run(stream=torch_stream(0, "s"))
    fooled = model(points).argmax(dim=1) != y
    assert fooled.double().mean() > 0.9
    assert (sizes(points - x, "l2") <= radius).all()
    assert torch.equal(points[~fooled], x[~fooled])
    assert torch.equal(points, run(stream=torch_stream(0, "s")))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_substitute_needs_samples_and_enough_classes() -> None:
    model, _ = half_space(5, 6)
    with pytest.raises(InputError, match="samples: 0"):
        trained_substitute(model, torch.zeros(0, 6), pupil(0), stream=torch_stream(0, "s"))
    narrow = nn.Linear(6, 1)
    samples = torch.randn(30, 6, generator=torch_stream(5, "samples"))
    with pytest.raises(InputError, match="1 classes"):
        trained_substitute(model, samples, narrow, stream=torch_stream(0, "s"))
