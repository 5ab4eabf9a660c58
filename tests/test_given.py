"""Networks that a user names: what is taken, what is brought into form, what is refused and how."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from empirics.given import Given, load_model
from empirics.given.conforming import conforming
from empirics.given.linearity import linearity
from empirics.seeds import torch_stream
from theory.errors import InputError

SHAPE, CLASSES = (1, 4, 4), 3

CODE = """
import torch
from torch import nn
from beside import scale

class Net(nn.Module):
    def __init__(self, width=5, n_classes=7):
        super().__init__()
        self.first, self.last = nn.Linear(16, width), nn.Linear(width, n_classes)

    def forward(self, x):
        return self.last(torch.relu(self.first(x.flatten(1) * scale)))

def small(num_classes, in_channels, image_shape):
    assert (in_channels, image_shape) == (1, (1, 4, 4))
    return Net(2, num_classes)

def needing(depth):
    return Net()

def fixed():
    net = Net(n_classes=3)
    for p in net.parameters():
        nn.init.constant_(p, 0.5)
    return net

def wrong():
    return [1]

def failing():
    return {}["width"]

ready = Net(n_classes=3)
number = 3
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("user") / "my_net.py"
    path.write_text(CODE)
    (path.parent / "beside.py").write_text("scale = 2.0\n")
    return path


def loaded(spec: str, weights: Path | None = None) -> Given:
    return load_model(spec, weights, image_shape=SHAPE, n_classes=CLASSES)


def refusal(spec: str, weights: Path | None = None) -> str:
    with pytest.raises(InputError) as caught:
        loaded(spec, weights)
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("name", "own"), [("Net", False), ("small", False), ("fixed", True), ("ready", True)]
)
def test_a_class_a_function_and_an_instance_of_a_file(file: Path, name: str, own: bool) -> None:
    before, path = torch.random.get_rng_state(), list(sys.path)
    given = loaded(f"{file}:{name}")
    assert torch.equal(before, torch.random.get_rng_state())
    assert path == sys.path
    assert (given.form, given.has_weights, len(given.sha256)) == ("file", own, 64)
    assert not given.module.training
    assert not any(p.requires_grad for p in given.module.parameters())
    assert given.module(torch.zeros(2, *SHAPE)).shape == (2, CLASSES)
    assert not (file.parent / "__pycache__" / "my_net.cpython-311.pyc").exists()


def test_equal_files_and_weights_have_equal_digests(file: Path, tmp_path: Path) -> None:
    state = loaded(f"{file}:Net").module.state_dict()
    save_file(state, tmp_path / "a.safetensors")
    save_file({n: 2 * t for n, t in state.items()}, tmp_path / "b.safetensors")
    first, again, other = (loaded(f"{file}:Net", tmp_path / f"{n}.safetensors") for n in "aab")
    assert first.has_weights
    assert first.sha256 == again.sha256 != other.sha256
    assert torch.equal(other.module.state_dict()["last.bias"], 2 * state["last.bias"])


@pytest.mark.parametrize(
    ("nest", "prefix", "said"),
    [(None, "", 0), ("state_dict", "", 1), ("model", "module.", 2), (None, "_orig_mod.", 1)],
)
def test_a_checkpoint_of_plain_tensors(
    file: Path, tmp_path: Path, nest: str | None, prefix: str, said: int
) -> None:
    state = {n: t + 1 for n, t in loaded(f"{file}:Net").module.state_dict().items()}
    named = {prefix + n: t for n, t in state.items()}
    torch.save({nest: named, "epoch": 3} if nest else named, tmp_path / "w.pt")
    given = loaded(f"{file}:Net", tmp_path / "w.pt")
    assert len(given.notes) == said
    assert all(torch.equal(t, state[n]) for n, t in given.module.state_dict().items())


