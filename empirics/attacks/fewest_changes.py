"""The strongest search for the fewest changed features: growth, exchanges, sigma-zero, pruning."""

from dataclasses import dataclass

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box
from empirics.adversary.goal import Goal
from empirics.attacks.greedy_l0 import Exchanges
from empirics.attacks.sigma_zero import sigma_zero

_TENURE = 4


@dataclass(frozen=True)
class _Stage:
    """How much work one stage does.

    Attributes
    ----------
    rivals : int
        Labels that each point grows towards.
    shortlist : int
        Features that the model tries in each step.
    patience : int
        Exchanges without a gain after which a point is finished.
    steps : int
        Of sigma-zero, whose points are pruned, and exchanged as well.
    """

    rivals: int
    shortlist: int
    patience: int
    steps: int


_STAGES = {
    "quick": _Stage(rivals=2, shortlist=5, patience=10, steps=0),
    "standard": _Stage(rivals=3, shortlist=5, patience=6, steps=150),
    "thorough": _Stage(rivals=9, shortlist=12, patience=30, steps=1000),
}
"""In their order; each budget does the stages up to its own."""


def fewest_changes(
    model: Model, x: torch.Tensor, goal: Goal, budget: str, box: Box | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return adversarial points with the fewest changed features found, and how many these are.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x : Tensor
        Inputs (n, ...).
    goal : Goal
    budget : str
        "quick", "standard" or "thorough"; each begins with the smaller one.
    box : tuple of float, optional

    Returns
    -------
    points, counts : Tensor
        Shapes of x and (n,), in its precision: x and 0 where the goal is reached already, x and
        +inf where nothing was found.

    References
    ----------
    The parts: `greedy_l0`, and Cina et al., ICLR 2025.
    """

    def flat_model(points: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(points.reshape(-1, *x.shape[1:]))
        return logits

    search = Exchanges(flat_model, x.flatten(1), goal, box)
    kept = search.best.clone()
    for name, stage in _STAGES.items():
        search.begin(stage.rivals)
        search.grow(stage.shortlist)
        search.exchange(stage.shortlist, stage.patience, _TENURE)
        if stage.steps:
            found = sigma_zero(model, x, goal.y, steps=stage.steps, box=box, targets=goal.targets)
            search.adopt(found.flatten(1))
            search.exchange(stage.shortlist, stage.patience, _TENURE)
        # Batches of other sizes round differently: what counts is the label in the whole one.
        with torch.no_grad():
            reached = goal.reached(flat_model(search.best))
        kept = torch.where(reached[:, None], search.best, kept)
        if name == budget:
            break
    counts = (kept != search.x).sum(dim=1).to(x)
    with torch.no_grad():
        already = goal.reached(flat_model(search.x))
    counts = torch.where((counts == 0) & ~already, torch.inf, counts)
    return kept.reshape(x.shape), counts
