"""A network from outside as this toolkit takes one: float32 images (n, C, H, W) to logits (n, K).

What can be brought into that form is, and said; what cannot is refused by name.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import fx, nn

from empirics.given.normalised import without_normalisation
from empirics.given.probing import (
    ForwardError,
    first_not_finite,
    first_that_mixes,
    logits_of,
    outputs_of,
    own_randomness,
    random_images,
    same,
)
from empirics.given.users_code import short_traceback
from theory.errors import InputError

_IMAGES = 6
_BATCHES = (2, 4, 5, 8, 10, 16, 32, 50, 64, 100, 128, 256)
_WRAPPERS = {
    **{"DataParallel": "module", "DistributedDataParallel": "module"},
    "OptimizedModule": "_orig_mod",
}
"""What runs a network otherwise, as torch.compile does, and where it keeps it."""
_BY_THE_BATCH = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


class OneByOne(nn.Module):
    """A network that takes one image at a time, made one that takes batches.

    Parameters
    ----------
    network : nn.Module
        Images (1, ...) to K values.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the outputs, (n, K)."""
        traced: object = images
        if isinstance(traced, fx.Proxy):  # for one image, as the network takes it
            return torch.flatten(self.network(images).unsqueeze(0), 1)
        return torch.cat([self.network(image[None]).reshape(1, -1) for image in images])


class Rows(nn.Module):
    """A network whose outputs lose the axis of the batch where it is one image, with that axis.

    Parameters
    ----------
    network : nn.Module
        Images (n, ...) to n K values.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the outputs, (n, K)."""
        return torch.reshape(self.network(images), (images.size(0), -1))


def conforming(
    module: nn.Module,
    image_shape: tuple[int, ...],
    n_classes: int,
    source: str,
    input_shape: tuple[int, ...] | None = None,
) -> tuple[nn.Module, tuple[str, ...]]:
    """Return a network in the form that everything here takes, and what was done to it.

    Parameters
    ----------
    module : nn.Module
        Changed in place: single precision, on the CPU, in eval mode, without gradients of weights.
    image_shape : tuple of int
        Of one image, (C, H, W).
    n_classes : int
    source : str
        What the user calls it, for messages.
    input_shape : tuple of int, optional
        Of one input, where that is known of it.

    Returns
    -------
    nn.Module
        Images float32 (n, C, H, W) to logits float32 (n, K), one image at a time or all at once.
    tuple of str
        What was handled, in words.

    Raises
    ------
    InputError
        If its input has another shape, its output is not one finite number a class for each image,
        or depends on what else is in the batch.
    """
    notes: list[str] = []
    try:
        made = _conformed(_prepared(module, notes), image_shape, n_classes, input_shape, notes)
    except InputError as error:
        raise InputError(f"{source} {error}") from error
    return made.eval().requires_grad_(False), tuple(notes)


def _prepared(module: nn.Module, notes: list[str]) -> nn.Module:
    while (inner := getattr(module, _WRAPPERS.get(type(module).__name__, ""), None)) is not None:
        notes.append(f"taken out of its {type(module).__name__}")
        module = inner
    if any(layer.training for layer in module.modules() if isinstance(layer, _BY_THE_BATCH)):
        notes.append("eval mode was set: batch normalisation by its running statistics, no dropout")
    module.eval().requires_grad_(False)
    kinds = {p.dtype for p in (*module.parameters(), *module.buffers()) if p.is_floating_point()}
    other = sorted(str(kind).removeprefix("torch.") for kind in kinds - {torch.float32})
    if other:
        notes.append(f"weights in {', '.join(other)} were converted: it is judged in float32")
    return module.to("cpu").float()


def _conformed(
    module: nn.Module,
    shape: tuple[int, ...],
    n_classes: int,
    input_shape: tuple[int, ...] | None,
    notes: list[str],
) -> nn.Module:
    images = random_images(_IMAGES, shape)
    module, outputs = _taking(module, images, input_shape, notes)
    if not isinstance(outputs, torch.Tensor):
        raise InputError(_told(outputs, len(images), n_classes))
    if outputs.shape[:2] == (len(images), n_classes) and outputs.shape[2:].numel() == 1:
        if outputs.ndim > 2:
            notes.append(f"its outputs of shape {(n_classes, *outputs.shape[2:])} are flattened")
            module = nn.Sequential(module, nn.Flatten())
    else:
        raise InputError(_of_other_shape(outputs, len(images), n_classes))
    if outputs.dtype != torch.float32:
        found = str(outputs.dtype).removeprefix("torch.")
        raise InputError(f"gives {found} for float32 images: let its forward pass give float32")
    logits = logits_of(module, images)
    if not torch.isfinite(logits).all():
        place = first_not_finite(module, images)
        raise InputError(f"gives values that are not finite, first in {place}")
    module, alone = _alone(module, images, n_classes, notes)
    if not torch.equal(logits, _again(module, images)):
        notes.append("two calls at the same images give different logits: it is randomised")
    elif not same(logits, alone):
        raise InputError(
            "gives an image other logits beside other images, first in"
            f" {first_that_mixes(module, images)}: no statement about one image speaks of it"
        )
    return without_normalisation(module, images, notes)


def _alone(
    module: nn.Module, images: torch.Tensor, n_classes: int, notes: list[str]
) -> tuple[nn.Module, torch.Tensor]:
    """Return a network that takes one image as well as many, and its outputs one by one."""
    try:
        alone = [outputs_of(module, image[None]) for image in images]
    except ForwardError as error:
        raise InputError(f"takes {len(images)} images, but not one alone: {error}") from error
    if alone[0].shape == (1, n_classes):
        return module, torch.cat(alone)
    if alone[0].numel() != n_classes:
        raise InputError(_of_other_shape(alone[0], 1, n_classes))
    notes.append("for one image alone it drops the axis of the batch: it is put back")
    return Rows(module), torch.stack([each.flatten() for each in alone])


def _again(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the outputs from another random state."""
    with own_randomness(seed=1):
        outputs: torch.Tensor = module(images.clone())
        return outputs


