"""Small piecewise-linear networks at the origin, with a generator in front where one is asked for.

A generator is z -> (c_1 z_1, ..., c_k z_k, 0, ..., 0). Up to rotations, which neither Gaussian
latents nor Euclidean norms see and which the classifier's first layer takes up, and up to a shift,
which its bias takes up, no affine generator is another one. For the same reason the point that a
distance is measured from is the origin.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.arrays import FloatArray
from theory.falsify.drawing import whole
from theory.falsify.facts import LazyFacts
from theory.falsify.laboratory import LABORATORIES, Laboratory
from theory.modulus import LipschitzModulus
from theory.norms import spectral_norm_upper
from theory.relu.layer import Layer, dense
from theory.relu.network import ReluNetwork

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

SLOPES = {"relu": 0.0, "leaky": 0.25, "absolute": -1.0}
"""Slopes below 0 by name of the activation."""
_MOST_INPUTS, _MOST_LAYERS, _MOST_UNITS, _MOST_OUTPUTS = 3, 2, 5, 4
CLASSES, GENERATOR, POINT = "classes", "generator", "point"
HIDDEN, ONE_HIDDEN, RELU = "hidden layers", "one hidden layer", "relu"
"""What a provider may need: outputs that are classes, a generator, a point, hidden layers, and
rectified linear units alone."""


@dataclass(frozen=True)
class Architecture:
    """What is not a weight.

    Attributes
    ----------
    n_inputs : int
    widths : tuple of int
        Units of the hidden layers, in order.
    n_outputs : int
    activation : str
        A key of `SLOPES`.
    n_latents : int
        0 where there is no generator.
    point : bool
        Whether a point other than the origin belongs to the specimen.
    """

    n_inputs: int
    widths: tuple[int, ...]
    n_outputs: int
    activation: str = "relu"
    n_latents: int = 0
    point: bool = False

    def __post_init__(self) -> None:
        numbers = (self.n_inputs, *self.widths, self.n_outputs)
        if any(isinstance(k, bool) or not isinstance(k, int) or k < 1 for k in numbers):
            raise ValueError(f"sizes must be whole numbers from 1 on, got {numbers}")
        if self.activation not in SLOPES:
            raise ValueError(f"the activation must be one of {', '.join(SLOPES)}")
        if not 0 <= self.n_latents <= self.n_inputs:
            raise ValueError(f"{self.n_latents} latents for {self.n_inputs} inputs")

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """The shapes of the weights."""
        return [(m, n) for n, m in pairwise((self.n_inputs, *self.widths, self.n_outputs))]

    @property
    def n_weights(self) -> int:
        """The number of weights: layer by layer W and b, then scales, then the point."""
        layers = sum(m * n + m for m, n in self.shapes)
        return layers + self.n_latents + self.n_inputs * self.point


@dataclass(frozen=True, eq=False)
class SmallNetwork:
    """A specimen.

    Attributes
    ----------
    structure : Architecture
    weights : ndarray, shape (structure.n_weights,)
    """

    structure: Architecture
    weights: FloatArray

    def __post_init__(self) -> None:
        if self.weights.shape != (self.structure.n_weights,):
            raise ValueError(
                f"{self.structure.n_weights} weights are needed, got {self.weights.shape}"
            )
        if not np.all(np.isfinite(self.weights)):
            raise ValueError("a weight is not finite")
        if np.any(self.scales == 0):
            raise ValueError("a scale of the generator is 0")

    @functools.cached_property
    def network(self) -> ReluNetwork:
        """The classifier."""
        layers, at = [], 0
        slope, last = SLOPES[self.structure.activation], len(self.structure.shapes) - 1
        for i, (m, n) in enumerate(self.structure.shapes):
            weight = self.weights[at : at + m * n].reshape(m, n)
            bias = self.weights[at + m * n : at + m * n + m]
            layers.append(Layer(weight, bias, np.full(m, 1.0 if i == last else slope)))
            at += m * n + m
        return ReluNetwork(layers)

    @property
    def scales(self) -> FloatArray:
        """c, shape (n_latents,), above 0."""
        end = self.structure.n_weights - self.structure.n_inputs * self.structure.point
        return np.abs(self.weights[end - self.structure.n_latents : end])

    @property
    def point(self) -> FloatArray:
        """The point, shape (n_inputs,): the origin if there is no other."""
        n = self.structure.n_inputs
        return self.weights[-n:] if self.structure.point else np.zeros(n)

    def behind(self, scales: FloatArray) -> ReluNetwork:
        """Return the classifier after z -> (c z, 0), without rounding."""
        n, k = self.structure.n_inputs, len(scales)
        first = Layer(np.eye(n, k) * scales, np.zeros(n), np.ones(n))
        return ReluNetwork([first, *self.network.layers])

    @functools.cached_property
    def facts(self) -> LazyFacts:
        """What is known of it."""
        shape = self.structure
        known = {
            "n_inputs": shape.n_inputs,
            "n_outputs": shape.n_outputs,
            "n_hidden_layers": len(shape.widths),
            "hidden_widths": list(shape.widths),
            "n_units": sum(shape.widths),
            "activation": shape.activation,
            "piecewise_linear": True,
            "n_classes": shape.n_outputs,
            "dimension": shape.n_inputs,
        }
        if len(shape.widths) == 1:
            known["n_hyperplanes"] = shape.widths[0]
        if shape.n_latents:
            known |= {"latent_dimension": shape.n_latents, "latent_law": "gaussian"}
        makers: dict[str, Any] = {
            name: functools.partial(lambda x: x, v) for name, v in known.items()
        }
        makers["layer_norms[l2->l2]"] = lambda: [spectral_norm_upper(w) for w in self._matrices]
        makers["layer_norms[linf->linf]"] = lambda: [_longest(w, 1) for w in self._matrices]
        makers["layer_norms[l1->l1]"] = lambda: [_longest(w, 0) for w in self._matrices]
        if shape.n_latents:
            largest = float(self.scales.max())
            for norm in ("l2", "linf"):
                makers[f"moduli[l2->{norm}]"] = lambda: [LipschitzModulus(largest)]
        return LazyFacts(makers)

    @property
    def _matrices(self) -> list[FloatArray]:
        return [dense(layer.weight) for layer in self.network.layers]

    @property
    def words(self) -> str:
        """The structure in words."""
        shape = self.structure
        layers = " and ".join(str(width) for width in shape.widths)
        hidden = f"{layers} {shape.activation} units" if shape.widths else "no hidden layer"
        words = f"{_some(shape.n_inputs, 'input')}, {hidden}, {_some(shape.n_outputs, 'output')}"
        return words + (f", {_some(shape.n_latents, 'latent')}" if shape.n_latents else "")


def _some(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _longest(weight: FloatArray, axis: int) -> float:
    from theory.norms import accumulated_error

    return float(np.abs(weight).sum(axis=axis).max()) * (1 + accumulated_error(weight.shape[axis]))


def architectures(needs: frozenset[str]) -> "SearchStrategy[Architecture]":
    """Return a strategy of architectures for what providers need."""
    from hypothesis import strategies as st

    @st.composite
    def drawn(draw: "DrawFn") -> Architecture:
        n_inputs = whole(draw, 1, _MOST_INPUTS)
        least, most = (1, 1) if ONE_HIDDEN in needs else (int(HIDDEN in needs), _MOST_LAYERS)
        hidden = whole(draw, least, most)
        # Two layers of many units have more regions than rational arithmetic counts in a moment.
        most = _MOST_UNITS if hidden == 1 else _MOST_UNITS - 1
        widths = tuple(whole(draw, 1, most) for _ in range(hidden))
        n_outputs = whole(draw, 2, _MOST_OUTPUTS) if CLASSES in needs else whole(draw, 1, 2)
        any_kind = hidden and RELU not in needs
        activation = list(SLOPES)[whole(draw, 0, len(SLOPES) - 1)] if any_kind else "relu"
        latents = whole(draw, 1, n_inputs) if GENERATOR in needs else 0
        return Architecture(n_inputs, widths, n_outputs, activation, latents, POINT in needs)

    return drawn()


def smaller_architectures(given: Architecture) -> Iterator[Architecture]:
    """Yield architectures with one layer, unit, coordinate or class less, or a plainer activation.

    Two layers give way to one that has the units of both, so that fewer layers come first.
    """
    widths = given.widths
    if len(widths) == 2:
        yield replace(given, widths=(sum(widths),))
    for i, width in enumerate(widths):
        fewer = (width - 1,) if width > 1 else ()
        if fewer or len(widths) > 1:
            yield replace(given, widths=(*widths[:i], *fewer, *widths[i + 1 :]))
    if len(widths) == 1:
        yield replace(given, widths=(), activation="relu")
    if given.n_inputs > 1:
        n = given.n_inputs - 1
        yield replace(given, n_inputs=n, n_latents=min(n, given.n_latents))
    if given.n_latents > 1:
        yield replace(given, n_latents=given.n_latents - 1)
    if given.n_outputs > 1:
        yield replace(given, n_outputs=given.n_outputs - 1)
    if given.activation != "relu":
        yield replace(given, activation="relu")


def read_architecture(given: Mapping[str, Any]) -> Architecture:
    """Return the architecture of its JSON form, or raise ValueError."""
    names = {field.name for field in fields(Architecture)}
    if set(given) != names or not isinstance(given["widths"], list):
        raise ValueError(f"an architecture has the fields {', '.join(sorted(names))}")
    return Architecture(**{**given, "widths": tuple(given["widths"])})


LABORATORIES.register(
    "networks",
    Laboratory(
        "networks",
        architectures,
        lambda shape: int(shape.n_weights),
        SmallNetwork,
        smaller_architectures,
        read_architecture,
    ),
)
