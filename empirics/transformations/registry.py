"""The registry of transformations of images, and what one is."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from theory.errors import InputError
from theory.registry import Registry

Change = Callable[[torch.Tensor, float, torch.Generator | None], torch.Tensor]


@dataclass(frozen=True)
class Transformation:
    """A change of images that keeps their shape and their range [0, 1].

    Attributes
    ----------
    name : str
    words : str
        What it is called.
    parameter : str
        What its strength is, with the unit.
    low, high : float
        Range of the strength.
    draws : bool
        Whether it is random.
    change : callable
        (images, strength, stream) -> images; the stream is None where it is not random.
    """

    name: str
    words: str
    parameter: str
    low: float
    high: float
    draws: bool
    change: Change

    def __call__(
        self, images: torch.Tensor, strength: float, stream: torch.Generator | None = None
    ) -> torch.Tensor:
        """Return the images transformed.

        Parameters
        ----------
        images : Tensor, shape (n, c, h, w)
            Floating point, in [0, 1].
        strength : float
            In [low, high].
        stream : torch.Generator, optional
            On the CPU; needed where the transformation is random.

        Returns
        -------
        Tensor, shape (n, c, h, w)
            In [0, 1], of the same type and on the same device.

        Raises
        ------
        InputError
            If the images or the strength are not as above, or the stream is missing.
        """
        if not images.is_floating_point() or images.ndim != 4 or not images.numel():
            raise InputError(
                f"images: shape {tuple(images.shape)} and dtype {images.dtype}; "
                "expected floating point of shape (n, c, h, w)"
            )
        if not bool(((images >= 0) & (images <= 1)).all()):
            raise InputError(
                f"images: values from {images.min().item():g} to {images.max().item():g}; "
                "expected within [0, 1]"
            )
        self.check(strength)
        if self.draws and stream is None:
            raise InputError(f"{self.name} is random; give a stream")
        return self.change(images, strength, stream).clamp(0, 1)

    def check(self, strength: float) -> None:
        """Raise InputError for a strength out of range."""
        if not (math.isfinite(strength) and self.low <= strength <= self.high):
            raise InputError(
                f"{self.name} {strength:g}: expected {self.parameter} "
                f"from {self.low:g} to {self.high:g}"
            )


TRANSFORMATIONS: Registry[Transformation] = Registry(
    "transformation", ("empirics.transformations",), "advbounds.transformations"
)


def transformation(
    name: str, *, words: str, parameter: str, low: float, high: float, draws: bool = False
) -> Callable[[Change], Transformation]:
    """Register a function as a transformation; the fields are those of `Transformation`."""

    def decorate(change: Change) -> Transformation:
        made = Transformation(name, words, parameter, low, high, draws, change)
        TRANSFORMATIONS.register(name, made)
        return made

    return decorate


def with_strength(text: str) -> tuple[Transformation, float]:
    """Return a transformation and its strength from their names in a preset.

    Raises
    ------
    InputError
        If the text is not a known name and a number in its range.

    Examples
    --------
    >>> found, strength = with_strength("gaussian_blur 0.5")
    >>> found.words, strength
    ('Gaussian blur', 0.5)
    """
    name, _, number = text.strip().partition(" ")
    found = TRANSFORMATIONS[name]
    try:
        strength = float(number)
    except ValueError:
        raise InputError(
            f"transformation '{text}': expected '{name} STRENGTH', with {found.parameter} "
            f"from {found.low:g} to {found.high:g}"
        ) from None
    found.check(strength)
    return found, strength
