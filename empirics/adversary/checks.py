"""What every attack asks of its inputs and of the model, checked once at the front."""

import math

import torch

from empirics.adversary.batch import Model
from theory.errors import InputError

Box = tuple[float, float]
"""The least and the largest value that a coordinate of an input may take."""


def checked(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> None:
    """Raise unless an attack with these arguments makes sense; calls the model twice.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K), K >= 2; finite at x, and the same when called again.
    x : Tensor, shape (n, ...)
        Floating point, finite, within the box.
    y : Tensor, shape (n,)
        Labels to be left, int64, from 0 to K - 1.
    box : tuple of float, optional
        (low, high).
    targets : Tensor, shape (n,), optional
        Labels to be reached, as y, and different from y.

    Raises
    ------
    InputError
        In one line: which argument is wrong, and what would be right.
    """
    _check_inputs(x, box)
    n_classes = _n_classes(model, x)
    _check_labels("y", y, x, n_classes)
    if targets is not None:
        _check_labels("targets", targets, x, n_classes)
        if same := int((targets == y).sum()):
            raise InputError(f"targets: {same} equal the labels y; a target is another label")


def _check_inputs(x: torch.Tensor, box: Box | None) -> None:
    if not x.is_floating_point() or x.ndim < 2 or not x.numel():
        raise InputError(
            f"x: shape {tuple(x.shape)} and dtype {x.dtype}; "
            "expected floating point of shape (n, ...) with n >= 1"
        )
    if unfit := int((~torch.isfinite(x)).sum()):
        raise InputError(f"x: {unfit} of {x.numel()} values are not finite")
    if box is None:
        return
    low, high = box
    if math.isnan(low) or math.isnan(high) or low >= high:
        raise InputError(f"box: ({low}, {high}); expected (low, high) with low < high")
    if int(((x < low) | (x > high)).sum()):
        raise InputError(
            f"x: values from {x.min().item():g} to {x.max().item():g}; "
            f"expected within the box [{low:g}, {high:g}]"
        )


def _n_classes(model: Model, x: torch.Tensor) -> int:
    with torch.no_grad():
        logits, again = model(x), model(x)
    if logits.ndim != 2 or len(logits) != len(x) or logits.shape[1] < 2:
        raise InputError(
            f"model: logits of shape {tuple(logits.shape)} for {len(x)} inputs; "
            f"expected ({len(x)}, K) with K >= 2"
        )
    if unfit := int((~torch.isfinite(logits)).any(dim=1).sum()):
        raise InputError(f"model: logits that are not finite at {unfit} of {len(x)} inputs")
    # Parallel sums may round differently from call to call; randomness is far larger.
    rounding = torch.finfo(logits.dtype).eps ** 0.5
    if (logits - again).abs().max() > rounding * (1 + logits.abs().max()):
        raise InputError(
            "model: two calls at the same inputs give different logits; "
            "expected a deterministic model (evaluation mode, or an average over its randomness)"
        )
    return int(logits.shape[1])


def _check_labels(name: str, labels: torch.Tensor, x: torch.Tensor, n_classes: int) -> None:
    if labels.dtype != torch.int64 or labels.shape != (len(x),):
        raise InputError(
            f"{name}: shape {tuple(labels.shape)} and dtype {labels.dtype}; "
            f"expected ({len(x)},) and torch.int64"
        )
    if int(((labels < 0) | (labels >= n_classes)).sum()):
        raise InputError(
            f"{name}: from {labels.min().item()} to {labels.max().item()}; "
            f"expected labels from 0 to {n_classes - 1}"
        )
