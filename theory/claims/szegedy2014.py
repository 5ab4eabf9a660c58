"""Szegedy et al., Intriguing properties of neural networks (ICLR 2014)."""

import numpy as np

from theory.claim import Facts, Kind, OutOfScopeError, Quantity, Ref, Relation, theorem
from theory.norms import accumulated_error


@theorem(
    "szegedy2014/product-of-norms",
    kind=Kind.SCALAR,
    quantities=(Quantity("lipschitz", "l2->l2"),),
    relation=Relation.AT_MOST,
    ref=Ref("szegedy2014", "Szegedy et al., ICLR 2014", "Section 4.3"),
    setting=r"Let $L$ be the Lipschitz constant of a composition of affine layers"
    r" $x \mapsto W_k x + b_k$",
    hypotheses=("the activations between the layers are 1-Lipschitz",),
)
def product_of_norms(facts: Facts, quantity: Quantity) -> float:
    """The Lipschitz constant of a network is at most the product of its layers' norms.

    Hypotheses: upper ends of all layer norms are known, and the activations are 1-Lipschitz.
    Tight for one layer; loose by a factor that grows with depth.
    """
    norms = facts.get(f"layer_norms[{quantity.norm}]")
    if norms is None:
        raise OutOfScopeError("the norms of the layers are not known")
    return float(np.prod(norms)) * (1 + accumulated_error(len(norms)))
