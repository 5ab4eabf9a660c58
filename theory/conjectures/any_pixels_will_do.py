"""Any K pixels of wide range lead to nine in ten labels, whatever the network."""

import numpy.typing as npt

from theory.arrangement.broadcast import broadcast_count
from theory.arrays import FloatArray
from theory.claim import Facts, Kind, Quantity, Ref, Relation, conjecture
from theory.claims.shamir2019.networks import IN_A_BOX
from theory.claims.shamir2019.setting import (
    KEY,
    SOURCE,
    known_classes,
    require_trained_network,
)
from theory.conjectures.pixels import FIXED_NINTH_DECILE


def output_count(n_classes: npt.ArrayLike) -> FloatArray:
    """Return K, the number of a network's outputs.

    Parameters
    ----------
    n_classes : array_like of int
        K, at least 2.

    Raises
    ------
    ValueError
        If a number is not whole or below 2.

    Examples
    --------
    >>> float(output_count(10))
    10.0
    """
    return broadcast_count(int, n_classes=(n_classes, 2))


@conjecture(
    "shamir2019/any-pixels-will-do",
    kind=Kind.COMBINATORIAL,
    quantities=(FIXED_NINTH_DECILE,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "the construction, put for a wide box"),
    setting=(
        f"{IN_A_BOX} and let $k$ be the least number such that changing only the first $k$ pixels"
        r" of a random order, within $[-50, 51]$, leads nine in ten pairs of an image and another"
        r" label to that label"
    ),
)
def any_pixels_will_do(facts: Facts, quantity: Quantity) -> int:
    """One coordinate for each output, drawn at random, leads to any label in nine cases in ten.

    The construction of Shamir et al. with coordinates that nobody chose, the same for all images
    and labels of an order, for a network of any depth and structure. The number is that of the
    images and orders asked for: pairs of one image are not independent, and no confidence is
    needed to speak of the sample.

    Hypotheses: a piecewise-linear network that classifies at least nine in ten test images rightly,
    whose pixels are drawn from those that vary over the training images.

    Believed because: within one region K coordinates move the K outputs anywhere, unless a matrix
    of K x K is singular; at the border of the region the path goes on in the next one, and nothing
    that depends on depth or structure enters. It can fail where few units are active and the
    matrix loses rank, or where the path turns back.
    """
    require_trained_network(facts)
    return known_classes(facts)
