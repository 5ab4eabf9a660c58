"""Programs that torch.export saved (.pt2), read without torch.export.load.

That function unpickles what the file holds beside the weights (example inputs, custom objects),
evaluates its symbolic sizes as Python, and loads compiled libraries. A program is nothing but a
list of aten operators and raw tensors: here the list is read as JSON, the tensors as bytes, and
everything else is refused by name or not looked at.
"""

import io
import json
import operator
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch
from torch import fx, nn

from empirics.given.aten import function_of
from empirics.given.probing import Program
from empirics.operators.tracing import first_line
from theory.errors import InputError

_PROGRAM: Final = ("models/model.json", "serialized_exported_program.json")
_OLD_WEIGHTS: Final = ("data/weights/model.pt", "serialized_state_dict.pt")
_OLD_CONSTANTS: Final = ("data/constants/model.pt", "serialized_constants.pt")
_DTYPES: Final = {
    **{1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64},
    **{6: torch.float16, 7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16},
}
"""torch.export's numbers of the types."""
_SIZES: Final[dict[str, Callable[..., Any]]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in ("add", "sub", "mul", "floordiv")},
    **{f"_operator.{name}": getattr(operator, name) for name in ("neg", "mod", "getitem")},
}
"""What a program computes with sizes."""
_ASSERTIONS: Final = ("_assert_", "sym_constrain_", "_operator.eq", "_operator.ge", "_operator.le")
"""Operators that only check sizes."""
_UNUSED: Final = ("as_memory_format", "as_layout", "as_device")
"""Arguments on how a tensor lies in memory, and where."""


