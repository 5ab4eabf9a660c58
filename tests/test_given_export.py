"""torch.export programs: read without unpickling, traced as the module they came from."""

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from empirics.given import load_model
from empirics.given.exported import exported_module
from empirics.seeds import torch_stream
from empirics.trace import relu_network
from theory.errors import InputError

SHAPE = (1, 6, 6)
IMAGES = torch.rand(4, *SHAPE, generator=torch_stream(0, "export"))


class Net(nn.Module):
    """A little of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1)
        self.norm, self.drop = nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.last = nn.Linear(36, 3)
        self.register_buffer("mean", torch.tensor(0.4))
        stream = torch_stream(1, "export")
        with torch.no_grad():
            for tensor in (*self.parameters(), self.norm.running_mean):
                assert tensor is not None
                tensor.copy_(torch.randn(tensor.shape, generator=stream) / 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first((x - self.mean) / 0.3).relu_()
        x = torch.relu(self.norm(self.second(x))) + nn.functional.max_pool2d(x, 3, 1, 1)
        x = self.drop(torch.cat([x[:, 1:], x[:, :1]], 1))
        return self.last(x.view(x.size(0), -1))


@pytest.fixture(scope="module")
def net() -> Net:
    return Net().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def programs(net: Net, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("programs")
    batch = ({0: torch.export.Dim("n")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of what it deprecates
        any_batch = torch.export.export(net, (torch.zeros(2, *SHAPE),), dynamic_shapes=batch)
        made = {
            "any": any_batch,
            "core": any_batch.run_decompositions(),
            "one": torch.export.export(net, (torch.zeros(1, *SHAPE),)),
        }
        for name, program in made.items():
            torch.export.save(program, folder / f"{name}.pt2")
    return {name: folder / f"{name}.pt2" for name in made}


@pytest.mark.parametrize("name", ["any", "core", "one"])
def test_a_program_is_the_module_it_came_from(
    net: Net, programs: dict[str, Path], name: str
) -> None:
    given = load_model(str(programs[name]), image_shape=SHAPE, n_classes=3)
    np.testing.assert_allclose(given.module(IMAGES), net(IMAGES), rtol=1e-5, atol=1e-5)
    assert (given.form, given.has_weights) == ("export", True)
    alone = ("it takes one image at a time: batches are taken apart",)
    assert given.notes == (alone if name == "one" else ())
    assert relu_network(given.module, SHAPE).n_units == relu_network(net, SHAPE).n_units


def changed(path: Path, to: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Write an archive again, each entry as `change` gives it, without those it drops."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return to


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_nothing_in_a_program_is_unpickled(
    net: Net, programs: dict[str, Path], tmp_path: Path
) -> None:
    sprung = tmp_path / "sprung"
    buffer = io.BytesIO()
    torch.save(Trap(sprung), buffer)
    trap = buffer.getvalue()

    def inputs(name: str, content: bytes) -> bytes:
        return trap if "sample_inputs" in name else content

    path = changed(programs["any"], tmp_path / "inputs.pt2", inputs)
    np.testing.assert_array_equal(exported_module(path)(IMAGES), net(IMAGES))

    def weights(name: str, content: bytes) -> bytes:
        if name.endswith("weight_0"):
            return trap
        return content.replace(b'"use_pickle": false', b'"use_pickle": true')

    path = changed(programs["any"], tmp_path / "weights.pt2", weights)
    with pytest.raises(InputError, match="is pickled, and nothing is ever unpickled"):
        exported_module(path)

    def legacy(name: str, content: bytes) -> bytes:
        return content

    path = changed(programs["any"], tmp_path / "old.pt2", legacy)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("any/data/weights/model.pt", trap)
    with pytest.raises(InputError, match="never unpickled"):
        exported_module(path)
    assert not sprung.exists()
    # The trap does spring where it is unpickled.
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()


def test_the_format_of_torch_2_6(net: Net, programs: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(programs["any"]) as archive:
        program = archive.read("any/models/model.json")
    state, nothing = io.BytesIO(), io.BytesIO()
    torch.save(net.state_dict(), state)
    torch.save({}, nothing)
    with zipfile.ZipFile(tmp_path / "old.pt2", "w") as archive:
        archive.writestr("version", "1.0")
        archive.writestr("serialized_exported_program.json", program)
        archive.writestr("serialized_state_dict.pt", state.getvalue())
        archive.writestr("serialized_constants.pt", nothing.getvalue())
    np.testing.assert_array_equal(exported_module(tmp_path / "old.pt2")(IMAGES), net(IMAGES))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("torch.ops.aten.relu_.default", "torch.ops.mine.run.default", "'torch.ops.mine.run.de"),
        (
            "torch.ops.aten.relu_.default",
            "torch.ops.aten.from_file.default",
            "'torch.ops.aten.from",
        ),
        ("torch.ops.aten.relu_.default", "torch.ops.aten.save.default", "'torch.ops.aten.save.d"),
        ("torch.ops.aten.relu_.default", "torch.ops.aten.__dir__.default", "'torch.ops.aten.__d"),
        ("torch.ops.aten.relu_.default", "torch.ops.aten.manual_seed.default", "manual_seed"),
        ("torch.ops.aten.relu_.default", "os.system", "operator 'os.system' is not one of torch's"),
        (
            "torch.ops.aten.relu_.default",
            "torch.ops.aten.no_such.default",
            "no_such.default' is not",
        ),
        ("user_output", "buffer_mutation", "writes to its own state .*export it after"),
        ("user_input", "custom_obj", "takes a custom_obj"),
        ('{"as_int": 4}', '{"as_int": 400}', "not as expected"),
    ],
)
def test_what_is_not_known_is_refused_by_name(
    programs: dict[str, Path], tmp_path: Path, old: str, new: str, said: str
) -> None:
    def edit(name: str, content: bytes) -> bytes:
        is_text = name.endswith(".json")
        return content.decode().replace(old, new).encode() if is_text else content

    path = changed(programs["any"], tmp_path / "odd.pt2", edit)
    with pytest.raises(InputError, match=said) as caught:
        exported_module(path)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_programs(programs: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "w.pt2"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a whole torch"):
        exported_module(path)
    torch.save({}, path)
    with pytest.raises(InputError, match="holds no exported program"):
        exported_module(path)

    def without(name: str, content: bytes) -> bytes | None:
        return None if name.endswith("weight_0") else content

    with pytest.raises(InputError, match=r"not a whole .*no data/weights/weight_0"):
        exported_module(changed(programs["any"], path, without))
    with pytest.raises(InputError, match="holds its own weights: leave out w"):
        load_model(str(programs["any"]), Path("w.pt"), image_shape=SHAPE, n_classes=3)


def test_symbolic_sizes_are_not_evaluated(programs: dict[str, Path], tmp_path: Path) -> None:
    """torch.export.load would hand them to a parser that executes Python."""
    sprung = tmp_path / "sprung"

    def edit(name: str, content: bytes) -> bytes:
        if not name.endswith("model.json"):
            return content
        program = json.loads(content)
        code = f"__import__('pathlib').Path({str(sprung)!r}).touch()"
        for entry in program["graph_module"]["graph"]["sym_int_values"].values():
            entry["as_expr"]["expr_str"] = code
        assert program["graph_module"]["graph"]["sym_int_values"]
        return json.dumps(program).encode()

    path = changed(programs["any"], tmp_path / "symbols.pt2", edit)
    assert exported_module(path)(IMAGES).shape == (4, 3)
    assert not sprung.exists()
