"""Minimal-norm attacks: closed forms on linear models, boxes, targets, refusals, exact radii."""

import functools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, lsq_linear, minimize
from torch import nn

from empirics.adversary.cuts import nearest_in_half_spaces, walk
from empirics.adversary.goal import Goal
from empirics.adversary.half_space import nearest_in_half_space, norms, room_against
from empirics.adversary.lp_balls import onto_ball
from empirics.adversary.projection import sequential_projection
from empirics.attacks.alma import alma
from empirics.attacks.best_of import best_of
from empirics.attacks.boundary import boundary
from empirics.attacks.ddn import ddn
from empirics.attacks.deepfool import deepfool
from empirics.attacks.fmn import fmn
from empirics.attacks.registry import Attack
from empirics.attacks.strongest import BUDGETS, minimal
from empirics.seeds import torch_stream
from empirics.trace import relu_network
from theory.distance.exact import exact as exact_distance
from theory.errors import InputError

INF = math.inf
DUAL = {1: INF, 2: 2, INF: 1}


def strongest(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, **settings: object
) -> torch.Tensor:
    return minimal(model, x, y, budget="quick", **settings)[0]


SERVED: dict[str, tuple[Attack, float]] = {
    "ddn": (functools.partial(ddn, steps=200), 2),
    "deepfool": (functools.partial(deepfool, overshoot=1e-3), 2),
    "fmn l1": (functools.partial(fmn, p=1, steps=300), 1),
    "fmn l2": (functools.partial(fmn, steps=200), 2),
    "fmn linf": (functools.partial(fmn, p=INF, steps=200), INF),
    "alma": (functools.partial(alma, steps=400), 2),
    "boundary l1": (functools.partial(boundary, p=1), 1),
    "boundary l2": (boundary, 2),
    "boundary linf": (functools.partial(boundary, p=INF), INF),
    "best of": (best_of([ddn, functools.partial(deepfool, overshoot=1e-3)]), 2),
    "minimal l1": (functools.partial(strongest, p=1), 1),
    "minimal l2": (functools.partial(strongest, p=2), 2),
    "minimal linf": (functools.partial(strongest, p=INF), INF),
}
ATTACKS = pytest.mark.parametrize("name", SERVED)


def linear(
    seed: int, shape: tuple[int, ...], n_classes: int, dtype: torch.dtype = torch.float32
) -> nn.Sequential:
    stream = torch_stream(seed, "weights")
    layer = nn.Linear(math.prod(shape), n_classes)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=stream))
        layer.bias.copy_(torch.randn(n_classes, generator=stream))
    return nn.Sequential(nn.Flatten(), layer).to(dtype)


def exact(
    model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, p: float, targets: torch.Tensor | None
) -> torch.Tensor:
    """The distance to the nearest (or the target's) of the hyperplanes around each point."""
    weight = model[1].weight.double()
    logits = x.double().flatten(1) @ weight.T + model[1].bias.double()
    margins = logits.gather(1, y[:, None]) - logits
    rates = torch.linalg.vector_norm(weight[y][:, None] - weight[None], ord=DUAL[p], dim=2)
    distances = (margins / rates).scatter(1, y[:, None], INF)
    if targets is None:
        return distances.amin(dim=1)
    return distances.gather(1, targets[:, None])[:, 0]


@ATTACKS
@pytest.mark.parametrize(
    ("shape", "n", "scale", "dtype"),
    [
        ((3,), 1, 1.0, torch.float32),
        ((1, 4, 4), 30, 1e-2, torch.float64),
        ((3, 5, 5), 7, 1e2, torch.float32),
    ],
)
@pytest.mark.parametrize("targeted", [False, True])
def test_the_closed_form_on_half_spaces(
    name: str, shape: tuple[int, ...], n: int, scale: float, dtype: torch.dtype, targeted: bool
) -> None:
    attack, p = SERVED[name]
    model = linear(n, shape, 2, dtype)
    x = scale * torch.randn(n, *shape, generator=torch_stream(n, "x"), dtype=dtype)
    y = model(x).argmax(dim=1)
    targets = 1 - y if targeted else None
    found = attack(model, x, y, targets=targets)
    assert found.shape == x.shape
    assert found.dtype == dtype
    assert (model(found).argmax(dim=1) != y).all()
    ratio = norms(found - x, p).double() / exact(model, x, y, p, targets)
    assert ratio.min() >= 1 - 1e-4
    assert ratio.max() <= 1.02


