"""Carlini and Wagner's attacks and L-BFGS against the optimum of half-spaces, free and in a box."""

import numpy as np
import pytest
import torch

from empirics.adversary.ball import sizes
from empirics.adversary.batch import Model, flat_norm, margin
from empirics.adversary.half_space import nearest_in_half_space, room_against
from empirics.attacks import ATTACKS
from tests.linear_models import distances, inputs, linear

UNIT = (0.0, 1.0)
ORDER = {"l2": 2.0, "linf": np.inf}
MINIMAL = {
    "cw_l2": ("l2", {"steps": 150, "step_size": 0.03, "search_steps": 6}),
    "cw_linf": ("linf", {"steps": 100, "step_size": 0.03, "rounds": 12}),
    "lbfgs": ("l2", {}),
}


def box_distance(model: Model, weight: torch.Tensor, x: torch.Tensor, norm: str) -> torch.Tensor:
    """Return the distances to the boundary of two classes within the unit box, (n,)."""
    logits = model(x)
    y = logits.argmax(dim=1)
    normal = weight[y] - weight[1 - y]
    step = nearest_in_half_space(
        normal, margin(logits, y), room_against(normal, x.flatten(1), UNIT), ORDER[norm]
    )
    return torch.linalg.vector_norm(step, ord=ORDER[norm], dim=1)


@pytest.mark.parametrize("name", sorted(MINIMAL))
@pytest.mark.parametrize(
    ("n", "shape", "size", "dtype"),
    [
        (1, (3,), 1.0, torch.float64),
        (8, (1, 4, 4), 1e-3, torch.float32),
        (5, (9,), 1e3, torch.float32),
    ],
)
def test_penalties_meet_the_optimum_of_half_spaces(
    name: str, n: int, shape: tuple[int, ...], size: float, dtype: torch.dtype
) -> None:
    norm, settings = MINIMAL[name]
    model, weight = linear(7, int(np.prod(shape)), 2, dtype)
    x = inputs(n, shape, size, dtype)
    y = model(x).argmax(dim=1)
    found = ATTACKS[name](model, x, y, **settings)
    towards = ATTACKS[name](model, x, y, targets=1 - y, **settings)
    exact = distances(model, weight, x, norm)
    for points in (found, towards):
        assert points.dtype == dtype
        assert (model(points).argmax(dim=1) != y).all()
        ratio = sizes(points - x, norm).double() / exact
        assert ratio.min() >= 1 - 1e-4
        assert ratio.max() <= 1.02


@pytest.mark.parametrize("name", sorted(MINIMAL))
def test_penalties_meet_the_optimum_from_the_corners_of_a_box(name: str) -> None:
    norm, settings = MINIMAL[name]
    model, weight = linear(8, 16, 2)
    x = inputs(6, (1, 4, 4), 5.0, torch.float32).clamp(*UNIT)
    assert ((x == 0) | (x == 1)).double().mean() > 0.8
    y = model(x).argmax(dim=1)
    exact = box_distance(model, weight, x, norm)
    longer = {"steps": 150, "rounds": 20} if name == "cw_linf" else {}
    found = ATTACKS[name](model, x, y, box=UNIT, **{**settings, **longer})
    assert (model(found).argmax(dim=1) != y).all()
    assert found.min() >= 0
    assert found.max() <= 1
    ratio = sizes(found - x, norm) / exact
    assert ratio.min() >= 1 - 1e-4
    assert ratio.max() <= 1.02


def test_confidence_is_kept() -> None:
    model, _ = linear(9, 6, 2)
    x = inputs(5, (6,), 1.0, torch.float32)
    y = model(x).argmax(dim=1)
    settings = {"steps": 200, "step_size": 0.03, "search_steps": 6}
    found = ATTACKS["cw_l2"](model, x, y, confidence=2.0, **settings)
    assert (margin(model(found), y) <= -2 + 1e-4).all()
    plain = ATTACKS["cw_l2"](model, x, y, **settings)
    assert (flat_norm(found - x) > flat_norm(plain - x)).all()
