"""Changes of each pixel by itself: brightness, contrast, fewer grey levels."""

import torch

from empirics.transformations.registry import transformation


@transformation(
    "brightness", words="brightness", parameter="a shift, in units of white", low=-1, high=1
)
def brightness(
    images: torch.Tensor, strength: float, stream: torch.Generator | None = None
) -> torch.Tensor:
    """Return images with the same amount added to every pixel.

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
    strength : float
        What is added; 0 changes nothing.
    stream : None
        Not used.

    Returns
    -------
    Tensor
        Shape of images.
    """
    return (images + strength).clamp(0, 1)


@transformation("contrast", words="contrast", parameter="a factor", low=0, high=10)
def contrast(
    images: torch.Tensor, strength: float, stream: torch.Generator | None = None
) -> torch.Tensor:
    """Return images with the distances from the mean of each image and channel multiplied.

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
    strength : float
        The factor; 1 changes nothing.
    stream : None
        Not used.

    Returns
    -------
    Tensor
        Shape of images.
    """
    mean = images.mean(dim=(2, 3), keepdim=True)
    return torch.lerp(mean, images, strength).clamp(0, 1)


@transformation("quantisation", words="fewer levels", parameter="bits", low=1, high=16)
def quantisation(
    images: torch.Tensor, strength: float, stream: torch.Generator | None = None
) -> torch.Tensor:
    """Return images rounded to 2^k levels from 0 to 1.

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
    strength : float
        k; the number of levels is rounded to a whole one.
    stream : None
        Not used.

    Returns
    -------
    Tensor
        Shape of images.
    """
    steps = round(2**strength) - 1
    return (images * steps).round() / steps
