"""Networks in files of ONNX as modules of torch."""

import gzip
import importlib
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from empirics.given import (  # noqa: F401  (their operators enter themselves)
    onnx_activations,
    onnx_arithmetic,
    onnx_shapes,
    onnx_windows,
)
from empirics.given.onnx_graph import CONVERTERS, Network, Operand, Operation, Value
from empirics.operators.tracing import first_line
from empirics.seeds import torch_stream
from theory.errors import InputError

_INSTALL: Final = "reading it needs the package onnx: pip install 'advbounds[onnx]'"
_OLDEST: Final = 7
_WITHOUT_BATCH: Final = {
    *("Add", "Sum", "Sub", "Mul", "Div", "Max", "Min", "MatMul", "Neg", "Abs", "Identity"),
    *("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Clip", "Dropout", "Cast", "Softplus", "Elu"),
}
"""Operators that do the same to (n,) as to (batch, n)."""


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A network of a file.

    Attributes
    ----------
    module : nn.Module
        In eval mode, without gradients of its weights; inputs (n, *input_shape) to (n, K).
    input_shape : tuple of int
        Of one input, without the batch axis.
    n_outputs : int
        K, all outputs of one input flattened.
    """

    module: nn.Module
    input_shape: tuple[int, ...]
    n_outputs: int


def onnx_module(path: Path) -> nn.Module:
    """Return the network of an ONNX file; see `onnx_model`."""
    return onnx_model(path).module


def onnx_model(path: Path) -> OnnxModel:
    """Return the network of an ONNX file as plain operators of torch.

    An nn.Sequential where each operator takes what the one before it makes, otherwise a module that
    `torch.fx` traces. Nothing of the file is executed.

    Parameters
    ----------
    path : Path
        FILE.onnx or FILE.onnx.gz, of float32, with one input and one output, the batch axis in
        front: of size 1, or open. (n,) without a batch axis becomes (batch, n).

    Raises
    ------
    InputError
        If the package onnx is missing, the file cannot be read, keeps weights anywhere but beside
        itself, has an operator that is not supported (it and its node are named), or mixes the
        inputs of a batch.
    """
    proto = _loaded(path)
    graph = proto.graph
    opset = _operator_set(path, proto)
    tensors: dict[str, Operand] = {each.name: _array(each) for each in graph.initializer}
    name, shape, batched = _input(path, graph, tensors)
    uses = Counter(each for node in graph.node for each in node.input)
    uses.update(each.name for each in graph.output)
    network = Network(str(path), uses)
    tensors[name] = network.input(shape)
    for i, node in enumerate(graph.node):
        _converted(network, node, i, tensors, opset, batched)
    if len(graph.output) != 1:
        raise InputError(f"{path}: has {len(graph.output)} outputs, one is known here")
    output = tensors.get(graph.output[0].name)
    if not isinstance(output, Value):
        raise InputError(f"{path}: its output does not depend on its input")
    if len(output.shape) > 2:
        flat = Operation(network, "Flatten", "output", (output,), ("",), {}, opset, 1)
        output = flat.reshaped(output, (1, int(np.prod(output.shape))))
    if len(output.shape) != 2:
        raise InputError(f"{path}: gives outputs of shape {output.shape}, expected (batch, K)")
    module = network.finished(output)
    _check_batch(path, module, shape[1:])
    return OnnxModel(module, shape[1:], output.shape[1])


def _onnx(path: Path) -> Any:  # noqa: ANN401
    """Return the package, which is not among the dependencies."""
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise InputError(f"{path}: {_INSTALL}") from error


def _loaded(path: Path) -> Any:  # noqa: ANN401
    onnx = _onnx(path)
    malformed = importlib.import_module("google.protobuf.message").DecodeError
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        proto = onnx.load_model_from_string(data)
        if not proto.graph.node:
            raise InputError(f"{path}: is no network: its graph has no nodes")
        _load_external(path, onnx, proto)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read: {reason}") from error
    except malformed as error:
        raise InputError(f"{path}: is no ONNX file, or was cut short") from error
    return proto


def _load_external(path: Path, onnx: Any, proto: Any) -> None:  # noqa: ANN401
    """Read the weights that are kept in files beside the file, and nowhere else."""
    helper = importlib.import_module("onnx.external_data_helper")
    external = [
        each for each in proto.graph.initializer if each.data_location == onnx.TensorProto.EXTERNAL
    ]
    for each in external:
        where = {entry.key: entry.value for entry in each.external_data}.get("location", "")
        beside = path.parent / where
        if not where or Path(where).name != where or beside.is_symlink() or not beside.is_file():
            raise InputError(
                f"{path}: keeps the weights '{each.name}' in '{where}': it must be a file beside it"
            )
        try:
            helper.load_external_data_for_tensor(each, str(path.parent))
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            raise InputError(f"{path}: weights '{each.name}': {first_line(error)}") from error


def _array(tensor: Any) -> Any:  # noqa: ANN401
    return importlib.import_module("onnx.numpy_helper").to_array(tensor)


def _operator_set(path: Path, proto: Any) -> int:  # noqa: ANN401
    known = {each.domain: int(each.version) for each in proto.opset_import}
    version = known.get("", known.get("ai.onnx", 0))
    if version < _OLDEST:
        raise InputError(f"{path}: operator set {version}: known are those from {_OLDEST} on")
    return version


def _input(
    path: Path,
    graph: Any,  # noqa: ANN401
    tensors: Mapping[str, Operand],
) -> tuple[str, tuple[int, ...], bool]:
    """Return the name of the input, its shape with a batch axis of one, and whether it has one."""
    given = [each for each in graph.input if each.name not in tensors]
    if len(given) != 1:
        raise InputError(f"{path}: has {len(given)} inputs, one is known here")
    kind = given[0].type.tensor_type
    single = 1  # onnx.TensorProto.FLOAT
    if kind.elem_type != single:
        raise InputError(f"{path}: its input '{given[0].name}' is not of float32")
    sizes = [int(axis.dim_value) for axis in kind.shape.dim]
    if not sizes:
        raise InputError(f"{path}: its input '{given[0].name}' has no shape")
    if len(sizes) == 1 and sizes[0] > 0:
        return given[0].name, (1, sizes[0]), False
    if sizes[0] > 1:
        raise InputError(
            f"{path}: its input has the shape {tuple(sizes)}: the first axis must be that of the"
            " batch, of size 1 or open"
        )
    if len(sizes) == 1 or min(sizes[1:]) < 1:
        raise InputError(f"{path}: an axis of its input other than that of the batch is open")
    return given[0].name, (1, *sizes[1:]), True


def _converted(
    network: Network,
    node: Any,  # noqa: ANN401
    place: int,
    tensors: dict[str, Operand],
    opset: int,
    batched: bool,
) -> None:
    """Enter what a node makes."""
    value_of = importlib.import_module("onnx.helper").get_attribute_value
    outputs = list(node.output)
    op = Operation(
        network,
        node.op_type,
        node.name or (outputs[0] if outputs else str(place)),
        tuple(tensors.get(each) if each else None for each in node.input),
        tuple(node.input),
        {each.name: value_of(each) for each in node.attribute},
        opset,
        max(1, sum(1 for each in outputs if network.uses.get(each, 0))),
    )
    missing = [each for each in node.input if each and each not in tensors]
    if missing:
        op.refuse(f"takes '{missing[0]}', which nothing makes")
    if node.domain not in ("", "ai.onnx"):
        op.refuse(f"operator of the domain '{node.domain}' is not supported")
    made: Value | Sequence[Operand]
    if op.kind == "Shape" and isinstance(op.input(0), Value):
        made = [_shape_of(op)]
    elif not any(isinstance(each, Value) for each in op.inputs):
        made = _folded(op, node)
    elif op.kind not in CONVERTERS:
        known = ", ".join(sorted(CONVERTERS))
        raise InputError(
            f"{network.file}: node '{op.name}': operator {op.kind} is not supported: known are"
            f" {known}"
        )
    elif not batched and op.kind not in _WITHOUT_BATCH:
        op.refuse("is not known here in a network whose input has no batch axis")
    else:
        made = CONVERTERS[op.kind](op)
    values = [made] if isinstance(made, Value) else list(made)
    tensors.update(zip(outputs, values, strict=False))


def _shape_of(op: Operation) -> Any:  # noqa: ANN401
    shape = op.value().shape
    first, last = op.attribute("start", 0), op.attribute("end", None)
    return np.array(shape[first:last], dtype=np.int64)


def _folded(op: Operation, node: Any) -> Sequence[Any]:  # noqa: ANN401
    """Return what a node makes of constants, by the reference implementation."""
    helper = importlib.import_module("onnx.helper")
    evaluator = importlib.import_module("onnx.reference").ReferenceEvaluator
    given = {
        name: value for name, value in zip(op.names, op.inputs, strict=True) if value is not None
    }
    try:
        graph = helper.make_graph(
            [node],
            "constant",
            [helper.make_empty_tensor_value_info(name) for name in given],
            [helper.make_empty_tensor_value_info(name) for name in node.output if name],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", op.opset)])
        found = iter(evaluator(model).run(None, given))
    except (LookupError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        op.refuse(f"fails on constants: {first_line(error)}")
    return [next(found) if name else None for name in node.output]


def _check_batch(path: Path, module: nn.Module, shape: tuple[int, ...]) -> None:
    """Raise InputError unless inputs of a batch have the outputs that they have alone."""
    points = torch.randn(3, *shape, generator=torch_stream(0, "onnx"))
    try:
        with torch.no_grad():
            together = module(points)
            alone = torch.cat([module(point[None]) for point in points])
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: fails on a batch of inputs: {first_line(error)}") from error
    if together.shape != alone.shape or not torch.allclose(
        together, alone, rtol=1e-3, atol=1e-4, equal_nan=True
    ):
        raise InputError(f"{path}: mixes the inputs of a batch: their outputs differ alone")
