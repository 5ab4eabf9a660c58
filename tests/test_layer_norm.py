"""Norms of layers on their true input size: torch's own maps, dense SVD, 40 digits, brute force."""

import itertools
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import torch
from torch import nn

from theory.lipschitz.convolution import gram_iteration_upper, torus_upper
from theory.lipschitz.convolution.factorised import (
    _dense_band,
    _pairwise_band,
    band,
    factorised_upper,
)
from theory.lipschitz.convolution.norm import cropped
from theory.lipschitz.convolution.torus import periods, sampled
from theory.lipschitz.layers import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    ChannelScale,
    Convolution,
    MaxPooling,
    described,
    folded,
    layer_norm,
    matrix,
    output_shape,
)
from theory.norms import operator_norm

INF = np.inf
CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Any] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}


def by_torch(module: nn.Module, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
    """The matrix that torch applies, by its values at a basis, and the shape of its outputs."""
    size = int(np.prod(shape))
    with torch.no_grad():
        images = module(torch.eye(size, dtype=torch.float64).reshape(size, *shape))
    return images.flatten(1).numpy().T, tuple(images.shape[1:])


def random_module(rng: np.random.Generator, d: int, transposed: bool) -> tuple[Any, Any]:
    """A convolution of torch and an input shape that it fits."""

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(v) for v in rng.integers(low, high, d))

    groups = int(rng.choice([1, 1, 2, 3]))
    n, m = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
    stride, dilation, kernel, padding = each(1, 4), each(1, 3), each(1, 5 - (d == 3)), each(0, 3)
    extra = {}
    if transposed:
        most = (max(s, r) for s, r in zip(stride, dilation, strict=True))
        extra = {"output_padding": tuple(int(rng.integers(0, k)) for k in most)}
    kind = (TRANSPOSED if transposed else CONVOLUTIONS)[d]
    module = kind(
        *(n, m, kernel),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=False,
        dtype=torch.float64,
        **extra,
    )
    return module, (n, *each(*{1: (7, 15), 2: (5, 9), 3: (3, 6)}[d]))


def drawn(rng: np.random.Generator, d: int, transposed: bool) -> tuple[Any, Any, np.ndarray]:
    """A convolution of torch, an input shape and its matrix; drawn again where none is left."""
    while True:
        module, shape = random_module(rng, d, transposed)
        try:
            dense, after = by_torch(module, shape)
        except RuntimeError:
            with pytest.raises(ValueError, match="leaves no output"):
                layer_norm(module, shape)
            continue
        assert output_shape(module, shape) == after
        return module, shape, dense


@pytest.mark.parametrize(("d", "transposed"), list(itertools.product((1, 2, 3), (False, True))))
def test_against_torch_and_dense_svd(d: int, transposed: bool) -> None:
    rng = np.random.default_rng()
    for _ in range(6):
        module, shape, dense = drawn(rng, d, transposed)
        assert np.array_equal(matrix(module, shape).toarray(), dense)
        true = float(np.linalg.norm(dense, 2))
        norm = layer_norm(module, shape)
        assert norm.lower <= true * (1 + 1e-13)
        assert true * (1 - 1e-13) <= norm.upper <= true * (1 + 1e-9) + 1e-12
        assert norm.lower >= true * (1 - 1e-5)
        for method in ("torus", "gram"):
            other = layer_norm(module, shape, method=method)
            assert other.lower <= true * (1 + 1e-13) <= other.upper * (1 + 2e-13)


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_other_paddings_are_torchs(mode: str) -> None:
    rng = np.random.default_rng()
    for d, stride in itertools.product((1, 2), (1, 2)):
        n, m, k = (int(v) for v in rng.integers(1, 4, 3))
        padding = int(rng.integers(1, 4))
        shape = (n, *(int(v) for v in rng.integers(4, 8, d)))
        if min(shape[1:]) + 2 * padding < k:
            continue
        module = CONVOLUTIONS[d](
            *(n, m, k),
            stride=stride,
            padding=padding,
            padding_mode=mode,
            bias=False,
            dtype=torch.float64,
        )
        dense, after = by_torch(module, shape)
        assert output_shape(module, shape) == after
        np.testing.assert_allclose(matrix(module, shape).toarray(), dense, rtol=0, atol=1e-14)
        true = float(np.linalg.norm(dense, 2))
        for method in ("auto", "dense", "torus", "gram"):
            norm = layer_norm(module, shape, method=method)
            assert norm.lower <= true * (1 + 1e-13)
            assert norm.upper >= true * (1 - 1e-13)
            if method in ("auto", "dense"):
                assert norm.upper <= true * (1 + 1e-9)
        for p in (1, INF):
            norm = layer_norm(module, shape, p)
            assert norm.lower <= np.linalg.norm(dense, p) * (1 + 1e-13)
            assert np.linalg.norm(dense, p) * (1 - 1e-13) <= norm.upper <= norm.lower * (1 + 1e-9)


