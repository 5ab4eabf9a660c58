"""A simulated print that is photographed by hand, and cut out of the photograph."""

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import grid_sample

from empirics.transformations.gaussian import gaussian_blur
from empirics.transformations.registry import transformation
from empirics.transformations.tones import quantisation

_DENSITY = 3
"""Pixels of the camera to a pixel of the image, in each direction; odd, so that centres meet."""
_MARGIN = 0.25
"""What the photograph shows beyond each edge of the image, in units of its longer side."""
_BITS = 8


@dataclass(frozen=True)
class _Severity:
    """Ranges of all that happens by chance, at strength 1; they grow in proportion to it."""

    dot_gain: float = 0.1
    """Added coverage where half of the paper is covered."""
    black: float = 0.05
    """What full ink reflects."""
    turn: float = math.radians(5)
    zoom: float = 0.05
    shift: float = 0.02
    tilt: float = 0.05
    """Change of the scale from the middle of the image to its edge."""
    defocus: float = 0.4
    """Standard deviation in pixels of the image."""
    shade: float = 0.2
    """Loss of light across the photograph."""
    exposure: float = 0.1
    noise: float = 0.02
    """Standard deviation in a pixel of the camera, in units of white."""
    misplaced: float = 0.1
    """Standard deviation in pixels of the corners by which the photograph is straightened."""


_ONE = _Severity()


@transformation(
    "print_photo",
    words="simulated photo",
    parameter="a severity (1: a photograph taken by hand)",
    low=0,
    high=2,
    draws=True,
)
def print_photo(
    images: torch.Tensor, strength: float, stream: torch.Generator | None
) -> torch.Tensor:
    """Return images printed, photographed, straightened and cut out; the printer is simulated.

    Dots of ink spread, full ink reflects a little; a camera held by hand sees the page turned,
    nearer or farther, shifted and in perspective, out of focus, in uneven light, with noise, in
    8 bits; marks at the corners, found with an error, tell how to warp the photograph back. Around
    the image the page is white.

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
    strength : float
        0 rounds to 8 bits alone; all ranges and deviations are in proportion.
    stream : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor
        Shape of images.

    References
    ----------
    Kurakin, Goodfellow and Bengio, Adversarial examples in the physical world (ICLR 2017
    workshop), section 3.2, for the steps: print, photograph, warp back by four marks, crop.
    Murray, J. Franklin Inst. 221 (1936), for the reflectance of a partly covered page.
    """
    n, _, height, width = images.shape
    chance = 2 * torch.rand(n, 8, generator=stream, dtype=torch.float32) - 1
    corners = torch.randn(n, 4, generator=stream, dtype=torch.float32)
    chance = chance.to(images)
    longer = max(height, width)
    beyond = math.ceil(_MARGIN * longer)
    seen = _warped(_coverage(images, strength), _pose(chance, strength), beyond, _DENSITY)
    light = 1 - (1 - _ONE.black * strength) * seen
    light = gaussian_blur(light, _ONE.defocus * strength * _DENSITY)
    light = light * _lighting(chance, light.shape[-2:], strength)
    noise = torch.randn(light.shape, generator=stream, dtype=torch.float32).to(images)
    light = (light + _ONE.noise * strength * noise).clamp(0, 1)
    photo = quantisation(light, _BITS)
    error = _ONE.misplaced * strength / (longer / 2) * corners.to(images)
    back = torch.linalg.inv(_pose(chance, strength)) @ _misplacement(error)
    return quantisation(_straightened(photo, back, (height, width), beyond), _BITS)


def _coverage(images: torch.Tensor, strength: float) -> torch.Tensor:
    """Return the part of the page that is covered by ink after its dots have spread."""
    asked = 1 - images
    return asked + 4 * _ONE.dot_gain * strength * asked * (1 - asked)


def _pose(chance: torch.Tensor, strength: float) -> torch.Tensor:
    """Return what takes places of the camera to places of the page, shape (n, 3, 3).

    Both are homogeneous, in units of half of the image's longer side, from the middle of the image.
    """
    turn = _ONE.turn * strength * chance[:, 0]
    scale = 1 + _ONE.zoom * strength * chance[:, 1]
    across, down = (_ONE.shift * strength * chance[:, i] for i in (2, 3))
    tilts = (_ONE.tilt * strength * chance[:, i] for i in (4, 5))
    cosine, sine = scale * turn.cos(), scale * turn.sin()
    entries = [cosine, -sine, across, sine, cosine, down, *tilts, torch.ones_like(turn)]
    return torch.stack(entries, dim=1).reshape(-1, 3, 3)


def _misplacement(error: torch.Tensor) -> torch.Tensor:
    """Return what errors of two opposite corners, shape (n, 4), do to places of the page."""
    shift = (error[:, :2] + error[:, 2:]) / 2
    stretch = (error[:, :2] - error[:, 2:]) / 2
    matrix = torch.eye(3, dtype=error.dtype, device=error.device).repeat(len(error), 1, 1)
    matrix[:, :2, 2] = shift
    matrix[:, 0, 0] += stretch[:, 0]
    matrix[:, 1, 1] += stretch[:, 1]
    return matrix


def _places(
    size: tuple[int, int], beyond: int, density: int, like: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """Return homogeneous places of pixels, shape (h * w, 3), and half of the longer side."""
    half = max(size) / 2
    lines = [
        ((torch.arange((s + 2 * beyond) * density) + 0.5) / density - beyond - s / 2) / half
        for s in size
    ]
    down, across = torch.meshgrid(*lines, indexing="ij")
    places = torch.stack([across, down, torch.ones_like(down)], dim=-1)
    return places.reshape(-1, 3).to(like), half


def _sampled(
    images: torch.Tensor, places: torch.Tensor, shape: tuple[int, int], half: float, outside: str
) -> torch.Tensor:
    """Return values between the pixels at places (n, h * w, 2) of an image in units of half."""
    height, width = images.shape[-2:]
    units = images.new_tensor([2 * half / width, 2 * half / height])
    grid = (places * units).reshape(-1, *shape, 2)
    return grid_sample(images, grid, mode="bilinear", padding_mode=outside, align_corners=False)


def _moved(places: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    moved = places @ matrices.mT
    return moved[..., :2] / moved[..., 2:]


def _warped(ink: torch.Tensor, pose: torch.Tensor, beyond: int, density: int) -> torch.Tensor:
    """Return the ink that each pixel of the camera sees; there is none beside the image."""
    height, width = ink.shape[-2:]
    places, half = _places((height, width), beyond, density, ink)
    shape = (height + 2 * beyond) * density, (width + 2 * beyond) * density
    return _sampled(ink, _moved(places, pose), shape, half, "zeros")


def _straightened(
    photo: torch.Tensor, back: torch.Tensor, size: tuple[int, int], beyond: int
) -> torch.Tensor:
    """Return the photograph at the pixels of the image."""
    places, half = _places(size, 0, 1, photo)
    return _sampled(photo, _moved(places, back), size, half * _DENSITY, "border")


def _lighting(chance: torch.Tensor, size: torch.Size, strength: float) -> torch.Tensor:
    """Return the light on the page with the exposure, shape (n, 1, h, w)."""
    down, across = (torch.linspace(-1, 1, s).to(chance) for s in size)
    angle = torch.pi * chance[:, 6, None, None]
    # From 0 to 1 across the photograph, in any direction.
    ramp = 0.5 + (angle.cos() * across + angle.sin() * down[:, None]) / math.sqrt(8)
    exposure = 1 + _ONE.exposure * strength * chance[:, 7, None, None]
    return (exposure * (1 - _ONE.shade * strength * ramp))[:, None]
