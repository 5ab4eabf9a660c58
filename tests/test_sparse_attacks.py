"""Sparse attacks: closed forms of linear models, brute force on tiny inputs, budgets, goals."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import nn

from empirics.adversary.changed_pixel import ChangedPixel
from empirics.adversary.goal import Goal
from empirics.attacks import ATTACKS, minimal
from empirics.attacks.few_pixels import three_different
from empirics.attacks.greedy_l0 import Exchanges
from empirics.attacks.jsma import salient_pair
from empirics.seeds import torch_stream
from theory.errors import InputError

BOX = (0.0, 1.0)

QUICK: dict[str, dict[str, object]] = {
    "sigma_zero": {"steps": 200},
    "greedy_l0": {},
    "cw_l0": {"steps": 60, "step_size": 0.2, "first_weight": 0.1, "factor": 30, "last_weight": 99},
    "jsma": {"upsilon": 1.0},
    "one_pixel": {"population": 30, "iterations": 20},
    "few_pixels": {"pixels": 3, "population": 30, "iterations": 20},
}
MINIMAL = ("sigma_zero", "greedy_l0", "cw_l0")
every_attack = pytest.mark.parametrize("name", sorted(QUICK))


def attacked(name: str, *args: torch.Tensor | nn.Module, **settings: object) -> torch.Tensor:
    return ATTACKS[name](*args, **{**QUICK[name], **settings})


def linear_model(
    seed: int, shape: tuple[int, ...], n_classes: int, dtype: torch.dtype = torch.float64
) -> nn.Sequential:
    stream = torch_stream(seed, "weights")
    size = int(torch.tensor(shape).prod())
    linear = nn.Linear(size, n_classes, dtype=dtype)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(n_classes, size, generator=stream))
        linear.bias.zero_()
    return nn.Sequential(nn.Flatten(), linear)


def points(
    model: nn.Module, seed: int, n: int, shape: tuple[int, ...], dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(n, *shape, generator=torch_stream(seed, "x")).to(dtype)
    return x, model(x).argmax(dim=1)


def fewest_changes(
    model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, targets: torch.Tensor | None
) -> torch.Tensor:
    """The least number of features that a linear model of two labels needs: the best gains first.

    With more labels, the least over the wanted labels against the label to be left alone: a lower
    bound, and exact for untargeted attacks.
    """
    linear = model[1]
    assert isinstance(linear, nn.Linear)
    logits, weight = model(x).detach(), linear.weight.detach()
    best = torch.full((len(x),), 10**6)
    for k in range(logits.shape[1]):
        normal = weight[k] - weight[y]
        flat = x.flatten(1)
        gains = torch.where(normal > 0, normal * (1 - flat), -normal * flat)
        needed = (logits.gather(1, y[:, None]) - logits[:, k : k + 1])[:, 0]
        sums = gains.sort(dim=1, descending=True).values.cumsum(dim=1)
        count = (sums <= needed[:, None]).sum(dim=1) + 1
        wanted = (y != k) if targets is None else (targets == k)
        best = torch.where(wanted & (count <= gains.shape[1]), best.minimum(count), best)
    return best


def changes(x: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    return (x != found).flatten(1).sum(dim=1)


@pytest.mark.parametrize("shape", [(7,), (1, 4, 4), (3, 4, 4)])
@pytest.mark.parametrize("n", [1, 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_greedy_l0_is_optimal_on_half_spaces(
    shape: tuple[int, ...], n: int, dtype: torch.dtype
) -> None:
    model = linear_model(n, shape, 2, dtype)
    x, y = points(model, n, n, shape, dtype)
    found = attacked("greedy_l0", model, x, y, box=BOX)
    best = fewest_changes(model, x, y, None)
    possible = best < 10**6
    assert possible.any()
    assert torch.equal(changes(x, found)[possible], best[possible])
    assert ((model(found).argmax(dim=1) != y) == possible).all()
    assert torch.equal(found[~possible], x[~possible])
    targeted = attacked("greedy_l0", model, x, y, box=BOX, targets=1 - y)
    assert torch.equal(changes(x, targeted), changes(x, found))


@pytest.mark.parametrize("name", MINIMAL)
def test_minimal_attacks_on_linear_models_of_many_labels(name: str) -> None:
    model = linear_model(3, (1, 5, 5), 5)
    x, y = points(model, 3, 30, (1, 5, 5), torch.float64)
    found = attacked(name, model, x, y, box=BOX)
    best = fewest_changes(model, x, y, None)
    assert (model(found).argmax(dim=1) != y).all()
    count = changes(x, found)
    assert (count >= best).all()
    assert (
        count.double().mean()
        <= {"greedy_l0": 1.0, "sigma_zero": 1.3, "cw_l0": 1.4}[name] * best.double().mean() + 1e-9
    )


@pytest.mark.parametrize("name", MINIMAL)
def test_minimal_attacks_reach_targets(name: str) -> None:
    model = linear_model(4, (16,), 4)
    x, y = points(model, 4, 20, (16,), torch.float64)
    targets = (y + 1) % 4
    found = attacked(name, model, x, y, box=BOX, targets=targets)
    reached = model(found).argmax(dim=1) == targets
    assert reached.double().mean() >= 0.9
    assert (changes(x, found)[reached] >= fewest_changes(model, x, y, targets)[reached]).all()
    assert torch.equal(found[~reached], x[~reached])


@pytest.mark.parametrize("name", MINIMAL)
def test_without_a_box_one_feature_of_a_linear_model_is_enough(name: str) -> None:
    model = linear_model(5, (6,), 2)
    x, y = points(model, 5, 10, (6,), torch.float64)
    found = attacked(name, model, x, y)
    assert (model(found).argmax(dim=1) != y).all()
    if name == "greedy_l0":
        assert (changes(x, found) == 1).all()


def test_exchanges_only_improve_on_growth() -> None:
    stream = torch_stream(6, "net")
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 40), nn.ReLU(), nn.Linear(40, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=stream) / 4)
    x, y = points(model, 6, 60, (1, 8, 8), torch.float32)
    growth = attacked("greedy_l0", model, x, y, box=BOX, patience=0)
    found = attacked("greedy_l0", model, x, y, box=BOX, patience=10)
    assert (model(found).argmax(dim=1) != y).all()
    assert (changes(x, found) <= changes(x, growth)).all()
    assert (changes(x, found) < changes(x, growth)).any()


def test_needless_changes_are_pruned() -> None:
    model = linear_model(13, (12,), 2)
    x, y = points(model, 13, 20, (12,), torch.float64)
    everything = torch.where(model[1].weight[1 - y] > model[1].weight[y], 1.0, 0.0).double()
    wanted = model(everything).argmax(dim=1) != y
    assert wanted.sum() > 10
    search = Exchanges(model, x, Goal(y), BOX)
    search.adopt(everything)
    assert torch.equal(search.counts <= 12, wanted)
    assert torch.equal(search.counts[wanted], fewest_changes(model, x, y, None)[wanted])
    assert torch.equal(changes(x, search.best)[wanted], search.counts[wanted])


def test_candidates_are_judged_in_parts_where_memory_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = linear_model(12, (20,), 4)
    x, y = points(model, 12, 9, (20,), torch.float64)
    whole = attacked("greedy_l0", model, x, y, box=BOX)
    monkeypatch.setattr("empirics.attacks.greedy_l0._VALUES_AT_ONCE", 200)
    sizes: list[int] = []

    def counted(p: torch.Tensor) -> torch.Tensor:
        sizes.append(p.numel())
        return model(p)

    assert torch.equal(attacked("greedy_l0", counted, x, y, box=BOX), whole)
    # Two rows an image are the points themselves; no more candidates are judged together.
    assert max(sizes) <= 2 * x.numel()


@pytest.mark.parametrize("budget", ["quick", "standard"])
def test_minimal_l0_is_optimal_on_linear_models(budget: str) -> None:
    model = linear_model(14, (1, 5, 5), 5)
    x, y = points(model, 14, 20, (1, 5, 5), torch.float64)
    found, counts = minimal(model, x, y, p=0, budget=budget, box=BOX)
    assert (model(found).argmax(dim=1) != y).all()
    assert torch.equal(counts, changes(x, found).double())
    assert torch.equal(counts.long(), fewest_changes(model, x, y, None))
    targets = (y + 1) % 5
    aimed, counts = minimal(model, x, y, p=0, budget=budget, box=BOX, targets=targets)
    reached = model(aimed).argmax(dim=1) == targets
    assert torch.equal(torch.isfinite(counts), reached)
    assert reached.double().mean() >= 0.9


@pytest.mark.parametrize("seed", range(20))
def test_the_salient_pair_is_the_best_of_all_pairs(seed: int) -> None:
    stream = torch_stream(seed, "maps")
    gain, loss = torch.randn(2, 6, 9, generator=stream, dtype=torch.float64)
    if seed % 2:  # many ties
        gain, loss = gain.round(), loss.round()
    barred = torch.rand(6, 9, generator=stream) < 0.3
    gain[barred], loss[barred] = -torch.inf, -torch.inf
    pair, exists = salient_pair(gain, loss)
    for i in range(len(gain)):
        best = 0.0
        for p, q in itertools.combinations(range(9), 2):
            a, b = float(gain[i, p] + gain[i, q]), float(loss[i, p] + loss[i, q])
            if a > 0 and b > 0:
                best = max(best, a * b)
        assert bool(exists[i]) == (best > 0)
        if exists[i]:
            p, q = pair[i].tolist()
            assert p != q
            assert float((gain[i, p] + gain[i, q]) * (loss[i, p] + loss[i, q])) == best


@pytest.mark.parametrize("theta", [1.0, -1.0, 0.25])
def test_first_step_of_jsma_is_the_papers(theta: float) -> None:
    model = linear_model(7, (8,), 3)
    weight = model[1].weight.detach()
    x, _ = points(model, 7, 30, (8,), torch.float64)
    x = 0.1 + 0.8 * x  # all features can move
    y = model(x).argmax(dim=1)
    targets = (y + 1) % 3
    for i in range(len(x)):
        best, chosen = 0.0, None
        alpha, beta = weight[targets[i]], weight.sum(dim=0) - weight[targets[i]]
        sign = 1 if theta > 0 else -1
        for p, q in itertools.combinations(range(8), 2):
            a, b = sign * (alpha[p] + alpha[q]), sign * (beta[p] + beta[q])
            if a > 0 and b < 0 and -a * b > best:
                best, chosen = float(-a * b), [p, q]
        expected = x[i].clone()
        if chosen is not None:
            expected[chosen] = (expected[chosen] + theta).clamp(*BOX)
        if model(expected[None]).argmax() != targets[i]:
            expected = x[i]
        one = slice(i, i + 1)
        # 0.25 of 8 features is one pair, one step.
        found = attacked(
            "jsma", model, x[one], y[one], theta=theta, upsilon=0.25, box=BOX, targets=targets[one]
        )
        assert torch.equal(found[0], expected)


def test_jsma_of_all_labels_is_the_best_of_its_targets() -> None:
    model = linear_model(8, (30,), 4)
    x, y = points(model, 8, 25, (30,), torch.float64)
    found = attacked("jsma", model, x, y, upsilon=0.4, box=BOX)
    best = torch.full((len(x),), 10**6)
    for step in (1, 2, 3):
        targets = (y + step) % 4
        one = attacked("jsma", model, x, y, upsilon=0.4, box=BOX, targets=targets)
        reached = model(one).argmax(dim=1) == targets
        assert (changes(x, one) <= 12).all()
        assert torch.equal(one[~reached], x[~reached])
        best = torch.where(reached, best.minimum(changes(x, one)), best)
    fooled = model(found).argmax(dim=1) != y
    assert fooled.any()
    assert torch.equal(fooled, best < 10**6)
    assert torch.equal(changes(x, found)[fooled], best[fooled])


def conv_net(seed: int, shape: tuple[int, int, int], **pooling: int) -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(shape[0], 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2, **pooling),
        nn.Sequential(nn.Conv2d(4, 5, 5, stride=2, padding=2), nn.Tanh()),
        nn.AvgPool2d(2, stride=1, padding=1),
        nn.Flatten(),
        nn.LazyLinear(3),
    ).eval()
    model(torch.zeros(1, *shape))
    stream = torch_stream(seed, "conv")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=stream) / 3)
    return model


@pytest.mark.parametrize("shape", [(1, 9, 9), (3, 8, 11)])
@pytest.mark.parametrize("pooling", [{}, {"stride": 1, "padding": 1}, {"stride": 3}])
def test_changed_features_give_the_logits(
    shape: tuple[int, int, int], pooling: dict[str, int]
) -> None:
    model = conv_net(0, shape, **pooling)
    x = torch.rand(2, *shape, generator=torch_stream(0, "x"))
    changed = ChangedPixel.of(model, x)
    assert changed is not None
    at = torch.cartesian_prod(torch.arange(shape[1]), torch.arange(shape[2]))
    image = torch.arange(len(at)) % 2
    values = torch.randn(len(at), shape[0], generator=torch_stream(0, "values"))
    full = x[image]
    full[torch.arange(len(at)), :, at[:, 0], at[:, 1]] = values
    expected = model(full)
    assert ((expected - model(x[image])).abs().amax(dim=1) > 1e-3).double().mean() > 0.5
    assert torch.allclose(changed(image, at, values), expected, atol=1e-5)


def test_other_networks_are_evaluated_as_a_whole() -> None:
    x = torch.rand(1, 1, 8, 8, generator=torch_stream(0, "x"))
    assert ChangedPixel.of(lambda p: p.flatten(1), x) is None
    assert ChangedPixel.of(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), x) is None
    assert ChangedPixel.of(conv_net(0, (1, 8, 8)).train(), x) is None
    assert ChangedPixel.of(conv_net(0, (1, 8, 8), ceil_mode=True), x) is None


def bright_pixels(channels: int, needed: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Label 1 where the sum of three given pixels over all channels exceeds `needed`."""

    def model(p: torch.Tensor) -> torch.Tensor:
        total = p[:, :, [1, 2, 4], [3, 0, 4]].sum(dim=(1, 2)) / channels - needed
        return torch.stack([-4 * total, 4 * total], dim=1)

    return model