def _taking(
    module: nn.Module,
    images: torch.Tensor,
    input_shape: tuple[int, ...] | None,
    notes: list[str],
) -> tuple[nn.Module, Any]:
    """Return a network that takes such images in batches, and its outputs."""
    try:
        return module, outputs_of(module, images)
    except ForwardError as error:
        failure = error
    shape = tuple(images.shape[1:])
    reshaped = _reshaped(module, shape, input_shape)
    for name, candidate in reshaped.items():
        try:
            outputs = outputs_of(candidate, images)
        except ForwardError:
            continue
        notes.append(f"it takes images as {name}: they are reshaped")
        return candidate, outputs
    for name, candidate in {"": module, **reshaped}.items():
        try:
            outputs = outputs_of(candidate, images[:1])
        except ForwardError:
            continue
        if not isinstance(outputs, torch.Tensor):
            return candidate, outputs
        if name:
            notes.append(f"it takes images as {name}: they are reshaped")
        notes.append("it takes one image at a time: batches are taken apart")
        one_by_one = OneByOne(candidate)
        return one_by_one, outputs_of(one_by_one, images)
    for size in _BATCHES:
        try:
            outputs_of(module, random_images(size, shape))
        except ForwardError:
            continue
        raise InputError(f"takes batches of {size} images only: export it for any batch, or for 1")
    cause = failure.cause
    own = "" if failure.place else f" ({short_traceback(cause)})"
    raise InputError(f"fails on images of shape {shape}: {failure}{own}") from cause


def _reshaped(
    module: nn.Module, shape: tuple[int, ...], wanted: tuple[int, ...] | None
) -> Mapping[str, nn.Module]:
    """Return a network behind each form in which images may have to come."""
    size = torch.Size(shape).numel()
    forms: dict[str, nn.Module] = {f"vectors of {size}": nn.Sequential(nn.Flatten(), module)}
    if wanted is not None and torch.Size(wanted).numel() == size and wanted != shape:
        to = nn.Unflatten(1, wanted)
        forms[f"arrays of shape {wanted}"] = nn.Sequential(nn.Flatten(), to, module)
    return forms


def _told(outputs: object, n: int, n_classes: int) -> str:
    """Return what is said of outputs that are no tensor."""
    if isinstance(outputs, Mapping):
        named = {f"['{key}']": value for key, value in outputs.items()}
    elif is_dataclass(outputs):
        named = {f".{f.name}": getattr(outputs, f.name) for f in fields(outputs)}
    elif isinstance(outputs, tuple | list):
        named = {f"[{i}]": value for i, value in enumerate(outputs)}
    else:
        return f"gives a {type(outputs).__name__}: expected one tensor of logits"
    shapes = {
        name: tuple(value.shape) for name, value in named.items() if isinstance(value, torch.Tensor)
    }
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "no tensors"
    like = [name for name, shape in shapes.items() if shape == (n, n_classes)]
    advice = (
        f"element {like[0]} looks like logits: name a module that returns model(x){like[0]}"
        if like
        else f"none of shape ({n}, {n_classes})"
    )
    return f"gives a {type(outputs).__name__} ({listed}): expected one tensor; {advice}"


def _of_other_shape(outputs: torch.Tensor, n: int, n_classes: int) -> str:
    """Return what is said of a tensor that is not one number a class for each image."""
    shape = tuple(outputs.shape)
    if len(shape) == 2 and shape[0] == n:
        what = "value" if shape[1] == 1 else "values"
        two = ": return two logits for two classes" if shape[1] == 1 else ""
        return f"gives {shape[1]} {what} for an image, the data have {n_classes} classes{two}"
    return f"gives {shape} for {n} images, expected ({n}, {n_classes})"