@ATTACKS
def test_targets_of_several_classes_are_reached(name: str) -> None:
    attack, p = SERVED[name]
    model = linear(3, (12,), 4, torch.float64)
    x = torch.randn(20, 12, generator=torch_stream(3, "x"), dtype=torch.float64)
    y = model(x).argmax(dim=1)
    targets = (y + 2) % 4
    found = attack(model, x, y, targets=targets)
    assert (model(found).argmax(dim=1) == targets).all()
    # The hyperplane that parts the target from y alone is no farther than the target's own cell.
    assert (norms(found - x, p) >= exact(model, x, y, p, targets) * (1 - 1e-9)).all()


@ATTACKS
@pytest.mark.parametrize("box", [(0.0, 1.0), (-0.1, 0.7)])
def test_the_box_is_kept_exactly(name: str, box: tuple[float, float]) -> None:
    attack, p = SERVED[name]
    model = linear(5, (2, 6, 6), 2)
    x = torch.rand(40, 2, 6, 6, generator=torch_stream(5, "x")).clamp(max=0.7)
    x[x < 0.2] = 0.0  # many coordinates at an end of the first box
    with torch.no_grad():
        model[1].bias -= model(x).mean(dim=0)
    y = model(x).argmax(dim=1)
    found = attack(model, x, y, box=box)
    assert found.min() >= torch.tensor(box[0])
    assert found.max() <= torch.tensor(box[1])
    adversarial = model(found).argmax(dim=1) != y
    assert adversarial.all()
    normal, value = half_space(model, y, x)
    best = nearest_in_half_space(normal, value, room_against(normal, x.flatten(1), box), p)
    ratio = norms(found - x, p) / norms(best, p)
    assert ratio.min() >= 1 - 1e-4
    # DDN, FMN and ALMA project onto ball and box in turn, which is not onto both.
    assert ratio.max() <= (1.02 if name.startswith(("minimal", "boundary", "deepfool")) else 1.1)


