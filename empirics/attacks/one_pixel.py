"""One changed pixel, by differential evolution: an attack that sees probabilities alone."""

import torch

from empirics.attacks.registry import Model, attack

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
    stream: torch.Generator | None = None,
) -> torch.Tensor:
    """Return points that differ from x in one pixel and have another label; x where none was found.

    Untargeted: the probability of the label is minimised. A child replaces its parent if it is
    fitter; there is no crossover; an image is given up as soon as its label has changed.

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
    stream : torch.Generator, optional

    References
    ----------
    Su, Vargas and Sakurai, One pixel attack for fooling deep neural networks (IEEE Trans. Evol.
    Comput. 23, 2019).
    """
    found = x.clone()
    for i in range(len(x)):
        found[i] = _evolve(model, x[i], y[i], low, high, population, iterations, scale, stream)
    return found


def _evolve(
    model: Model,
    image: torch.Tensor,
    label: torch.Tensor,
    low: float,
    high: float,
    population: int,
    iterations: int,
    scale: float,
    stream: torch.Generator | None,
) -> torch.Tensor:
    channels, height, width = image.shape
    size = torch.tensor([height, width], dtype=torch.float32)
    # Columns: row, column, then the new value of each channel, all as fractions of their range.
    parents = torch.rand(population, 2 + channels, generator=stream)

    def made(genes: torch.Tensor) -> torch.Tensor:
        at = (genes[:, :2] * size).long().minimum(size.long() - 1)
        images = image.repeat(len(genes), 1, 1, 1)
        values = low + (high - low) * genes[:, 2:]
        images[torch.arange(len(genes)), :, at[:, 0], at[:, 1]] = values.to(image)
        return images

    def fitness(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        with torch.no_grad():
            logits = model(images)
        changed = (logits.argmax(dim=1) != label).nonzero()
        hit = images[int(changed[0, 0])] if len(changed) else None
        return logits.softmax(dim=1)[:, label].cpu(), hit

    costs, hit = fitness(made(parents))
    for _ in range(iterations):
        if hit is not None:
            return hit
        picks = torch.rand(population, population, generator=stream).topk(_CROSSED, dim=1).indices
        a, b, c = (parents[picks[:, k]] for k in range(_CROSSED))
        children = (a + scale * (b - c)).clamp(0.0, 1.0)
        new, hit = fitness(made(children))
        better = new < costs
        parents = torch.where(better[:, None], children, parents)
        costs = torch.where(better, new, costs)
    return image if hit is None else hit
