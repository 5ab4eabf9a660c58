"""Box-constrained L-BFGS with a line search on the penalty (Szegedy et al., ICLR 2014)."""

import numpy as np
import torch
from scipy.optimize import minimize

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal, within
from empirics.adversary.nearest import Nearest, first_order_distance
from empirics.attacks.registry import attack
from theory.arrays import FloatArray

_GROWTH = 10.0


@attack("lbfgs")
def lbfgs(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    steps: int = 100,
    search_steps: int = 12,
    weight: float = 0.1,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return close points in l2 that have another label; x where none was found.

    White box, minimal l2, one point after the other: |r|^2 + c loss(x + r) is minimised by
    L-BFGS-B for the least c, found by bisection, at which the minimiser reaches the goal; the
    nearest point seen is last drawn towards x. The loss is the cross entropy of the target, or
    -log(1 - p_y) without one; lengths are in units of each point's first-order distance to the
    boundary, losses in units of the margin at x.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    steps : int
        Iterations of L-BFGS-B for each c, at most.
    search_steps : int
        Values of c.
    weight : float
        The first c; ten times as much after each failure.
    box : tuple of float, optional
        Lowest and highest value of a coordinate; kept exactly.
    targets : Tensor, shape (n,), optional
        Labels to reach.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If the inputs, labels, targets or the model's values are not as above.

    References
    ----------
    Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow and Fergus, Intriguing properties of
    neural networks (ICLR 2014), section 4.1.
    """
    checked(model, x, y, box=box, targets=targets)
    goal = Goal(y, targets)
    nearest = Nearest(x, "l2", box)
    margins, units = first_order_distance(model, x, goal, "l2")
    with torch.no_grad():
        pending = (~goal.reached(model(x))).nonzero()[:, 0]
    for i in pending.tolist():
        row = torch.tensor([i], device=x.device)
        search = _Search(model, x[row], goal.of(row), float(units[i]), float(margins[i]), box)
        points = search.run(steps, search_steps, weight)
        nearest.points[row], nearest.distance[row] = points.points, points.distance
    return nearest.drawn_in(model, goal)


class _Search:
    """The line search of one point."""

    def __init__(
        self,
        model: Model,
        x: torch.Tensor,
        goal: Goal,
        unit: float,
        margin: float,
        box: Box | None,
    ) -> None:
        self.model, self.x, self.goal, self.box = model, x, goal, box
        self.unit, self.margin = unit, margin
        self.nearest = Nearest(x, "l2", box)

    def run(self, steps: int, search_steps: int, weight: float) -> Nearest:
        """Return the nearest point that was seen."""
        origin = self.x.flatten().double().cpu().numpy()
        bounds = None
        if self.box is not None:
            bounds = [
                ((self.box[0] - v) / self.unit, (self.box[1] - v) / self.unit) for v in origin
            ]
        low, high, c = 0.0, np.inf, weight
        start = np.zeros_like(origin)
        for _ in range(search_steps):
            self.weight, self.hit = c, False
            result = minimize(
                self._cost,
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"maxiter": steps, "ftol": 10 * torch.finfo(self.x.dtype).eps},
            )
            self._cost(result.x)
            low, high = (low, c) if self.hit else (c, high)
            c = (low + high) / 2 if np.isfinite(high) else _GROWTH * c
        return self.nearest

    def _cost(self, r: FloatArray) -> tuple[float, FloatArray]:
        """Return the penalised loss and its gradient; sets whether this point reached the goal."""
        shift = torch.from_numpy(self.unit * r).to(self.x).reshape(self.x.shape)
        point = within(self.x + shift, self.box).requires_grad_(True)
        logits = self.model(point)
        # The loss of the goal is softplus(-gain): -log p of the target, -log(1 - p_y) without.
        loss = torch.nn.functional.softplus(-self.goal.gain(logits)).sum() / self.margin
        (gradient,) = torch.autograd.grad(loss, point)
        reached = self.goal.reached(logits.detach())
        self.hit = bool(reached)
        self.nearest.offer(point, reached)
        slope = gradient.flatten().double().cpu().numpy() * (self.weight * self.unit)
        cost = float(r @ r) + self.weight * float(loss.detach())
        return cost, 2 * r + slope