def test_cancelling_entries_are_summed_before_the_norm() -> None:
    # On one position, replicated, the two entries of the kernel cancel.
    difference = Convolution(np.array([[[1.0, -1.0]]]), padding=((0, 1),), padding_mode="replicate")
    for p in (1, 2, INF):
        norm = layer_norm(difference, (1, 1), p)
        assert norm.lower == 0
        assert norm.upper < 1e-7


@pytest.mark.parametrize("transposed", [False, True])
def test_line_norms_are_those_of_the_matrix(transposed: bool) -> None:
    rng = np.random.default_rng()
    for d in (1, 2, 3):
        module, shape, dense = drawn(rng, d, transposed)
        for p, q in [(1, 1), (1, 2), (1, 3.5), (1, INF), (2, INF), (3.5, INF), (INF, INF)]:
            norm = layer_norm(module, shape, p, q)
            true = operator_norm(dense, p, q)
            assert max(norm.lower, true.lower) <= min(norm.upper, true.upper)
            assert norm.upper <= norm.lower * (1 + 1e-11)


def test_upper_ends_hold_in_40_digits() -> None:
    rng = np.random.default_rng()
    with mp.workdps(40):
        for _ in range(4):
            kernel = rng.normal(size=(2, 1, 3)) * 10.0 ** rng.integers(-6, 6, (2, 1, 3))
            layer = Convolution(kernel, stride=int(rng.integers(1, 3)), padding=1)
            dense = matrix(layer, (1, 7)).toarray()
            gram = mp.matrix(dense.tolist()).T * mp.matrix(dense.tolist())
            true = mp.sqrt(max(mp.eigsy(gram, eigvals_only=True)))
            for method in ("dense", "torus", "gram"):
                norm = layer_norm(layer, (1, 7), method=method)
                assert mp.mpf(norm.lower) <= true <= mp.mpf(norm.upper)
            largest = max(mp.fsum(abs(mp.mpf(v)) for v in column) for column in dense.T.tolist())
            assert mp.mpf(layer_norm(layer, (1, 7), 1).lower) <= largest
            assert largest <= mp.mpf(layer_norm(layer, (1, 7), 1).upper)


KERNELS = [
    (16, 3, 3, 1, 1, 16),
    (16, 16, 3, 1, 1, 16),
    (32, 16, 4, 2, 1, 14),
    (64, 32, 4, 2, 1, 7),
    (64, 32, 4, 2, 1, 8),
    (32, 1, 4, 2, 1, 28),
    (32, 16, 3, 2, 1, 16),
    (32, 16, 5, 2, 2, 16),
]


@pytest.mark.parametrize(("m", "n", "k", "stride", "padding", "side"), KERNELS)
def test_kernel_classes(m: int, n: int, k: int, stride: int, padding: int, side: int) -> None:
    kernel = np.random.default_rng().normal(size=(m, n, k, k))
    layer, shape = Convolution(kernel, stride, padding), (n, side, side)
    norm = layer_norm(layer, shape)
    assert norm.upper <= norm.lower * (1 + 1e-8)
    torus = layer_norm(layer, shape, method="torus")
    assert torus.lower <= norm.upper
    assert norm.lower <= torus.upper <= norm.upper * 1.075


