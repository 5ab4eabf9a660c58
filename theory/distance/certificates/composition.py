"""Networks that follow each other, as one."""

from typing import overload

from theory.lipschitz.feed_forward import FeedForward
from theory.relu.network import ReluNetwork


@overload
def compose(first: ReluNetwork, second: ReluNetwork) -> ReluNetwork: ...
@overload
def compose(
    first: ReluNetwork | FeedForward, second: ReluNetwork | FeedForward
) -> FeedForward | ReluNetwork: ...
def compose(
    first: ReluNetwork | FeedForward, second: ReluNetwork | FeedForward
) -> FeedForward | ReluNetwork:
    """Return x -> second(first(x)), such as a classifier of what a generator makes.

    The affine maps that meet stay two, with linear units between them: their product would be
    rounded, and what is proved of it would not hold for the composition. Bounds on the product of
    norms and semidefinite bounds merge them, with the rounding in the bound.

    Parameters
    ----------
    first, second : ReluNetwork or FeedForward

    Returns
    -------
    ReluNetwork or FeedForward
        The first if both are.

    Raises
    ------
    ValueError
        If the second does not take what the first gives.

    Examples
    --------
    >>> hinge = ReluNetwork([([[1.0]], [0.0]), ([[2.0]], [1.0])])  # x -> 2 max(x, 0) + 1
    >>> compose(hinge, hinge)([[-1.0], [1.0]]).ravel().tolist()
    [3.0, 7.0]
    """
    if second.n_inputs != first.n_outputs:
        raise ValueError(
            f"the second network takes {second.n_inputs} values, but the first gives"
            f" {first.n_outputs}"
        )
    if isinstance(first, ReluNetwork) and isinstance(second, ReluNetwork):
        return ReluNetwork([*first.layers, *second.layers])
    return FeedForward((*FeedForward.of(first).stages, *FeedForward.of(second).stages))