def test_weights_of_another_architecture_are_named(file: Path, tmp_path: Path) -> None:
    state = loaded(f"{file}:Net").module.state_dict()
    state["first.weight"] = torch.zeros(6, 16)
    state["middle.weight"] = torch.zeros(2)
    del state["last.bias"]
    torch.save(state, tmp_path / "w.pth")
    said = refusal(f"{file}:Net", tmp_path / "w.pth")
    assert "'last.bias' is missing from the file; 'middle.weight' is not in the arch" in said
    assert "'first.weight' has shape (6, 16), the architecture needs (5, 16)" in said
    save_file(state, tmp_path / "w.safetensors")
    assert "weight 'last.bias' is missing from the file" in refusal(
        f"{file}:Net", tmp_path / "w.safetensors"
    )


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_is_not_unpickled(file: Path, tmp_path: Path) -> None:
    trap = Trap(tmp_path / "sprung")
    torch.save({"w": trap}, tmp_path / "w.pt")
    assert "never unpickled" in refusal(f"{file}:Net", tmp_path / "w.pt")
    (tmp_path / "w.pt").write_bytes(pickle.dumps(trap))
    assert "never unpickled" in refusal(f"{file}:Net", tmp_path / "w.pt")
    (tmp_path / "w.pt").write_bytes(b"nothing")
    assert "w.pt" in refusal(f"{file}:Net", tmp_path / "w.pt")
    torch.save([1], tmp_path / "w.pt")
    assert "holds a list, expected a state dict" in refusal(f"{file}:Net", tmp_path / "w.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import torch\nimport nothing_of_this_name\n", ":2, in <module>: `import nothing_of_"),
        ("x = 1\nclass Net(:\n", ":2: `class Net(:`: SyntaxError"),
        ("def f():\n    return 1 / 0\nf()\n", ":2, in f: `return 1 / 0`: ZeroDivisionError"),
        ("import sys\nsys.exit('usage')\n", ":2, in <module>: `sys.exit('usage')`: SystemExit"),
    ],
)
def test_a_file_that_does_not_import_shows_its_own_line(
    tmp_path: Path, code: str, said: str
) -> None:
    path = tmp_path / "broken.py"
    path.write_text(code)
    found = refusal(f"{path}:Net")
    assert "broken.py does not import: broken.py" in found
    assert said in found
    assert "given_broken" not in sys.modules


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Nett", "has no 'Nett': did you mean 'Net'?"),
        ("needing", "needs an argument 'depth': name a function without arguments"),
        ("wrong", "gives a list: expected a torch.nn.Module"),
        ("failing", """in failing: `return {}["width"]`: KeyError: 'width'"""),
        ("number", "is of type int"),
    ],
)
def test_what_is_no_network_is_said(file: Path, name: str, said: str) -> None:
    assert said in refusal(f"{file}:{name}")


def test_specs_that_name_nothing(tmp_path: Path) -> None:
    assert "expected FILE.py:NAME" in refusal("net")
    assert "holds weights and no network" in refusal("w.safetensors")
    assert "cannot be read (No such file" in refusal(f"{tmp_path}/none.py:Net")
    assert "cannot be read (No such file" in refusal(f"{tmp_path}/none.pt2")
    assert "No module named 'no_such_package'" in refusal("no_such_package:Net")


def test_models_of_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert refusal("timm:tiny") == (
        "timm:tiny needs timm, which is not installed: pip install timm"
    )
    monkeypatch.undo()
    (tmp_path / "timm.py").write_text(
        "from torch import nn\n"
        "def list_models(): return ['tiny', 'large']\n"
        "def create_model(name, *, num_classes, in_chans):\n"
        "    return nn.Sequential(nn.Conv2d(in_chans, num_classes, 4), nn.Flatten())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    given = loaded("timm:tiny")
    assert (given.form, given.has_weights) == ("timm", False)
    assert "timm has no model 'tinny': did you mean 'tiny'?" in refusal("timm:tinny")
    sys.modules.pop("timm")


def test_an_attribute_of_a_package() -> None:
    given = load_model("torch.nn:Flatten", image_shape=(1, 1, 3), n_classes=3)
    assert (given.form, given.has_weights) == ("attribute", True)


class Written(nn.Module):
    """A network whose forward pass is a function of its logits."""

    def __init__(self, after: object = None, bias: bool = True) -> None:
        super().__init__()
        self.last = nn.Linear(16, CLASSES, bias)
        stream = torch_stream(0, "written")
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=stream))
        self.after = after

    def forward(self, x: torch.Tensor) -> object:
        logits = self.last(x.flatten(1))
        return self.after(logits) if callable(self.after) else logits


