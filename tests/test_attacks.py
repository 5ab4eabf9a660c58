"""Attacks on linear models, whose nearest adversarial points are known in closed form."""

import numpy as np
import pytest
import torch
from torch import nn

from empirics.adversary.batch import flat_norm
from empirics.adversary.projection import jacobian, metric, sequential_projection
from empirics.attacks import ATTACKS
from empirics.attacks.candidates import minimal_candidates
from empirics.seeds import torch_stream


def linear_model(seed: int, shape: tuple[int, ...], n_classes: int) -> tuple[nn.Module, np.ndarray]:
    stream = torch_stream(seed, "weights")
    linear = nn.Linear(int(np.prod(shape)), n_classes)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(linear.weight.shape, generator=stream))
        linear.bias.copy_(torch.randn(n_classes, generator=stream))
    return nn.Sequential(nn.Flatten(), linear), linear.weight.detach().double().numpy()


def exact_distance(model: nn.Module, weight: np.ndarray, x: torch.Tensor) -> np.ndarray:
    """Distance to the nearest of the hyperplanes that part the label from the other classes."""
    logits = model(x).detach().double().numpy()
    label = logits.argmax(axis=1)
    margins = logits[np.arange(len(x)), label][:, None] - logits
    rates = np.linalg.norm(weight[label][:, None] - weight[None], axis=2)
    with np.errstate(invalid="ignore"):
        distances = margins / rates
    distances[np.arange(len(x)), label] = np.inf
    return distances.min(axis=1)


SHAPES = pytest.mark.parametrize("shape", [(3,), (1, 4, 4), (3, 5, 5)])
SIZES = pytest.mark.parametrize(("n", "scale"), [(1, 1.0), (40, 1e-3), (7, 1e3)])


@SHAPES
@SIZES
def test_ddn_on_half_spaces(shape: tuple[int, ...], n: int, scale: float) -> None:
    model, weight = linear_model(n, shape, 2)
    x = scale * torch.randn(n, *shape, generator=torch_stream(n, "x"))
    y = model(x).argmax(dim=1)
    found = ATTACKS["ddn"](model, x, y, steps=200)
    assert found.shape == x.shape
    assert (model(found).argmax(dim=1) != y).all()
    ratio = flat_norm(found - x).double().numpy() / exact_distance(model, weight, x)
    assert ratio.min() >= 1 - 1e-4
    assert ratio.max() <= 1.02


@SHAPES
@SIZES
@pytest.mark.parametrize("n_classes", [2, 10])
def test_deepfool_on_linear_models(
    shape: tuple[int, ...], n: int, scale: float, n_classes: int
) -> None:
    model, weight = linear_model(n, shape, n_classes)
    x = scale * torch.randn(n, *shape, generator=torch_stream(n, "x"))
    y = model(x).argmax(dim=1)
    found = ATTACKS["deepfool"](model, x, y, overshoot=1e-3)
    assert (model(found).argmax(dim=1) != y).all()
    ratio = flat_norm(found - x).double().numpy() / exact_distance(model, weight, x)
    assert ratio.min() >= 1 - 1e-4
    assert ratio.max() <= 1.001 + 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_projection_reaches_the_exact_distance_of_a_linear_model(seed: int) -> None:
    model, weight = linear_model(seed, (20,), 6)
    model = model.double()
    x = torch.randn(50, 20, generator=torch_stream(seed, "x"), dtype=torch.float64)
    y = model(x).argmax(dim=1)
    candidates = minimal_candidates(
        model, model, x, y, stream=torch_stream(seed, "starts"), restarts=1
    )
    exact = torch.from_numpy(exact_distance(model, weight, x))
    for candidate in candidates:
        assert (model(candidate).argmax(dim=1) != y).all()
    nearest = torch.stack([flat_norm(c - x) for c in candidates]).amin(dim=0)
    assert (nearest >= exact).all()
    assert (nearest <= exact * (1 + 1e-5)).all()


