"""Other ways to the distance, slow and on the solver's word: what `exact` is compared with."""

import math
from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse

from theory.arrays import FloatArray
from theory.distance.problem import DistanceProblem
from theory.distance.programme import Nearest, region_nearest
from theory.distance.relaxation import Relaxation
from theory.relu.enumeration import activation_regions


def enumerated(problem: DistanceProblem) -> float:
    """Return the distance as the least over all activation regions, of small networks only.

    Parameters
    ----------
    problem : DistanceProblem
        Of few inputs and units.

    Examples
    --------
    >>> from theory.relu.network import ReluNetwork
    >>> ramp = ReluNetwork([([[1.0]], [0.0]), ([[1.0], [0.0]], [0.0, 2.0])])
    >>> round(enumerated(DistanceProblem.of(ramp, [-1.0], 2)), 6)
    3.0
    """
    nearest = Nearest(problem.p, problem.low - problem.x, problem.high - problem.x)
    box = (problem.low, problem.high)
    lengths = [math.inf]
    for region in activation_regions(problem.network, box):
        for target in problem.targets:
            change = region_nearest(problem, nearest, region.pattern, target)
            if change is not None:
                lengths.append(float(problem.length(change)))
    return min(lengths)


class Programme(NamedTuple):
    """What a mixed-integer programme says.

    Attributes
    ----------
    lower, upper : float
    solved : bool
    """

    lower: float
    upper: float
    solved: bool


def mixed_integer(
    problem: DistanceProblem, radius: float, time_limit: float | None = None
) -> Programme:
    """Return the linf distance by a mixed-integer programme: a binary a unit and a target.

    Parameters
    ----------
    problem : DistanceProblem
        With p = inf.
    radius : float
        A distance at which there is a point of another label: units are bounded on that ball.
    time_limit : float, optional
        Seconds.

    Raises
    ------
    ValueError
        If p is not inf.

    References
    ----------
    Tjeng, Xiao and Tedrake, Evaluating Robustness of Neural Networks with Mixed Integer
    Programming (ICLR 2019), section 4.

    Examples
    --------
    >>> from theory.relu.network import ReluNetwork
    >>> ramp = ReluNetwork([([[1.0]], [0.0]), ([[1.0], [0.0]], [0.0, 2.0])])
    >>> round(mixed_integer(DistanceProblem.of(ramp, [-1.0], np.inf), 4.0).upper, 6)
    3.0
    """
    if not math.isinf(problem.p):
        raise ValueError(f"the mixed-integer programme is for p = inf, got {problem.p}")
    n, units = len(problem.x), Relaxation(problem, radius).start()
    opened = [each.opened(s) for s, each in zip(problem.stages, units, strict=True)]
    k, t = sum(int(each.sum()) for each in opened), len(problem.targets)
    # Columns: changes, ramps of open units, their binaries, targets' binaries, the distance; and
    # the constant, which is moved to the other side.
    width = n + 2 * k + t + 1
    state = np.zeros((n, width + 1))
    state[:, :n], state[:, -1] = np.eye(n), problem.x
    rows: list[FloatArray] = []
    first = n
    for stage, each, some in zip(problem.stages, units, opened, strict=True):
        z = stage.weight @ state
        z[:, -1] += stage.bias
        ramp = np.where((each.lower >= 0)[:, None], z, 0.0)
        count = int(some.sum())
        own, binary = np.zeros((2, count, width + 1))
        own[np.arange(count), first + np.arange(count)] = 1.0
        binary[np.arange(count), first + k + np.arange(count)] = 1.0
        ramp[some] = own
        low, high = each.lower[some][:, None], each.upper[some][:, None]
        above = own - z[some] - low * binary
        above[:, -1:] += low
        rows += [-own, z[some] - own, own - high * binary, above]
        first += count
        state = stage.linear[:, None] * z + stage.kink[:, None] * ramp
    size = units[-1].size.max() * max(1.0, float(np.abs(problem.stages[-1].linear).max()))
    leads = state[problem.label] - state[list(problem.targets)]
    chosen = np.zeros((t, width + 1))
    chosen[np.arange(t), n + 2 * k + np.arange(t)] = 1.0
    leads = leads + 2 * size * chosen
    leads[:, -1] -= 2 * size
    ball = np.hstack([np.eye(n), np.zeros((n, width + 1 - n))])
    ball[:, -2] = -1.0
    other = -ball
    other[:, -2] = -1.0
    one = -chosen.sum(axis=0, keepdims=True)
    one[0, -1] = 1.0
    matrix = np.vstack([*rows, leads, ball, other, one])
    low = np.maximum(problem.low - problem.x, -radius)
    high = np.minimum(problem.high - problem.x, radius)
    cost = np.zeros(width)
    cost[-1] = 1.0
    whole = np.repeat([0, 1, 0], [n + k, k + t, 1])
    found = optimize.milp(
        cost,
        constraints=optimize.LinearConstraint(
            sparse.csr_array(matrix[:, :-1]), -np.inf, -matrix[:, -1]
        ),
        integrality=whole,
        bounds=optimize.Bounds(
            np.concatenate([low, np.zeros(2 * k + t + 1)]),
            np.concatenate([high, np.full(k, np.inf), np.ones(k + t), [np.inf]]),
        ),
        options={
            "mip_rel_gap": 0.0,
            "time_limit": math.inf if time_limit is None else time_limit,
        },
    )
    if found.status == 2:
        return Programme(math.inf, math.inf, True)
    upper = math.inf if found.fun is None else float(found.fun)
    lower = upper if found.status == 0 else float(found.mip_dual_bound or 0.0)
    return Programme(lower, upper, found.status == 0)