def half_space(
    model: nn.Sequential, y: torch.Tensor, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    weight = model[1].weight.detach()
    logits = model(x).detach()
    rows = torch.arange(len(x))
    return weight[y] - weight[1 - y], logits[rows, y] - logits[rows, 1 - y]


@ATTACKS
def test_misclassified_points_stay_and_hopeless_ones_come_back(name: str) -> None:
    attack, _ = SERVED[name]
    model = linear(7, (5,), 3)
    x = torch.randn(12, 5, generator=torch_stream(7, "x"))
    y = model(x).argmax(dim=1)
    y[::2] = (y[::2] + 1) % 3
    found = attack(model, x, y)
    assert torch.equal(found[::2], x[::2])
    assert (model(found).argmax(dim=1) != y).all()

    def constant(points: torch.Tensor) -> torch.Tensor:
        return 0 * points[:, :2] + torch.tensor([1.0, 0.0])

    zeros = torch.zeros(12, dtype=torch.long)
    assert torch.equal(attack(constant, x, zeros), x)


@ATTACKS
def test_repeatable_without_touching_the_global_random_state(name: str) -> None:
    attack, _ = SERVED[name]
    model = nn.Sequential(linear(8, (9,), 12), nn.ReLU(), linear(9, (12,), 4))
    x = torch.randn(10, 9, generator=torch_stream(8, "x"))
    y = model(x).argmax(dim=1)
    before = torch.get_rng_state()
    assert torch.equal(attack(model, x, y), attack(model, x, y))
    assert torch.equal(before, torch.get_rng_state())


def test_a_stream_moves_the_start() -> None:
    model = nn.Sequential(linear(8, (9,), 12), nn.ReLU(), linear(9, (12,), 4))
    x = torch.randn(10, 9, generator=torch_stream(8, "x"))
    y = model(x).argmax(dim=1)
    for attack in (ddn, fmn):
        one, again, other = (attack(model, x, y, stream=torch_stream(s, "s")) for s in (1, 1, 2))
        assert torch.equal(one, again)
        assert not torch.equal(one, other)


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + self.calls


REFUSED: dict[str, tuple[str, Callable[[dict[str, object]], None]]] = {
    "nan": ("not finite", lambda a: a["x"].__setitem__((0, 0), math.nan)),
    "outside": ("within the box", lambda a: a["x"].__setitem__((0, 0), 2.0)),
    "integers": ("floating point", lambda a: a.update(x=a["x"].long())),
    "vector": ("floating point", lambda a: a.update(x=a["x"][0])),
    "large label": ("from 0 to 2", lambda a: a["y"].__setitem__(0, 3)),
    "negative label": ("from 0 to 2", lambda a: a["y"].__setitem__(0, -1)),
    "few labels": ("y: shape", lambda a: a.update(y=a["y"][1:])),
    "float labels": ("torch.int64", lambda a: a.update(y=a["y"].float())),
    "same target": ("another label", lambda a: a.update(targets=a["y"].clone())),
    "large target": ("targets: from", lambda a: a.update(targets=a["y"] + 3)),
    "box": ("low < high", lambda a: a.update(box=(1.0, 0.0))),
    "nan model": ("at 4 of 4 inputs", lambda a: a.update(model=lambda x: x / 0 * 0)),
    "one logit": ("K >= 2", lambda a: a.update(model=lambda x: x[:, :1])),
    "images": ("K >= 2", lambda a: a.update(model=lambda x: x[:, :, None])),
    "random": ("different logits", lambda a: a.update(model=Noisy())),
}


@ATTACKS
@pytest.mark.parametrize("case", REFUSED)
def test_unfit_arguments_are_refused_in_one_line(name: str, case: str) -> None:
    message, spoil = REFUSED[case]
    arguments: dict[str, object] = {
        "model": nn.Identity(),
        "x": torch.rand(4, 3, generator=torch_stream(0, "x")),
        "y": torch.tensor([0, 1, 2, 0]),
        "box": (0.0, 1.0),
    }
    spoil(arguments)
    with pytest.raises(InputError, match=message) as caught:
        SERVED[name][0](**arguments)
    assert "\n" not in str(caught.value)


def test_settings_out_of_range_are_refused() -> None:
    x, y = torch.eye(3), torch.arange(3)
    with pytest.raises(InputError, match="expected 1, 2 or inf"):
        minimal(nn.Identity(), x, y, p=3)
    with pytest.raises(InputError, match="did you mean 'quick'"):
        minimal(nn.Identity(), x, y, p=2, budget="quik")
    for attack in (fmn, boundary):
        with pytest.raises(InputError, match="p = 3"):
            attack(nn.Identity(), x, y, p=3)
    with pytest.raises(InputError, match="as x"):
        boundary(nn.Identity(), x, y, start=x[:, :2])
    with pytest.raises(InputError, match="one or more"):
        best_of([])


def test_fmn_counts_the_fewest_coordinates_of_a_half_space() -> None:
    model = linear(11, (30,), 2, torch.float64)
    x = torch.rand(25, 30, generator=torch_stream(11, "x"), dtype=torch.float64)
    with torch.no_grad():
        model[1].bias -= model(x).mean(dim=0)
    y = model(x).argmax(dim=1)
    found = fmn(model, x, y, p=0, steps=300, box=(0.0, 1.0))
    assert (model(found).argmax(dim=1) != y).all()
    normal, value = half_space(model, y, x)
    best = nearest_in_half_space(normal, value * (1 + 1e-9), room_against(normal, x, (0, 1)), 0)
    fewest, counted = norms(best, 0), norms(found - x, 0)
    assert (counted >= fewest).all()
    assert (counted <= fewest + 1).all()
    assert (counted == fewest).double().mean() > 0.5


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
        steps = {p: nearest_in_half_space(n, torch.tensor([excess]), r, p)[0] for p in DUAL}
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


def small_net(seed: int, inputs: int = 2, hidden: int = 6, n_classes: int = 3) -> nn.Sequential:
    net = nn.Sequential(
        linear(seed, (inputs,), hidden), nn.ReLU(), linear(seed + 1, (hidden,), n_classes)
    )
    return net.double()


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


def test_more_work_is_never_worse_in_the_mean() -> None:
    model = small_net(40, inputs=16, hidden=40, n_classes=6)
    x = torch.randn(24, 16, generator=torch_stream(40, "x"), dtype=torch.float64)
    y = model(x).argmax(dim=1)
    means = [minimal(model, x, y, p=2, budget=budget)[1].mean() for budget in BUDGETS]
    assert means[0] >= means[1] >= means[2]
    plain = norms(ddn(model, x, y) - x, 2).mean()
    assert means[0] < plain


def test_minimal_says_infinity_and_zero() -> None:
    def constant(points: torch.Tensor) -> torch.Tensor:
        return 0 * points[:, :2] + torch.tensor([1.0, 0.0])

    x = torch.randn(3, 4, generator=torch_stream(0, "x"))
    for p in (1, 2, INF):
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
    ratio = norms(found - x, 2) / exact(model, x, y, 2, None)
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


def test_best_of_is_as_good_as_each() -> None:
    model = small_net(70, inputs=8, hidden=20, n_classes=5)
    x = torch.randn(16, 8, generator=torch_stream(70, "x"), dtype=torch.float64)
    y = model(x).argmax(dim=1)

    def lying(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + 1e-9

    attacks = [ddn, deepfool, lying]
    both = norms(best_of(attacks)(model, x, y) - x, 2)
    each = [norms(attack(model, x, y) - x, 2) for attack in (ddn, deepfool)]
    least = torch.stack([torch.where(e > 0, e, INF) for e in each]).amin(dim=0)
    assert torch.equal(both[torch.isfinite(least)], least[torch.isfinite(least)])
