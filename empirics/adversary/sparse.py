"""What the attacks on few features share: how changes are counted, and what images are."""

import torch

from theory.errors import InputError


def n_changes(x: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """Return the number of features in which the points differ, shape (n,)."""
    return (x != point).flatten(1).sum(dim=1)


def check_images(name: str, x: torch.Tensor) -> None:
    """Raise unless the inputs are images, whose pixels an attack can change.

    Raises
    ------
    InputError
        If x is not of shape (n, C, H, W).
    """
    if x.ndim != 4:
        raise InputError(f"{name}: inputs of shape {tuple(x.shape)}; expected (n, C, H, W)")
