"""Networks of ONNX files: the same outputs as the reference evaluator, traced, or refused."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from empirics.feed_forward import feed_forward
from empirics.given.onnx_modules import OnnxModel, onnx_model, onnx_module
from empirics.lipschitz_graph import lipschitz_graph
from empirics.trace import relu_network
from theory.errors import InputError

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

node = helper.make_node
Shape = Sequence[int | str | None]


def weights(seed: int, **shapes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]


def whole(name: str, *numbers: int) -> Any:  # noqa: ANN401
    return numpy_helper.from_array(np.array(numbers, dtype=np.int64), name)


def model_of(nodes: Sequence[Any], constants: Sequence[Any], shape: Shape, opset: int = 13) -> Any:  # noqa: ANN401
    """Return a model from x of a shape to the last output of the last node."""
    last = nodes[-1].output[0]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def compare(tmp_path: Path, model: Any, tolerance: float = 1e-5) -> OnnxModel:  # noqa: ANN401
    """Read a model back, and compare it with the reference evaluator input by input."""
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    found = onnx_model(path)
    stream = torch.Generator().manual_seed(0)
    points = torch.randn(3, *found.input_shape, generator=stream)
    outputs = found.module(points)
    assert outputs.shape == (3, found.n_outputs)
    reference = ReferenceEvaluator(model)
    rank = len(model.graph.input[0].type.tensor_type.shape.dim)
    for point, output in zip(points, outputs, strict=True):
        alone = point[None] if rank > len(found.input_shape) else point
        expected = reference.run(None, {"x": alone.numpy()})[0].ravel()
        scale = 1 + np.abs(expected).max()
        assert np.abs(output.numpy() - expected).max() <= tolerance * scale
    return found


# Networks as those of VNN-COMP


def test_a_chain_becomes_a_sequence_that_is_traced(tmp_path: Path) -> None:
    """Sub, Flatten, MatMul, Add, Relu: as the networks of ACAS Xu are written."""
    nodes = [
        node("Sub", ["x", "mean"], ["a"]),
        node("Flatten", ["a"], ["b"]),
        node("MatMul", ["b", "w0"], ["c"]),
        node("Add", ["c", "b0"], ["d"]),
        node("Relu", ["d"], ["e"]),
        node("MatMul", ["e", "w1"], ["f"]),
        node("Add", ["b1", "f"], ["y"]),
    ]
    constants = weights(0, mean=(1, 1, 1, 5), w0=(5, 4), b0=(4,), w1=(4, 3), b1=(1, 3))
    found = compare(tmp_path, model_of(nodes, constants, [1, 1, 1, 5]))
    assert found.input_shape == (1, 1, 5)
    assert isinstance(found.module, nn.Sequential)
    kinds = [type(each).__name__ for each in found.module]
    assert kinds == ["Subtract", "Flatten", "Linear", "ReLU", "Linear"]
    assert relu_network(found.module, found.input_shape).n_units == 4
    assert lipschitz_graph(found.module, found.input_shape).output is not None
    packed = tmp_path / "net.onnx.gz"
    packed.write_bytes(gzip.compress((tmp_path / "net.onnx").read_bytes()))
    assert len(list(onnx_module(packed).children())) == 5


def test_a_residual_network_with_normalisation_is_traced(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "k0"], ["a"], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["a", "s", "t", "mean", "var"], ["b"], epsilon=1e-3),
        node("Relu", ["b"], ["c"]),
        node("Conv", ["c", "k1", "b1"], ["d"], pads=[1, 1, 1, 1], group=2),
        node("Add", ["d", "c"], ["e"]),
        node("LeakyRelu", ["e"], ["f"], alpha=0.2),
        node("MaxPool", ["f"], ["g"], kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", ["g"], ["h"]),
        node("Flatten", ["h"], ["i"]),
        node("Gemm", ["i", "w", "c0"], ["y"], transB=1, alpha=0.5, beta=2.0),
    ]
    constants = weights(
        1, k0=(4, 2, 3, 3), s=(4,), t=(4,), mean=(4,), k1=(4, 2, 3, 3), b1=(4,), w=(3, 4), c0=(3,)
    )
    variance = numpy_helper.from_array(np.float32([0.5, 1.0, 2.0, 0.1]), "var")
    found = compare(tmp_path, model_of(nodes, [*constants, variance], ["n", 2, 4, 4], opset=15))
    assert relu_network(found.module, (2, 4, 4)).n_outputs == 3
    assert lipschitz_graph(found.module, (2, 4, 4)).output is not None


def test_smooth_networks_become_feed_forward(tmp_path: Path) -> None:
    nodes = [
        node("Gemm", ["x", "w0", "b0"], ["a"]),
        node("Tanh", ["a"], ["b"]),
        node("Gemm", ["b", "w1"], ["c"]),
        node("Sigmoid", ["c"], ["y"]),
    ]
    found = compare(tmp_path, model_of(nodes, weights(2, w0=(3, 4), b0=(4,), w1=(4, 2)), [1, 3]))
    assert len(feed_forward(found.module, (3,)).stages) == 2


def test_shapes_that_are_computed_are_constants(tmp_path: Path) -> None:
    """Reshape to (Shape(x)[0], -1), as torch exports `x.view(len(x), -1)`."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n", "axes"], ["m"]),
        node("Concat", ["m", "rest"], ["shape"], axis=0),
        node("Reshape", ["x", "shape"], ["a"]),
        node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2.0))),
        node("Mul", ["two", "a"], ["y"]),
    ]
    zero = numpy_helper.from_array(np.array(0, dtype=np.int64), "zero")
    constants = [zero, whole("axes", 0), whole("rest", -1)]
    found = compare(tmp_path, model_of(nodes, constants, ["n", 2, 3]))
    assert [type(each).__name__ for each in found.module.children()] == ["Flatten", "Multiply"]


