"""Serra, Tjandraatmadja and Ramalingam, Bounding and counting linear regions (2018)."""

from collections.abc import Sequence
from math import comb

import numpy as np
import numpy.typing as npt

from theory.arrangement.broadcast import broadcast_count, float_above, whole_number
from theory.arrays import FloatArray
from theory.claim import Bound, Facts, Kind, Quantity, Ref, Relation, required, theorem
from theory.parameter import Integers, Parameter

KEY, SOURCE = "serra2018", "Serra, Tjandraatmadja and Ramalingam, ICML 2018"
N_LINEAR_REGIONS = Quantity("n_linear_regions")
"""Open cells of input space on which a network has one activation pattern; linear pieces are no
more."""
MAX_LINEAR_REGIONS = Quantity("max_linear_regions")
"""The largest number of linear regions that weights and biases of an architecture can make."""
INPUTS = Parameter("n_inputs", "n_0", "number of inputs", Integers(1, 5), 2)
WIDTH = Parameter("width", "w", "units of each hidden layer", Integers(1, 40), 8)
DEPTH = Parameter("depth", "L", "number of hidden layers", Integers(1, 4), 2)


def checked_architecture(n_inputs: object, widths: Sequence[object]) -> tuple[int, list[int]]:
    """Return the number of inputs and the widths as integers.

    Raises
    ------
    ValueError
        If there is no hidden layer, or a number is not whole or below 1.
    """
    if not len(widths):
        raise ValueError("widths must name at least one hidden layer, got none")
    return (
        whole_number("n_inputs", n_inputs, 1),
        [whole_number("widths", width, 1) for width in widths],
    )


def linear_regions_upper_bound(n_inputs: int, widths: Sequence[int]) -> int:
    """Return an upper bound on the number of linear regions of a ReLU network.

    Parameters
    ----------
    n_inputs : int
        At least 1.
    widths : sequence of int
        Units of each hidden layer, at least 1 each.

    Returns
    -------
    int
        The sum over (j_1, ..., j_L) of prod_l C(n_l, j_l), where j_l is at most n_0, n_l, and
        n_k - j_k for all earlier layers k.

    Raises
    ------
    ValueError
        If there is no hidden layer, or a number is not whole or below 1.

    References
    ----------
    Theorem 1.

    Examples
    --------
    >>> linear_regions_upper_bound(2, [4, 4]), linear_regions_upper_bound(3, [3, 3])
    (121, 42)
    """
    inputs, layers = checked_architecture(n_inputs, widths)
    # By the dimension that is left: j units inactive leave an image of dimension at most n - j.
    counts = {inputs: 1}
    for width in layers:
        after: dict[int, int] = {}
        for dimension, count in counts.items():
            for j in range(min(dimension, width) + 1):
                left = min(dimension, width - j)
                after[left] = after.get(left, 0) + count * comb(width, j)
        counts = after
    return sum(counts.values())


def equal_widths_upper_bound(
    n_inputs: npt.ArrayLike, width: npt.ArrayLike, depth: npt.ArrayLike
) -> FloatArray:
    """Return `linear_regions_upper_bound` for hidden layers of one width, as floats.

    Parameters
    ----------
    n_inputs, width, depth : array_like of int
        At least 1; they broadcast.

    Examples
    --------
    >>> float(equal_widths_upper_bound(1, 4, 3))
    125.0
    """
    return broadcast_count(
        lambda n, w, d: linear_regions_upper_bound(n, [w] * d),
        n_inputs=(n_inputs, 1),
        width=(width, 1),
        depth=(depth, 1),
    )


def known_architecture(facts: Facts) -> tuple[int, list[int]]:
    """Return the number of inputs and the hidden widths; OutOfScopeError if not known."""
    n_inputs = required(facts, "n_inputs", "the number of inputs")
    widths = required(facts, "hidden_widths", "the widths of the hidden layers")
    return checked_architecture(n_inputs, np.atleast_1d(widths).tolist())


SETTING = (
    r"Let $r$ be the number of linear regions of a network with $n_0$ inputs and $L$ hidden layers"
    r" of $w$ rectified linear units each"
)


@theorem(
    "serra2018/linear-regions",
    kind=Kind.SCALAR,
    quantities=(N_LINEAR_REGIONS, MAX_LINEAR_REGIONS),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Theorem 1"),
    setting=SETTING,
    bound=Bound((INPUTS, WIDTH, DEPTH), equal_widths_upper_bound),
)
def linear_regions(facts: Facts, quantity: Quantity) -> float:
    """A ReLU network has no more linear regions than ranks of its layers leave room for.

    The layers may have different widths. An equality for one generic hidden layer, whose units are
    hyperplanes, and attained for one input.

    Hypotheses: the number of inputs and the widths of the hidden layers are known, and all hidden
    units are rectified linear.
    """
    return float_above(linear_regions_upper_bound(*known_architecture(facts)))