def test_the_half_turned_torus_is_below_the_plain_one() -> None:
    # All positive: on the plain torus, of whatever size, the constant image gives the kernel's sum.
    kernel = np.random.default_rng().uniform(0.5, 1.0, (1, 1, 3, 3))
    layer = Convolution(kernel, padding=1)
    found = torus_upper(layer.on((1, 8, 8)))
    norm = layer_norm(layer, (1, 8, 8))
    assert norm.lower <= found
    assert found - norm.upper < 0.2 * (kernel.sum() - norm.upper)


def test_circular_convolutions_are_exact_on_the_torus() -> None:
    rng = np.random.default_rng()
    for stride in (1, 2):
        layer = Convolution(rng.normal(size=(5, 4, 3, 3)), stride, 1, padding_mode="circular")
        true = np.linalg.norm(matrix(layer, (4, 8, 6)).toarray(), 2)
        upper = torus_upper(layer.on((4, 8, 6)))
        assert true * (1 - 1e-13) <= upper <= true * (1 + 1e-10)


def test_coarse_samples_bound_every_size() -> None:
    rng = np.random.default_rng()
    layer = Convolution(rng.normal(size=(3, 2, 3, 3)), 1, 1)
    given = layer.on((2, 40, 40))
    for share in (0.2, 0.5):
        period = sampled(given.axes[0], share)
        assert period.size < periods(given.axes[0])[0].size
        assert period.factor > 1
    coarse = torus_upper(given, budget=1.0)
    assert torus_upper(given) <= coarse <= 2.1 * torus_upper(given)
    small = layer_norm(layer, (2, 40, 40), method="torus", budget=1e5)
    norm = layer_norm(layer, (2, 40, 40), method="torus")
    assert small.lower <= norm.upper
    assert norm.lower <= small.upper


def test_a_part_of_the_input_has_a_block_of_the_matrix() -> None:
    rng = np.random.default_rng()
    for _ in range(5):
        module, shape, _ = drawn(rng, 2, bool(rng.integers(2)))
        layer = Convolution(
            module.weight.detach().numpy(),
            *(module.stride, module.padding, module.dilation, module.groups, module.transposed),
            module.output_padding,
        )
        given = layer.on(shape)
        part = cropped(given, 0.6)
        g, m = given.weight.shape[:2]
        n = given.weight.shape[2]
        whole = given.matrix().toarray().reshape(g * m, *given.outputs, g * n, *given.spatial)
        kept = part.matrix().toarray().reshape(g * m, *part.outputs, g * n, *part.spatial)
        (t, u), (a, b) = part.outputs, part.spatial
        assert np.array_equal(whole[:, :t, :u, :, :a, :b], kept)


def test_the_factorisation_refutes_a_value_below_the_norm() -> None:
    layer = Convolution(np.random.default_rng().normal(size=(3, 2, 3, 3)), 1, 1)
    given, _ = layer.on((2, 6, 6)).scaled()
    true = np.linalg.norm(given.matrix().toarray(), 2)
    for side in ("outputs", "inputs"):
        assert true <= factorised_upper(given, side, true) <= true * (1 + 1e-9)  # type: ignore[arg-type]
        with pytest.raises(ArithmeticError, match="could be proved"):
            factorised_upper(given, side, true * (1 - 1e-5))  # type: ignore[arg-type]


def test_both_ways_to_the_gram_matrix_agree() -> None:
    rng = np.random.default_rng()
    for transposed in (False, True):
        module, shape, _ = drawn(rng, 2, transposed)
        given = described(module).on(shape).group(0)
        m, n = given.weight.shape[1:3]
        dense = given.matrix().toarray().reshape(m, -1, n, int(np.prod(given.spatial)))
        dense = dense.transpose(1, 0, 3, 2).reshape(dense.shape[0] * dense.shape[1], -1)
        for side in ("outputs", "inputs"):
            gram = dense @ dense.T if side == "outputs" else dense.T @ dense
            size, width = band(given, side)
            assert size == len(gram)
            assert not np.tril(gram, -width - 1).any()
            for way in (_dense_band, _pairwise_band):
                found = way(given, side, width)
                for j in range(size):
                    line = gram[j : j + width + 1, j]
                    np.testing.assert_allclose(found[j, : len(line)], line, rtol=0, atol=1e-13)
                    assert not found[j, len(line) :].any()


