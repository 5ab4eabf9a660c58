"""Proofs and counterexamples of one case of a property, by bounds, branches and attacks."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import nn

from empirics.attacks.apgd import apgd
from empirics.given.property_network import MarginModule, MarginNetwork
from empirics.given.vnnlib import Case
from empirics.seeds import torch_stream
from theory.arrays import FloatArray
from theory.distance.branching import Search
from theory.distance.budget import Budget
from theory.distance.candidates import Incumbent
from theory.distance.problem import DistanceProblem
from theory.distance.programme import Nearest

RELAXATION: Final = "linear relaxation"
SPLITS: Final = "split boxes"
PHASES: Final = "branches over phases"
_BATCH: Final = 32
"""Boxes that are bounded at once."""
_POINT_ENTRIES: Final = 2**22
"""Of the points of these boxes at which margins are looked at."""
_MOST_SETS: Final = 32
"""Unsafe sets that are attacked one by one; the others only together."""
_FEW_INPUTS: Final = 12
"""Free inputs up to which boxes are split before phases are."""
_LARGE: Final = 2**22
"""Weights from which phases are not branched."""
_ROUND: Final = 64
"""Nodes after which a search looks whether it has a point."""
_BEYOND: Final = 1 + 1e-6


class Effort(NamedTuple):
    """What a decision may cost.

    Attributes
    ----------
    steps, restarts : int
        Of the attack: gradient steps, and points from which it starts at random.
    slopes : int
        Steps of the lines' slopes in bounds on the whole box.
    nodes : int
        Boxes, and nodes of phases, that are looked at.
    seconds : float
    """

    steps: int
    restarts: int
    slopes: int
    nodes: int
    seconds: float


EFFORTS: Final = {
    "quick": Effort(20, 4, 8, 500, 10.0),
    "standard": Effort(50, 16, 20, 20_000, 60.0),
    "thorough": Effort(200, 64, 40, 10**7, 600.0),
}


@dataclass(frozen=True)
class Proof:
    """What was proved of a case, or found on the way.

    Attributes
    ----------
    lower : float
        The margin is at least this on the whole box; the least positive double where it is known to
        be above 0 and no more.
    method : str
    nodes : int
    candidates : tuple of ndarray
        Points at which the margin is about 0 or less.
    best : float
        About the least margin that was seen.
    """

    lower: float
    method: str
    nodes: int
    candidates: tuple[FloatArray, ...] = ()
    best: float = np.inf


def attacked(
    module: nn.Module,
    case: Case,
    input_shape: tuple[int, ...],
    effort: Effort,
    device: torch.device,
    stream: tuple[int, str],
) -> list[FloatArray]:
    """Return points of the box, in double precision, at which an attack found a margin below 0.

    Parameters
    ----------
    module : nn.Module
        On the device.
    case : Case
    input_shape : tuple of int
    effort : Effort
    device : torch.device
    stream : (int, str)
        Seed and name of the random starts.
    """
    model = MarginModule(module, case, input_shape).to(device).eval()
    n = len(case.low)
    found: list[FloatArray] = []
    sets = min(len(case.unsafe), _MOST_SETS)
    runs: list[tuple[int, torch.Tensor | None, torch.Generator | None]] = [(1, None, None)]
    if len(case.unsafe) > 1:
        towards = torch.arange(1, sets + 1, device=device)
        runs.append((sets, towards, None))
        runs.append((sets, towards, torch_stream(*stream, "towards")))
    runs.append((effort.restarts, None, torch_stream(*stream, "starts")))
    for count, targets, draws in runs:
        middle = torch.full((count, n), 0.5, device=device)
        labels = torch.zeros(count, dtype=torch.long, device=device)
        points = apgd(
            model,
            middle,
            labels,
            radius=0.5,
            norm="linf",
            steps=effort.steps,
            box=(0.0, 1.0),
            targets=targets,
            stream=draws,
        )
        with torch.no_grad():
            lead = model(points)[:, 1:].amax(dim=1)
            inputs = model.inputs(points).cpu().double().numpy()
        order = torch.argsort(lead, descending=True).tolist()
        found += [np.clip(inputs[i], case.low, case.high) for i in order if lead[i] >= 0]
        if found:
            break
    return found


def relaxed(margin: MarginNetwork, effort: Effort) -> Proof:
    """Return what one linear relaxation on the whole box says of a case."""
    case = margin.case
    root = float(margin.lower(case.low[None], case.high[None], effort.slopes)[0])
    return Proof(root, RELAXATION, 1)


def branched(
    margin: MarginNetwork, root: Proof, effort: Effort, slack: float, seconds: float
) -> Proof:
    """Return what branches say of a case: whether the margin is above a slack.

    Boxes are split where few inputs are free, or where phases cannot be branched; then phases are.

    Parameters
    ----------
    margin : MarginNetwork
    root : Proof
        That of the linear relaxation, not above the slack.
    effort : Effort
    slack : float
        At least 0.
    seconds : float
    """
    case, relu = margin.case, margin.relu
    free = int((case.low < case.high).sum())
    if not free:
        value = float(margin.margin(case.low))
        return replace(root, candidates=(case.low,) if value <= 0 else (), best=value)
    by_phases = relu is not None and sum(np.prod(e.weight.shape) for e in relu.layers) <= _LARGE
    budget = Budget(seconds, effort.nodes)
    best = root
    if free <= _FEW_INPUTS or not by_phases:
        parts = 2 if by_phases else 1
        share = Budget(seconds / parts, effort.nodes // parts)
        best = _split(margin, share, slack, root.lower)
        budget.spend(best.nodes)
    if by_phases and best.lower <= slack and not best.candidates and not budget.late():
        found = _by_phases(margin, budget, slack)
        nodes, seen = best.nodes + found.nodes, min(best.best, found.best)
        if found.lower > best.lower or found.candidates:
            best = found
        best = replace(best, nodes=nodes, best=seen)
    return best


def _split(margin: MarginNetwork, budget: Budget, slack: float, root: float) -> Proof:
    """Split boxes across the coordinates that the margins move most with, the worst ones first."""
    case = margin.case
    low, high = case.low[None], case.high[None]
    ends = np.array([root])
    done, nodes, seen = np.inf, 1, np.inf
    n, free = len(case.low), int((case.low < case.high).sum())
    batch = max(1, min(_BATCH, _POINT_ENTRIES // (n * (1 + 2 * free))))
    while len(ends) and not budget.late() and budget.nodes >= 2 * min(batch, len(ends)):
        order = np.argsort(ends, kind="stable")
        worst, rest = order[:batch], order[batch:]
        axis, points, values = _widest(margin, low[worst], high[worst])
        seen = min(seen, float(values.min()))
        if seen <= 0:
            at = points[int(values.argmin())]
            return Proof(float(min(done, ends.min())), SPLITS, nodes, (at,), seen)
        made_low, made_high = _halves(low[worst], high[worst], axis)
        if not len(made_low):
            break
        with np.errstate(invalid="ignore"):
            made = margin.lower(made_low, made_high, 0)
        # A half is part of its box: what was known holds.
        made = np.maximum(made, np.tile(ends[worst], 2))
        nodes += len(made)
        budget.spend(len(made))
        closed = made > slack
        done = min(done, float(made[closed].min(initial=np.inf)))
        low = np.concatenate([low[rest], made_low[~closed]])
        high = np.concatenate([high[rest], made_high[~closed]])
        ends = np.concatenate([ends[rest], made[~closed]])
    return Proof(float(min(done, ends.min(initial=np.inf))), SPLITS, nodes, (), seen)


def _widest(
    margin: MarginNetwork, low: FloatArray, high: FloatArray
) -> tuple[np.ndarray, FloatArray, FloatArray]:
    """Return for each box the axis to split, and the points at which margins were seen with them.

    The margin at both ends of each axis through the middle says what it moves with.
    """
    middle = np.clip(low / 2 + high / 2, low, high)
    free = np.flatnonzero((low < high).any(axis=0))
    points = np.repeat(middle[:, None, :], 1 + 2 * len(free), axis=1)
    for k, j in enumerate(free):
        points[:, 1 + 2 * k, j], points[:, 2 + 2 * k, j] = low[:, j], high[:, j]
    values = margin.margin(points)
    moved = np.abs(values[:, 1::2] - values[:, [0]]) + np.abs(values[:, 2::2] - values[:, [0]])
    width = (high - low)[:, free]
    share = width / np.maximum(width.max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    # Where the middle says little, the widest axis is as good as another.
    score = moved / np.maximum(moved.max(axis=1, keepdims=True), 1e-300) + 0.25 * share
    axis = free[np.where(width > 0, score, -1.0).argmax(axis=1)]
    return axis, points.reshape(-1, low.shape[1]), values.ravel()


def _halves(low: FloatArray, high: FloatArray, axis: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Return both halves of boxes; nothing where one is too thin to be split."""
    rows = np.arange(len(axis))
    cut = low[rows, axis] / 2 + high[rows, axis] / 2
    if np.any((cut <= low[rows, axis]) | (cut >= high[rows, axis])):
        return low[:0], high[:0]
    first, second = high.copy(), low.copy()
    first[rows, axis] = second[rows, axis] = cut
    return np.concatenate([low, second]), np.concatenate([first, high])


