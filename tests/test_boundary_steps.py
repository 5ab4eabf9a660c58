"""Steps along the decision boundary: half-spaces, balls, walks and projections, against solvers."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, lsq_linear, minimize

from empirics.adversary.cuts import nearest_in_half_spaces, walk
from empirics.adversary.goal import Goal
from empirics.adversary.half_space import nearest_in_half_space, norms, room_against
from empirics.adversary.lp_balls import onto_ball
from empirics.adversary.projection import sequential_projection
from empirics.attacks.boundary import boundary
from empirics.seeds import torch_stream
from tests.linear_nets import half_space, linear

INF = math.inf


@pytest.mark.parametrize("boxed", [False, True])
def test_nearest_points_of_half_spaces_against_solvers(boxed: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(15):
        d = int(rng.integers(1, 7))
        normal = rng.normal(size=d) * (rng.random(d) < 0.8)
        room = rng.random(d) if boxed else np.full(d, INF)
        most = np.abs(normal) @ np.where(normal != 0, np.minimum(room, 10.0), 0.0)
        excess = rng.random() * most
        arrays = (torch.from_numpy(v)[None] for v in (normal, room))
        n, r = arrays
        steps = {p: nearest_in_half_space(n, torch.tensor([excess]), r, p)[0] for p in (1, 2, INF)}
        for step in steps.values():
            assert torch.from_numpy(normal) @ step == pytest.approx(-excess, abs=1e-9)
            assert (step.abs() <= torch.from_numpy(room) + 1e-12).all()
        rate = np.abs(normal)
        if not rate.any():
            continue
        ends = [(0, None if math.isinf(most_) else most_) for most_ in room]
        l1 = linprog(np.ones(d), A_eq=rate[None], b_eq=[excess], bounds=ends).fun
        assert norms(steps[1][None], 1).item() == pytest.approx(l1, abs=1e-7)
        linf = linprog(
            np.r_[np.zeros(d), 1.0],
            A_ub=np.c_[np.eye(d), -np.ones(d)],
            b_ub=np.zeros(d),
            A_eq=np.r_[rate, 0.0][None],
            b_eq=[excess],
            bounds=[*ends, (0, None)],
        ).fun
        assert norms(steps[INF][None], INF).item() == pytest.approx(linf, abs=1e-7)
        # A stiff equality makes a bounded least-squares problem of the projection.
        stiff = np.r_[1e5 * rate[None], np.eye(d)]
        upper = np.where(np.isinf(room), 1e3, np.maximum(room, 1e-12))
        l2 = lsq_linear(stiff, np.r_[1e5 * excess, np.zeros(d)], (np.zeros(d), upper)).x
        assert norms(steps[2][None], 2).item() == pytest.approx(np.linalg.norm(l2), rel=1e-4)


def test_a_half_space_out_of_reach_is_approached_as_far_as_the_box_allows() -> None:
    room = torch.tensor([[0.5, 0.25]])
    for p in (0, 1, 2, INF):
        step = nearest_in_half_space(torch.tensor([[1.0, -2.0]]), torch.tensor([9.0]), room, p)
        assert step.tolist() == [[-0.5, 0.25]]


@pytest.mark.parametrize("p", [1, 2, INF])
def test_projections_onto_balls(p: float) -> None:
    stream = torch_stream(0, "ball")
    delta = torch.randn(50, 6, generator=stream, dtype=torch.float64)
    radius = 3 * torch.rand(50, generator=stream, dtype=torch.float64)
    there = onto_ball(delta, radius, p)
    assert (norms(there, p) <= radius * (1 + 1e-12)).all()
    inside = norms(delta, p) <= radius
    assert torch.allclose(there[inside], delta[inside])
    # What characterises a projection: no other point of the ball lies ahead of it.
    others = torch.randn(200, 50, 6, generator=stream, dtype=torch.float64)
    others *= (radius / torch.linalg.vector_norm(others, ord=p, dim=2))[..., None]
    assert (((delta - there) * (others - there)).sum(dim=2) <= 1e-9).all()


@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
def test_nearest_points_of_several_half_spaces_against_a_solver(
    box: tuple[float, float] | None,
) -> None:
    rng = np.random.default_rng(1)
    compared = 0
    for _ in range(25):
        d, count = int(rng.integers(3, 9)), int(rng.integers(1, 5))
        origin, inside = rng.random(d), rng.random(d)
        normals, offsets = np.zeros((4, d)), np.zeros(4)
        normals[:count] = rng.normal(size=(count, d))
        offsets[:count] = -normals[:count] @ inside - 0.01
        stacked = (torch.from_numpy(a)[None] for a in (origin, normals, offsets))
        found = nearest_in_half_spaces(*stacked, box)[0].numpy()
        best = minimize(
            lambda z, home=origin: ((z - home) ** 2).sum(),
            inside,
            jac=lambda z, home=origin: 2 * (z - home),
            bounds=None if box is None else [box] * d,
            constraints={
                "type": "ineq",
                "fun": lambda z, n=normals, o=offsets: -n @ z - o,
                "jac": lambda z, n=normals: -n,
            },
            method="SLSQP",
            options={"ftol": 1e-14},
        )
        if not best.success:
            continue
        compared += 1
        assert (normals @ found + offsets).max() <= 1e-4
        if box is not None:
            assert found.min() >= box[0]
            assert found.max() <= box[1]
        assert np.linalg.norm(found - origin) == pytest.approx(best.fun**0.5, rel=1e-3, abs=1e-5)
    assert compared > 15


def test_cuts_without_a_common_point_fall_back_on_the_first() -> None:
    normals = torch.tensor([[[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    offsets = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    found = nearest_in_half_spaces(torch.zeros(1, 2), normals, offsets)
    assert torch.allclose(found, torch.tensor([[-1.0, 0.0]]), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_walk_ends_in_the_kink_where_single_projections_stall(dtype: torch.dtype) -> None:
    # Label 1 where both coordinates exceed 1: the nearest point to 0 is the corner.
    def corner(points: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.zeros_like(points[:, 0]), points.amin(dim=1) - 1], dim=1)

    start = torch.tensor([[1.2, 3.0], [5.0, 1.1], [0.0, 0.0]], dtype=dtype)
    origin, goal = torch.zeros_like(start), Goal(torch.zeros(3, dtype=torch.long))
    for box in (None, (0.0, 6.0)):
        found = walk(corner, origin, start, goal, steps=10, box=box)
        assert torch.equal(found[2], start[2])
        assert (corner(found)[:2].argmax(dim=1) == 1).all()
        assert torch.allclose(found[:2], torch.ones(2, 2, dtype=dtype), atol=1e-4)


def test_boundary_improves_given_points_and_ignores_others() -> None:
    model = linear(60, (8,), 2, torch.float64)
    x = torch.randn(10, 8, generator=torch_stream(60, "x"), dtype=torch.float64)
    y = model(x).argmax(dim=1)
    start = -3 * x
    start[0] = x[0]
    adversarial = model(start).argmax(dim=1) != y
    assert 2 < adversarial.sum() < 10
    found = boundary(model, x, y, start=start)
    assert torch.equal(found[~adversarial], x[~adversarial])
    normal, value = half_space(model, y, x)
    ratio = norms(found - x, 2) / (value / norms(normal, 2))
    assert ratio[adversarial].max() <= 1 + 1e-5


@pytest.mark.parametrize("p", [1, 2, INF])
def test_projection_within_a_box_is_exact_for_a_half_space(p: float) -> None:
    model = linear(61, (10,), 2, torch.float64)
    x = torch.rand(30, 10, generator=torch_stream(61, "x"), dtype=torch.float64)
    with torch.no_grad():
        model[1].bias -= model(x).mean(dim=0)
    y = model(x).argmax(dim=1)
    normal, value = half_space(model, y, x)
    room = room_against(normal, x, (0.0, 1.0))
    start = x - normal.sign() * room
    found = sequential_projection(model, x, start, y, p=p, box=(0.0, 1.0))
    best = norms(nearest_in_half_space(normal, value, room, p), p)
    reachable = Goal(y).reached(model(start))
    assert reachable.sum() > 20
    ratio = (norms(found - x, p) / best)[reachable]
    assert ratio.min() >= 1 - 1e-9
    assert ratio.max() <= 1 + 1e-4
