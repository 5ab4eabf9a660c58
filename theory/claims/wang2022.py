"""Wang, Prakriya and Jha, A quantitative geometric approach to smoothness (NeurIPS 2022)."""

import numpy as np

from theory.claim import Facts, Kind, OutOfScopeError, Quantity, Ref, Relation, required, theorem
from theory.claims.fazlyab2019 import FREE_PATTERN

KEY, SOURCE = "wang2022", "Wang, Prakriya and Jha, NeurIPS 2022"
# Rounded up by far more than the error of the square root and of the division.
_RATIO = float(np.sqrt(np.pi / 2)) * (1 + 2.0**-50)


@theorem(
    "wang2022/semidefinite-ratio",
    kind=Kind.SCALAR,
    quantities=(FREE_PATTERN,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, r"the Euclidean relaxation of networks with one hidden layer"),
    setting=r"Let $f(x) = w^T \phi(W x + b) + c$, where the slopes of the elementwise activation"
    r" $\phi$ lie in $[0, 1]$, let $L$ be the largest norm of $w^T D W$ over all diagonal $D$"
    r" with entries in $[0, 1]$, and $L_{\mathrm{sdp}}$ the least semidefinite bound with a"
    r" multiplier for each neuron",
)
def semidefinite_ratio(facts: Facts, quantity: Quantity) -> float:
    """With one hidden layer and one output, the semidefinite bound is at most sqrt(pi/2) too large.

    Hypotheses: one hidden layer, one output, slopes in [0, 1], and a lower end of the least
    semidefinite bound.
    """
    shape = (
        int(required(facts, "n_hidden_layers", "the number of hidden layers")),
        int(required(facts, "n_outputs", "the number of outputs")),
    )
    if shape != (1, 1):
        raise OutOfScopeError(
            f"the network has {shape[0]} hidden layers and {shape[1]} outputs, not one of each"
        )
    found = required(
        facts, f"semidefinite_bound[{quantity.norm}]", "a lower end of the semidefinite bound"
    )
    return float(found["lower"]) / _RATIO