def _by_phases(margin: MarginNetwork, budget: Budget, slack: float) -> Proof:
    """Branch over the phases of units: the search for the nearest counterexample to the middle."""
    case, network = margin.case, margin.relu
    assert network is not None
    middle = np.clip(case.low / 2 + case.high / 2, case.low, case.high)
    problem = DistanceProblem.of(network, middle, np.inf, (case.low, case.high), 0)
    lead = float(problem.leads(middle).max())
    if lead >= 0:
        return Proof(-np.inf, PHASES, 1, (middle,), -lead)
    if slack:
        problem = replace(problem, slack=slack)
    far = problem.farthest()
    nearest = Nearest(np.inf, case.low - middle, case.high - middle, budget)
    incumbent = Incumbent(problem, nearest)
    try:
        search = Search(problem, max(far, np.finfo(np.float64).tiny) * _BEYOND, budget, incumbent)
        while not search.settled and not budget.late() and incumbent.point is None:
            before = search.n_nodes
            search.run(_ROUND)
            if search.n_nodes == before:
                break
    except ValueError:
        return Proof(-np.inf, PHASES, 1, (), -lead)  # outside the range of doubles
    if incumbent.point is not None:
        return Proof(-np.inf, PHASES, search.n_nodes, (incumbent.point,), 0.0)
    # A lower end beyond the farthest point says that the box has no counterexample.
    lower = -np.inf
    if search.lower > far:
        lower = float(np.nextafter(slack, np.inf))
    return Proof(lower, PHASES, search.n_nodes, (), -lead)
