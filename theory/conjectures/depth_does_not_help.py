"""Depth does not help: nine in ten labels stay within K + 1 pixels of somewhat wider range."""

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

NINTH_DECILE = Quantity("targeted_ninth_decile", hamming_in(-1, 2))
"""Least number of coordinates that suffices for nine in ten pairs of an image and a label."""


@conjecture(
    "shamir2019/depth-does-not-help",
    kind=Kind.SCALAR,
    quantities=(NINTH_DECILE,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "the question for networks, put for a wider box"),
    setting=(
        f"{IN_A_BOX} and let $q$ be the least number such that for nine in ten pairs of an image"
        r" and another label it is reached by changing at most $q$ coordinates, all of them within"
        r" $[-1, 2]$"
    ),
    bound=Bound((CLASSES,), network_label_distance_bound),
)
def depth_does_not_help(facts: Facts, quantity: Quantity) -> float:
    """The Hamming distance to a label is that of an affine classifier's order, however deep.

    The box is that of the images, widened by its own size to both sides. The pairs are those asked
    for, and the claim is about their own quantile: pairs of one image are not independent, and no
    confidence is needed to speak of the sample. More than a tenth of them with certified distances
    above K + 1 refute it, for a network of any depth.

    Hypotheses: a piecewise-linear network that classifies at least nine in ten test images rightly.

    Believed because: the number of coordinates of the construction is that of the outputs it has to
    move, and nothing in it depends on depth: a deeper network has more regions, in each of which
    the same few equations are to be solved.
    """
    require_trained_network(facts)
    return float(known_classes(facts) + 1)
