"""Deeper networks are no harder to change by few pixels than shallower ones."""

from theory.claim import Facts, Kind, OutOfScopeError, Quantity, Ref, Relation, conjecture
from theory.claims.shamir2019.setting import KEY, SOURCE
from theory.comparison import only_difference
from theory.conjectures.pixels import FOUND_CHANGES, is_piecewise_linear

HIDDEN = "image_classifier.settings.hidden"


@conjecture(
    "shamir2019/deeper-is-no-harder",
    kind=Kind.COMPARISON,
    quantities=FOUND_CHANGES,
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "the question for networks, put for two depths"),
    setting=(
        r"Let $F$ and $G$ be piecewise-linear networks of equal hidden layers, $F$ with more of"
        r" them, and let $c$ be the mean number of coordinates that one and the same search changes"
        r" for another label"
    ),
    hypotheses=(r"both are trained alike, and classify at least nine in ten test images rightly",),
)
def deeper_is_no_harder(first: Facts, second: Facts, quantity: Quantity) -> None:
    """More hidden layers do not raise the number of pixels that a search changes for a label.

    A statement about what the same search finds in both networks, of the images at hand, and not
    about the least numbers, which are known in small networks alone.

    Hypotheses: two piecewise-linear networks with hidden layers of one width, the first with more
    of them, equal in all else, and each right on at least nine in ten test images.

    Believed because: the construction of Shamir et al. uses no more of a network than the ranks and
    signs of its matrices on a few coordinates, region by region. Depth adds regions and composes
    matrices, and changes neither the number of classes nor that of the equations to be solved.
    """
    deeper, shallower = (tuple(widths) for widths in only_difference(first, second, HIDDEN))
    if len(set(deeper + shallower)) != 1 or len(deeper) <= len(shallower):
        raise OutOfScopeError(
            f"hidden layers {list(deeper)} and {list(shallower)}: the first must have more of them,"
            " all of one width"
        )
    for facts in (first, second):
        if not is_piecewise_linear(facts):
            raise OutOfScopeError("one of the two is not piecewise linear")
