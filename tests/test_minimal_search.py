"""The strongest search: what grids and exact solvers find, budgets, memory, the fewest changes."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from empirics.adversary.half_space import norms
from empirics.attacks.ddn import ddn
from empirics.attacks.strongest import BUDGETS, minimal
from empirics.seeds import torch_stream
from empirics.trace import relu_network
from tests.linear_nets import linear, small_net
from theory.distance.exact import exact as exact_distance

INF = math.inf
UNIT = (0.0, 1.0)


def on_a_grid(
    model: nn.Module, x: torch.Tensor, label: int, p: float, reach: float, count: int
) -> float:
    """The distance of the nearest of the points of a grid around x with another label."""
    axis = torch.linspace(-reach, reach, count, dtype=torch.float64)
    offsets = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        changed = model(x + offsets).argmax(dim=1) != label
    return torch.linalg.vector_norm(offsets[changed], ord=p, dim=1).amin().item()


@pytest.mark.parametrize("p", [1, 2, INF])
def test_thorough_finds_what_a_grid_finds(p: float) -> None:
    for seed in (20,):
        model = small_net(seed)
        x = torch.randn(12, 2, generator=torch_stream(seed, "x"), dtype=torch.float64)
        y = model(x).argmax(dim=1)
        points, radii = minimal(model, x, y, p=p, budget="thorough")
        finite = torch.isfinite(radii)
        assert finite.sum() >= 8
        assert (model(points[finite]).argmax(dim=1) != y[finite]).all()
        assert torch.allclose(norms(points - x, p)[finite], radii[finite])
        for i in torch.nonzero(finite)[:, 0]:
            reach = 1.01 * radii[i].item()
            gridded = on_a_grid(model, x[i], int(y[i]), p, reach, 201)
            # The grid cannot be nearer than the exact distance.
            assert radii[i] <= gridded * 1.005


def test_thorough_is_exact_on_small_nets_and_never_worse_than_standard() -> None:
    ratios: list[float] = []
    for seed in (70, 80):
        model = nn.Sequential(linear(seed, (8,), 16), nn.ReLU(), linear(seed + 1, (16,), 4))
        model.double().requires_grad_(False)
        x = torch.randn(10, 8, generator=torch_stream(seed, "x"), dtype=torch.float64)
        y = model(x).argmax(dim=1)
        standard, thorough = (
            minimal(model, x, y, p=2, budget=b)[1] for b in ("standard", "thorough")
        )
        assert (thorough <= standard).all()
        network = relu_network(model, (8,))
        for i in range(10):
            optimum = exact_distance(network, x[i].numpy(), p=2, label=int(y[i]))
            assert thorough[i] >= optimum.lower * (1 - 1e-9)
            ratios.append(thorough[i].item() / optimum.upper)
    assert np.quantile(ratios, 0.95) <= 1.005


def small_case(seed: int, n: int) -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    model = small_net(seed, inputs=16, hidden=40, n_classes=6)
    x = torch.rand(n, 16, generator=torch_stream(seed, "x"), dtype=torch.float64)
    return model, x, model(x).argmax(dim=1)


@pytest.mark.parametrize("p", [0, 1, 2, INF])
def test_more_work_is_never_worse_on_any_point(p: float) -> None:
    model, x, y = small_case(40, 16)
    quick, standard, thorough = (
        minimal(model, x, y, p=p, budget=budget, box=UNIT)[1] for budget in BUDGETS
    )
    assert (standard <= quick).all()
    assert (thorough <= standard).all()
    # The fewest changes of so small a net are found at once.
    assert p == 0 or thorough.sum() < quick.sum()


def test_the_quick_search_is_nearer_than_one_descent() -> None:
    model, x, y = small_case(40, 24)
    plain = norms(ddn(model, x, y) - x, 2).mean()
    assert minimal(model, x, y, p=2, budget="quick")[1].mean() < plain


@pytest.mark.parametrize("p", [0, 1, 2, INF])
@pytest.mark.parametrize("budget", ["quick", "standard"])
def test_the_whole_batch_confirms_every_point(p: float, budget: str) -> None:
    model, x, y = small_case(41, 12)
    y[0] = (y[0] + 1) % 6

    own = nn.functional.one_hot(model(x).argmax(dim=1), 6)

    def by_size(points: torch.Tensor) -> torch.Tensor:
        # Rounding that hangs on the size of a batch, enlarged: the whole one resists more.
        logits: torch.Tensor = model(points)
        return logits + 1e-7 * own if len(points) == len(x) else logits

    points, radii = minimal(by_size, x, y, p=p, budget=budget, box=UNIT)
    assert radii[0] == 0
    assert torch.isfinite(radii).all()
    assert (by_size(points).argmax(dim=1) != y).all()
    assert torch.equal(norms(points - x, p), radii)


def fewest_on_a_grid(model: nn.Module, x: torch.Tensor, label: int, most: int) -> float:
    """The least number of features whose change to values of a grid changes the label."""
    values = torch.linspace(0, 1, 9, dtype=torch.float64)
    for size in range(1, most + 1):
        changes = torch.cartesian_prod(*[values] * size).reshape(-1, size)
        for chosen in itertools.combinations(range(len(x)), size):
            tried = x.repeat(len(changes), 1)
            tried[:, list(chosen)] = changes
            if (model(tried).argmax(dim=1) != label).any():
                return size
    return INF


def test_the_fewest_changes_are_no_more_than_on_a_grid() -> None:
    model, x, y = small_case(42, 12)
    _, counts = minimal(model, x, y, p=0, box=UNIT)
    grid = [fewest_on_a_grid(model, x[i], int(y[i]), 2) for i in range(len(x))]
    assert 2 in grid
    assert all(count <= fewest for count, fewest in zip(counts.tolist(), grid, strict=True))


def test_minimal_says_infinity_and_zero() -> None:
    def constant(points: torch.Tensor) -> torch.Tensor:
        return 0 * points[:, :2] + torch.tensor([1.0, 0.0])

    x = torch.randn(3, 4, generator=torch_stream(0, "x"))
    for p in (0, 1, 2, INF):
        points, radii = minimal(constant, x, torch.tensor([0, 1, 0]), p=p)
        assert radii.tolist() == [INF, 0.0, INF]
        assert torch.equal(points, x)


def test_a_batch_that_does_not_fit_is_halved() -> None:
    model = small_net(50)
    x = torch.randn(9, 2, generator=torch_stream(50, "x"), dtype=torch.float64)
    y = model(x).argmax(dim=1)
    sizes: list[int] = []

    def cramped(points: torch.Tensor) -> torch.Tensor:
        sizes.append(len(points))
        if len(points) > 3:
            raise torch.OutOfMemoryError("no memory")
        return model(points)

    points, radii = minimal(cramped, x, y, p=2, budget="quick")
    assert sizes[0] == 9
    assert set(sizes[-5:]) <= {1, 2, 3}
    finite = torch.isfinite(radii)
    assert finite.sum() >= 7
    assert (model(points).argmax(dim=1) != y)[finite].all()
    assert torch.allclose(norms(points - x, 2)[finite], radii[finite])

    def broken(points: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        minimal(broken, x, y, p=2)
