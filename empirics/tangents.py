"""A torch network as searches of few changed coordinates see it: outputs and tangents."""

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.trace import relu_network
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.relu import AffineMap, ReluNetwork

_BATCH = 4096


class TorchClassifier:
    """Outputs and tangents of any differentiable network, on flattened inputs, in float64.

    Parameters
    ----------
    module : nn.Module
        Images (n, *input_shape) to logits; a copy is kept.
    input_shape : tuple of int
        Shape of one input, without the batch axis.
    """

    def __init__(self, module: nn.Module, input_shape: tuple[int, ...]) -> None:
        self.shape = tuple(input_shape)
        self.module = copy.deepcopy(module).cpu().double().eval().requires_grad_(False)
        with torch.no_grad():
            probe = torch.zeros(1, *self.shape, dtype=torch.float64)
            self._n_outputs = int(self.module(probe).shape[1])

    @property
    def n_inputs(self) -> int:
        """The number of input coordinates."""
        return int(np.prod(self.shape))

    @property
    def n_outputs(self) -> int:
        """The number of classes."""
        return self._n_outputs

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """Return the outputs, shape (..., n_outputs), at points of shape (..., n_inputs)."""
        points = np.asarray(x, dtype=np.float64)
        flat = torch.from_numpy(np.ascontiguousarray(points.reshape(-1, self.n_inputs)))
        with torch.no_grad():
            parts = [
                self.module(flat[i : i + _BATCH].reshape(-1, *self.shape))
                for i in range(0, len(flat), _BATCH)
            ]
        outputs: FloatArray = torch.cat(parts).numpy()
        return outputs.reshape(*points.shape[:-1], self.n_outputs)

    def affine(self, x: npt.ArrayLike) -> AffineMap:
        """Return the tangent at one point, shape (n_inputs,)."""
        point = np.asarray(x, dtype=np.float64)
        # One copy of the point for each output: a single backward pass gives all the rows.
        copies = torch.from_numpy(np.tile(point, (self.n_outputs, 1)))
        copies.requires_grad_(True)
        outputs = self.module(copies.reshape(-1, *self.shape))
        (rows,) = torch.autograd.grad(outputs.diagonal().sum(), copies)
        weight: FloatArray = rows.numpy()
        return AffineMap(weight, outputs[0].detach().numpy() - weight @ point)


def searchable(
    module: nn.Module, input_shape: tuple[int, ...]
) -> tuple[ReluNetwork | TorchClassifier, str | None]:
    """Return a network for searches, and why it is not piecewise linear; None where it is.

    Parameters
    ----------
    module : nn.Module
    input_shape : tuple of int
        Shape of one input, without the batch axis.
    """
    try:
        return relu_network(module, input_shape), None
    except InputError as reason:
        return TorchClassifier(module, input_shape), str(reason)