def formed(module: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    return conforming(module, SHAPE, CLASSES, "net")


IMAGES = torch.rand(5, *SHAPE, generator=torch_stream(1, "images"))
LOGITS = Written().requires_grad_(False)(IMAGES)
assert isinstance(LOGITS, torch.Tensor)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Sequential(Written(), nn.Softmax(1)), "softmax at its end was taken off"),
        (nn.Sequential(nn.Sequential(Written(), nn.LogSoftmax(1))), "softmax at its end was taken"),
        (Written(lambda z: z.softmax(1)), "softmax at its end was taken off"),
        (Written(lambda z: nn.functional.log_softmax(z, dim=1)), "softmax at its end was taken"),
        (Written(nn.Softmax(-1)), "softmax at its end was taken off"),
        (Written(lambda z: z.exp() / z.exp().sum(1, keepdim=True)), "logarithms are taken"),
        (Written(lambda z: z - z.logsumexp(1, keepdim=True)), "log probabilities: they are taken"),
    ],
)
def test_probabilities_become_logits(module: nn.Module, said: str) -> None:
    made, notes = formed(module)
    assert [said in note for note in notes] == [True]
    found = made(IMAGES)
    differences = LOGITS - LOGITS[:, :1]
    np.testing.assert_allclose(found - found[:, :1], differences, rtol=1e-4, atol=1e-4)


def test_logits_are_left_as_they_are() -> None:
    module = Written()
    made, notes = formed(module)
    assert made is module
    assert notes == ()


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (lambda z: (z.mean(1), z), r"a tuple \(\[0\] \(6,\), \[1\] \(6, 3\)\).*\[1\] looks like"),
        (lambda z: {"loss": z.sum(), "out": z}, r"\['out'\] looks like logits"),
        (lambda z: [z[:, :2]], r"a list .*none of shape \(6, 3\)"),
        (lambda z: None, "gives a NoneType"),
        (lambda z: z[:, :2], "gives 2 values for an image, the data have 3 classes"),
        (lambda z: z[:, :1], "1 value for an image, .*return two logits"),
        (lambda z: z.sum(1), r"gives \(6,\) for 6 images"),
        (lambda z: z.double(), "gives float64 for float32 images"),
        (lambda z: z / 0, "not finite, first in"),
        (lambda z: z - z.mean(0), "beside other images, first in no layer of its own"),
    ],
)
def test_other_outputs_are_refused_by_name(after: object, said: str) -> None:
    with pytest.raises(InputError, match=f"^net .*{said}") as caught:
        formed(Written(after))
    assert "\n" not in str(caught.value)


def test_a_layer_that_mixes_the_batch_is_named() -> None:
    def mixing(d: int) -> nn.Module:
        return getattr(nn, f"BatchNorm{d}d")(3 if d == 1 else 1, track_running_stats=False)

    with pytest.raises(InputError, match=r"beside other images, first in layer '0' \(BatchNorm2d"):
        formed(nn.Sequential(mixing(2), Written()))
    with pytest.raises(InputError, match=r"but not one alone: layer '1' \(BatchNorm1d"):
        formed(nn.Sequential(Written(), mixing(1)))


