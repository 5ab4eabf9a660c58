"""All reflections of the points are equally probable, and dichotomies are counted."""

from fractions import Fraction
from math import comb

import numpy as np
import sympy as sp

from theory.arrangement import HyperplaneArrangement
from theory.proof import Proof, is_zero, proof, sampled, symbolic
from theory.proofs.cover1965 import N, counting_theorem, d, index, ways
from theory.proofs.zaslavsky1975 import ChooseSum, pascal
from theory.symbolic import Form


def _share(points: np.ndarray) -> int:
    """Return for how many reflections of the points a half-space holds all of them."""
    arrangement = HyperplaneArrangement(points, np.zeros(len(points)))
    # A direction with these signs is the normal of such a half-space for these reflections.
    return len({region.sign_vector.tobytes() for region in arrangement.regions()})


@proof("wendel1962/half-space")
def half_space() -> Proof:
    """The function-counting theorem, conditionally on the points up to sign."""
    probability = sp.Rational(1, 2) ** (N - 1) * ChooseSum(N - 1, d - 1)
    return Proof(
        Form(left="p", right=probability, symbols={"n_points": N, "dimension": d}),
        (
            sampled(
                r"given the points up to their signs, all $2^N$ signs are equally probable, and the"
                r" points with these signs share a half-space where the signs are a dichotomy: at"
                r" most $c(N, d)$ of $2^N$, and as many in general position",
                lambda: all(
                    _share(np.random.default_rng(a).normal(size=(a, b))) == ways(a, b)
                    for a, b in ((4, 2), (6, 3), (7, 4))
                ),
            ),
            *counting_theorem(),
            symbolic(
                r"this is the probability of at most $d - 1$ heads in $N - 1$ throws; it is 1 for"
                r" $N \le d$, one half for $N = 2 d$, and falls with every point, by Pascal's rule",
                pascal,
                lambda: is_zero(
                    sp.summation(sp.binomial(N - 1, index), (index, 0, N - 1)) - 2 ** (N - 1)
                ),
                lambda: all(
                    Fraction(ways(a, b), 2**a) - Fraction(ways(a + 1, b), 2 ** (a + 1))
                    == Fraction(comb(a - 1, b - 1), 2**a)
                    for a in range(1, 14)
                    for b in range(1, 14)
                ),
            ),
        ),
    )
