"""Feed-forward networks as arrays: affine maps with activations of bounded slopes between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.activations import Activation, LeakyReLU
from theory.relu.layer import Layer, Matrix
from theory.relu.network import ReluNetwork


@dataclass(frozen=True, eq=False)
class Stage:
    """y -> activation(weight y + bias).

    Attributes
    ----------
    weight : ndarray or scipy.sparse csr_array, shape (m, n)
    bias : ndarray, shape (m,)
    activation : Activation

    Raises
    ------
    ValueError
        If the shapes do not fit or a value is not finite.
    """

    weight: Matrix
    bias: FloatArray
    activation: Activation

    def __post_init__(self) -> None:
        checked = Layer(self.weight, self.bias, np.ones(len(np.atleast_1d(self.bias))))
        object.__setattr__(self, "weight", checked.weight)
        object.__setattr__(self, "bias", checked.bias)

    def affine(self, states: FloatArray) -> FloatArray:
        """Return the pre-activations at states of shape (..., n)."""
        flat = states.reshape(-1, states.shape[-1])
        values = np.asarray(self.weight @ flat.T).T
        return values.reshape(*states.shape[:-1], len(self.bias)) + self.bias


@dataclass(frozen=True, eq=False)
class FeedForward:
    """A composition of stages; the last activation is the identity for a network with logits.

    Attributes
    ----------
    stages : tuple of Stage

    Raises
    ------
    ValueError
        If there are none, or two that follow each other do not fit.

    Examples
    --------
    >>> absolute = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> FeedForward.of(absolute)([[-2.0], [3.0]]).ravel().tolist()
    [2.0, 3.0]
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("a network needs at least one stage")
        for i in range(1, len(self.stages)):
            n, m = self.stages[i].weight.shape[1], self.stages[i - 1].weight.shape[0]
            if n != m:
                raise ValueError(f"stage {i} takes {n} values, but the one before gives {m}")

    @classmethod
    def of(cls, network: "ReluNetwork | FeedForward") -> "FeedForward":
        """Return a piecewise-linear network in this form; one that has it already as it is."""
        if isinstance(network, FeedForward):
            return network
        return cls(
            tuple(Stage(each.weight, each.bias, LeakyReLU(each.slope)) for each in network.layers)
        )

    @classmethod
    def of_weights(
        cls, weights: Sequence[npt.ArrayLike], activation: Activation | None = None
    ) -> "FeedForward":
        """Return the network without biases of these weights, each of shape (out, in).

        Parameters
        ----------
        weights : sequence of array_like
        activation : Activation, optional
            Between the layers, by default ReLU; the last layer is affine.
        """
        between = LeakyReLU(np.zeros(())) if activation is None else activation
        stages = []
        for i, given in enumerate(weights):
            weight = np.asarray(given, dtype=np.float64)
            if weight.ndim != 2:
                raise ValueError(f"weights[{i}] must have the shape (out, in), got {weight.shape}")
            act = between if i < len(weights) - 1 else LeakyReLU(np.ones(()))
            stages.append(Stage(weight, np.zeros(len(weight)), act))
        return cls(tuple(stages))

    @property
    def n_inputs(self) -> int:
        """The number of input coordinates."""
        return int(self.stages[0].weight.shape[1])

    @property
    def n_outputs(self) -> int:
        """The number of outputs."""
        return int(self.stages[-1].weight.shape[0])

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """Return the outputs, shape (..., n_outputs), at inputs of shape (..., n_inputs)."""
        state = np.asarray(x, dtype=np.float64)
        if state.ndim == 0 or state.shape[-1] != self.n_inputs:
            raise ValueError(f"a point has {self.n_inputs} coordinates, got shape {state.shape}")
        for stage in self.stages:
            state = stage.activation(stage.affine(state))
        return state
