"""Combettes and Pesquet, Lipschitz certificates for layered networks (SIMODS 2020)."""

from theory.claim import Facts, Kind, Quantity, Ref, Relation, required, theorem
from theory.claims.fazlyab2019 import (
    CONSTANTS,
    FREE_PATTERN,
    LEAST,
    LIPSCHITZ,
    NETWORK,
    SEMIDEFINITE,
)
from theory.claims.szegedy2014 import product_of_norms

KEY = "combettes2020"
SOURCE = "Combettes and Pesquet, SIAM J. Math. Data Sci. 2020"
CUT_POINTS = Quantity("cut_points", "l2->l2")


@theorem(
    "combettes2020/cut-points",
    kind=Kind.SCALAR,
    quantities=(LIPSCHITZ, FREE_PATTERN),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "averaged activation operators, with the constant 1/2"),
    setting=NETWORK + CONSTANTS,
)
def cut_points(facts: Facts, quantity: Quantity) -> float:
    """The Lipschitz constant is at most a mean over cuts of products of merged norms.

    Hypotheses: an upper end of the mean is known, and the slopes lie in [0, 1]: such activations
    are halfway between the identity and a map that does not expand.
    """
    return float(
        required(facts, f"cut_point_bound[{quantity.norm}]", "the mean over cuts of merged norms")
    )


@theorem(
    "combettes2020/below-product",
    kind=Kind.SCALAR,
    quantities=(CUT_POINTS,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "averaged activation operators, against the product of norms"),
    setting=r"Let $L_{\mathrm{cut}}$ be the mean, over all sets of cuts between the weights"
    r" $W_1, \ldots, W_m$, of the products of the norms of what is multiplied out between them",
)
def below_product(facts: Facts, quantity: Quantity) -> float:
    """The mean over cuts of merged norms is at most the product of the layers' norms.

    Hypotheses: upper ends of all layer norms are known.
    """
    product: float = product_of_norms(facts, quantity)
    return product


@theorem(
    "combettes2020/semidefinite-below-cuts",
    kind=Kind.SCALAR,
    quantities=(SEMIDEFINITE,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "our own: the multipliers of the mean over cuts"),
    setting=NETWORK + LEAST,
)
def semidefinite_below_cuts(facts: Facts, quantity: Quantity) -> float:
    """The least semidefinite bound is at most the mean over cuts of products of merged norms.

    One multiplier a layer suffices, and the proof gives it in closed form.

    Hypotheses: an upper end of the mean is known, and the slopes lie in [0, 1].
    """
    value: float = cut_points(facts, quantity)
    return value
