"""Montufar et al., On the number of linear regions of deep neural networks (2014)."""

from collections.abc import Sequence

import numpy.typing as npt

from theory.arrangement.broadcast import broadcast_count, float_below
from theory.arrangement.counting import binomial_sum
from theory.arrays import FloatArray
from theory.claim import Bound, Facts, Kind, OutOfScopeError, Quantity, Ref, Relation, theorem
from theory.claims.serra2018 import (
    DEPTH,
    INPUTS,
    MAX_LINEAR_REGIONS,
    WIDTH,
    checked_architecture,
    known_architecture,
)

KEY, SOURCE = "montufar2014", "Montufar, Pascanu, Cho and Bengio, NeurIPS 2014"


def linear_regions_lower_bound(n_inputs: int, widths: Sequence[int]) -> int:
    """Return a number of linear regions that some ReLU network of this architecture has.

    Parameters
    ----------
    n_inputs : int
        At least 1.
    widths : sequence of int
        Units of each hidden layer, at least n_inputs each.

    Returns
    -------
    int
        prod_{l < L} floor(n_l / n_0)^{n_0} times C(n_L, 0) + ... + C(n_L, n_0).

    Raises
    ------
    OutOfScopeError
        If a hidden layer has fewer units than there are inputs.
    ValueError
        If there is no hidden layer, or a number is not whole or below 1.

    References
    ----------
    Theorem 4.

    Examples
    --------
    >>> linear_regions_lower_bound(2, [4, 4]), linear_regions_lower_bound(1, [3, 3, 3])
    (44, 36)
    """
    inputs, layers = checked_architecture(n_inputs, widths)
    if min(layers) < inputs:
        raise OutOfScopeError(
            f"a hidden layer of {min(layers)} units is narrower than the {inputs} inputs"
        )
    folds = 1
    for width in layers[:-1]:
        folds *= (width // inputs) ** inputs
    return folds * binomial_sum(layers[-1], inputs)


def equal_widths_lower_bound(
    n_inputs: npt.ArrayLike, width: npt.ArrayLike, depth: npt.ArrayLike
) -> FloatArray:
    """Return `linear_regions_lower_bound` for hidden layers of one width, as floats.

    Parameters
    ----------
    n_inputs, width, depth : array_like of int
        At least 1; they broadcast.

    Examples
    --------
    >>> equal_widths_lower_bound(2, 8, [1, 2, 3])
    array([  37.,  592., 9472.])
    """
    return broadcast_count(
        lambda n, w, d: linear_regions_lower_bound(n, [w] * d),
        n_inputs=(n_inputs, 1),
        width=(width, 1),
        depth=(depth, 1),
    )


@theorem(
    "montufar2014/max-linear-regions",
    kind=Kind.SCALAR,
    quantities=(MAX_LINEAR_REGIONS,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Theorem 4"),
    setting=(
        r"Let $R$ be the largest number of linear regions that networks with $n_0$ inputs and $L$"
        r" hidden layers of $w \ge n_0$ rectified linear units each can have, and let $q$ be the"
        r" whole part of $w / n_0$"
    ),
    bound=Bound((INPUTS, WIDTH, DEPTH), equal_widths_lower_bound),
)
def max_linear_regions(facts: Facts, quantity: Quantity) -> float:
    """Some ReLU networks have a number of linear regions exponential in their depth.

    The layers may have different widths. Each layer but the last folds space onto itself; the last
    one is in general position. Random and trained networks have far fewer regions.

    Hypotheses: the number of inputs and the widths of the hidden layers are known, no layer is
    narrower than the input, and all hidden units are rectified linear.
    """
    return float_below(linear_regions_lower_bound(*known_architecture(facts)))
