"""Sign matrices of small rank, counted by Warren's theorem."""

import sympy as sp

from theory.proof import Proof, is_zero, proof, sampled, symbolic
from theory.proofs.warren1968 import PATTERNS, WARREN, D, M, N, matrices
from theory.proofs.zaslavsky1975 import m, n
from theory.symbolic import Form

rank = sp.Symbol("r", integer=True, positive=True)
v = sp.Symbol("v", integer=True, positive=True)
BITS = v * sp.log(8 * sp.E * m * n / v) / sp.log(2)


@proof("alon1985/sign-matrices")
def sign_matrices() -> Proof:
    """The entries of a product of matrices are polynomials."""
    return Proof(
        Form(
            left=r"\log_2 s",
            right=BITS,
            symbols={"rows": m, "columns": n, "rank": rank},
            where=((v, (m + n) * rank),),
        ),
        (
            WARREN,
            symbolic(
                r"the $m n$ entries of a product of an $m \times r$ and an $r \times n$ matrix are"
                r" polynomials of degree 2 in $v = (m + n) r$ variables: at most"
                r" $(8 e m n / v)^v$ sign vectors",
                lambda: is_zero(
                    sp.expand_log(
                        sp.log(PATTERNS.subs({M: M * N}).subs({n: v, D: 2})) / sp.log(2)
                        - BITS.subs({m: M, n: N}),
                        force=True,
                    )
                ),
            ),
            sampled(
                r"all $2^{m n}$ sign matrices have a sign rank of at most the smaller side: at the"
                r" largest ranks that are allowed the bound is above $m n$",
                lambda: all(
                    bool(sp.N(BITS.subs({m: 2 * k, n: 2 * k, v: 4 * k * k})) > 4 * k * k)
                    for k in (1, 5, 20)
                ),
            ),
        ),
    )


@proof("alon1985/sign-rank")
def sign_rank() -> Proof:
    """Less than what the exact constant of Warren's theorem gives."""
    share = 2 * sp.Rational(1, 32) * sp.log(4 * sp.E * 32) / sp.log(2)
    return Proof(
        Form(left="R", right=N / 32, symbols={"size": N}),
        (
            WARREN,
            matrices(),
            symbolic(
                r"for $r = N / 32$ these are at most $2^{x N^2}$ with $x < 0.53$, less than all"
                r" $2^{N^2}$: some sign matrix needs more",
                lambda: bool(share < sp.Rational(53, 100)),
                lambda: bool(share > sp.Rational(1, 2)),
            ),
        ),
    )
