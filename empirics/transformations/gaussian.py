"""Gaussian blur and Gaussian noise."""

import math

import torch

from empirics.transformations.registry import transformation

_REACH = 4
"""The blur ends where its weight is below 4e-4 of the middle's."""


@transformation(
    "gaussian_blur",
    words="Gaussian blur",
    parameter="a standard deviation in pixels",
    low=0,
    high=100,
)
def gaussian_blur(
    images: torch.Tensor, strength: float, stream: torch.Generator | None = None
) -> torch.Tensor:
    """Return images blurred by a Gaussian; beyond the edge the last pixel goes on.

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
    strength : float
        Standard deviation in pixels; 0 changes nothing.
    stream : None
        Not used.

    Returns
    -------
    Tensor
        Shape of images.
    """
    if strength == 0:
        return images
    rows, columns = (_mixing(size, strength).to(images) for size in images.shape[-2:])
    return (rows @ images @ columns.T).clamp(0, 1)


@transformation(
    "gaussian_noise",
    words="Gaussian noise",
    parameter="a standard deviation, in units of white",
    low=0,
    high=10,
    draws=True,
)
def gaussian_noise(
    images: torch.Tensor, strength: float, stream: torch.Generator | None
) -> torch.Tensor:
    """Return images with independent normal noise on every pixel, brought back into [0, 1].

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
    strength : float
        Standard deviation; 0 changes nothing.
    stream : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor
        Shape of images.
    """
    noise = torch.randn(images.shape, generator=stream, dtype=torch.float32)
    return (images + strength * noise.to(images)).clamp(0, 1)


def _mixing(size: int, deviation: float) -> torch.Tensor:
    """Return the matrix that blurs a line of pixels, shape (size, size); its rows sum to 1."""
    reach = math.ceil(_REACH * deviation)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets.double() / deviation) ** 2)
    places = torch.arange(size)[:, None]
    seen = (places + offsets).clamp(0, size - 1)
    mixing = torch.zeros(size, size, dtype=torch.float64)
    mixing.scatter_add_(1, seen, (weights / weights.sum()).expand(size, -1))
    return mixing.float()