@pytest.mark.parametrize("pixels", [1, 3])
@pytest.mark.parametrize("eager", [False, True])
def test_few_pixels_finds_what_its_budget_can(pixels: int, eager: bool) -> None:
    x, y = torch.zeros(3, 3, 5, 5), torch.zeros(3, dtype=torch.long)
    settings = {"pixels": pixels, "population": 200, "iterations": 80, "eager": eager}
    stream = torch_stream(1, "de")
    found = ATTACKS["few_pixels"](
        bright_pixels(3, pixels - 0.9),
        x,
        y,
        targets=1 - y if eager else None,
        stream=stream,
        **settings,
    )
    assert (bright_pixels(3, pixels - 0.9)(found).argmax(dim=1) == 1).all()
    assert ((found != x).any(dim=1).flatten(1).sum(dim=1) <= pixels).all()
    beyond = ATTACKS["few_pixels"](bright_pixels(3, pixels + 0.1), x, y, **settings)
    assert torch.equal(beyond, x)


def test_few_pixels_goes_on_until_it_is_certain() -> None:
    x, y = torch.zeros(2, 1, 5, 5), torch.zeros(2, dtype=torch.long)
    model = bright_pixels(1, 0.4)
    settings = {"population": 100, "iterations": 60}
    sure = [
        model(ATTACKS["few_pixels"](model, x, y, eager=eager, **settings)).softmax(dim=1)[:, 0]
        for eager in (False, True)
    ]
    # The least probability is 1 / (1 + exp(4.8)) = 0.008; it stops at less than 0.05.
    assert (sure[0] < 0.05).all()
    assert (sure[1] > 0.05).any()


