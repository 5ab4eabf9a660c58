"""The reduced local problem: of all units only those whose slope is not known stay variables."""

from collections.abc import Sequence

import numpy as np

from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.semidefinite.problem import SlopeEnds, SlopeProblem, slope_problem

_MATRICES = 12
"""Square matrices of all coordinates that the interior-point solver holds at once, about."""


def n_uncertain(slopes: Sequence[SlopeEnds]) -> int:
    """Return the number of units before the last stage whose slope is not a single number."""
    return sum(int(np.count_nonzero(most > least)) for least, most in slopes[:-1])


def reduced_problem(
    network: FeedForward, slopes: Sequence[SlopeEnds], max_units: int
) -> SlopeProblem:
    """Return the semidefinite bound's problem with the units of uncertain slope as variables.

    Its size is the number of inputs and of uncertain units, whatever the width of the network. A
    last activation that is not affine scales the outputs by its largest slopes.

    Parameters
    ----------
    network : FeedForward
    slopes : sequence of SlopeEnds
        One a stage, each of shape (m,).
    max_units : int
        The most uncertain units that are tried.

    Raises
    ------
    ValueError
        If there are more.

    References
    ----------
    Fazlyab et al., Efficient and Accurate Estimation of Lipschitz Constants for Deep Neural
    Networks (NeurIPS 2019), theorem 2; Hashemi, Ruths and Fazlyab, Certifying Incremental Quadratic
    Constraints for Neural Networks via Convex Optimization (L4DC 2021), for local slopes.
    """
    units = n_uncertain(slopes)
    if units > max_units:
        size = _MATRICES * 8 * (units + min(network.n_inputs, units + network.n_outputs)) ** 2
        raise ValueError(
            f"{units} units are uncertain and max_units is {max_units}: the semidefinite bound"
            f" would need about {size / 2**30:.2g} GiB; take a smaller ball,"
            " method='center_radius', or raise max_units"
        )
    weights = [stage.weight for stage in network.stages]
    least, most = slopes[-1]
    if np.all(least == 1) and np.all(most == 1):
        return slope_problem(weights, slopes[:-1])
    return slope_problem(weights, slopes)