def test_an_input_without_a_batch_axis_gets_one(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Add", ["a", "b"], ["c"]),
        node("Relu", ["c"], ["y"]),
    ]
    found = compare(tmp_path, model_of(nodes, weights(3, w=(3, 2), b=(2,)), [3]))
    assert (found.input_shape, found.n_outputs) == ((3,), 2)
    flat = [node("Flatten", ["x"], ["y"])]
    with pytest.raises(InputError, match="input has no batch axis"):
        compare(tmp_path, model_of(flat, [], [3]))


# Operators one by one


IMAGE: Shape = ["n", 2, 5, 6]
ROW: Shape = ["n", 4]
CASES: dict[str, tuple[Sequence[Any], Sequence[Any], Shape, int]] = {
    "conv same": (
        [node("Conv", ["x", "k"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])],
        weights(4, k=(3, 2, 4, 3)),
        IMAGE,
        13,
    ),
    "conv uneven": (
        [node("Conv", ["x", "k"], ["y"], pads=[0, 1, 2, 0], dilations=[2, 1])],
        weights(5, k=(3, 2, 2, 3)),
        IMAGE,
        11,
    ),
    "conv bias by add": (
        [node("Conv", ["x", "k"], ["a"]), node("Add", ["a", "b"], ["y"])],
        weights(6, k=(3, 2, 2, 2), b=(1, 3, 1, 1)),
        IMAGE,
        13,
    ),
    "conv1d": (
        [node("Conv", ["x", "k", "b"], ["y"], strides=[2])],
        weights(7, k=(3, 2, 3), b=(3,)),
        ["n", 2, 7],
        13,
    ),
    "conv transpose": (
        [
            node(
                "ConvTranspose",
                ["x", "k", "b"],
                ["y"],
                strides=[2, 2],
                pads=[1, 1, 1, 1],
                output_padding=[1, 1],
            )
        ],
        weights(8, k=(2, 3, 3, 3), b=(3,)),
        IMAGE,
        13,
    ),
    "max pool": (
        [node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], pads=[1, 1, 1, 1])],
        [],
        IMAGE,
        12,
    ),
    "max pool uneven": (
        [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], pads=[0, 0, 1, 1], strides=[2, 2])],
        [],
        IMAGE,
        12,
    ),
    "average pool": (
        [
            node(
                "AveragePool",
                ["x"],
                ["y"],
                kernel_shape=[2, 3],
                pads=[1, 1, 1, 1],
                strides=[1, 2],
                count_include_pad=count,
            )
            for count in (0,)
        ],
        [],
        IMAGE,
        11,
    ),
    "average pool with padding": (
        [
            node(
                "AveragePool",
                ["x"],
                ["y"],
                kernel_shape=[2, 2],
                pads=[1, 1, 1, 1],
                count_include_pad=1,
            )
        ],
        [],
        IMAGE,
        11,
    ),
    "global max": ([node("GlobalMaxPool", ["x"], ["y"])], [], IMAGE, 13),
    "pad": (
        [node("Pad", ["x", "p", "v"], ["y"], mode="constant")],
        [whole("p", 0, 1, 0, 2, 0, 0, 1, 0), *weights(9, v=())],
        IMAGE,
        13,
    ),
    "pad by attributes": (
        [node("Pad", ["x"], ["y"], mode="reflect", pads=[0, 0, 1, 2, 0, 0, 0, 1])],
        [],
        IMAGE,
        9,
    ),
    "transpose": ([node("Transpose", ["x"], ["y"], perm=[0, 2, 3, 1])], [], IMAGE, 13),
    "gather": (
        [node("Gather", ["x", "i"], ["a"], axis=2), node("Gather", ["a", "j"], ["y"], axis=1)],
        [
            whole("i", 3, 0, -1),
            numpy_helper.from_array(np.array([[0, 1], [1, -1]], dtype=np.int64), "j"),
        ],
        IMAGE,
        13,
    ),
    "slice": (
        [
            node("Slice", ["x", "s", "e", "a", "t"], ["b"]),
            node("Slice", ["b", "s1", "e1", "a1"], ["y"]),
        ],
        [
            whole("s", -1, 0),
            whole("e", -(2**40), 2**40),
            whole("a", 3, 0),
            whole("t", -2, 1),
            whole("s1", 1),
            whole("e1", -1),
            whole("a1", 2),
        ],
        IMAGE,
        13,
    ),
    "slice by attributes": (
        [node("Slice", ["x"], ["y"], starts=[1, 0], ends=[99, 2], axes=[3, 2])],
        [],
        IMAGE,
        9,
    ),
    "split and concat": (
        [
            node("Split", ["x", "w"], ["a", "b"], axis=-1),
            node("Relu", ["b"], ["c"]),
            node("Concat", ["c", "a"], ["y"], axis=3),
        ],
        [whole("w", 4, 2)],
        IMAGE,
        13,
    ),
    "squeeze and unsqueeze": (
        [
            node("Unsqueeze", ["x"], ["a"], axes=[1, 3]),
            node("Squeeze", ["a"], ["b"], axes=[3]),
            node("Identity", ["b"], ["y"]),
        ],
        [],
        ROW,
        11,
    ),
    "reshape": (
        [node("Reshape", ["x", "s"], ["a"]), node("Reshape", ["a", "r"], ["y"])],
        [whole("s", 0, 3, 0, -1), whole("r", -1, 60)],
        ["n", 2, 5, 6],
        13,
    ),
    "log softmax": ([node("LogSoftmax", ["x"], ["y"])], [], ["n", 2, 3], 13),
    "clip": (
        [
            node("Clip", ["x", "zero"], ["a"]),
            node("Clip", ["x", "", "zero"], ["b"]),
            node("Clip", ["x", "zero", "one"], ["c"]),
            node("Sum", ["a", "b", "c"], ["y"]),
        ],
        [numpy_helper.from_array(np.float32(v), n) for v, n in ((0, "zero"), (1, "one"))],
        ROW,
        13,
    ),
    "clip by attributes": ([node("Clip", ["x"], ["y"], min=-0.5, max=0.5)], [], ROW, 7),
    "arithmetic": (
        [
            node("Sub", ["c", "x"], ["a"]),
            node("Div", ["a", "c"], ["b"]),
            node("Mul", ["b", "x"], ["d"]),
            node("Max", ["d", "c"], ["e"]),
            node("Min", ["e", "x"], ["f"]),
            node("Neg", ["f"], ["g"]),
            node("Abs", ["g"], ["y"]),
        ],
        weights(10, c=(4,)),
        ROW,
        13,
    ),
    "matrix on the left": (
        [node("MatMul", ["m", "x"], ["y"])],
        weights(11, m=(3, 2)),
        ["n", 2, 4],
        13,
    ),
    "reduce": (
        [
            node("ReduceMean", ["x"], ["a"], axes=[2, 3], keepdims=0),
            node("ReduceSum", ["a", "one"], ["y"], keepdims=1),
        ],
        [whole("one", 1)],
        IMAGE,
        13,
    ),
    "prelu": ([node("PRelu", ["x", "s"], ["y"])], weights(12, s=(2, 1, 1)), IMAGE, 13),
    "curves": (
        [
            node("Elu", ["x"], ["a"], alpha=0.5),
            node("Softplus", ["a"], ["b"]),
            node("Pow", ["b", "two"], ["c"]),
            node("Dropout", ["c"], ["y"]),
        ],
        [numpy_helper.from_array(np.float32(2.0), "two")],
        ROW,
        13,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_operators_agree_with_the_reference(tmp_path: Path, name: str) -> None:
    nodes, constants, shape, opset = CASES[name]
    compare(tmp_path, model_of(nodes, constants, shape, opset))


def test_softmax_before_operator_set_13_is_over_all_axes_behind(tmp_path: Path) -> None:
    """The reference evaluator has the newer meaning alone."""
    model = model_of([node("Softmax", ["x"], ["y"], axis=1)], [], ["n", 2, 3], opset=11)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    x = torch.arange(6.0).reshape(1, 2, 3)
    expected = torch.softmax(x.flatten(1), dim=1)
    assert torch.equal(onnx_module(path)(x), expected)


@pytest.mark.parametrize("seed", range(4))
def test_random_graphs_agree_and_are_traced(tmp_path: Path, seed: int) -> None:
    """Layers in random order over two strands that meet."""
    rng = np.random.default_rng(seed)
    nodes: list[Any] = []
    constants: list[Any] = []
    strands = ["x", "x"]
    for i in range(8):
        k = int(rng.integers(2))
        kind = rng.choice(["Conv", "Relu", "Add", "Sub", "LeakyRelu", "AveragePool"])
        out, name = f"t{i}", f"w{i}"
        if kind == "Conv":
            constants += weights(100 * seed + i, **{name: (2, 2, 3, 3)})
            nodes.append(node("Conv", [strands[k], name], [out], pads=[1, 1, 1, 1]))
        elif kind in ("Add", "Sub"):
            nodes.append(node(kind, [strands[k], strands[1 - k]], [out]))
        elif kind == "AveragePool":
            pool = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}
            nodes.append(node(kind, [strands[k]], [out], **pool))
        else:
            nodes.append(node(kind, [strands[k]], [out]))
        strands[k] = out
    nodes += [node("Add", strands, ["sum"]), node("Flatten", ["sum"], ["y"])]
    found = compare(tmp_path, model_of(nodes, constants, ["n", 2, 3, 3]))
    assert relu_network(found.module, (2, 3, 3)).n_outputs == 18


