"""The nearest adversarial points that a search has met."""

import torch

from empirics.adversary.half_space import norms


class Closest:
    """For each of n origins the nearest adversarial point offered so far.

    Parameters
    ----------
    origin : Tensor, shape (n, d)
    p : float
        0, 1, 2 or inf: the norm of distances.

    Attributes
    ----------
    points : Tensor, shape (n, d)
        The origin where there is none.
    distance : Tensor, shape (n,)
        +inf where there is none.
    """

    def __init__(self, origin: torch.Tensor, p: float) -> None:
        self.origin, self.p = origin, p
        self.points = origin.clone()
        self.distance = torch.full_like(origin[:, 0], torch.inf)

    def offer(self, points: torch.Tensor, reached: torch.Tensor) -> torch.Tensor:
        """Keep the points that are adversarial and nearer; return the distances of all."""
        distance = norms(points - self.origin, self.p)
        closer = reached & (distance < self.distance)
        self.distance = torch.where(closer, distance, self.distance)
        self.points = torch.where(closer[:, None], points, self.points)
        return distance
