"""Talagrand, Concentration of measure in product spaces (1995): the Hamming distance to a set."""

from theory.claim import Facts, Kind, LawBound, Quantity, Ref, Relation, theorem
from theory.claims.mcdiarmid1989 import (
    ERROR_SETTING,
    HAMMING,
    SOME_ERRORS,
    product_bound,
    product_law,
)

_PRODUCT = product_bound("talagrand")


@theorem(
    "talagrand1995/product",
    kind=Kind.LAW,
    quantities=(HAMMING,),
    relation=Relation.AT_LEAST,
    ref=Ref("talagrand1995", "Talagrand, Publ. IHES 81 (1995)", "Proposition 2.1.1"),
    setting=ERROR_SETTING,
    hypotheses=SOME_ERRORS,
    bound=_PRODUCT,
    stronger="mcdiarmid1989/product",
)
def product(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """A change of about sqrt(n) independent coordinates leads most points to an error.

    Hypotheses: independent coordinates, which may be changed to any value, and some error.
    Never better than the bounded-differences form.
    """
    return product_law(facts, _PRODUCT, alpha)
