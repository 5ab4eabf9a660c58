"""The product of the layers' norms."""

import sympy as sp

from theory.proof import Proof, is_zero, proof, symbolic
from theory.symbolic import Form

first, second, distance = sp.symbols("w_1 w_2 d", nonnegative=True)
layer = sp.Symbol("k", integer=True, positive=True)
depth = sp.Symbol("m", integer=True, positive=True)
norms = sp.Symbol("w_k", nonnegative=True)


@proof("szegedy2014/product-of-norms")
def product_of_norms() -> Proof:
    """Lipschitz constants multiply along a composition."""
    return Proof(
        Form(
            left="L",
            right=sp.Product(norms, (layer, 1, depth)),
            symbols={},
            where=((norms, r"\lVert W_k \rVert_2"),),
        ),
        (
            symbolic(
                r"a layer expands a distance by at most its norm, an activation does not expand it,"
                r" and the next layer expands what it is given",
                lambda: is_zero(second * (first * distance) - (first * second) * distance),
            ),
        ),
    )