def exported_module(path: Path) -> nn.Module:
    """Return the module of a torch.export program, in plain operators of torch.

    Parameters
    ----------
    path : Path
        What torch.export.save of torch 2.6 or later wrote.

    Raises
    ------
    InputError
        If it is no such file, holds pickled weights or custom objects, takes more than one input,
        or has an operator that is not one of torch's own.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(path, archive).module()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: not a whole torch.export program ({error})") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        said = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(f"{path}: a torch.export program not as expected ({said})") from error


@dataclass
class _Archive:
    """One archive while it is read."""

    path: Path
    archive: zipfile.ZipFile

    def __post_init__(self) -> None:
        self.names = self.archive.namelist()
        if b"big" in self._bytes("byteorder", b""):
            raise InputError(f"{self.path}: written on a big-endian machine, which is not read")
        text = next((found for name in _PROGRAM if (found := self._bytes(name, b""))), b"")
        if not text:
            raise InputError(
                f"{self.path}: holds no exported program; torch.export.save of torch 2.6 or later"
                " writes one"
            )
        program = json.loads(text)
        self.graph: dict[str, Any] = program["graph_module"]["graph"]
        self.signature: dict[str, Any] = program["graph_module"]["signature"]
        self.root = nn.Module()
        self.made = fx.Graph()
        self.held: dict[str, Any] = {}

    def _bytes(self, end: str, default: bytes | None = None) -> bytes:
        """Return the entry of this name, whatever the folder that all lie in is called."""
        for name in self.names:
            if name == end or name.partition("/")[2] == end:
                return self.archive.read(name)
        if default is not None:
            return default
        raise InputError(f"{self.path}: not a whole torch.export program (no {end})")

    def _tensors(self, kind: str, old: tuple[str, ...]) -> dict[str, torch.Tensor]:
        """Return the weights or constants by their names."""
        for name in old:
            if content := self._bytes(name, b""):
                return self._plain(content)
        config = json.loads(self._bytes(f"data/{kind}/model_{kind}_config.json"))["config"]
        return {name: self._tensor(kind, name, payload) for name, payload in config.items()}

    def _plain(self, content: bytes) -> dict[str, torch.Tensor]:
        try:
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except UnpicklingError as error:
            raise InputError(
                f"{self.path}: its weights hold more than tensors, which is never unpickled"
            ) from error
        return dict(found)

    def _tensor(self, kind: str, name: str, payload: Mapping[str, Any]) -> torch.Tensor:
        meta = payload["tensor_meta"]
        if payload["use_pickle"] or meta is None:
            raise InputError(f"{self.path}: '{name}' is pickled, and nothing is ever unpickled")
        content = self._bytes(f"data/{kind}/{payload['path_name']}")
        dtype = _DTYPES.get(meta["dtype"])
        if dtype is None:
            raise InputError(f"{self.path}: '{name}' has a type of numbers that is not known here")
        sizes, strides = ([int(n["as_int"]) for n in meta[key]] for key in ("sizes", "strides"))
        if not content:
            return torch.zeros(sizes, dtype=dtype)
        flat = torch.frombuffer(bytearray(content), dtype=dtype)
        return flat.as_strided(sizes, strides, int(meta["storage_offset"]["as_int"])).clone()

    def module(self) -> nn.Module:
        """Return the program as a module."""
        self._enter_inputs()
        for node in self.graph["nodes"]:
            self._enter(node)
        outputs = []
        for spec in self.signature["output_specs"]:
            if "user_output" not in spec:
                (kind,) = spec
                raise InputError(
                    f"{self.path}: the program writes to its own state ({kind}): export it after"
                    " eval()"
                )
            outputs.append(self._argument(spec["user_output"]["arg"]))
        self.made.output(outputs[0] if len(outputs) == 1 else tuple(outputs))
        return Program(fx.GraphModule(self.root, self.made)).eval()

    def _enter_inputs(self) -> None:
        weights = self._tensors("weights", _OLD_WEIGHTS)
        constants = self._tensors("constants", _OLD_CONSTANTS)
        inputs: list[str] = []
        for spec in self.signature["input_specs"]:
            ((kind, entry),) = spec.items()
            if kind == "user_input":
                inputs.append(entry["arg"]["as_tensor"]["name"])
            elif kind in ("parameter", "buffer", "tensor_constant"):
                name = entry[f"{kind}_name"]
                tensor = weights[name] if name in weights else constants[name]
                self._hold(entry["arg"]["name"], tensor, kind == "parameter")
            else:
                raise InputError(f"{self.path}: takes a {kind}, which is not known here")
        if len(inputs) != 1:
            raise InputError(f"{self.path}: takes {len(inputs)} inputs, expected one")
        # The input comes first in the graph; the weights are looked up where they are used.
        self.held[inputs[0]] = self.made.placeholder("images")

    def _hold(self, variable: str, tensor: torch.Tensor, is_parameter: bool) -> None:
        if is_parameter and tensor.is_floating_point():
            self.root.register_parameter(variable, nn.Parameter(tensor, requires_grad=False))
        else:
            self.root.register_buffer(variable, tensor)
        self.held[variable] = variable

    def _enter(self, node: Mapping[str, Any]) -> None:
        target = str(node["target"])
        if target.removeprefix("torch.ops.aten.").startswith(_ASSERTIONS):
            return
        function = _SIZES.get(target) or function_of(target)
        if function is None:
            raise InputError(
                f"{self.path}: operator '{target}' is not one of torch's own that make tensors of"
                " tensors and numbers"
            )
        args, kwargs = [], {}
        for each in node["inputs"]:
            if next(iter(each["arg"])) in _UNUSED:
                continue
            if each.get("kind", 1) == 1:
                args.append(self._argument(each["arg"]))
            else:
                kwargs[each["name"]] = self._argument(each["arg"])
        made = self.made.call_function(function, tuple(args), kwargs)
        outputs = node["outputs"]
        several = len(outputs) > 1
        for i, output in enumerate(outputs):
            result = self.made.call_function(operator.getitem, (made, i)) if several else made
            for variable, value in self._named(output, result):
                self.held[variable] = value

    def _named(self, output: Mapping[str, Any], value: fx.Node) -> Iterator[tuple[str, fx.Node]]:
        ((kind, names),) = output.items()
        if kind == "as_tensors":
            for i, each in enumerate(names):
                yield each["name"], self.made.call_function(operator.getitem, (value, i))
        elif kind in ("as_tensor", "as_optional_tensor"):
            yield (names.get("as_tensor") or names)["name"], value
        elif kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
            yield names["as_name"], value

    def _argument(self, argument: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return an argument as torch takes it."""
        ((kind, value),) = argument.items()
        if kind == "as_none":
            return None
        if kind in ("as_name", "name"):
            return self._variable(value)
        if kind in ("as_int", "as_float", "as_bool", "as_string"):
            return value
        if kind in ("as_ints", "as_floats", "as_bools", "as_strings"):
            return list(value)
        if kind == "as_scalar_type":
            return _DTYPES[value]
        if kind in ("as_tensor", "as_sym_int", "as_sym_bool", "as_sym_float", "as_optional_tensor"):
            return self._argument(value)
        if kind in ("as_tensors", "as_optional_tensors", "as_sym_ints"):
            return [self._argument(each) for each in value]
        raise InputError(f"{self.path}: an argument of kind {kind} is not known here")

    def _variable(self, name: str) -> Any:  # noqa: ANN401
        held = self.held[name]
        return self.made.get_attr(held) if isinstance(held, str) else held
