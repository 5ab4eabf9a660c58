"""The lossy part of JPEG: what an image is after baseline coding and decoding."""

import math

import torch
from torch.nn.functional import avg_pool2d, pad

from empirics.transformations.registry import transformation
from theory.errors import InputError

_BLOCK = 8
_TIE = 1e-4
"""Halves are within this after rounding errors in single precision."""
_LUMINANCE = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_CHROMINANCE = torch.tensor(
    [
        [17, 18, 24, 47, 99, 99, 99, 99],
        [18, 21, 26, 66, 99, 99, 99, 99],
        [24, 26, 56, 99, 99, 99, 99, 99],
        [47, 66, 99, 99, 99, 99, 99, 99],
        *([99] * _BLOCK for _ in range(4)),
    ]
)
_YCBCR = torch.tensor(
    [
        [0.299, 0.587, 0.114],
        [-0.168735892, -0.331264108, 0.5],
        [0.5, -0.418687589, -0.081312411],
    ],
    dtype=torch.float64,
)


@transformation("jpeg", words="JPEG", parameter="a quality", low=1, high=100)
def jpeg(
    images: torch.Tensor, strength: float, stream: torch.Generator | None = None
) -> torch.Tensor:
    """Return images as they are after baseline JPEG with the standard tables.

    Eight bits a channel; one channel is coded as grey, three as luminance and chrominance with the
    latter at half the resolution (4:2:0). Edges are continued to whole blocks.

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
        c is 1 or 3.
    strength : float
        Quality from 1 to 100; the tables are scaled as the Independent JPEG Group does.
    stream : None
        Not used.

    Returns
    -------
    Tensor
        Shape of images.

    Raises
    ------
    InputError
        If there are neither one nor three channels.

    References
    ----------
    ITU-T T.81 (1992), annexes A and K (tables K.1 and K.2). Hamilton, JPEG File Interchange Format
    (1992), for the colours.
    """
    channels = images.shape[1]
    if channels not in (1, 3):
        raise InputError(f"jpeg: images of {channels} channels; expected 1 or 3")
    levels = (images * 255).round()
    luminance, chrominance = (
        _scaled(table, strength).to(images) for table in (_LUMINANCE, _CHROMINANCE)
    )
    if channels == 1:
        return _coded(levels, luminance).clamp(0, 255) / 255
    mixing = _YCBCR.to(images)
    shift = images.new_tensor([0, 128, 128])[:, None, None]
    mixed = (_mixed(mixing, levels) + shift).round()
    light, colour = _coded(mixed[:, :1], luminance), mixed[:, 1:]
    half = _coded(avg_pool2d(_whole(colour, 2 * _BLOCK), 2).round(), chrominance)
    height, width = images.shape[-2:]
    # What stands in the blocks beyond the edge is not seen.
    half = half[..., : math.ceil(height / 2), : math.ceil(width / 2)].clamp(0, 255)
    colour = _doubled(_doubled(half).mT).mT[..., :height, :width].round()
    decoded = torch.cat([light.clamp(0, 255), colour], dim=1) - shift
    return _mixed(torch.linalg.inv(_YCBCR).to(images), decoded).round().clamp(0, 255) / 255


def _scaled(table: torch.Tensor, quality: float) -> torch.Tensor:
    factor = 5000 / quality if quality < 50 else 200 - 2 * quality
    return ((table * factor + 50) / 100).floor().clamp(1, 255)


def _mixed(matrix: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    return torch.einsum("ij,njhw->nihw", matrix, images)


def _cosines() -> torch.Tensor:
    """Return the orthonormal matrix of the discrete cosine transform of 8 numbers."""
    order = torch.arange(_BLOCK, dtype=torch.float64)[:, None]
    place = torch.arange(_BLOCK, dtype=torch.float64) + 0.5
    matrix = torch.cos(torch.pi / _BLOCK * order * place) * math.sqrt(2 / _BLOCK)
    matrix[0] /= math.sqrt(2)
    return matrix


def _whole(images: torch.Tensor, size: int) -> torch.Tensor:
    """Return images continued by their last pixels to whole blocks of a size."""
    height, width = images.shape[-2:]
    return pad(images, (0, -width % size, 0, -height % size), mode="replicate")


def _coded(levels: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Return channels of 0..255 after their coefficients were rounded to multiples of a table."""
    height, width = levels.shape[-2:]
    whole = _whole(levels, _BLOCK) - 128
    n, c, rows, columns = whole.shape
    blocks = whole.reshape(n, c, rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK).transpose(3, 4)
    cosines = _cosines().to(levels)
    multiples = cosines @ blocks @ cosines.T / table
    # Halves are common, as pixels are whole numbers; codecs round them away from zero.
    multiples = multiples.sign() * (multiples.abs() + (0.5 + _TIE)).floor()
    coefficients = multiples * table
    decoded = (cosines.T @ coefficients @ cosines).transpose(3, 4).reshape(n, c, rows, columns)
    return (decoded[..., :height, :width] + 128).round()


def _doubled(images: torch.Tensor) -> torch.Tensor:
    """Return images of twice the width: three parts of the nearer pixel, one of the next."""
    around = pad(images, (1, 1, 0, 0), mode="replicate")
    middle = 3 * images
    pairs = torch.stack([middle + around[..., :-2], middle + around[..., 2:]], dim=-1)
    return pairs.flatten(-2) / 4
