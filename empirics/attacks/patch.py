"""A round patch that works anywhere on an image, turned and scaled (Brown et al., 2017)."""

import math

import torch
from torch.nn.functional import affine_grid, grid_sample

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal
from empirics.attacks.registry import attack
from theory.errors import InputError


def placed(
    patch: torch.Tensor,
    x: torch.Tensor,
    stream: torch.Generator,
    *,
    scales: tuple[float, float] = (0.3, 0.5),
    degrees: float = 45.0,
) -> torch.Tensor:
    """Return the images with the patch at a random place, angle and scale in each.

    Parameters
    ----------
    patch : Tensor, shape (C, h, w)
        Its inscribed disc is shown.
    x : Tensor, shape (n, C, H, W)
    stream : torch.Generator
    scales : tuple of float
        Least and largest diameter, as parts of the image's side.
    degrees : float
        Turned by at most so much to either side.
    """
    n = len(x)
    draw = torch.rand(4, n, generator=stream, dtype=x.dtype).to(x.device)
    size = scales[0] + (scales[1] - scales[0]) * draw[0]
    angle = math.radians(degrees) * (2 * draw[1] - 1)
    center = (2 * draw[2:] - 1) * (1 - size)
    # From coordinates of the image to those of the patch, both from -1 to 1.
    cos, sin = angle.cos() / size, angle.sin() / size
    turn = torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)
    offset = -(turn @ center.T[:, :, None])
    grid = affine_grid(torch.cat([turn, offset], dim=2), list(x.shape), align_corners=False)
    shown = grid_sample(
        patch.expand(n, *patch.shape), grid, padding_mode="border", align_corners=False
    )
    disc = (grid.square().sum(dim=3) <= 1)[:, None]
    return torch.where(disc, shown, x)


def trained_patch(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    box: Box,
    stream: torch.Generator,
    targets: torch.Tensor | None = None,
    scales: tuple[float, float] = (0.3, 0.5),
    degrees: float = 45.0,
    steps: int = 500,
    batch: int = 32,
    step_size: float = 0.05,
) -> torch.Tensor:
    """Return a patch that raises the log odds of the goal in the mean over images and places.

    Parameters
    ----------
    model : callable
        Images (n, C, H, W) to logits (n, K).
    x, y : Tensor
        Images (n, C, H, W) and labels (n,) to learn on.
    box : tuple of float
        Lowest and highest value of a pixel.
    stream : torch.Generator
        Draws the first patch, the images of each step and the places.
    targets : Tensor, shape (n,), optional
        Labels to reach; as published, one and the same for all images.
    scales, degrees
        As in `placed`.
    steps, batch : int
        Of Adam, and images in each.
    step_size : float
        Adam's, in units of the box's width.

    Returns
    -------
    Tensor, shape (C, H, W)

    Raises
    ------
    InputError
        If the inputs are not images, the scales no part of the side, or other arguments are not
        as above.

    References
    ----------
    Brown, Mane, Roy, Abadi and Gilmer, Adversarial patch (arXiv:1712.09665), equation in
    section 2.
    """
    checked(model, x, y, box=box, targets=targets)
    if x.ndim != 4:
        raise InputError(f"x: shape {tuple(x.shape)}; a patch needs images (n, C, H, W)")
    if not 0 < scales[0] <= scales[1] <= 1:
        raise InputError(f"scales: {scales}; expected 0 < least <= largest <= 1")
    low, high = box
    goal = Goal(y, targets)
    first = torch.rand(x.shape[1:], generator=stream, dtype=x.dtype).to(x.device)
    patch = (low + (high - low) * first).clamp(low, high).requires_grad_(True)
    adam = torch.optim.Adam([patch], lr=step_size * (high - low))
    for _ in range(steps):
        rows = torch.randint(len(x), (min(batch, len(x)),), generator=stream).to(x.device)
        logits = model(placed(patch, x[rows], stream, scales=scales, degrees=degrees))
        cost = -goal.of(rows).gain(logits).mean()
        (patch.grad,) = torch.autograd.grad(cost, patch)
        adam.step()
        with torch.no_grad():
            patch.clamp_(low, high)
    return patch.detach()


@attack("patch")
def patch(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    box: Box,
    stream: torch.Generator,
    targets: torch.Tensor | None = None,
    scales: tuple[float, float] = (0.3, 0.5),
    degrees: float = 45.0,
    steps: int = 500,
) -> torch.Tensor:
    """Return the images with one patch, made for them all, at a random place; x where it failed.

    White box; the pixels outside a disc are those of x.

    Parameters
    ----------
    model, x, y, box, stream, targets, scales, degrees, steps
        As in `trained_patch`.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        As `trained_patch`.

    References
    ----------
    Brown, Mane, Roy, Abadi and Gilmer, Adversarial patch (arXiv:1712.09665).
    """
    learnt = trained_patch(
        model,
        x,
        y,
        box=box,
        stream=stream,
        targets=targets,
        scales=scales,
        degrees=degrees,
        steps=steps,
    )
    goal = Goal(y, targets)
    with torch.no_grad():
        points = placed(learnt, x, stream, scales=scales, degrees=degrees).clamp(*box)
        keep = goal.reached(model(points)) & ~goal.reached(model(x))
    return torch.where(keep.reshape(-1, 1, 1, 1), points, x)
