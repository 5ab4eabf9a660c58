"""What minimal-norm attacks by penalty share: the nearest points so far, and their last polish."""

import torch

from empirics.adversary.ball import sizes
from empirics.adversary.batch import Model, scale
from empirics.adversary.checks import Box
from empirics.adversary.goal import Goal, within

_BISECTIONS = 12
_BEYOND = (1e-6, 1e-5, 1e-4, 1e-3)


class Nearest:
    """The nearest points that were seen to reach a goal.

    Parameters
    ----------
    x : Tensor, shape (n, ...)
    norm : str
        "l1", "l2" or "linf".
    box : tuple of float, optional
        Kept by the last polish.

    Attributes
    ----------
    points : Tensor, shape (n, ...)
        x where there is none yet.
    distance : Tensor, shape (n,)
        +inf where there is none yet.
    """

    def __init__(self, x: torch.Tensor, norm: str, box: Box | None = None) -> None:
        self.x, self.norm, self.box = x, norm, box
        self.points = x.clone()
        self.distance = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)

    def offer(self, points: torch.Tensor, reached: torch.Tensor) -> None:
        """Keep the points that reached the goal and are nearer than those so far."""
        distance = sizes(points.detach() - self.x, self.norm)
        nearer = reached & (distance < self.distance)
        self.points[nearer], self.distance[nearer] = points.detach()[nearer], distance[nearer]

    def drawn_in(self, model: Model, goal: Goal, confidence: float | None = None) -> torch.Tensor:
        """Return the points moved towards x as far as the goal stays reached, judged in one batch.

        With a confidence the margin of the goal is kept at that as well. Points that reached the
        goal at x already are x itself. A point may have been judged in another batch, whose
        rounding differs: where it misses the goal by that, it is moved on.
        """
        shift = self.points - self.x
        best = Nearest(self.x, self.norm, self.box)

        def hits(part: torch.Tensor) -> torch.Tensor:
            point = within(self.x + scale(part, shift), self.box)
            reached = surpassed(goal, model(point), confidence)
            best.offer(point, reached)
            return reached

        near, far = torch.zeros_like(self.distance), torch.ones_like(self.distance)
        with torch.no_grad():
            already = goal.reached(model(self.x))
            missed = ~hits(far)
            for beyond in _BEYOND:
                if not bool(missed.any()):
                    break
                far = torch.where(missed, 1 + beyond, far)
                missed = ~hits(far)
            for _ in range(_BISECTIONS):
                middle = (near + far) / 2
                reached = hits(middle)
                near, far = torch.where(reached, near, middle), torch.where(reached, middle, far)
            keep = surpassed(goal, model(best.points), confidence) & ~already
        return torch.where(keep.reshape(-1, *[1] * (shift.ndim - 1)), best.points, self.x)


def surpassed(goal: Goal, logits: torch.Tensor, confidence: float | None) -> torch.Tensor:
    """Return where the goal is reached, and by a margin of at least the confidence, (n,)."""
    reached = goal.reached(logits)
    return reached if not confidence else reached & (goal.margin(logits) <= -confidence)


def first_order_distance(
    model: Model, x: torch.Tensor, goal: Goal, norm: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each point's margin, and its distance to the boundary of the linearised model, (n,).

    Parameters
    ----------
    model : callable
    x : Tensor, shape (n, ...)
    goal : Goal
    norm : str
        "l2", or "linf", whose dual norm is l1.
    """
    point = x.detach().requires_grad_(True)
    missing = goal.margin(model(point))
    (gradient,) = torch.autograd.grad(missing.sum(), point)
    missing = missing.detach().abs().clamp_min(torch.finfo(x.dtype).tiny)
    slope = sizes(gradient, {"l2": "l2", "linf": "l1"}[norm])
    return missing, (missing / slope.clamp_min(torch.finfo(x.dtype).tiny)).clamp(1e-12, 1e12)