def test_one_pixel_draws_as_it_always_did() -> None:
    """The plain loop over generations that recorded measurements were made with."""
    model = conv_net(2, (3, 8, 11))
    x = torch.rand(8, 3, 8, 11, generator=torch_stream(2, "x"))
    y = model(x).argmax(dim=1)
    changed = 0
    for i in range(len(x)):
        stream = torch_stream(i, "de")
        parents, costs, plain = torch.rand(20, 5, generator=stream), torch.ones(20) * 2, x[i]
        children = parents
        for generation in range(6):
            if generation:
                picks = torch.rand(20, 20, generator=stream).topk(3, dim=1).indices
                a, b, c = (parents[picks[:, k]] for k in range(3))
                children = (a + 0.5 * (b - c)).clamp(0.0, 1.0)
            size = torch.tensor([8, 11])
            at = (children[:, :2] * size.float()).long().minimum(size - 1)
            images = x[i].repeat(20, 1, 1, 1)
            images[torch.arange(20), :, at[:, 0], at[:, 1]] = -20 + 40 * children[:, 2:]
            logits = model(images).detach()
            hits = (logits.argmax(dim=1) != y[i]).nonzero()
            if len(hits):
                plain, changed = images[hits[0, 0]], changed + 1
                break
            new = logits.softmax(dim=1)[:, y[i]]
            parents = torch.where((new < costs)[:, None], children, parents)
            costs = costs.minimum(new)
        one = slice(i, i + 1)
        for local in (False, True):
            found = ATTACKS["one_pixel"](
                model,
                x[one],
                y[one],
                population=20,
                iterations=5,
                local=local,
                low=-20.0,
                high=20.0,
                stream=torch_stream(i, "de"),
            )
            assert torch.equal(found[0], plain)
    assert changed


