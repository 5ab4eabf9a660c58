"""Attacks with a budget or a penalty, on models whose nearest adversarial points are known."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from empirics.adversary.ball import NORMS, Ball, rounded_down, sizes
from empirics.adversary.batch import flat_norm, log_odds, scale
from empirics.adversary.goal import Goal
from empirics.attacks import ATTACKS
from empirics.attacks.apgd import checkpoints, dlr
from empirics.attacks.joint import joint_margin
from empirics.attacks.patch import placed, trained_patch
from empirics.attacks.pgd import pgd
from empirics.attacks.universal import universal_perturbation
from empirics.data import load
from empirics.seeds import torch_stream
from tests.linear_models import distances, inputs, linear
from theory.errors import InputError

UNIT = (0.0, 1.0)
BUDGET_ATTACKS = {
    "fgsm": {},
    "bim": {"steps": 25},
    "least_likely": {"steps": 25},
    "pgd": {"restarts": 1},
    "apgd": {"steps": 40},
    "apgd_targeted": {"steps": 40, "loss": "ce"},
}
CASES = [
    (name, norm)
    for name in BUDGET_ATTACKS
    for norm in NORMS
    if norm != "l1" or not name.startswith("apgd")
]


@pytest.mark.parametrize(("name", "norm"), CASES)
@pytest.mark.parametrize(
    ("n", "shape", "size", "dtype"),
    [
        (1, (3,), 1.0, torch.float32),
        (30, (1, 5, 5), 1e-3, torch.float32),
        (7, (2, 4, 4), 1e3, torch.float64),
    ],
)
def test_half_spaces_are_reached_just_beyond_their_distance(
    name: str, norm: str, n: int, shape: tuple[int, ...], size: float, dtype: torch.dtype
) -> None:
    model, weight = linear(len(shape), int(np.prod(shape)), 2, dtype)
    x = inputs(n, shape, size, dtype)
    y = model(x).argmax(dim=1)
    exact = distances(model, weight, x, norm)
    attack = functools.partial(ATTACKS[name], **BUDGET_ATTACKS[name], norm=norm)
    wide, narrow = (
        attack(model, x, y, radius=1.01 * exact),
        attack(model, x, y, radius=0.99 * exact),
    )
    assert wide.dtype == dtype
    assert (model(wide).argmax(dim=1) != y).all()
    assert (sizes(wide - x, norm).double() <= 1.01 * exact).all()
    assert torch.equal(narrow, x)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_targets_one_by_one_find_the_nearest_of_many_boundaries(norm: str) -> None:
    model, weight = linear(1, 20, 6)
    x = inputs(40, (20,), 1.0, torch.float32)
    y = model(x).argmax(dim=1)
    exact = distances(model, weight, x, norm)
    found = ATTACKS["apgd_targeted"](model, x, y, radius=1.02 * exact, norm=norm)
    assert (model(found).argmax(dim=1) != y).all()


@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd", "apgd"])
def test_given_targets_are_reached(name: str) -> None:
    model, _ = linear(2, 12, 4)
    x = inputs(30, (12,), 0.3, torch.float32)
    y = model(x).argmax(dim=1)
    targets = (y + 1) % 4
    attack = functools.partial(ATTACKS[name], **BUDGET_ATTACKS[name], norm="l2", targets=targets)
    found = attack(model, x, y, radius=30.0)
    hit = model(found).argmax(dim=1) == targets
    assert hit.double().mean() > 0.6
    assert torch.equal(found[~hit], x[~hit])


@pytest.mark.parametrize(("name", "norm"), CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("radius", ["8/255", 1e-6, 0.3])
def test_budget_and_box_are_kept_to_the_last_bit(
    name: str, norm: str, dtype: torch.dtype, radius: str | float
) -> None:
    model, _ = linear(3, 48, 2, dtype)
    x = inputs(60, (3, 4, 4), 1.0, dtype).clamp(*UNIT)
    budget = 8 / 255 if isinstance(radius, str) else radius
    # Every point is a boundary point, so that the smallest step will do.
    balanced = model(x).mean(dim=0)
    normal = model(x) - balanced
    y = normal.argmax(dim=1)

    def shifted(p: torch.Tensor) -> torch.Tensor:
        logits = model(p)
        gap = 1e-3 * budget
        return torch.stack([logits[:, 0] - logits[:, 1], torch.zeros(len(p)).to(p) + gap], dim=1)

    y = shifted(x).argmax(dim=1)
    found = ATTACKS[name](shifted, x, y, radius=budget, norm=norm, box=UNIT, **BUDGET_ATTACKS[name])
    # Measured in the precision of x, and compared with the number that was given.
    assert all(size <= budget for size in sizes(found - x, norm).tolist())
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("radius", [1e-7, 8 / 255, 1.0, 1 / 3])
def test_projections_keep_the_radius_at_every_scale(
    norm: str, dtype: torch.dtype, size: float, radius: float
) -> None:
    x = inputs(50, (37,), size, dtype)
    ball = Ball.around(x, radius, norm)
    for draw in (
        ball.sample(torch_stream(0, "s")),
        ball.project(x + inputs(50, (37,), 9.0, dtype)),
    ):
        assert all(length <= radius for length in sizes(draw - x, norm).tolist())
    outside = ball.project(x + inputs(50, (37,), 10 * radius + 1.0, dtype))
    # The budget is used where the points themselves are not coarser than it.
    if radius > 1e4 * torch.finfo(dtype).eps * size:
        assert (sizes(outside - x, norm) >= 0.99 * radius).all()


def test_a_radius_is_rounded_down() -> None:
    x = torch.zeros(3, 2)
    for radius in (0.1, 8 / 255, 0.3, 1 / 3):
        rounded = rounded_down(radius, x)
        assert all(value <= radius for value in rounded.tolist())
        assert (rounded >= radius * (1 - 3e-7)).all()


def test_the_l1_projection_in_a_box_is_nearest() -> None:
    # Against bisection on the threshold t of sign(s) clip(|s| - t, 0, room).
    x = inputs(40, (9,), 1.0, torch.float64).clamp(*UNIT)
    shift = inputs(40, (3, 3), 1.0, torch.float64).flatten(1)
    room = torch.where(shift > 0, 1 - x, x)
    low, high = torch.zeros(40, 1).double(), torch.full((40, 1), 10.0).double()
    for _ in range(80):
        middle = (low + high) / 2
        cut = torch.minimum((shift.abs() - middle).clamp_min(0), room)
        too_long = cut.sum(dim=1, keepdim=True) > 0.8
        low, high = torch.where(too_long, middle, low), torch.where(too_long, high, middle)
    expected = shift.sign() * torch.minimum((shift.abs() - high).clamp_min(0), room)
    found = Ball.around(x, 0.8, "l1", UNIT).project(x + shift) - x
    assert torch.allclose(found, expected, atol=1e-12)


def test_starts_fill_the_ball_uniformly() -> None:
    for norm in NORMS:
        ball = Ball.around(torch.zeros(4000, 3), 2.0, norm)
        depth = (sizes(ball.sample(torch_stream(1, norm)), norm) / 2) ** 3
        # The cube of the depth is uniform on [0, 1]: five standard errors of its mean.
        assert abs(depth.mean().item() - 0.5) < 5 * (1 / 12 / 4000) ** 0.5


def test_pgd_without_restarts_is_as_it_was_in_l2() -> None:
    """The loop that adversarial training relies on, written out."""
    model, _ = linear(4, 10, 3)
    x = inputs(20, (10,), 1.0, torch.float32)
    y = model(x).argmax(dim=1)
    stream, budget = torch_stream(4, "start"), torch.full((20,), 0.4)
    delta = torch.randn(x.shape, generator=stream)
    depth = torch.rand(20, generator=stream)
    delta = scale(depth ** (1 / 10) * budget / flat_norm(delta), delta)
    for _ in range(7):
        delta.requires_grad_(True)
        (gradient,) = torch.autograd.grad(log_odds(model(x + delta), y).sum(), delta)
        moved = delta.detach() + scale(budget * (2.5 / 7) / flat_norm(gradient), gradient)
        delta = scale((budget / flat_norm(moved)).clamp_max(1.0), moved)
    found = pgd(model, x, y, radius=0.4, steps=7, stream=torch_stream(4, "start"))
    assert torch.equal(found, (x + delta).detach())


def test_pgd_for_training_returns_points_that_keep_their_label() -> None:
    model, _ = linear(4, 10, 3)
    x = inputs(20, (10,), 1.0, torch.float32).clamp(*UNIT)
    y = model(x).argmax(dim=1)
    found = pgd(model, x, y, radius=1e-3, norm="linf", box=UNIT)
    assert ((found != x).flatten(1).any(dim=1) & (model(found).argmax(dim=1) == y)).any()
    assert (sizes(found - x, "linf") <= 1e-3).all()


@functools.cache
def digits_net(seed: int) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    data = load("digits")
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)
    x, y = images.float().reshape(-1, 1, 8, 8), labels.long()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(128, 10),
        )
        adam = torch.optim.Adam(module.parameters(), lr=1e-2)
        for _ in range(120):
            rows = torch.randint(len(x), (64,))
            adam.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            adam.step()
    module.eval().requires_grad_(False)
    x, y = x[:200], y[:200]
    right = module(x).argmax(dim=1) == y
    return module, x[right], y[right]


@pytest.mark.parametrize("loss", ["ce", "dlr"])
@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.1), ("linf", 0.13), ("l2", 0.6)])
def test_apgd_is_as_strong_as_pgd_with_as_many_gradients(
    norm: str, radius: float, loss: str
) -> None:
    module, x, y = digits_net(0)
    common = {"radius": radius, "norm": norm, "box": UNIT, "steps": 40}
    found = {
        "pgd": ATTACKS["pgd"](module, x, y, restarts=1, **common),
        "apgd": ATTACKS["apgd"](module, x, y, loss=loss, **common),
    }
    fooled = {name: int((module(p).argmax(dim=1) != y).sum()) for name, p in found.items()}
    assert 0.2 * len(x) < fooled["pgd"] < 0.9 * len(x)  # neither hopeless nor easy
    assert fooled["apgd"] >= fooled["pgd"]


def test_restarts_and_steps_only_help() -> None:
    module, x, y = digits_net(0)
    common = {"radius": 0.1, "norm": "linf", "box": UNIT}

    def fooled(**settings: object) -> torch.Tensor:
        found = pgd(module, x, y, **common, **settings)
        return module(found).argmax(dim=1) != y

    once = fooled(restarts=1, steps=5, stream=torch_stream(0, "s"))
    often = fooled(restarts=6, steps=5, stream=torch_stream(0, "s"))
    assert (often | ~once).all()
    assert often.sum() > once.sum()


def test_the_least_likely_class_is_the_one_that_is_sought() -> None:
    model, _ = linear(6, 15, 5)
    x = inputs(30, (15,), 0.2, torch.float32)
    y = model(x).argmax(dim=1)
    found = ATTACKS["least_likely"](model, x, y, radius=40.0, norm="l2", steps=60)
    assert torch.equal(model(found).argmax(dim=1), model(x).argmin(dim=1))


def test_bim_takes_grey_levels_by_default() -> None:
    calls = []

    def model(p: torch.Tensor) -> torch.Tensor:
        calls.append(p.detach().clone())
        return torch.stack([0 * p.sum(dim=1) + 1e3, p.sum(dim=1)], dim=1)

    x = torch.full((1, 4), 0.5)
    ATTACKS["bim"](model, x, torch.tensor([0]), radius=8 / 255, box=UNIT)
    seen = torch.cat(calls)[:, 0]
    assert torch.isclose(seen, torch.tensor(0.5 + 1 / 255)).any()
    # min(8 + 4, 1.25 * 8) = 10 steps, of which the last two stay at the edge.
    assert torch.isclose(seen, torch.tensor(0.5 + 8 / 255)).sum() == 3


def test_checkpoints_and_the_ratio_loss() -> None:
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    logits = torch.tensor([[5.0, 2.0, 1.0, 0.0]])
    assert dlr(Goal(torch.tensor([0])), logits).item() == pytest.approx(-(5 - 2) / (5 - 1))
    towards = Goal(torch.tensor([0]), torch.tensor([1]))
    assert dlr(towards, logits).item() == pytest.approx(-(5 - 2) / (5 - (1 + 0) / 2))
    scaled = dlr(towards, 1e3 * logits + 7)
    assert torch.allclose(scaled, dlr(towards, logits))


def test_a_joint_point_fools_all_models() -> None:
    # Half-spaces x_0 < 0.3 and x_1 < 0.4: the nearest common point is at their corner.
    def first(p: torch.Tensor) -> torch.Tensor:
        return torch.stack([0.3 - p[:, 0], p[:, 0] - 0.3], dim=1)

    def second(p: torch.Tensor) -> torch.Tensor:
        return 50 * torch.stack([0.4 - p[:, 1], p[:, 1] - 0.4], dim=1)

    x, y = torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)
    x[3, 0] = 0.35  # fools the first model alone: still to be attacked
    wide = ATTACKS["joint"]([first, second], x, y, radius=0.51, norm="l2")
    assert (joint_margin([first, second], wide, y) < 0).all()
    assert (flat_norm(wide - x) <= 0.51).all()
    narrow = ATTACKS["joint"]([first, second], x[:3], y[:3], radius=0.49, norm="l2")
    assert torch.equal(narrow, x[:3])
    linf = ATTACKS["joint"]([first, second], x, y, radius=0.41)
    assert (joint_margin([first, second], linf, y) < 0).all()
    with pytest.raises(InputError, match="no classifier"):
        ATTACKS["joint"]([], x, y, radius=1.0)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_one_perturbation_moves_all_points_of_a_class_over(norm: str) -> None:
    model, weight = linear(10, 8, 2)
    x = inputs(60, (8,), 1.0, torch.float32)
    label = model(x).argmax(dim=1)
    x, y = x[label == 0], label[label == 0]
    exact = distances(model, weight, x, norm)
    radius = 1.5 * float(exact.max())
    found = universal_perturbation(model, x, y, radius=radius, norm=norm, rate=0.95)
    assert sizes(found.shift[None], norm).item() <= radius
    assert found.rates[-1] >= 0.95
    # No more can be fooled than lie within the budget.
    small = float(exact.median())
    few = universal_perturbation(model, x, y, radius=small, norm=norm, rate=1.0, passes=3)
    assert max(few.rates) <= (exact <= small * (1 + 1e-5)).double().mean().item()
    points = ATTACKS["universal"](model, x, y, radius=small, norm=norm, rate=1.0, passes=3)
    moved = (points != x).any(dim=1)
    assert (model(points).argmax(dim=1)[moved] != y[moved]).all()


def brightness_model(p: torch.Tensor) -> torch.Tensor:
    mean = p.flatten(1).mean(dim=1)
    return torch.stack([0.3 - mean, mean - 0.3], dim=1)


def test_a_patch_covers_a_disc_and_nothing_else() -> None:
    x = torch.zeros(200, 1, 40, 40)
    shown = placed(torch.ones(1, 5, 5), x, torch_stream(0, "s"), scales=(0.5, 0.5), degrees=180)
    assert torch.where(shown > 0, (shown - 1).abs(), 0.0).max() < 1e-5
    # A disc of half the side covers pi / 16 of the image, wherever it is.
    share = shown.flatten(1).mean(dim=1)
    assert (share - np.pi / 16).abs().max() < 0.01
    assert 0.05 < (shown.mean(dim=0) > 0.5).double().mean() < 1.0  # not always at one place


def test_a_patch_learns_what_fools() -> None:
    x = torch.zeros(20, 1, 12, 12)
    y = torch.zeros(20, dtype=torch.long)
    settings = {"box": UNIT, "scales": (0.7, 0.7), "steps": 40}
    learnt = trained_patch(brightness_model, x, y, stream=torch_stream(1, "s"), **settings)
    disc = placed(learnt, x[:1], torch_stream(2, "s"), scales=(0.7, 0.7)) != 0
    # All white where the disc is: pi / 4 of 0.49 of the image is more than 0.3 bright.
    assert placed(learnt, x[:1], torch_stream(2, "s"), scales=(0.7, 0.7))[disc].min() > 0.95
    points = ATTACKS["patch"](brightness_model, x, y, stream=torch_stream(1, "s"), **settings)
    assert (brightness_model(points).argmax(dim=1) == 1).all()
    with pytest.raises(InputError, match="scales"):
        trained_patch(brightness_model, x, y, box=UNIT, stream=torch_stream(1, "s"), scales=(0, 2))


def test_synthesis_from_noise_and_in_a_likeness() -> None:
    module, x, y = digits_net(0)
    x, y = x[:20], y[:20]
    targets = (y + 1) % 10
    make = functools.partial(ATTACKS["synthesis"], module, x, y, targets=targets, box=UNIT)
    free = make(stream=torch_stream(0, "noise"), steps=200)
    alike = make(stream=torch_stream(0, "noise"), steps=200, likeness=2.0)
    for points in (free, alike):
        sure = module(points).softmax(dim=1).gather(1, targets[:, None])
        assert (sure >= 0.99).all()
        assert points.min() >= 0
        assert points.max() <= 1
    assert (flat_norm(alike - x) < 0.6 * flat_norm(free - x)).all()


def constant(p: torch.Tensor) -> torch.Tensor:
    return 0 * p.flatten(1)[:, :3] + torch.tensor([1.0, 0.0, 0.0])


ALL = {
    **{name: {"radius": 0.5, **settings} for name, settings in BUDGET_ATTACKS.items()},
    "cw_l2": {"steps": 30, "search_steps": 3},
    "cw_linf": {"steps": 30, "rounds": 4},
    "lbfgs": {},
    "universal": {"radius": 0.5, "passes": 2},
}


@pytest.mark.parametrize("name", sorted(ALL))
def test_nothing_found_is_x_and_misclassified_points_are_left_alone(name: str) -> None:
    x = inputs(4, (6,), 1.0, torch.float32)
    y = torch.zeros(4, dtype=torch.long)
    assert torch.equal(ATTACKS[name](constant, x, y, **ALL[name]), x)
    model, _ = linear(11, 6, 3)
    y = (model(x).argmax(dim=1) + 1) % 3
    assert torch.equal(ATTACKS[name](model, x, y, **ALL[name]), x)


@pytest.mark.parametrize("name", sorted(ALL))
def test_what_makes_no_sense_is_refused_in_one_line(name: str) -> None:
    model, _ = linear(12, 6, 3)
    x = inputs(4, (6,), 1.0, torch.float32).clamp(*UNIT)
    y = model(x).argmax(dim=1)
    attack = functools.partial(ATTACKS[name], **ALL[name])
    broken = x.clone()
    broken[0, 0] = torch.nan
    with pytest.raises(InputError, match="x: 1 of 24"):
        attack(model, broken, y)
    with pytest.raises(InputError, match="within the box"):
        attack(model, x + 2, y, box=UNIT)
    with pytest.raises(InputError, match="labels from 0 to 2"):
        attack(model, x, y + 3)
    with pytest.raises(InputError, match="not finite"):
        attack(lambda p: model(p) / 0, x, y)
    if name not in ("least_likely", "apgd_targeted", "universal"):
        with pytest.raises(InputError, match="equal the labels"):
            attack(model, x, y, targets=y)


def test_bad_budgets_norms_and_restarts_are_refused() -> None:
    model, _ = linear(12, 6, 2)
    x = inputs(4, (6,), 1.0, torch.float32)
    y = model(x).argmax(dim=1)
    for radius in (-0.1, float("nan"), torch.ones(3)):
        with pytest.raises(InputError, match="radius"):
            ATTACKS["fgsm"](model, x, y, radius=radius)
    with pytest.raises(InputError, match="norm: 'l3'"):
        ATTACKS["fgsm"](model, x, y, radius=0.1, norm="l3")
    with pytest.raises(InputError, match="l2 or linf"):
        ATTACKS["apgd"](model, x, y, radius=0.1, norm="l1")
    with pytest.raises(InputError, match="needs 3"):
        ATTACKS["apgd"](model, x, y, radius=0.1, loss="dlr")
    with pytest.raises(InputError, match="give a stream"):
        ATTACKS["pgd"](model, x, y, radius=0.1, restarts=3)


@pytest.mark.parametrize("name", ["pgd", "apgd"])
def test_the_same_stream_gives_the_same_points_and_leaves_the_global_state(name: str) -> None:
    module, x, y = digits_net(0)
    before = torch.get_rng_state()
    settings = {"radius": 0.1, "norm": "linf", "steps": 5, "restarts": 2}
    runs = [
        ATTACKS[name](module, x, y, stream=torch_stream(seed, "s"), **settings)
        for seed in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.equal(torch.get_rng_state(), before)
