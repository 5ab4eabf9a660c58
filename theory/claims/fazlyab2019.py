"""Fazlyab et al., Efficient and accurate estimation of Lipschitz constants (NeurIPS 2019).

Of one network three numbers are told apart: the Lipschitz constant itself, which only the patterns
that inputs reach make; the largest norm of W_m D_(m-1) ... D_1 W_1 over all free patterns of slopes
in [0, 1]; and the optimum of the semidefinite programme, at least as large as both.
"""

from theory.claim import Facts, Kind, Quantity, Ref, Relation, refuted, required, theorem
from theory.claims.szegedy2014 import product_of_norms

KEY = "fazlyab2019"
SOURCE = "Fazlyab, Robey, Hassani, Morari and Pappas, NeurIPS 2019"
LIPSCHITZ = Quantity("lipschitz", "l2->l2")
FREE_PATTERN = Quantity("free_pattern", "l2->l2")
SEMIDEFINITE = Quantity("semidefinite", "l2->l2")
NETWORK = (
    r"Let $f(x) = W_m \phi(\ldots \phi(W_1 x + b_1) \ldots) + b_m$, where the slopes of the"
    r" elementwise activations $\phi$ lie in $[0, 1]$"
)
CONSTANTS = (
    r", and let $L$ be its $\ell_2$ Lipschitz constant, or the largest norm of"
    r" $W_m D_{m-1} \ldots D_1 W_1$ over all diagonal $D_i$ with entries in $[0, 1]$"
)
_MULTIPLIERS = (
    r"$\rho \lVert x \rVert^2 + 2 \sum_l u_l^T T_l (u_l - W_l u_{l-1})"
    r" - \lVert W_m u_{m-1} \rVert^2 \ge 0$ for all $x = u_0, u_1, \ldots, u_{m-1}$"
)
LEAST = (
    r", and let $L_{\mathrm{sdp}}^2$ be the least $\rho$ for which there are diagonal $T_l \ge 0$"
    rf" with {_MULTIPLIERS}"
)


@theorem(
    "fazlyab2019/neuron",
    kind=Kind.SCALAR,
    quantities=(LIPSCHITZ, FREE_PATTERN),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Theorems 1 and 2, with a multiplier a neuron"),
    setting=NETWORK + CONSTANTS,
    hypotheses=(_MULTIPLIERS, r"the $T_l$ are diagonal and at least 0"),
)
def neuron(facts: Facts, quantity: Quantity) -> float:
    """A network expands by at most the root of rho, where multipliers show it of all slopes.

    Hypotheses: a semidefinite bound with a multiplier for each neuron was found and verified, for
    slopes in [0, 1], or all in the same part of it.
    Tight for one neuron; for one hidden layer and one output within sqrt(pi/2) of the largest norm
    over free patterns.
    """
    found = required(facts, f"semidefinite_bound[{quantity.norm}]", "a verified semidefinite bound")
    return float(found["value"])


@refuted(
    "fazlyab2019/network",
    kind=Kind.SCALAR,
    quantities=(LIPSCHITZ,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Lemma 1 and Theorem 1, with multipliers that couple neurons"),
    setting=NETWORK + r", and let $L$ be its $\ell_2$ Lipschitz constant",
    hypotheses=(
        _MULTIPLIERS,
        r"$T_l = \sum_i \lambda_i e_i e_i^T + \sum_{i < j} \lambda_{ij} (e_i - e_j)"
        r" (e_i - e_j)^T$ with $\lambda_i, \lambda_{ij} \ge 0$",
    ),
    stronger="fazlyab2019/neuron",
)
def network(facts: Facts, quantity: Quantity) -> float:
    """With multipliers that couple neurons the semidefinite programme bounds nothing.

    Two neurons whose inputs change by the same amount may have the slopes 1 and 0, and then the
    coupled constraint fails. For f(x) = relu(x) - relu(x - 1), of constant 1, the multipliers
    lambda_1 = lambda_2 = rho and lambda_12 = 1/2 are feasible for every rho > 0: the infimum is 0.
    Pauli et al. (arXiv 2005.02929) report the error.

    Hypotheses: a value of the coupled programme is known; nothing here computes one.
    """
    return float(
        required(
            facts, f"coupled_semidefinite[{quantity.norm}]", "a value of the coupled programme"
        )
    )


@theorem(
    "fazlyab2019/below-product",
    kind=Kind.SCALAR,
    quantities=(SEMIDEFINITE,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "our own: the multipliers of the product"),
    setting=NETWORK + LEAST,
)
def below_product(facts: Facts, quantity: Quantity) -> float:
    """The least semidefinite bound is at most the product of the layers' norms.

    Hypotheses: upper ends of all layer norms are known, and the slopes lie in [0, 1].
    Tight for one layer, and where each layer's largest singular vectors meet the next one's.
    """
    product: float = product_of_norms(facts, quantity)
    return product