def test_images_evolve_alike_in_any_batch() -> None:
    model = conv_net(2, (3, 8, 11))
    x = torch.rand(8, 3, 8, 11, generator=torch_stream(2, "x"))
    y = model(x).argmax(dim=1)
    settings = {"population": 20, "iterations": 5, "eager": True, "box": (-20, 20)}
    runs = [
        ATTACKS["few_pixels"](model, x, y, at_once=n, local=local, **settings)
        for n in (1, 10**6)
        for local in (False, True)
    ]
    assert not torch.equal(runs[0], x)
    assert all(torch.equal(run, runs[0]) for run in runs)


def test_triples_are_different_and_fair() -> None:
    triples = three_different(5, torch.Generator().manual_seed(0))
    assert triples.shape == (5, 3)
    stream = torch.Generator().manual_seed(1)
    many = torch.cat([three_different(5, stream) for _ in range(4000)])
    assert (many.sort(dim=1).values.diff(dim=1) > 0).all()
    assert many.min() == 0
    assert many.max() == 4
    kinds, counts = many.unique(dim=0, return_counts=True)
    assert len(kinds) == 60
    assert (counts.double() / len(many) * 60 - 1).abs().max() < 0.3


@every_attack
def test_goals_boxes_and_repeats(name: str) -> None:
    model = linear_model(9, (1, 4, 4), 3, torch.float32)
    x, y = points(model, 9, 12, (1, 4, 4), torch.float32)
    x = (4 * x).round() / 4  # values at both ends of the box, too
    y = model(x).argmax(dim=1)
    y[0] = (y[0] + 1) % 3  # misclassified already
    before = torch.get_rng_state()
    found = attacked(name, model, x, y, box=BOX)
    assert torch.equal(found, attacked(name, model, x, y, box=BOX))
    assert torch.equal(before, torch.get_rng_state())
    assert found.shape == x.shape
    assert found.dtype == x.dtype
    assert not found.requires_grad
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(found[0], x[0])
    fooled = model(found).argmax(dim=1) != y
    assert fooled[1:].any()
    assert torch.equal(found[~fooled], x[~fooled])
    if name in ("one_pixel", "few_pixels"):
        assert (changes(x, found) <= (3 if name == "few_pixels" else 1)).all()
    targets = (y + 1) % 3
    aimed = attacked(name, model, x[1:], y[1:], box=BOX, targets=targets[1:])
    reached = model(aimed).argmax(dim=1) == targets[1:]
    assert reached.any()
    assert torch.equal(aimed[~reached], x[1:][~reached])


