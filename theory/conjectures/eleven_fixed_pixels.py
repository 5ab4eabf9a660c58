"""A fixed set of K + 1 pixels reaches all labels from most images, and one of K does not."""

from theory.claim import Facts, Kind, Quantity, Ref, Relation, conjecture
from theory.claims.shamir2019.networks import IN_A_BOX
from theory.claims.shamir2019.setting import (
    KEY,
    SOURCE,
    known_classes,
    require_trained_network,
)
from theory.conjectures.pixels import FIXED_MEDIAN

_SETTING = (
    f"{IN_A_BOX} and let $k$ be the least number such that changing only the first $k$ pixels of a"
    r" random order, within a box, leads half of the images to every other label"
)


@conjecture(
    "shamir2019/eleven-fixed-pixels-suffice",
    kind=Kind.COMBINATORIAL,
    quantities=FIXED_MEDIAN,
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "the experiment with fixed pixels, put for boxes"),
    setting=_SETTING,
)
def eleven_fixed_pixels_suffice(facts: Facts, quantity: Quantity) -> int:
    """A set of K + 1 pixels, the same for all images and labels, reaches all labels from most.

    Eleven for ten classes. The pixels are the first of a random order; what is counted are pairs of
    an order and an image for which all other labels are reached. Within a box it is refuted by a
    proof, for half of the pairs, that some label is out of reach.

    Hypotheses: a piecewise-linear network that classifies at least nine in ten test images rightly,
    whose pixels are drawn from those that vary over the training images.

    Believed because: ten coordinates are as many as the equations of a move of ten outputs, and an
    eleventh leaves a direction free, in which a path that is stuck at a border can get away. The
    report of the experiment says that eleven pixels served for every digit.
    """
    require_trained_network(facts)
    return known_classes(facts) + 1


@conjecture(
    "shamir2019/ten-fixed-pixels-fail",
    kind=Kind.COMBINATORIAL,
    quantities=FIXED_MEDIAN,
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the experiment with fixed pixels, put for boxes"),
    setting=_SETTING,
)
def ten_fixed_pixels_fail(facts: Facts, quantity: Quantity) -> int:
    """A set of K pixels, the same for all images and labels, fails at some label for most images.

    The other half of `shamir2019/eleven-fixed-pixels-suffice`: the least number is K + 1, and not
    less. Points that K pixels or fewer lead to all labels, for half of the pairs of an order and an
    image, refute it; to hold it needs a proof of what is out of reach.

    Hypotheses: a piecewise-linear network that classifies at least nine in ten test images rightly,
    whose pixels are drawn from those that vary over the training images.

    Believed because: with as many coordinates as outputs the path is determined in each region, and
    gets stuck at a border where it turns back; the report of the experiment calls ten pixels more
    fragile. What speaks against it: a label asks for K - 1 inequalities and not for K equations.
    """
    require_trained_network(facts)
    return known_classes(facts) + 1