def test_projection_in_the_metric_of_an_embedding() -> None:
    # For g(z) = A z and a half-space w, the in-distribution distance is margin / |A^-T w|.
    stream = torch_stream(1, "embedding")
    a = torch.randn(5, 5, generator=stream, dtype=torch.float64) + 3 * torch.eye(5).double()
    w = torch.randn(5, generator=stream, dtype=torch.float64)
    z = torch.randn(30, 5, generator=stream, dtype=torch.float64)

    def model(p: torch.Tensor) -> torch.Tensor:
        return torch.stack([p @ w, -(p @ w)], dim=1)

    y = model(z).argmax(dim=1)
    start = -2 * z  # on the other side
    found = sequential_projection(model, z, start, y, embed=lambda p: p @ a.T, steps=30)
    distance = ((found - z) @ a.T).norm(dim=1)
    exact = (z @ w).abs() / torch.linalg.solve(a.T, w).norm()
    assert torch.allclose(distance, exact, rtol=1e-5)
    assert (distance >= exact).all()


def test_projection_leaves_points_alone_that_are_not_adversarial() -> None:
    model, _ = linear_model(0, (4,), 3)
    x = torch.randn(10, 4, generator=torch_stream(0, "x"))
    y = model(x).argmax(dim=1)
    assert torch.equal(sequential_projection(model, x, x, y), x)


def test_a_constant_model_is_never_fooled() -> None:
    def constant(p: torch.Tensor) -> torch.Tensor:
        return 0 * p.flatten(1)[:, :2] + torch.tensor([1.0, 0.0])

    x = torch.randn(5, 6, generator=torch_stream(0, "x"))
    y = torch.zeros(5, dtype=torch.long)
    assert torch.equal(ATTACKS["ddn"](constant, x, y), x)


@pytest.mark.parametrize("start", [False, True])
def test_pgd_keeps_its_budget_and_raises_the_loss(start: bool) -> None:
    model, _ = linear_model(3, (1, 6, 6), 5)
    x = torch.randn(64, 1, 6, 6, generator=torch_stream(3, "x"))
    y = model(x).argmax(dim=1)
    stream = torch_stream(3, "start") if start else None
    found = ATTACKS["pgd"](model, x, y, radius=0.7, steps=20, stream=stream)
    assert flat_norm(found - x).max() <= 0.7 * (1 + 1e-5)
    before = nn.functional.cross_entropy(model(x), y, reduction="none")
    after = nn.functional.cross_entropy(model(found), y, reduction="none")
    assert (after > before).all()


def test_pgd_succeeds_exactly_beyond_the_distance_of_a_half_space() -> None:
    model, weight = linear_model(4, (8,), 2)
    x = torch.randn(200, 8, generator=torch_stream(4, "x"))
    y = model(x).argmax(dim=1)
    exact = torch.from_numpy(exact_distance(model, weight, x)).float()
    outside = ATTACKS["pgd"](model, x, y, radius=exact * 1.001, steps=40)
    inside = ATTACKS["pgd"](model, x, y, radius=exact * 0.999, steps=40)
    assert (model(outside).argmax(dim=1) != y).all()
    assert (model(inside).argmax(dim=1) == y).all()


def test_the_same_stream_gives_the_same_points() -> None:
    model, _ = linear_model(5, (9,), 4)
    x = torch.randn(20, 9, generator=torch_stream(5, "x"))
    y = model(x).argmax(dim=1)
    runs = [ATTACKS["ddn"](model, x, y, stream=torch_stream(5, "s")) for _ in range(2)]
    assert torch.equal(*runs)
    other = ATTACKS["ddn"](model, x, y, stream=torch_stream(6, "s"))
    assert not torch.equal(runs[0], other)


def test_jacobian_of_an_affine_map_is_its_matrix() -> None:
    a = torch.randn(7, 3, generator=torch_stream(2, "a"), dtype=torch.float64)
    points = torch.randn(4, 3, generator=torch_stream(2, "p"), dtype=torch.float64)
    assert torch.allclose(jacobian(lambda p: p @ a.T, points), a.expand(4, 7, 3))
    assert torch.allclose(metric(lambda p: p @ a.T, points), (a.T @ a).expand(4, 3, 3), atol=1e-7)
