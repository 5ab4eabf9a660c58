"""The one-pixel attack as printed, for one, three or five pixels (Su et al., 2019)."""

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.evolution import Evolution, evolved
from empirics.adversary.goal import Goal
from empirics.adversary.sparse import check_images
from empirics.attacks.registry import attack
from theory.errors import InputError

_LABEL_BELOW, _TARGET_ABOVE = 0.05, 0.9  # probabilities at which the paper stops


@attack("few_pixels")
def few_pixels(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    pixels: int = 1,
    population: int = 400,
    iterations: int = 100,
    scale: float = 0.5,
    eager: bool = False,
    at_once: int | None = None,
    local: bool = True,
    box: Box | None = (0.0, 1.0),
    targets: torch.Tensor | None = None,
    stream: torch.Generator | None = None,
) -> torch.Tensor:
    """Return points that differ from x in few pixels and have another label; x where none was.

    Black box, the budget is a number of pixels, each with all its channels. A candidate is a row,
    a column and the new values of each pixel. The positions start uniform, the values normal
    about the middle of the box with half its width as deviation, clipped. A child is
    a + F (b - c) of three other candidates and replaces its parent if the label is less, or the
    target more probable; there is no crossover. An image is finished when the label's probability
    is below 0.05, or the target's above 0.9, or after all generations.

    Parameters
    ----------
    model : callable
        Images to logits.
    x : Tensor, shape (n, C, H, W)
    y : Tensor, shape (n,)
        Labels.
    pixels : int
        Changed pixels, at most; 1, 3 and 5 in the paper.
    population, iterations : int
        Candidates, and generations after the first.
    scale : float
        F, the factor of differences.
    eager : bool
        Whether an image is finished as soon as any candidate has a wanted label.
    at_once : int, optional
        About so many candidates in a call of the model, but never less than a population; by
        default as many as suit the device.
    local : bool
        Whether, for a single pixel, an `nn.Sequential` of convolutions and pooling computes only
        the features that the pixel changes: the same logits but for rounding.
    box : tuple of float
        Range of x and of the new values.
    targets : Tensor, shape (n,), optional
        Labels to reach.
    stream : torch.Generator, optional
        Without it the stream of seed 0. A single image draws from the stream itself, several from
        streams of their own.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If the inputs, labels, targets, settings or the model's values are not as above.

    References
    ----------
    Su, Vargas and Sakurai, One pixel attack for fooling deep neural networks (IEEE Trans. Evol.
    Comput. 23, 2019), equation (4) and section III-C; there N(128, 127) for values from 0 to 255.
    """
    checked(model, x, y, box=box, targets=targets)
    check_images("few_pixels", x)
    if box is None or pixels < 1 or population < 3:
        raise InputError(
            f"few_pixels: box {box}, pixels {pixels}, population {population}; "
            "expected a box, pixels >= 1 and population >= 3"
        )

    def first(own: torch.Generator) -> torch.Tensor:
        at = torch.rand(population, pixels, 2, generator=own)
        values = 0.5 + 0.5 * torch.randn(population, pixels, x.shape[1], generator=own)
        return torch.cat([at, values.clamp(0.0, 1.0)], dim=2).flatten(1)

    def picks(own: torch.Generator) -> torch.Tensor:
        return three_different(population, own)

    enough = _LABEL_BELOW if targets is None else -_TARGET_ABOVE
    evolution = Evolution(
        first,
        picks,
        *box,
        pixels,
        iterations,
        scale,
        None if eager else enough,
        at_once,
        local,
    )
    return evolved(model, x, Goal(y, targets), evolution, stream)


def three_different(n: int, stream: torch.Generator) -> torch.Tensor:
    """Return n triples of different numbers below n, each triple equally likely, shape (n, 3).

    Examples
    --------
    >>> three_different(3, torch.Generator().manual_seed(0)).sort(dim=1).values
    tensor([[0, 1, 2],
            [0, 1, 2],
            [0, 1, 2]])
    """
    a, b, c = (torch.randint(n - k, (n,), generator=stream) for k in range(3))
    b = b + (b >= a)
    for taken in (torch.minimum(a, b), torch.maximum(a, b)):
        c = c + (c >= taken)
    return torch.stack([a, b, c], dim=1)
