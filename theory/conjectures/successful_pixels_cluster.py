"""A pixel that changes the label has neighbours that change it, more than pixels elsewhere do."""

from theory.claim import Facts, Kind, Quantity, Ref, Relation, conjecture
from theory.conjectures.pixels import ELSEWHERE, ELSEWHERE_VARYING, require_trained
from theory.evidence import Interval

_EVEN = 0.5
"""Neighbours and pixels elsewhere change the label equally often."""


@conjecture(
    "vargas2020/successful-pixels-cluster",
    kind=Kind.MEAN,
    quantities=(*ELSEWHERE, *ELSEWHERE_VARYING),
    relation=Relation.AT_MOST,
    ref=Ref(
        "vargas2020",
        "Vargas and Su, AISafety at IJCAI-PRICAI 2020, arXiv 1902.02947",
        "the analysis of locality, put for all pixels",
    ),
    setting=(
        r"For a rightly classified image whose label some single pixel changes, let $t$ be the"
        r" share of the neighbours of such pixels that change it too when they take the same value,"
        r" $s$ the share of all other pixels, and $r = s / (s + t)$"
    ),
    hypotheses=("the classifier is right on at least nine in ten test images",),
)
def successful_pixels_cluster(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """Moved to one of the eight neighbours a successful change is no rarer than moved anywhere.

    The mean over images of s / (s + t) is at most one half; 0 where only neighbours succeed. Every
    pixel and value is tried, so each image's number is known exactly, and the images are a sample.
    Pixels at the edge of images seldom succeed: the second quantity moves only among the pixels
    that vary over the training images, which leaves less to be explained by the place.

    Hypotheses: a classifier of images that is right on at least nine in ten test images.

    Believed because: neighbouring pixels enter the same receptive fields, with weights that change
    little from one to the next, so that what one of them does to the outputs the other nearly does.
    """
    require_trained(facts)
    return Interval.exact(_EVEN, 0.0)
