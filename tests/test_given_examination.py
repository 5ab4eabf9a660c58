"""What is found of a network: its operators, its answers, its gradients, in facts and in words."""

import json
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from empirics.data import Dataset
from empirics.given import Examination, Given, examined
from empirics.given.linearity import MOST_PRODUCTS, linearity
from empirics.given.probing import random_images
from empirics.seeds import torch_stream
from theory.errors import InputError

SHAPE = (1, 4, 4)


class Written(nn.Module):
    """A linear classifier with something before and after it."""

    def __init__(
        self,
        before: Callable[..., torch.Tensor] = lambda x: x,
        after: Callable[..., torch.Tensor] = lambda z: z,
    ) -> None:
        super().__init__()
        self.last = nn.Linear(16, 3).requires_grad_(False)
        self.last.weight.copy_(torch.randn(3, 16, generator=torch_stream(0, "weights")))
        self.last.bias.zero_()
        self.before, self.after = before, after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(self.last(self.before(x).flatten(1)))


def data_of(truth: nn.Module) -> Dataset:
    """Return images that a network labels, the first ten of them wrongly."""
    images = random_images(300, SHAPE)
    with torch.no_grad():
        labels = truth(images).argmax(dim=1).numpy()
    labels[:10] = (labels[:10] + 1) % 3
    arrays = images.numpy(), labels
    return Dataset("drawn", "here", *arrays, *arrays, ("a", "b", "c"))


DATA = data_of(Written())


def of(module: nn.Module, **more: int) -> Examination:
    given = Given(module.eval(), "net", "file", "", True, ("as told",))
    return examined(given, DATA, torch.device("cpu"), torch_stream(0, "examined"), **more)


@pytest.fixture(scope="module")
def plain() -> Examination:
    return of(Written())


def test_the_answers_are_counted(plain: Examination) -> None:
    assert (plain.n_tested, plain.n_right) == (300, 290)
    counts = np.bincount(Written()(torch.from_numpy(DATA.test_images)).argmax(1).numpy())
    assert plain.label_counts == tuple(counts)
    limits = stats.beta.ppf(0.025, 290, 11), stats.beta.ppf(0.975, 291, 10)
    np.testing.assert_allclose(plain.accuracy_limits, limits, rtol=1e-9)
    assert (plain.input_shape, plain.input_range, plain.n_classes) == (SHAPE, (0.0, 1.0), 3)
    assert plain.n_parameters == 51
    assert of(Written(), n_images=40).n_tested == 40


def test_a_plain_network_has_no_flags(plain: Examination) -> None:
    assert plain.deterministic
    assert plain.differentiable
    assert plain.flags == ()
    assert plain.invariances == ()
    assert plain.outputs == "logits"
    weight = np.asarray(Written().last.weight, dtype=np.float64)
    norm = np.linalg.norm(weight, 2)
    assert plain.lipschitz is not None
    assert norm <= plain.lipschitz <= 1.0001 * norm


def test_facts_are_json_and_lines_are_lines(plain: Examination) -> None:
    facts = plain.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["piecewise_linear"] is True
    assert facts["relu_units"] == 0
    lines = plain.lines()
    assert "network: net (file)" in lines
    assert "note: as told" in lines
    assert "accuracy: 96.67% of 300 test images, [93.96%, 98.39%] at 95 %" in lines
    assert not any("\n" in line for line in lines)
    chance = of(Written(after=lambda z: z.roll(1, 1))).lines()
    assert any("no better than chance" in line for line in chance)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (Written(after=lambda z: z + 0.2 * torch.randn_like(z)), {"random"}),
        (Written(before=lambda x: (8 * x).round() / 8), {"not differentiable"}),
        (Written(after=lambda z: 1e4 * z), {"vanishing"}),
        (Written(before=torch.detach), {"not differentiable"}),
    ],
)
def test_flags_say_what_was_seen_and_what_helps(module: nn.Module, names: set[str]) -> None:
    found = of(module)
    assert names <= {flag.name for flag in found.flags}
    assert found.deterministic == ("random" not in names)
    assert found.differentiable == ("not differentiable" not in names)
    said = [line for line in found.lines() if line.startswith("flag '")]
    assert len(said) == len(found.flags)
    for line, flag in zip(said, found.flags, strict=True):
        assert flag.explanation in line
        assert flag.remedy in line
    assert {flag["name"] for flag in found.facts()["flags"]} == {f.name for f in found.flags}


def test_the_random_state_is_left_as_it_was() -> None:
    module = Written(after=lambda z: z + torch.rand_like(z))
    before = torch.random.get_rng_state()
    first, again = of(module), of(module)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first == again