def test_the_layer_that_overflows_is_named() -> None:
    module = nn.Sequential(Written(), nn.Linear(3, 3), nn.Linear(3, 3))
    with torch.no_grad():
        module[1].weight.fill_(torch.inf)
    with pytest.raises(InputError, match=r"not finite, first in layer '1' \(Linear\)"):
        formed(module)


def test_images_of_another_shape() -> None:
    with pytest.raises(InputError, match=r"shape \(1, 4, 4\): layer '0' \(Conv2d\): .*3 channels"):
        formed(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 3)))

    def broken(z: torch.Tensor) -> torch.Tensor:
        return z.no_such_method()

    with pytest.raises(InputError, match=r"test_given.py:\d+, in broken: `return z.no_such_met"):
        formed(Written(broken))
    made, notes = formed(nn.Linear(16, CLASSES))
    assert made(IMAGES).shape == (5, CLASSES)
    assert notes == ("it takes images as vectors of 16: they are reshaped",)


def test_the_input_shape_of_a_file_is_used() -> None:
    rows = nn.Sequential(nn.Conv1d(2, 4, 3), nn.Flatten(), nn.Linear(24, CLASSES))
    made, notes = conforming(rows, SHAPE, CLASSES, "net", input_shape=(2, 8))
    assert notes == ("it takes images as arrays of shape (2, 8): they are reshaped",)
    expected = rows(IMAGES.reshape(5, 2, 8)).detach()
    np.testing.assert_array_equal(made(IMAGES), expected)
    with pytest.raises(InputError, match="fails on images of shape"):
        formed(nn.Sequential(*rows))


class OfBatches(nn.Module):
    """A network that takes batches of one size."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.last = size, Written()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x.reshape(self.size, 1, 4, 4))


def test_batches_of_one_size() -> None:
    made, notes = formed(OfBatches(1))
    assert linearity(made, SHAPE).traced
    assert notes == ("it takes one image at a time: batches are taken apart",)
    np.testing.assert_allclose(made(IMAGES), LOGITS, rtol=1e-5)
    with pytest.raises(InputError, match="takes batches of 4 images only"):
        formed(OfBatches(4))


def test_outputs_without_the_axis_of_a_batch_of_one() -> None:
    made, notes = formed(Written(torch.squeeze))
    assert notes == ("for one image alone it drops the axis of the batch: it is put back",)
    assert made(IMAGES[:1]).shape == (1, CLASSES)
    np.testing.assert_allclose(made(IMAGES), LOGITS, rtol=1e-6)
    assert linearity(made, SHAPE).traced
    with pytest.raises(InputError, match=r"gives \(1, 4\) for 1 images|gives 4 values"):
        formed(Written(lambda z: z if len(z) > 1 else torch.zeros(1, 4)))


def test_outputs_with_sides_of_one_are_flattened() -> None:
    module = nn.Sequential(nn.Conv2d(1, CLASSES, 4))
    made, notes = formed(module)
    assert made(IMAGES).shape == (5, CLASSES)
    assert notes == ("its outputs of shape (3, 1, 1) are flattened",)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions_are_judged_in_single(dtype: torch.dtype) -> None:
    made, notes = formed(Written().to(dtype))
    assert made(IMAGES).dtype == torch.float32
    assert notes == (f"weights in {str(dtype)[6:]} were converted: it is judged in float32",)


def test_a_network_is_taken_out_of_what_runs_it() -> None:
    made, notes = formed(nn.DataParallel(Written()))
    assert isinstance(made, Written)
    assert notes == ("taken out of its DataParallel",)


def test_eval_mode_is_set() -> None:
    module = nn.Sequential(Written(), nn.BatchNorm1d(CLASSES), nn.Dropout())
    made, notes = formed(module)
    assert notes[0].startswith("eval mode was set")
    assert not made[1].training


def test_a_randomised_network_is_told() -> None:
    module = Written(lambda z: z + 0.01 * torch.randn_like(z))
    assert formed(module)[1] == (
        "two calls at the same images give different logits: it is randomised",
    )