# What is refused


@pytest.mark.parametrize(
    ("nodes", "constants", "shape", "message"),
    [
        (
            [node("Relu", ["x"], ["a"]), node("TopK", ["a", "k"], ["y", "i"], name="best")],
            [whole("k", 1)],
            ROW,
            "node 'best': operator TopK is not supported: known are Abs, Add",
        ),
        ([node("Relu", ["z"], ["y"])], [], ROW, "node 'y' .Relu.: takes 'z', which nothing makes"),
        (
            [node("Reshape", ["x", "s"], ["y"])],
            [whole("s", 4, 1)],
            ["n", 4],
            r"makes the shape \(4, 1\) of one input: the batch axis must stay in front",
        ),
        (
            [node("Transpose", ["x"], ["y"], perm=[1, 0])],
            [],
            ROW,
            r"moves the batch axis: perm \[1, 0\]",
        ),
        ([node("Softmax", ["x"], ["y"], axis=0)], [], ROW, "works along the batch axis"),
        (
            [node("MatMul", ["x", "w"], ["y"])],
            weights(0, w=(3, 2)),
            ROW,
            "fails on inputs of these shapes",
        ),
        (
            [node("Add", ["x", "w"], ["y"])],
            [numpy_helper.from_array(np.ones(4), "w")],
            ROW,
            "input 1 has the type float64: only float32 is known",
        ),
        (
            [node("Add", ["x", "w"], ["y"])],
            [numpy_helper.from_array(np.float32([1, np.inf, 0, 0]), "w")],
            ROW,
            "has a value that is not finite",
        ),
        ([node("Relu", ["x"], ["y"])], [], [4, 4], "the first axis must be that of the batch"),
        ([node("Relu", ["x"], ["y"])], [], ["n", "m"], "other than that of the batch is open"),
        ([node("Relu", ["w"], ["y"])], weights(0, w=(4,)), ROW, "output does not depend"),
    ],
)
def test_what_is_not_supported_is_named(
    tmp_path: Path, nodes: Sequence[Any], constants: Sequence[Any], shape: Shape, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        compare(tmp_path, model_of(nodes, constants, shape))


def test_files_that_are_no_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        onnx_module(path)
    path.write_bytes(b"\xff not a network")
    with pytest.raises(InputError, match="is no ONNX file"):
        onnx_module(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="its graph has no nodes"):
        onnx_module(path)
    old = model_of([node("Relu", ["x"], ["y"])], [], ROW, opset=6)
    with pytest.raises(InputError, match="operator set 6: known are those from 7 on"):
        compare(tmp_path, old)


def test_weights_in_other_files_are_read_beside_the_file_alone(tmp_path: Path) -> None:
    model = model_of([node("Add", ["x", "w"], ["y"])], weights(0, w=(4,)), ROW)
    expected = numpy_helper.to_array(model.graph.initializer[0])
    folder = tmp_path / "inner"
    folder.mkdir()
    path = folder / "net.onnx"
    size = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    onnx.save(model, str(path), **size)
    found = onnx_module(path)(torch.zeros(1, 4))
    assert np.array_equal(found[0].numpy(), expected)
    (folder / "w.bin").rename(tmp_path / "w.bin")
    with pytest.raises(InputError, match=r"the weights 'w' in 'w\.bin': it must be a file"):
        onnx_module(path)
    text = path.read_bytes().replace(b"w.bin", b"../w.")
    path.write_bytes(text)
    with pytest.raises(InputError, match="it must be a file beside it"):
        onnx_module(path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'advbounds\[onnx\]'"):
        onnx_module(tmp_path / "net.onnx")