def test_groups_of_zeros() -> None:
    kernel = np.random.default_rng().normal(size=(4, 1, 3))
    alone = layer_norm(Convolution(kernel[1:2]), (1, 9))
    kernel[0], kernel[2], kernel[3] = 0.0, 1e-170, 1e-300
    for method in ("auto", "torus", "gram"):
        norm = layer_norm(Convolution(kernel, groups=4), (4, 9), method=method)
        assert norm.lower <= alone.upper
        assert alone.lower <= norm.upper


def test_a_kernel_as_large_as_the_input() -> None:
    kernel = np.random.default_rng().normal(size=(6, 3, 12, 12))
    layer = Convolution(kernel)
    norm, true = layer_norm(layer, (3, 12, 12)), np.linalg.norm(kernel.reshape(6, -1), 2)
    assert norm.lower <= true * (1 + 1e-13) <= norm.upper * (1 + 2e-13) <= true * (1 + 1e-8)


def test_gram_iteration_falls_to_the_norm() -> None:
    rng = np.random.default_rng()
    blocks = rng.normal(size=(4, 7, 5)) + 1j * rng.normal(size=(4, 7, 5))
    true = np.linalg.norm(blocks, 2, axis=(1, 2))
    found = np.array([gram_iteration_upper(blocks, t) for t in range(1, 12)])
    assert np.all(found >= true)
    assert np.all(np.diff(found, axis=0) <= 1e-12)
    rank = 5.0 ** (0.5 ** np.arange(2, 13)[:, None])
    assert np.all(found <= true * rank * (1 + 1e-9))
    np.testing.assert_allclose(gram_iteration_upper(np.zeros((2, 3, 3)), 4), 0)


def test_scaling_and_duality() -> None:
    rng = np.random.default_rng()
    kernel = rng.normal(size=(4, 3, 3, 3))
    layer = Convolution(kernel, 2, 1)
    norm = layer_norm(layer, (3, 8, 8))
    for factor in (-4.0, 2.0**300, 2.0**-300):
        other = layer_norm(Convolution(factor * kernel, 2, 1), (3, 8, 8))
        assert other.lower == norm.lower * abs(factor)
        assert other.upper == norm.upper * abs(factor)
    back = Convolution(kernel, 2, 1, transposed=True, output_padding=1)
    assert output_shape(back, (4, 4, 4)) == (3, 8, 8)
    for p, q in [(2, 2), (1, 1), (1, 3), (2, INF)]:
        one = layer_norm(layer, (3, 8, 8), p, q)
        dual = {1: INF, 2: 2, 3: 1.5, INF: 1}
        two = layer_norm(back, (4, 4, 4), dual[q], dual[p])
        assert max(one.lower, two.lower) <= min(one.upper, two.upper)
    small, back = (
        Convolution(kernel[:2, :1, 0], 1, 1),
        Convolution(kernel[:2, :1, 0], 1, 1, transposed=True),
    )
    one, two = layer_norm(small, (1, 6), INF, 1), layer_norm(back, (2, 6), INF, 1)
    assert max(one.lower, two.lower) <= min(one.upper, two.upper)


def test_intervals_of_all_exponents_are_ordered_and_hold_sampled_values() -> None:
    rng = np.random.default_rng()
    layer = Convolution(rng.normal(size=(2, 2, 3)), padding="same")
    dense = matrix(layer, (3, 2, 5)).toarray()  # three inputs at once
    x = rng.normal(size=(dense.shape[1], 500))
    for p, q in itertools.product((1, 1.5, 2, INF), repeat=2):
        norm = layer_norm(layer, (3, 2, 5), p, q)
        ratios = np.linalg.norm(dense @ x, q, axis=0) / np.linalg.norm(x, p, axis=0)
        assert ratios.max() <= norm.upper * (1 + 1e-12)
        whole = operator_norm(dense, p, q)
        assert max(norm.lower, whole.lower) <= min(norm.upper, whole.upper) * (1 + 1e-12)


