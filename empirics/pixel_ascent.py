"""An ascent along gradients that changes given pixels alone, many points at once."""

import torch
from torch import nn

_STRIDE = 0.1
"""First steps, as part of the width of the box; they shrink to a hundredth of it."""
_DECAY = 0.01
_AT_ONCE = 512


def ascent(
    module: nn.Module,
    x: torch.Tensor,
    targets: torch.Tensor,
    pixels: torch.Tensor,
    shape: tuple[int, ...],
    *,
    box: tuple[float, float],
    steps: int,
    stream: torch.Generator,
    device: torch.device,
) -> torch.Tensor:
    """Return points that differ from x in the given pixels alone, with their targets as labels.

    Each pixel moves by the sign of the gradient of the target's lead over the strongest rival, by
    steps that shrink, first from x and, where that has not led to the target, once more from random
    values of the pixels. Points stop where the label is reached.

    Parameters
    ----------
    module : nn.Module
        Images (n, *shape) to logits.
    x : Tensor, shape (n, d)
        Flat images, on the CPU, as all that follows.
    targets : Tensor, shape (n,)
    pixels : Tensor of int, shape (n, k)
        The pixels that may change.
    shape : tuple of int
        Of an image.
    box : tuple of float
        Range of the pixels.
    steps : int
        Of each of the two ascents.
    stream : torch.Generator
        For the random values.
    device : torch.device

    Returns
    -------
    Tensor, shape (n, d)
        x where the label was not reached.
    """
    starts = box[0] + (box[1] - box[0]) * torch.rand(pixels.shape, generator=stream)
    parts = []
    for begin in range(0, len(x), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        some = (each[part].to(device) for each in (x, targets, pixels, starts))
        parts.append(_ascend(module, *some, shape=shape, box=box, steps=steps))
    return torch.cat(parts)


def _ascend(
    module: nn.Module,
    x: torch.Tensor,
    targets: torch.Tensor,
    pixels: torch.Tensor,
    starts: torch.Tensor,
    *,
    shape: tuple[int, ...],
    box: tuple[float, float],
    steps: int,
) -> torch.Tensor:
    found = x.clone()
    left = torch.arange(len(x), device=x.device)
    for start in (x.gather(1, pixels), starts):
        rows, values = left, start[left].clone()
        for step in range(steps + 1):
            if not len(rows):
                break
            points = x[rows].scatter(1, pixels[rows], values).requires_grad_(True)
            logits = module(points.reshape(-1, *shape))
            own = logits.gather(1, targets[rows, None])[:, 0]
            rivals = logits.scatter(1, targets[rows, None], -torch.inf).amax(dim=1)
            reached = (own > rivals).detach()
            found[rows[reached]] = points.detach()[reached]
            (gradient,) = torch.autograd.grad((own - rivals).sum(), points)
            stride = (box[1] - box[0]) * _STRIDE * _DECAY ** (step / steps)
            values = values + stride * gradient.gather(1, pixels[rows]).sign()
            rows, values = rows[~reached], values[~reached].clamp(*box)
        left = left[(found[left] == x[left]).all(dim=1)]
    return found.cpu()
