"""Linear operators of torch as matrices on flattened inputs.

A weight is placed where the operator itself puts it: index images and one-hot images go through
torch, so that padding, stride, dilation and ceil_mode are torch's own and nothing is rounded.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import nn

from theory.arrays import FloatArray
from theory.relu.layer import Matrix

Shape = tuple[int, ...]
Linear = Callable[[torch.Tensor], torch.Tensor]

_SPARSE_BELOW = 0.2
_SMALL = 4096
"""Matrices of fewer entries are kept dense, whatever their density."""
_CHUNK = 2**23
"""Entries of basis vectors that go through an operator at once."""
_CONVOLUTIONS: dict[int, Callable[..., torch.Tensor]] = {
    1: nn.functional.conv1d,
    2: nn.functional.conv2d,
    3: nn.functional.conv3d,
}


def compact(matrix: Any) -> Matrix:  # noqa: ANN401
    """Return a matrix as a csr_array where few of its entries are not 0, else as an ndarray."""
    size = int(np.prod(matrix.shape))
    held_sparse = sparse.issparse(matrix)
    filled = matrix.nnz if held_sparse else np.count_nonzero(matrix)
    if size < _SMALL or filled >= _SPARSE_BELOW * size:
        return np.asarray(matrix.toarray() if held_sparse else matrix, dtype=np.float64)
    return sparse.csr_array(matrix, dtype=np.float64)


def stack(matrices: Sequence[Matrix]) -> Matrix:
    """Return matrices on top of each other."""
    if len(matrices) == 1:
        return matrices[0]
    return compact(sparse.vstack([sparse.csr_array(each) for each in matrices], format="csr"))


def picks(indices: npt.ArrayLike, n: int) -> Matrix:
    """Return the matrix whose row i picks coordinate indices[i] of n, or nothing if it is -1.

    Examples
    --------
    >>> picks([2, -1], 3).tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    chosen = np.asarray(indices, dtype=np.intp).ravel()
    rows = np.flatnonzero(chosen >= 0)
    entries = (np.ones(len(rows)), (rows, chosen[rows]))
    return compact(sparse.csr_array(entries, shape=(len(chosen), n)))


def array(tensor: torch.Tensor) -> FloatArray:
    """Return a tensor as float64."""
    return np.asarray(tensor.detach().cpu().double().numpy())


def size_of(shape: Sequence[int]) -> int:
    """Return the number of entries of a shape."""
    return math.prod(shape)


def dense_layer(weight: torch.Tensor, shape: Shape) -> tuple[Matrix, Shape]:
    """Return x -> x W^T on the last axis as a matrix, and the shape of its outputs.

    Parameters
    ----------
    weight : Tensor, shape (m, n)
    shape : tuple of int
        Shape (..., n) of the input.
    """
    matrix, leading = array(weight), size_of(shape[:-1])
    if leading == 1:
        return compact(matrix), (*shape[:-1], len(matrix))
    blocks = sparse.kron(sparse.eye_array(leading), matrix, format="csr")
    return compact(blocks), (*shape[:-1], len(matrix))


def _taps(
    kernel: Shape, spatial: Shape, geometry: tuple[Any, Any, Any], outputs: Shape | None = None
) -> tuple[npt.NDArray[np.intp], Shape]:
    """Return the input position under each kernel entry at each output position, -1 for padding.

    Shape (kernel entries, output positions), and the spatial shape of the outputs.
    """
    stride, padding, dilation = geometry
    index = torch.arange(1.0, size_of(spatial) + 1, dtype=torch.float64).reshape(1, 1, *spatial)
    one_hot = torch.eye(size_of(kernel), dtype=torch.float64).reshape(-1, 1, *kernel)
    seen = _CONVOLUTIONS[len(spatial)](index, one_hot, None, stride, padding, dilation)[0]
    if outputs is not None:
        seen = seen[(slice(None), *(slice(side) for side in outputs))]
    positions = seen.flatten(1).round().long().numpy() - 1
    return np.asarray(positions, dtype=np.intp), tuple(seen.shape[1:])


def _place(
    weight: FloatArray, taps: npt.NDArray[np.intp], n_positions: int, groups: int
) -> sparse.csr_array[np.float64, tuple[int, int]]:
    """Return the matrix of a convolution with a weight of shape (m, n / groups, kernel entries)."""
    n_out, n_in, _ = weight.shape
    entry, to = np.nonzero(taps >= 0)
    source = taps[entry, to]
    out_channel = np.arange(n_out)[:, None, None]
    in_channel = out_channel // (n_out // groups) * n_in + np.arange(n_in)[None, :, None]
    rows, columns = out_channel * taps.shape[1] + to, in_channel * n_positions + source
    values = weight[:, :, entry]
    rows, columns = np.broadcast_to(rows, values.shape), np.broadcast_to(columns, values.shape)
    shape = (n_out * taps.shape[1], groups * n_in * n_positions)
    return sparse.csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=shape)