@every_attack
def test_a_constant_model_is_never_fooled(name: str) -> None:
    def constant(p: torch.Tensor) -> torch.Tensor:
        return 0 * p.flatten(1)[:, :2] + torch.tensor([1.0, 0.0])

    x = torch.rand(3, 1, 3, 3, generator=torch_stream(0, "x"))
    y = torch.zeros(3, dtype=torch.long)
    found = attacked(name, constant, x, y, box=BOX)
    assert torch.equal(found, x)


@every_attack
def test_bad_inputs_raise_one_error(name: str) -> None:
    model = linear_model(9, (1, 4, 4), 3, torch.float32)
    x, y = points(model, 9, 3, (1, 4, 4), torch.float32)
    with pytest.raises(InputError, match="not finite"):
        attacked(name, model, x * torch.nan, y, box=BOX)
    with pytest.raises(InputError, match="within the box"):
        attacked(name, model, x + 2, y, box=BOX)
    with pytest.raises(InputError, match="labels from 0 to 2"):
        attacked(name, model, x, y + 3, box=BOX)
    with pytest.raises(InputError, match="equal the labels"):
        attacked(name, model, x, y, box=BOX, targets=y)
    with pytest.raises(InputError, match="logits that are not finite"):
        attacked(name, lambda p: model(p) * torch.nan, x, y, box=BOX)


@pytest.mark.parametrize("name", ["one_pixel", "few_pixels"])
def test_pixels_need_images(name: str) -> None:
    model = linear_model(9, (4,), 3, torch.float32)
    x, y = points(model, 9, 3, (4,), torch.float32)
    with pytest.raises(InputError, match="expected \\(n, C, H, W\\)"):
        attacked(name, model, x, y)


def test_where_one_change_suffices_none_is_taken_back() -> None:
    stream = torch_stream(63, "r")
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=stream))
    x = torch.rand(64, 6, generator=stream)
    y = model(x).argmax(dim=1)
    found = ATTACKS["greedy_l0"](model, x, y, box=(-1.0, 2.0))
    changed = (found != x).sum(dim=1)
    assert torch.all((model(found).argmax(dim=1) != y) == (changed > 0))
    assert int((changed == 1).sum()) > 0
