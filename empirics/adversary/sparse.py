"""What the attacks on few features share: Adam, how changes are counted, what images are."""

import torch

from empirics.adversary.batch import scale
from theory.errors import InputError


class Adam:
    """Adam's steps on rows that begin at different times (Kingma and Ba, ICLR 2015).

    Parameters
    ----------
    like : Tensor, shape (n, ...)
        Of the shape of gradients.
    """

    decay, decay_of_squares, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, like: torch.Tensor) -> None:
        self.mean, self.square = torch.zeros_like(like), torch.zeros_like(like)
        self.count = torch.zeros(len(like), dtype=like.dtype, device=like.device)

    def step(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return what a step of size 1 subtracts, shape (n, ...)."""
        self.count += 1
        self.mean = torch.lerp(gradient, self.mean, self.decay)
        self.square = torch.lerp(gradient**2, self.square, self.decay_of_squares)
        mean = scale(1 / (1 - self.decay**self.count), self.mean)
        square = scale(1 / (1 - self.decay_of_squares**self.count), self.square)
        return mean / (square.sqrt() + self.epsilon)

    def restart(self, rows: torch.Tensor) -> None:
        """Forget what the rows, a mask or an index, have seen."""
        self.mean[rows], self.square[rows], self.count[rows] = 0.0, 0.0, 0.0

    def keep(self, rows: torch.Tensor) -> None:
        """Drop all rows but these, a mask or an index."""
        self.mean, self.square = self.mean[rows], self.square[rows]
        self.count = self.count[rows]


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