def convolution(
    weight: torch.Tensor,
    shape: Shape,
    stride: Any = 1,  # noqa: ANN401
    padding: Any = 0,  # noqa: ANN401
    dilation: Any = 1,  # noqa: ANN401
    groups: int = 1,
) -> tuple[Matrix, Shape]:
    """Return a convolution in one, two or three dimensions, and the shape of its outputs.

    Parameters
    ----------
    weight : Tensor, shape (m, n / groups, *kernel)
    shape : tuple of int
        Shape (..., n, *spatial) of the input: one image.
    stride, padding, dilation, groups
        As in torch; the padding is with zeros.
    """
    kernel = tuple(weight.shape[2:])
    spatial = shape[-len(kernel) :]
    taps, after = _taps(kernel, spatial, (stride, padding, dilation))
    matrix = _place(array(weight.flatten(2)), taps, size_of(spatial), groups)
    return compact(matrix), (*shape[: -len(kernel) - 1], len(weight), *after)


def transposed_convolution(
    weight: torch.Tensor,
    shape: Shape,
    output_shape: Shape,
    stride: Any = 1,  # noqa: ANN401
    padding: Any = 0,  # noqa: ANN401
    dilation: Any = 1,  # noqa: ANN401
    groups: int = 1,
) -> Matrix:
    """Return a transposed convolution: the transpose of the convolution from outputs to inputs.

    Parameters
    ----------
    weight : Tensor, shape (n, m / groups, *kernel)
    shape, output_shape : tuple of int
        Shapes (..., n, *spatial) and (..., m, *spatial) of one image and its output.
    stride, padding, dilation, groups
        As in torch.
    """
    kernel = tuple(weight.shape[2:])
    spatial, after = shape[-len(kernel) :], output_shape[-len(kernel) :]
    # An output padding beyond the stride lets the convolution go on past the inputs: cut there.
    taps, _ = _taps(kernel, after, (stride, padding, dilation), spatial)
    return compact(_place(array(weight.flatten(2)), taps, size_of(after), groups).T)


def channelwise(
    call: Linear, shape: Shape, dimensions: int
) -> tuple[sparse.csr_array[np.float64, tuple[int, int]], Shape]:
    """Return what an operator makes of the one-hot images of one channel, and its output's shape.

    Parameters
    ----------
    call : callable
        Images (n, 1, *spatial) to images, the same for every channel and without a constant.
    shape : tuple of int
        Shape (..., *spatial) of the input.
    dimensions : int
        How many axes are spatial.

    Returns
    -------
    csr_array, shape (output positions, positions)
        The matrix of a linear operator (an average); the members of each window of a maximum.
    tuple of int
    """
    spatial = shape[len(shape) - dimensions :]
    size = size_of(spatial)
    blocks, after = [], spatial
    for rows in np.array_split(np.arange(size), math.ceil(size * size / _CHUNK)):
        images = torch.zeros(len(rows), size, dtype=torch.float64)
        images[torch.arange(len(rows)), torch.from_numpy(rows)] = 1.0
        seen = call(images.reshape(-1, 1, *spatial))
        after = tuple(seen.shape[2:])
        blocks.append(sparse.csr_array(seen.flatten(1).numpy()))
    matrix = sparse.csr_array(sparse.vstack(blocks).T)
    return matrix, (*shape[: len(shape) - dimensions], *after)


def selection(call: Linear, shape: Shape) -> tuple[npt.NDArray[np.intp], FloatArray, Shape]:
    """Return which input entry each output is, -1 for a constant; the constants; the shape.

    Parameters
    ----------
    call : callable
        An operator that moves, copies or drops entries, or puts constants in (reshape, pad).
    shape : tuple of int
        Shape of its input.
    """
    index = torch.arange(1.0, size_of(shape) + 1, dtype=torch.float64).reshape(shape)
    # A constant is the same for all inputs; an entry of the input is 0 there.
    constant = call(torch.zeros_like(index))
    source = (call(index) - constant).flatten().round().long().numpy() - 1
    return np.asarray(source, dtype=np.intp), array(constant.flatten()), tuple(constant.shape)


def by_basis(call: Linear, shape: Shape) -> tuple[Matrix, Shape]:
    """Return the matrix of any linear operator by applying it to the basis vectors.

    Parameters
    ----------
    call : callable
        Without a constant; torch.func.vmap must know it.
    shape : tuple of int
        Shape of its input.
    """
    size = size_of(shape)
    after: Shape = ()
    columns = []
    for rows in np.array_split(np.arange(size), math.ceil(size * size / _CHUNK)):
        basis = torch.zeros(len(rows), size, dtype=torch.float64)
        basis[torch.arange(len(rows)), torch.from_numpy(rows)] = 1.0
        seen = torch.vmap(call)(basis.reshape(-1, *shape))
        after = tuple(seen.shape[1:])
        columns.append(sparse.csr_array(seen.flatten(1).numpy()))
    return compact(sparse.vstack(columns).T), after
