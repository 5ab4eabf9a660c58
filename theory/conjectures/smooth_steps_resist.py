"""Networks with a smooth step or a median resist few changed pixels more than those with kinks."""

from theory.claim import Facts, Kind, OutOfScopeError, Quantity, Ref, Relation, conjecture
from theory.claims.shamir2019.setting import KEY, SOURCE
from theory.comparison import only_difference
from theory.conjectures.pixels import (
    ACTIVATION,
    ASCENT_NINTH_DECILE,
    FOUND_CHANGES,
    is_piecewise_linear,
)

STEPS = (
    ACTIVATION,
    "image_classifier.settings.pooling",
    "image_classifier.settings.median_filter",
)
"""The settings of which one tells the two networks apart."""


@conjecture(
    "shamir2019/smooth-steps-resist",
    kind=Kind.COMPARISON,
    quantities=(*FOUND_CHANGES, ASCENT_NINTH_DECILE),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the piecewise-linear case, and what is outside of it"),
    setting=(
        r"Let $F$ be a network with a sigmoid, tanh, softplus, GELU, median filter or median"
        r" pooling, let $G$ be the same network with a step of few linear pieces in its place, or"
        r" without the filter, and let $c$ be the number of coordinates that one and the same"
        r" search changes for another label"
    ),
    hypotheses=("both are trained alike, and classify at least nine in ten test images rightly",),
)
def smooth_steps_resist(first: Facts, second: Facts, quantity: Quantity) -> None:
    """The same search changes more coordinates where a step cannot be followed piece by piece.

    A statement about what the same search finds: in networks that are not piecewise linear nothing
    proves a number of coordinates necessary. Compared are the fewest coordinates chosen for an
    image, on the mean, and how many of a random order, of wide range, serve nine in ten pairs of an
    image and another label. A median is piecewise linear as well, of more pieces than are traced.

    Hypotheses: two networks that differ in their activation, pooling or median filter alone, the
    first not traced as piecewise linear and the second so, each right on nine in ten test images.

    Believed because: the construction of Shamir et al. goes along a line of outputs from one linear
    region to the next, and has nothing to follow where there are no regions. Units that saturate do
    not answer to large changes, and a median does not see a single outlier.
    """
    only_difference(first, second, *STEPS)
    if is_piecewise_linear(first) or not is_piecewise_linear(second):
        raise OutOfScopeError(
            "only the second of the two networks is to be traced as piecewise linear, not so here"
        )
