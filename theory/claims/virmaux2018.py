"""Virmaux and Scaman, Lipschitz regularity of deep neural networks (NeurIPS 2018).

AutoLip, the product of the layers' norms, is `szegedy2014/product-of-norms`. The greedy maximiser
of SeqLip is a heuristic: what it finds lies below the factors, so that it bounds nothing.
"""

import numpy as np

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
from theory.norms import accumulated_error

KEY, SOURCE = "virmaux2018", "Virmaux and Scaman, NeurIPS 2018"
SEQLIP = Quantity("seqlip", "l2->l2")
_SPLIT = (
    r", with singular value decompositions $W_l = U_l \Sigma_l V_l^T$, and let $\Sigma'_l$ be"
    r" $\Sigma_l^{1/2}$ for the inner layers and $\Sigma_l$ for the first and the last"
)


@theorem(
    "virmaux2018/seqlip",
    kind=Kind.SCALAR,
    quantities=(LIPSCHITZ, FREE_PATTERN),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "SeqLip, the split over pairs of consecutive layers"),
    setting=NETWORK + _SPLIT + CONSTANTS,
)
def seqlip(facts: Facts, quantity: Quantity) -> float:
    """The Lipschitz constant is at most a product over pairs of layers of free-pattern norms.

    Hypotheses: upper ends of all factors are known, and the slopes lie in [0, 1]. Equal to the
    largest norm over free patterns for one hidden layer; between it and the product beyond.
    """
    factors = required(
        facts, f"seqlip_factors[{quantity.norm}]", "the factors of the split over pairs of layers"
    )
    return float(np.prod(factors)) * (1 + accumulated_error(len(factors)))


@theorem(
    "virmaux2018/below-product",
    kind=Kind.SCALAR,
    quantities=(SEQLIP,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "SeqLip against AutoLip"),
    setting=NETWORK
    + _SPLIT
    + r", and let $L_{\mathrm{split}}$ be the product over the hidden layers $l$ of the largest"
    r" $\lVert \Sigma'_{l+1} V_{l+1}^T D U_l \Sigma'_l \rVert_2$ over the diagonal $D$ with"
    r" entries in $[0, 1]$",
)
def below_product(facts: Facts, quantity: Quantity) -> float:
    """The split over pairs of layers is at most the product of the layers' norms.

    Hypotheses: upper ends of all layer norms are known, and the slopes lie in [0, 1].
    """
    product: float = product_of_norms(facts, quantity)
    return product


@theorem(
    "virmaux2018/semidefinite-below-split",
    kind=Kind.SCALAR,
    quantities=(SEMIDEFINITE,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "SeqLip with semidefinite factors; our own"),
    setting=NETWORK + _SPLIT + LEAST,
    hypotheses=(
        r"$q_k$ is at least the least semidefinite bound of $x \mapsto \Sigma'_{k+1} V_{k+1}^T"
        r" \phi(U_k \Sigma'_k x)$",
    ),
)
def semidefinite_below_split(facts: Facts, quantity: Quantity) -> float:
    """The least semidefinite bound is at most the split whose factors are semidefinite bounds.

    Hypotheses: upper ends of all factors are known that are not below their least semidefinite
    bounds, as those of `theory.lipschitz.seqlip` are, and the slopes lie in [0, 1].
    """
    value: float = seqlip(facts, quantity)
    return value


@theorem(
    "virmaux2018/sampled-lower",
    kind=Kind.SCALAR,
    quantities=(LIPSCHITZ,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "experiments, the lower bounds by sampling and by search"),
    setting=r"Let $L$ be the $\ell_2$ Lipschitz constant of $f$, and let $(x_k, y_k)$ be pairs of"
    r" different points",
)
def sampled_lower(facts: Facts, quantity: Quantity) -> float:
    """The largest expansion that was seen is a lower end of the Lipschitz constant.

    Hypotheses: the largest expansion of a pair of points is known, rounded down.
    """
    return float(
        required(facts, f"sampled_constant[{quantity.norm}]", "the largest expansion of a pair")
    )