def test_linear_layers() -> None:
    rng = np.random.default_rng()
    module = nn.Linear(5, 4, dtype=torch.float64)
    weight = module.weight.detach().numpy()
    for layer in (module, module.weight, weight, weight.tolist()):
        assert layer_norm(layer, (5,)).upper == layer_norm(weight, (5,)).upper
        assert output_shape(layer, (2, 5)) == (2, 4)
    assert np.array_equal(matrix(module, (2, 5)).toarray(), np.kron(np.eye(2), weight))
    both = layer_norm(weight, (2, 5), INF, 1)
    whole = operator_norm(np.kron(np.eye(2), weight), INF, 1)
    assert both.lower == pytest.approx(whole.lower, rel=1e-9)
    small = rng.normal(size=(10, 784))
    norm, true = layer_norm(small, (784,)), np.linalg.norm(small, 2)
    assert norm.lower <= true * (1 + 1e-14) <= norm.upper * (1 + 2e-14) <= true * (1 + 1e-8)


AVERAGES = [
    (nn.AvgPool1d(3, 2, 1), (2, 9)),
    (nn.AvgPool2d(2), (3, 7, 6)),
    (nn.AvgPool2d(3, 2, 1, ceil_mode=True), (2, 6, 7)),
    (nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (2, 6, 7)),
    (nn.AvgPool2d((3, 2), (1, 2), (1, 0), divisor_override=5), (2, 5, 6)),
    (nn.AvgPool3d(2, 1), (1, 3, 4, 3)),
    (nn.AdaptiveAvgPool2d((3, None)), (2, 7, 4)),
    (nn.AdaptiveAvgPool1d(1), (2, 6)),
]


@pytest.mark.parametrize(("module", "shape"), AVERAGES)
def test_average_pools(module: nn.Module, shape: tuple[int, ...]) -> None:
    dense, after = by_torch(module, shape)
    assert output_shape(module, shape) == after
    np.testing.assert_allclose(matrix(module, shape).toarray(), dense, rtol=1e-15, atol=0)
    for p, q in [(1, 1), (2, 2), (INF, INF), (1, 2), (2, INF), (2, 3), (3, 2), (INF, 2)]:
        norm, true = layer_norm(module, shape, p, q), operator_norm(dense, p, q)
        assert max(norm.lower, true.lower) <= min(norm.upper, true.upper) * (1 + 1e-13)
        if p == q:
            assert norm.upper <= norm.lower * (1 + 1e-8)


MAXIMA = [
    (nn.MaxPool1d(3, 1, 1), (2, 6)),
    (nn.MaxPool1d(2, 1, dilation=2), (1, 7)),
    (nn.MaxPool2d(2), (2, 4, 5)),
    (nn.MaxPool2d(3, 2, 1), (1, 5, 6)),
    (nn.MaxPool2d(3, 2, ceil_mode=True), (2, 6, 5)),
    (nn.AdaptiveMaxPool2d(3), (1, 5, 4)),
]


