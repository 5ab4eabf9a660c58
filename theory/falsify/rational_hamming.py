"""The least number of coordinates to change for a label, in rational arithmetic.

All sets of coordinates are looked at, and all regions of the network on each: it is for three or
four inputs.
"""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np

from theory.arrays import FloatArray
from theory.falsify.elimination import integer_row, interior_point
from theory.falsify.rational import combined, exact_regions
from theory.relu.layer import Layer, dense
from theory.relu.network import ReluNetwork


def fewest_changes(
    network: ReluNetwork, x: FloatArray, target: int, box: tuple[float, float], margin: float
) -> tuple[int, float]:
    """Return ends of the least number of coordinates of x to change for a label to lead.

    Parameters
    ----------
    network : ReluNetwork
    x : ndarray, shape (n_inputs,)
        In the box.
    target : int
    box : tuple of float
    margin : float
        The lead that a point needs; what is said from below holds for any lead above 0.

    Returns
    -------
    lower : int
        n + 1 if no change of whatever coordinates will do.
    upper : int or float
        Infinite if none is known.
    """
    n, lower, upper = network.n_inputs, None, math.inf
    for k in range(n + 1):
        for chosen in combinations(range(n), k):
            lead = _best_lead(
                network, x, list(chosen), target, box, (Fraction(0), Fraction(margin))
            )
            if lead >= 0 and lower is None:
                lower = k
            if lead >= 1:
                upper = k
                break
        if math.isfinite(upper):
            break
    return (n + 1 if lower is None else lower), upper


def _best_lead(
    network: ReluNetwork,
    x: FloatArray,
    chosen: list[int],
    target: int,
    box: tuple[float, float],
    wanted: tuple[Fraction, ...],
) -> int:
    """Return the number of the largest wanted lead that is exceeded; -1 if none is."""
    best = -1
    if not chosen:
        outputs = _outputs(network, x)
        lead = min(outputs[target] - each for j, each in enumerate(outputs) if j != target)
        return max((i for i, least in enumerate(wanted) if lead > least), default=-1)
    free = _changes(network, x, chosen)
    rows = []
    for place, j in enumerate(chosen):
        unit = [Fraction(int(i == place)) for i in range(len(chosen))]
        at = Fraction(float(x[j]))
        rows.append(integer_row([*unit, at - Fraction(box[0])]))
        rows.append(integer_row([*(-entry for entry in unit), Fraction(box[1]) - at]))
    for region in exact_regions(free, rows):
        own = region.outputs[target]
        leads = [
            [a - b for a, b in zip(own, other, strict=True)]
            for j, other in enumerate(region.outputs)
            if j != target
        ]
        for i in range(best + 1, len(wanted)):
            needed = [[*lead[:-1], lead[-1] - wanted[i]] for lead in leads]
            if interior_point([*region.rows, *needed], len(chosen)) is None:
                break
            best = i
    return best


def _changes(network: ReluNetwork, x: FloatArray, chosen: list[int]) -> ReluNetwork:
    """Return the network as a function of the changes of some coordinates, without rounding."""
    unit = np.eye(len(x))[:, chosen]
    return ReluNetwork([Layer(unit, x, np.ones(len(x))), *network.layers])


def _outputs(network: ReluNetwork, x: FloatArray) -> list[Fraction]:
    state = [[Fraction(float(entry))] for entry in x]
    for layer in network.layers:
        weight = dense(layer.weight)
        values = [combined(weight[i], float(layer.bias[i]), state) for i in range(len(layer.bias))]
        state = [
            value if value[0] > 0 else [Fraction(float(slope)) * value[0]]
            for value, slope in zip(values, layer.slope, strict=True)
        ]
    return [value[0] for value in state]
