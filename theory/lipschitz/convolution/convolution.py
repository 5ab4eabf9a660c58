"""Convolutional layers as they are described, and batch normalisation folded into them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.lipschitz.convolution.correlation import Axis, Correlation
from theory.lipschitz.convolution.geometry import (
    check_padding,
    paddings,
    per_axis,
    window_outputs,
)
from theory.norms import UNIT_ROUNDOFF


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution as deep learning has it (a cross-correlation), or the transpose of one.

    Attributes
    ----------
    weight : ndarray, shape (m, n / groups, *kernel), or (n, m / groups, *kernel) if transposed
        n input and m output channels; one to three spatial axes.
    stride, dilation, output_padding : int or sequence of int
        For all axes or for each.
    padding : int, "same", "valid", or sequence of int or of pairs of int
        For all axes, for each, or before and behind each.
    groups : int
    transposed : bool
    padding_mode : {"zeros", "circular", "reflect", "replicate"}
    rounding : float
        Relative error of each weight, where they were computed rather than given.

    Examples
    --------
    >>> Convolution(np.ones((4, 2, 3, 3)), stride=2, padding=1).output_shape((2, 8, 8))
    (4, 4, 4)
    """

    weight: FloatArray
    stride: int | Sequence[int] = 1
    padding: Any = 0
    dilation: int | Sequence[int] = 1
    groups: int = 1
    transposed: bool = False
    output_padding: int | Sequence[int] = 0
    padding_mode: str = "zeros"
    rounding: float = 0.0

    def __post_init__(self) -> None:
        weight = np.asarray(self.weight, dtype=np.float64)
        object.__setattr__(self, "weight", weight)
        if not 3 <= weight.ndim <= 5 or 0 in weight.shape:
            raise ValueError(
                "a convolution's weight must have the shape (out, in, *kernel) with one to three"
                f" spatial axes, got {weight.shape}"
            )
        if not np.all(np.isfinite(weight)):
            raise ValueError("a convolution's weight has an entry that is not finite")
        if self.groups < 1 or len(weight) % self.groups:
            raise ValueError(f"{len(weight)} channels do not fall into {self.groups} groups")
        if self.transposed and self.padding_mode != "zeros":
            raise ValueError(f"a transposed convolution pads with zeros, not {self.padding_mode}")

    @property
    def dimensions(self) -> int:
        """The number of spatial axes."""
        return self.weight.ndim - 2

    @property
    def channels(self) -> tuple[int, int]:
        """The numbers of input and of output channels."""
        first, second = self.weight.shape[0], self.weight.shape[1] * self.groups
        return (first, second) if self.transposed else (second, first)

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape (m, *spatial) of the output for an input of shape (n, *spatial).

        Raises
        ------
        ValueError
            If the channels do not fit or the output is empty.
        """
        found = self.on(input_shape)
        positions = found.spatial if self.transposed else found.outputs
        return (self.channels[1], *positions)

    def on(self, input_shape: Sequence[int]) -> Correlation:
        """Return the map on inputs of shape (n, *spatial); if transposed, the one it transposes.

        Raises
        ------
        ValueError
            If the channels do not fit or the output is empty.
        """
        shape, d = tuple(int(side) for side in input_shape), self.dimensions
        if len(shape) != d + 1 or shape[0] != self.channels[0] or min(shape) < 1:
            raise ValueError(
                f"a convolution with {self.channels[0]} input channels and {d} spatial axes does"
                f" not fit an input of shape {shape}"
            )
        kernel = self.weight.shape[2:]
        stride = per_axis(self.stride, d, "stride", 1)
        dilation = per_axis(self.dilation, d, "dilation", 1)
        pairs = paddings(self.padding, kernel, stride, dilation)
        extra = per_axis(self.output_padding, d, "output_padding", 0)
        axes = list(zip(shape[1:], kernel, stride, pairs, dilation, extra, strict=True))
        if self.transposed:
            # The convolution that is transposed goes from the output here to the input here.
            if any(e >= max(s, step) for _, _, s, _, step, e in axes):
                raise ValueError(
                    f"output_padding must be less than stride or dilation, got {extra}"
                )
            spatial = tuple((n - 1) * s + r * (k - 1) + 1 - sum(p) + e for n, k, s, p, r, e in axes)
            outputs = shape[1:]
        else:
            check_padding(self.padding_mode, pairs, shape[1:])
            spatial = shape[1:]
            outputs = tuple(window_outputs(n, k, s, p, r) for n, k, s, p, r, _ in axes)
        if min((*outputs, *spatial)) < 1:
            raise ValueError(
                f"a kernel of {kernel} with padding {pairs} and dilation {dilation} leaves no"
                f" output of an input of shape {shape}"
            )
        placed = tuple(
            Axis(n, out, k, s, p, r, self.padding_mode)
            for n, out, k, s, p, r in zip(
                spatial, outputs, kernel, stride, pairs, dilation, strict=True
            )
        )
        blocks = self.weight.reshape(self.groups, -1, *self.weight.shape[1:])
        return Correlation(blocks, placed)


def folded(
    convolution: Convolution,
    scale_before: npt.ArrayLike | None = None,
    scale_after: npt.ArrayLike | None = None,
) -> Convolution:
    """Return the convolution with a scale of each channel, before or after it, in its weight.

    Parameters
    ----------
    convolution : Convolution
    scale_before : array_like, shape (n,), optional
        Factor of each input channel, as batch normalisation in evaluation has them.
    scale_after : array_like, shape (m,), optional
        Factor of each output channel.

    Returns
    -------
    Convolution
        Its `rounding` holds the errors of the products.

    Raises
    ------
    ValueError
        If the factors do not fit the channels.

    Examples
    --------
    >>> folded(Convolution(np.ones((2, 1, 1))), scale_after=[2.0, 3.0]).weight.ravel().tolist()
    [2.0, 3.0]
    """
    n, m = convolution.channels
    g, weight = convolution.groups, convolution.weight
    blocks = weight.reshape(g, -1, weight.shape[1], math.prod(weight.shape[2:]))
    rounding = convolution.rounding
    for name, scale, size, first in (
        ("scale_before", scale_before, n, convolution.transposed),
        ("scale_after", scale_after, m, not convolution.transposed),
    ):
        if scale is None:
            continue
        factors = np.asarray(scale, dtype=np.float64)
        if factors.shape != (size,):
            raise ValueError(f"{name} must have the shape ({size},), got {factors.shape}")
        split = factors.reshape(g, -1)
        blocks = blocks * (split[:, :, None, None] if first else split[:, None, :, None])
        rounding = rounding + 2 * UNIT_ROUNDOFF["float64"]
    return Convolution(
        blocks.reshape(weight.shape),
        convolution.stride,
        convolution.padding,
        convolution.dilation,
        g,
        convolution.transposed,
        convolution.output_padding,
        convolution.padding_mode,
        rounding,
    )
