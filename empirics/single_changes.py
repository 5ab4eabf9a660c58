"""Labels of an image with one pixel changed, for all pixels at once."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.adversary.changed_pixel import ChangedPixel
from empirics.correct_images import CorrectImages
from theory.relu.layer import BoolArray

_NEAR = 1e-3
"""Leads below this part of the largest logit may be rounded wrongly: the network is asked again."""
Logits = Callable[[int, torch.Tensor], torch.Tensor]
"""(image, colour of shape (C,)) -> logits with each pixel in that colour, shape (pixels, K)."""


class SingleChanges:
    """Which pixels change the label of an image when they take a colour.

    Where the first layer is dense, or convolutional, only what one pixel changes is computed; the
    network itself is asked where the label could depend on rounding, and wherever it changes.
    """

    def __init__(self, images: CorrectImages) -> None:
        self._images = images
        shape = images.shape
        flat = torch.from_numpy(images.flat.astype(np.float32))
        self._pictures = flat.reshape(-1, *shape).to(images.device)
        self._n_pixels = shape[1] * shape[2]
        self._quick = _dense_first(images.module, self._pictures) or _windows_first(
            images.module, self._pictures
        )

    @property
    def quick(self) -> bool:
        """Whether a change takes less than a pass through the whole network."""
        return self._quick is not None

    def altered(self, image: int, colour: npt.NDArray[np.float32]) -> BoolArray:
        """Return for each pixel whether the colour there alters the label, shape (pixels,)."""
        pixels = np.arange(self._n_pixels)
        if self._quick is None:
            return self._asked(image, colour, pixels)
        label = int(self._images.labels[image])
        with torch.no_grad():
            logits = self._quick(image, torch.from_numpy(colour).to(self._pictures.device))
            own = logits[:, label].clone()
            logits[:, label] = -torch.inf
            lead = own - logits.amax(dim=1)
            largest = torch.maximum(own.abs(), logits[:, logits[0] > -torch.inf].abs().amax(dim=1))
        doubtful = (lead < _NEAR * (1 + largest)).cpu().numpy()
        found = np.zeros(self._n_pixels, dtype=bool)
        if doubtful.any():
            found[doubtful] = self._asked(image, colour, pixels[doubtful])
        return found

    def _asked(
        self, image: int, colour: npt.NDArray[np.float32], pixels: npt.NDArray[np.intp]
    ) -> BoolArray:
        """Return what the network itself says of some pixels."""
        own = self._images.flat[image].astype(np.float32).reshape(len(colour), -1)
        changed = np.repeat(own[None], len(pixels), axis=0)
        changed[np.arange(len(pixels)), :, pixels] = colour
        labels = self._images.deployed_labels(changed.reshape(len(pixels), -1))
        return np.asarray(labels != self._images.labels[image])


def _dense_first(module: nn.Module, pictures: torch.Tensor) -> Logits | None:
    """Return the logits of a network that begins with a dense layer; None where it does not."""
    layers = list(module) if isinstance(module, nn.Sequential) else []
    if len(layers) < 2 or not isinstance(layers[0], nn.Flatten):
        return None
    dense, rest = layers[1], nn.Sequential(*layers[2:])
    if not isinstance(dense, nn.Linear):
        return None
    n, channels = pictures.shape[:2]
    columns = dense.weight.detach().reshape(dense.out_features, channels, -1)
    flat = pictures.reshape(n, channels, -1)

    def logits(image: int, colour: torch.Tensor) -> torch.Tensor:
        moved = colour[:, None] - flat[image]
        values = dense(flat[image].flatten()) + torch.einsum("hcp,cp->ph", columns, moved)
        found: torch.Tensor = rest(values)
        return found

    return logits


def _windows_first(module: nn.Module, pictures: torch.Tensor) -> Logits | None:
    """Return the logits of a network of convolutions and pooling; None where it is not one."""
    changed = ChangedPixel.of(module, pictures)
    if changed is None:
        return None
    height, width = pictures.shape[2:]
    device = pictures.device
    at = torch.cartesian_prod(
        torch.arange(height, device=device), torch.arange(width, device=device)
    )

    def logits(image: int, colour: torch.Tensor) -> torch.Tensor:
        which = torch.full((len(at),), image, device=device)
        return changed(which, at, colour.expand(len(at), -1))

    return logits
