"""Networks with sigmoids resist one changed pixel better than those with ReLUs."""

from theory.claim import Facts, Kind, OutOfScopeError, Quantity, Ref, Relation, conjecture
from theory.comparison import only_difference
from theory.conjectures.pixels import ACTIVATION, RESISTING, require_trained

SU = Ref(
    "su2019",
    "Su, Vargas and Sakurai, IEEE Trans. Evol. Comput. 23, 2019",
    "the attack, put for two activations",
)


@conjecture(
    "su2019/sigmoid-resists-one-pixel",
    kind=Kind.COMPARISON,
    quantities=RESISTING,
    relation=Relation.AT_LEAST,
    ref=SU,
    setting=(
        r"Let $F$ and $G$ be the same network, $F$ with sigmoids and $G$ with ReLUs, and let $s$ be"
        r" the share of rightly classified images that keep their label whichever pixel is set to"
        r" whichever of some values"
    ),
    hypotheses=(r"both are trained alike, and classify at least nine in ten test images rightly",),
)
def sigmoid_resists_one_pixel(first: Facts, second: Facts, quantity: Quantity) -> None:
    """Sigmoids in place of ReLUs: more images keep their label under all changes of one pixel.

    Every pixel and value is tried, so that of the images at hand, nearly the same for both, the
    share is known exactly; one pair speaks of these images, and all pairs together of networks.

    Hypotheses: two networks that differ in their activation alone, a sigmoid in the first and a
    ReLU in the second, and each right on at least nine in ten test images.

    Believed because: a sigmoid is bounded, and however far one pixel drives it, its unit adds no
    more than its weight to the next layer; a ReLU passes on all of it.
    """
    one, two = only_difference(first, second, ACTIVATION)
    # A setting that is not stated is at its default.
    if (one or "relu", two or "relu") != ("sigmoid", "relu"):
        raise OutOfScopeError(f"the activations are {one or 'relu'} and {two or 'relu'}")
    require_trained(first)
    require_trained(second)
