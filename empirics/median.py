"""Median filters and median pooling: order statistics that a few outliers cannot move."""

import torch
from torch import nn

from theory.errors import InputError


def window_medians(images: torch.Tensor, window: int, stride: int) -> torch.Tensor:
    """Return the median of each square window of each channel.

    Parameters
    ----------
    images : Tensor, shape (..., height, width)
    window, stride : int
        Pixels at the lower and right edges that fill no window are not seen.

    Returns
    -------
    Tensor, shape (..., (height - window) // stride + 1, (width - window) // stride + 1)
        Of an even number of values the mean of the two in the middle.

    Examples
    --------
    >>> window_medians(torch.tensor([[[1.0, 9.0], [2.0, 4.0]]]), 2, 2)
    tensor([[[3.]]])
    """
    values = images.unfold(-2, window, stride).unfold(-2, window, stride).flatten(-2)
    size = window * window
    upper = values.topk(size // 2 + 1, dim=-1).values
    return upper[..., -1] if size % 2 else upper[..., -2:].mean(dim=-1)


class MedianFilter(nn.Module):
    """Replace each pixel by the median of the square around it; edges are replicated.

    Parameters
    ----------
    window : int
        Odd side of the square.

    Raises
    ------
    InputError
        If it is even or below 1.

    References
    ----------
    Xu, Evans and Qi, Feature squeezing (NDSS 2018), section 3.2: a defence against few changed
    pixels.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        if window < 1 or window % 2 == 0:
            raise InputError(f"the window of a median filter must be odd, got {window}")
        self.window = window

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return filtered images of the same shape (n, channels, height, width)."""
        padded = nn.functional.pad(images, (self.window // 2,) * 4, mode="replicate")
        return window_medians(padded, self.window, 1)

    def extra_repr(self) -> str:
        """Return the window."""
        return str(self.window)


class MedianPool(nn.Module):
    """Keep the median of each square window; windows do not overlap.

    Parameters
    ----------
    window : int
        Side of the square.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (n, channels, height // window, width // window)."""
        return window_medians(images, self.window, self.window)

    def extra_repr(self) -> str:
        """Return the window."""
        return str(self.window)
