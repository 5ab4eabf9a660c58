"""What an attack wants of the logits: any other label, or a given one."""

from dataclasses import dataclass

import torch

from empirics.adversary.batch import log_odds, margin
from empirics.adversary.checks import Box


@dataclass(frozen=True)
class Goal:
    """Leave the labels y or, where targets are given, reach these.

    Attributes
    ----------
    y : Tensor, shape (n,)
    targets : Tensor, shape (n,), optional
    """

    y: torch.Tensor
    targets: torch.Tensor | None = None

    def reached(self, logits: torch.Tensor) -> torch.Tensor:
        """Return whether the label is an adversarial one, shape (n,)."""
        labels = logits.argmax(dim=1)
        return labels != self.y if self.targets is None else labels == self.targets

    def margin(self, logits: torch.Tensor) -> torch.Tensor:
        """Return by how much the goal is missed, shape (n,): negative where it is reached."""
        return margin(logits, self.y) if self.targets is None else -margin(logits, self.targets)

    def gain(self, logits: torch.Tensor) -> torch.Tensor:
        """Return what grows towards the goal, shape (n,): log odds, which never saturate."""
        if self.targets is None:
            return log_odds(logits, self.y)
        return -log_odds(logits, self.targets)

    def of(self, chosen: torch.Tensor) -> "Goal":
        """Return the goal of the chosen points, an index or a mask."""
        return Goal(self.y[chosen], None if self.targets is None else self.targets[chosen])


def within(points: torch.Tensor, box: Box | None) -> torch.Tensor:
    """Return the points with every coordinate brought into the box."""
    return points if box is None else points.clamp(*box)
