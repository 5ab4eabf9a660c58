"""Differential evolution of a few pixels, all images of a batch together."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from empirics.adversary.batch import Model
from empirics.adversary.changed_pixel import ChangedPixel
from empirics.adversary.goal import Goal

Draw = Callable[[torch.Generator], torch.Tensor]

_AT_ONCE = {"cpu": 400}
_AT_ONCE_ELSEWHERE = 25600
"""Candidates in a call: on a CPU so few that features stay in its caches."""


class Evolution(NamedTuple):
    """How candidates are drawn, made and selected.

    A candidate is a row of `pixels` times (row, column, a value for each channel), all as fractions
    of their ranges, clipped to [0, 1].

    Attributes
    ----------
    first : callable
        Stream to the first candidates (population, genes).
    picks : callable
        Stream to the three individuals that make each child, (population, 3).
    low, high : float
        Range of the values.
    pixels, iterations : int
        Pixels of a candidate; generations after the first.
    scale : float
        F: a child is a + F (b - c).
    enough : float or None
        None: an image is finished as soon as a candidate has a wanted label. Else it is finished
        when the best cost, the label's probability or minus the target's, is below this.
    at_once : int or None
        Candidates in a call of the model, at least a population; None: as suits the device.
    local : bool
        Whether only changed features are computed, where pixels is 1 and the model allows it.
    """

    first: Draw
    picks: Draw
    low: float
    high: float
    pixels: int
    iterations: int
    scale: float
    enough: float | None
    at_once: int | None
    local: bool


def evolved(
    model: Model,
    x: torch.Tensor,
    goal: Goal,
    evolution: Evolution,
    stream: torch.Generator | None,
) -> torch.Tensor:
    """Return images (n, C, H, W) with changed pixels and wanted labels; x where none was found.

    A single image draws from the stream itself, several from streams of their own, so that none
    depends on when another is finished.
    """
    stream = torch.Generator().manual_seed(0) if stream is None else stream
    if len(x) == 1:
        streams = [stream]
    else:
        seeds = torch.randint(2**62, (len(x),), generator=stream).tolist()
        streams = [torch.Generator().manual_seed(seed) for seed in seeds]
    found = x.clone()
    with torch.no_grad():
        active = (model(x).argmax(dim=1) == goal.y).nonzero()[:, 0]
    judge = _Judge(model, x, goal, evolution)
    parents = torch.zeros(0)
    costs = torch.full((len(active), 1), torch.inf)
    for generation in range(evolution.iterations + 1):
        if not len(active):
            break
        own = [streams[i] for i in active.tolist()]
        if generation:
            candidates = _children(parents, own, evolution)
        else:
            candidates = parents = torch.stack([evolution.first(s) for s in own])
        new, reached = judge(active, candidates)
        better = new < costs
        parents = torch.where(better[:, :, None], candidates, parents)
        costs = torch.where(better, new, costs)
        if evolution.enough is None:
            done, top, pool = reached.any(dim=1), reached.to(torch.int8).argmax(dim=1), candidates
        else:
            done, top, pool = costs.amin(dim=1) < evolution.enough, costs.argmin(dim=1), parents
            done |= generation == evolution.iterations
        chosen = pool[done, top[done]]
        found[active[done]] = judge.made(active[done], chosen)
        active, parents, costs = active[~done], parents[~done], costs[~done]
    with torch.no_grad():
        real = goal.reached(model(found))
    return torch.where(real.reshape(-1, 1, 1, 1), found, x)


def _children(
    parents: torch.Tensor, streams: list[torch.Generator], evolution: Evolution
) -> torch.Tensor:
    picks = torch.stack([evolution.picks(stream) for stream in streams])
    rows = torch.arange(len(parents))[:, None]
    a, b, c = (parents[rows, picks[:, :, k]] for k in range(3))
    return (a + evolution.scale * (b - c)).clamp(0.0, 1.0)


class _Judge:
    """Costs of candidates; each call of the model takes whole populations."""

    def __init__(self, model: Model, x: torch.Tensor, goal: Goal, evolution: Evolution) -> None:
        self._model, self._x, self._goal, self._evolution = model, x, goal, evolution
        local = evolution.local and evolution.pixels == 1
        self._changed = ChangedPixel.of(model, x) if local else None

    def __call__(
        self, image: torch.Tensor, candidates: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the costs of candidates (m, population, genes), and which have wanted labels."""
        population = candidates.shape[1]
        at_once = self._evolution.at_once
        if at_once is None:
            at_once = _AT_ONCE.get(self._x.device.type, _AT_ONCE_ELSEWHERE)
        images_at_once = max(1, at_once // population)
        parts = [
            self._judged(images.repeat_interleave(population), genes.flatten(0, 1))
            for images, genes in zip(
                torch.split(image, images_at_once),
                torch.split(candidates, images_at_once),
                strict=True,
            )
        ]
        costs, reached = (
            torch.cat(part).reshape(-1, population) for part in zip(*parts, strict=True)
        )
        return costs, reached

    def made(self, image: torch.Tensor, genes: torch.Tensor) -> torch.Tensor:
        """Return the images of candidates, one each, (m, C, H, W)."""
        images = self._x[image]
        rows = torch.arange(len(images), device=images.device)
        for at, values in self._pixels(genes):
            images[rows, :, at[:, 0], at[:, 1]] = values
        return images

    def _pixels(self, genes: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return rows and columns (m, 2) and values (m, C) of each pixel."""
        low, high = self._evolution.low, self._evolution.high
        size = torch.tensor(self._x.shape[2:], dtype=torch.float32)
        pixels = []
        for part in genes.chunk(self._evolution.pixels, dim=1):
            at = (part[:, :2] * size).long().minimum(size.long() - 1)
            values = (low + (high - low) * part[:, 2:]).clamp(low, high)
            pixels.append((at.to(self._x.device), values.to(self._x)))
        return pixels

    def _judged(
        self, image: torch.Tensor, genes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            if self._changed is None:
                logits = self._model(self.made(image, genes))
            else:
                logits = self._changed(image, *self._pixels(genes)[0])
        goal = self._goal.of(image)
        probabilities = logits.softmax(dim=1)
        if goal.targets is None:
            costs = probabilities.gather(1, goal.y[:, None])[:, 0]
        else:
            costs = -probabilities.gather(1, goal.targets[:, None])[:, 0]
        return costs.cpu(), goal.reached(logits).cpu()