@pytest.mark.parametrize(("module", "shape"), MAXIMA)
def test_max_pools(module: nn.Module, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng()
    size = int(np.prod(shape))

    def pooled(x: np.ndarray) -> np.ndarray:
        images = module(torch.from_numpy(x.reshape(-1, *shape)))
        return np.asarray(images.flatten(1).numpy())

    assert output_shape(module, shape) == tuple(module(torch.zeros(1, *shape)).shape[1:])
    # In how many windows each position is: change it alone where it is the largest of all.
    peaks = 5.0 * np.eye(size)
    windows = (pooled(peaks) != pooled(peaks * 2)).sum(axis=1)
    for p in (1, 2, INF):
        norm = layer_norm(module, shape, p)
        true = 1.0 if p == INF else windows.max() ** (1 / p)
        assert norm.lower <= true * (1 + 1e-15)
        assert true <= norm.upper * (1 + 1e-15) <= true * (1 + 1e-12)
    x, y = rng.normal(size=(2, 400, size))
    y = x + 10.0 ** rng.uniform(-6, 0, (400, 1)) * y
    for p, q in itertools.product((1, 1.5, 2, 4, INF), repeat=2):
        norm = layer_norm(module, shape, p, q)
        change = np.linalg.norm(pooled(x) - pooled(y), q, axis=1)
        assert np.all(change <= norm.upper * np.linalg.norm(x - y, p, axis=1) * (1 + 1e-9))
    # All values move together.
    count = int(np.prod(output_shape(module, shape)))
    assert layer_norm(module, shape, INF, 1).upper == count
    with pytest.raises(ValueError, match="not linear"):
        matrix(module, shape)


@pytest.mark.parametrize("seed", range(3))
def test_max_pools_between_the_norms_by_all_selections(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kernel, stride, side = int(rng.integers(2, 4)), int(rng.integers(1, 3)), int(rng.integers(4, 7))
    layer = MaxPooling((kernel,), stride)
    outputs = output_shape(layer, (side,))[0]
    # Every order of the values is a selection: the first member of each window.
    best = dict.fromkeys(((2, 1), (3, 2), (4, 1.5)), 0.0)
    for order in itertools.permutations(range(side)):
        rank = np.argsort(order)
        picked = [i * stride + int(rank[i * stride :][:kernel].argmin()) for i in range(outputs)]
        counts = np.bincount(picked).astype(float)
        for p, q in best:
            best[p, q] = max(best[p, q], np.sum(counts ** (p / (p - q))) ** (1 / q - 1 / p))
    for (p, q), true in best.items():
        norm = layer_norm(layer, (side,), p, q)
        assert norm.lower <= true * (1 + 1e-12)
        assert true <= norm.upper * (1 + 1e-12)


def test_batch_normalisation_is_folded() -> None:
    rng = np.random.default_rng()
    for transposed in (False, True):
        module, shape, dense = drawn(rng, 2, transposed)
        norms = [nn.BatchNorm2d(c, dtype=torch.float64) for c in (shape[0], module.out_channels)]
        for each in norms:
            each.running_var.copy_(torch.rand(len(each.running_var)) + 0.5)
            nn.init.normal_(each.weight)
            with pytest.raises(ValueError, match="eval"):
                layer_norm(each, shape)
            each.eval()
        before, after = (
            (each.weight / torch.sqrt(each.running_var + each.eps)).detach().numpy()
            for each in norms
        )
        layer = Convolution(
            module.weight.detach().numpy(),
            *(module.stride, module.padding, module.dilation, module.groups, transposed),
            module.output_padding,
        )
        both = folded(layer, before, after)
        rows, columns = len(dense) // len(after), dense.shape[1] // len(before)
        expected = np.repeat(after, rows)[:, None] * dense * np.repeat(before, columns)
        np.testing.assert_allclose(matrix(both, shape).toarray(), expected, rtol=1e-14, atol=1e-300)
        true = np.linalg.norm(expected, 2)
        norm = layer_norm(both, shape)
        assert norm.lower <= true * (1 + 1e-13) <= norm.upper * (1 + 2e-13)
        scale = layer_norm(norms[0], shape)
        assert scale.lower <= np.abs(before).max() <= scale.upper <= scale.lower * (1 + 1e-13)
        with pytest.raises(ValueError, match="scale_after"):
            folded(layer, scale_after=np.ones(len(after) + 1))


def test_scales() -> None:
    layer = ChannelScale(np.random.default_rng().normal(size=3))
    for p, q in itertools.product((1, 1.7, 2, INF), repeat=2):
        norm = layer_norm(layer, (3, 2, 2), p, q)
        whole = operator_norm(matrix(layer, (3, 2, 2)), p, q)
        assert max(norm.lower, whole.lower) <= min(norm.upper, whole.upper) * (1 + 1e-12)
        assert norm.upper <= norm.lower * (1 + 1e-10)
    assert layer_norm(ChannelScale(np.zeros(2)), (2, 5), INF, 1).upper == 0


def test_zero_and_unread_kernels() -> None:
    assert layer_norm(Convolution(np.zeros((2, 2, 3))), (2, 5)).upper == 0
    # Only the middle of a wide kernel falls on a single position; its huge ends do not.
    wide = Convolution(np.array([[[1e200, 3.0, 1e200]]]), padding=1)
    for p in (1, 2, INF):
        norm = layer_norm(wide, (1, 1), p)
        assert norm.lower == pytest.approx(3.0, rel=1e-9)
        assert 3.0 <= norm.upper <= 3.0 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("layer", "shape", "settings", "message"),
    [
        (Convolution(np.ones((2, 3, 3))), (2, 9), {}, "3 input channels"),
        (Convolution(np.ones((2, 3, 3))), (3, 2), {}, "leaves no output"),
        (Convolution(np.ones((2, 3, 3))), (9,), {}, "2 axes"),
        (Convolution(np.ones((2, 3, 3)), stride=2, padding="same"), (3, 9), {}, "stride 1"),
        (Convolution(np.ones((2, 3, 3)), stride=0), (3, 9), {}, "stride"),
        (Convolution(np.ones((2, 3, 3)), stride=(1, 1)), (3, 9), {}, "stride"),
        (Convolution(np.ones((2, 3, 3)), padding="full"), (3, 9), {}, "padding"),
        (Convolution(np.ones((2, 3, 3)), padding_mode="mirror"), (3, 9), {}, "padding_mode"),
        (Convolution(np.ones((1, 1, 3)), 1, 5, padding_mode="reflect"), (1, 4), {}, "reflect"),
        (
            Convolution(np.ones((1, 1, 3)), transposed=True, output_padding=1),
            (1, 4),
            {},
            "output_p",
        ),
        (Convolution(np.ones((1, 1, 3))), (1, 9), {"p": 0.5}, "in \\[1, inf\\]"),
        (Convolution(np.ones((1, 1, 3))), (1, 9), {"method": "svd"}, "method"),
        (np.ones((2, 3)), (4,), {}, "does not fit"),
        (np.array([[np.nan]]), (1,), {}, "not finite"),
        (np.ones(3), (3,), {}, "shape"),
        (np.ones((2, 3)), (), {}, "input shape"),
        (ChannelScale(np.ones(2)), (3, 4), {}, "2 channels"),
        (MaxPooling(5), (1, 3), {}, "leaves no output"),
        (MaxPooling(3, 1, 2), (1, 9), {}, "half its kernel"),
        (AveragePooling((2, 2)), (4,), {}, "does not fit"),
        (AdaptiveAveragePooling(0), (1, 4), {}, "output_size"),
        (AdaptiveMaxPooling((1, 1, 1)), (4, 4), {}, "does not fit"),
        (nn.LSTM(2, 2), (2,), {}, "type LSTM"),
        (nn.Embedding(2, 2), (2,), {}, "type Embedding"),
        ("conv", (2,), {}, "type str"),
    ],
)
def test_bad_input(
    layer: object, shape: tuple[int, ...], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        layer_norm(layer, shape, **settings)


@pytest.mark.parametrize(
    ("weight", "settings", "message"),
    [
        (np.full((1, 1, 3), np.inf), {}, "not finite"),
        (np.ones((3, 3)), {}, "one to three"),
        (np.ones((3, 1, 3)), {"groups": 2}, "groups"),
        (np.ones((1, 1, 3)), {"transposed": True, "padding_mode": "circular"}, "with zeros"),
    ],
)
def test_bad_convolutions(weight: np.ndarray, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Convolution(weight, **settings)


def test_a_band_beyond_memory_is_refused_with_its_size() -> None:
    layer = Convolution(np.ones((64, 64, 3, 3)), padding=1)
    with pytest.raises(ValueError, match=r"GiB: use method 'torus'"):
        layer_norm(layer, (64, 64, 64), method="dense")