def test_invariances_to_brightness_and_contrast() -> None:
    def centred(x: torch.Tensor) -> torch.Tensor:
        return x - x.mean((1, 2, 3), keepdim=True)

    def normalised(x: torch.Tensor) -> torch.Tensor:
        return centred(x) / centred(x).flatten(1).norm(dim=1)[:, None, None, None]

    assert of(Written(before=centred)).invariances == ("brightness",)
    assert of(Written(before=normalised)).invariances == ("brightness", "contrast")
    assert of(Written(after=lambda z: 0 * z)).invariances == ()


def test_logits_that_are_not_finite_name_the_image() -> None:
    bad = int(DATA.test_images.sum(axis=(1, 2, 3)).argmax())
    limit = float(DATA.test_images[bad].sum()) - 1e-4
    module = Written(before=lambda x: x / (x.sum((1, 2, 3), keepdim=True) < limit))
    with pytest.raises(InputError, match=rf"^net: logits of test image {bad} are not finite"):
        of(module)


MIDDLE = [
    (nn.ReLU(), True, 5),
    (nn.LeakyReLU(0.1), True, 5),
    (nn.Hardtanh(), True, 10),
    (nn.MaxPool1d(5), True, 4),
    (nn.Sigmoid(), False, "layer '2' (Sigmoid) is curved"),
    (nn.Tanh(), False, "layer '2' (Tanh) is curved"),
    (nn.Softplus(), False, "layer '2' (Softplus) is curved"),
    (nn.GELU(), False, "layer '2' (GELU) is curved"),
    (nn.ELU(), False, "layer '2' (ELU) is curved"),
    (nn.LayerNorm(5), False, "layer '2' (LayerNorm) is curved"),
]


@pytest.mark.parametrize(("middle", "linear", "found"), MIDDLE, ids=lambda each: str(each)[:14])
def test_layers_that_are_piecewise_linear_or_not(
    middle: nn.Module, linear: bool, found: int | str
) -> None:
    last = nn.LazyLinear(3)
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), middle, last).eval()
    module(torch.zeros(1, *SHAPE))
    seen = linearity(module, SHAPE)
    assert (seen.piecewise_linear, seen.traced) == (linear, linear)
    assert (seen.n_units if linear else seen.reason) == found


class Medians(nn.Module):
    """Medians of windows of an image: an order statistic."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2).median(-1)[0]


class Branching(nn.Module):
    """A forward pass that depends on values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if float(x.sum()) > 1e9 else -x


@pytest.mark.parametrize(
    ("before", "linear", "said"),
    [
        (Medians(), None, r"not traced: 'median' .*is not known.*order statistic"),
        (Branching(), None, r"not traced: layer 'before' \(Branching\).*fixed sequence"),
        (lambda x: x.square(), False, "'square' in the module .*is curved"),
        (lambda x: x * x, False, "product of two activations"),
        (lambda x: torch.round(x), False, "'round' .*jumps"),
        (lambda x: x * (x > 0), None, "not traced"),
        (lambda x: torch.erfinv(x), None, "not traced: 'erfinv' .*is not known"),
    ],
)
def test_not_traced_is_not_the_same_as_not_piecewise_linear(
    before: Callable[..., torch.Tensor], linear: bool | None, said: str
) -> None:
    module = Written(before)
    module.last = nn.Linear(int(before(torch.ones(1, *SHAPE)).numel()), 3)
    seen = linearity(module.eval(), SHAPE)
    assert seen.piecewise_linear is linear
    assert not seen.traced
    assert re.search(said, seen.reason), seen.reason


def test_only_what_depends_on_the_image_is_looked_at() -> None:
    module = Written(before=lambda x: x * torch.exp(torch.ones(())).sqrt())
    assert linearity(module, SHAPE).traced


def test_a_large_network_is_not_unrolled() -> None:
    module = nn.Sequential(nn.Conv2d(1, 300, 3, padding=1), nn.ReLU(), nn.Conv2d(300, 600, 3))
    seen = linearity(module, (1, 8, 8))
    assert seen.n_products == 300 * 64 * 9 + 600 * 36 * 300 * 9 > MOST_PRODUCTS
    assert (seen.piecewise_linear, seen.traced, seen.n_units) == (None, False, 300 * 64)
    assert seen.reason.startswith("not unrolled: 58,492,800 products an image")


def test_what_is_done_to_images_first_is_named() -> None:
    first = Written(before=lambda x: (x - 0.5) / 0.25)
    assert linearity(first, SHAPE).normalises.startswith("'sub' in the module (Written), 'truediv'")
    assert linearity(Written(), SHAPE).normalises == ""


def test_what_is_not_known_is_no_fact() -> None:
    facts = of(Written(before=lambda x: x * (x > 0))).facts()
    assert "piecewise_linear" not in facts
    assert "relu_units" not in facts
    assert facts["not_piecewise_linear"].startswith("not traced")
