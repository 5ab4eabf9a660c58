"""Half of the labels are within K + 1 pixels that stay in the range of the images."""

from theory.claim import Bound, Facts, Kind, Quantity, Ref, Relation, conjecture
from theory.claims.shamir2019.networks import IN_A_BOX, network_label_distance_bound
from theory.claims.shamir2019.setting import (
    CLASSES,
    KEY,
    SOURCE,
    hamming_in,
    known_classes,
    require_trained_network,
)

MEDIAN = Quantity("targeted_median", hamming_in(0, 1))
"""Least number of coordinates that suffices for half of the pairs of an image and a label."""


@conjecture(
    "shamir2019/half-in-own-range",
    kind=Kind.SCALAR,
    quantities=(MEDIAN,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "the question for networks, put for the range of images"),
    setting=(
        f"{IN_A_BOX} and let $q$ be the least number such that for half of the pairs of an image"
        r" and another label it is reached by changing at most $q$ coordinates, all of them within"
        r" $[0, 1]$"
    ),
    bound=Bound((CLASSES,), network_label_distance_bound),
)
def half_in_own_range(facts: Facts, quantity: Quantity) -> float:
    """Without leaving the range of images, K + 1 coordinates suffice for half of the labels.

    Weaker than `shamir2019/eleven-pixels`, which asks it of all pairs. The pairs are those asked
    for, and half of them with certified distances above K + 1 refute it.

    Hypotheses: a piecewise-linear network that classifies at least nine in ten test images rightly.

    Believed because: printed experiments change a digit into any other with eleven pixels. Within
    the range of images the moves are short, and what is asked is therefore half of the labels only.
    """
    require_trained_network(facts)
    return float(known_classes(facts) + 1)
