"""Whether what a generator makes can be given to classifiers of a data set."""

import torch
from torch import nn

from empirics.plugins import ImageShape
from empirics.seeds import torch_stream
from theory.errors import InputError

_PROBES = 64
_TAIL = 0.01
_BEYOND = 0.5
"""Pixels of a data set lie in [0, 1]; those of a linear generator may go beyond by so much."""


def require_images(generator: nn.Module, dimension: int, shape: ImageShape, title: str) -> None:
    """Check the shape and the range of a generator's output on fresh latents.

    Parameters
    ----------
    generator : nn.Module
        In eval mode.
    dimension : int
        Of its latents.
    shape : tuple of int
        Of the images that the classifiers take.
    title : str
        What messages call the generator.

    Raises
    ------
    InputError
        If the shape is another one, values are not finite, or more than a hundredth of them lie
        beyond the range of pixels by more than half of its size.
    """
    device = next((p.device for p in generator.parameters()), torch.device("cpu"))
    z = torch.randn(_PROBES, dimension, generator=torch_stream(0, "probes")).to(device)
    with torch.no_grad():
        images = generator(z)
    found = tuple(images.shape[1:])
    if found != tuple(shape):
        raise InputError(
            f"{title} makes images of shape {found}; the classifiers take {tuple(shape)}"
        )
    if not torch.isfinite(images).all():
        raise InputError(f"{title} makes pixels that are not finite")
    values = images.flatten().double().sort().values
    cut = int(_TAIL * len(values))
    low, high = float(values[cut]), float(values[-1 - cut])
    if low < -_BEYOND or high > 1 + _BEYOND:
        raise InputError(
            f"{title} makes pixels from {low:.3g} to {high:.3g}; the classifiers take [0, 1]: scale"
            " its output"
        )
