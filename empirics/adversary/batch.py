"""Item by item on a batch: norms and multiples of arrays, margins and log odds of logits."""

from collections.abc import Callable

import torch
from torch import nn

Model = Callable[[torch.Tensor], torch.Tensor] | nn.Module
"""Inputs (n, ...) to logits (n, K)."""


def flat_norm(difference: torch.Tensor) -> torch.Tensor:
    """Return the l2 norms of a batch of arrays of any shape, shape (n,)."""
    norms: torch.Tensor = difference.flatten(1).norm(dim=1)
    return norms


def scale(factor: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    """Return the batch with each item multiplied by its own factor, shape (n,)."""
    return factor.reshape(-1, *[1] * (batch.ndim - 1)) * batch


def log_odds(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return log sum_{j != y} exp(logit_j) - logit_y, shape (n,).

    Its gradient has the direction of the cross entropy's, and never vanishes by saturation.
    """
    own, others = _own_and_others(logits, label)
    return others.logsumexp(dim=1) - own


def margin(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return logit_y - max_{j != y} logit_j, shape (n,): negative where another label wins."""
    own, others = _own_and_others(logits, label)
    return own - others.amax(dim=1)


def _own_and_others(logits: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    own = logits.gather(1, label[:, None])[:, 0]
    return own, logits.scatter(1, label[:, None], -torch.inf)
