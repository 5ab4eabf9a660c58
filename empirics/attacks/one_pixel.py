"""One changed pixel, by differential evolution: an attack that sees probabilities alone."""

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.evolution import Evolution, evolved
from empirics.adversary.goal import Goal
from empirics.adversary.sparse import check_images
from empirics.attacks.registry import attack

_CROSSED = 3
"""Individuals that make a child: x_a + F (x_b - x_c)."""


@attack("one_pixel")
def one_pixel(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    low: float = 0.0,
    high: float = 1.0,
    population: int = 400,
    iterations: int = 100,
    scale: float = 0.5,
    at_once: int | None = None,
    local: bool = False,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
    stream: torch.Generator | None = None,
) -> torch.Tensor:
    """Return points that differ from x in one pixel and have another label; x where none was found.

    Black box, the budget is one pixel with all its channels. The probability of the label is
    minimised, or that of the target maximised. A child replaces its parent if it is fitter; there
    is no crossover; an image is finished as soon as a candidate has a wanted label. `few_pixels`
    has the paper's start and stop.

    Parameters
    ----------
    model : callable
        Images to logits.
    x : torch.Tensor, shape (n, C, H, W)
    y : torch.Tensor, shape (n,)
        Labels.
    low, high : float
        Range of the new pixel value.
    population, iterations : int
        Candidates, and generations after the first.
    scale : float
        F, the factor of differences.
    at_once : int, optional
        About so many candidates in a call of the model, but never less than a population; by
        default as many as suit the device.
    local : bool
        Whether an `nn.Sequential` of convolutions and pooling computes only the features that the
        pixel changes: the same logits but for rounding, in a fraction of the time.
    box : tuple of float, optional
        Range of x; instead of low and high it is also that of the new value.
    targets : Tensor, shape (n,), optional
        Labels to reach.
    stream : torch.Generator, optional
        Without it the stream of seed 0. A single image draws from the stream itself, several from
        streams of their own.

    Raises
    ------
    InputError
        If the inputs, labels, targets or the model's values are not as above.

    References
    ----------
    Su, Vargas and Sakurai, One pixel attack for fooling deep neural networks (IEEE Trans. Evol.
    Comput. 23, 2019).
    """
    checked(model, x, y, box=box, targets=targets)
    check_images("one_pixel", x)
    low, high = (low, high) if box is None else box

    def first(own: torch.Generator) -> torch.Tensor:
        # Columns: row, column, then the new value of each channel.
        return torch.rand(population, 2 + x.shape[1], generator=own)

    def picks(own: torch.Generator) -> torch.Tensor:
        chance = torch.rand(population, population, generator=own)
        return chance.topk(_CROSSED, dim=1).indices

    evolution = Evolution(first, picks, low, high, 1, iterations, scale, None, at_once, local)
    return evolved(model, x, Goal(y, targets), evolution, stream)
