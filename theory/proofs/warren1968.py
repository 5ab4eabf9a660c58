"""Sign patterns: the theorem is assumed, its use on lines, planes and matrices is checked."""

from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from theory.proof import Proof, Step, assumed, is_zero, proof, sampled, symbolic, tends_to
from theory.proofs.zaslavsky1975 import n, region_sum
from theory.symbolic import Form

M = sp.Symbol("M", integer=True, positive=True)
D = sp.Symbol("D", integer=True, positive=True)
N = sp.Symbol("N", integer=True, positive=True)
r = sp.Symbol("r", positive=True)
x = sp.Symbol("x", positive=True)
LEAST = sp.Symbol("r_N", integer=True, positive=True)
PATTERNS = (4 * sp.E * D * M / n) ** n
WARREN = assumed(
    r"Warren, Theorem 3: $M$ polynomials of degree at most $D$ in $n \le M$ variables have at most"
    r" $(4 e D M / n)^n$ sign vectors without 0; their zeros leave at most as many components"
)


def _on_a_line() -> Step:
    return sampled(
        r"in one variable, $M$ polynomials have at most $D M$ zeros, and so at most $D M + 1$"
        r" intervals, fewer than $4 e D M$: the sign vectors of random polynomials were counted",
        *(lambda seed=seed: _line_holds(seed) for seed in range(4)),
    )


def _line_holds(seed: int) -> bool:
    rng = np.random.default_rng(seed)
    count, degree = 5, 3
    polynomials = rng.normal(size=(count, degree + 1))
    zeros = np.concatenate([np.roots(p) for p in polynomials])
    real = np.sort(zeros[np.abs(zeros.imag) < 1e-12].real)
    between = np.concatenate([[real[0] - 1], (real[1:] + real[:-1]) / 2, [real[-1] + 1]])
    patterns = {tuple(np.sign([np.polyval(p, t) for p in polynomials])) for t in between}
    return len(patterns) <= degree * count + 1 < 4 * np.e * degree * count


def matrices() -> Step:
    """Return the step that counts the sign matrices of small rank."""
    entries = PATTERNS.subs({D: 2, M: N**2}).subs(n, 2 * r * N)
    return symbolic(
        r"an $N \times N$ matrix of rank at most $r$ is a product of an $N \times r$ and an"
        r" $r \times N$ matrix: its $N^2$ entries are polynomials of degree 2 in $2 r N$ variables,"
        r" so at most $(4 e N / r)^{2 r N}$ sign matrices have such a sign rank, if $2 r \le N$",
        lambda: is_zero(sp.log(entries) - sp.log((4 * sp.E * N / r) ** (2 * r * N))),
    )


@proof("warren1968/sign-patterns")
def sign_patterns() -> Proof:
    """Assumed; checked where regions are counted otherwise."""
    return Proof(
        Form(left="s", right=PATTERNS, symbols={"m": M, "degree": D, "n": n}),
        (
            WARREN,
            _on_a_line(),
            symbolic(
                r"hyperplanes, $D = 1$: $\sum_{i=0}^{n} \binom{M}{i} \le (e M / n)^n$ for $n \le"
                r" M$, as"
                r" $(n / M)^n \sum_{i=0}^{n} \binom{M}{i} \le (1 + n / M)^M \le e^n$, where"
                r" $\log(1 + x)"
                r" \le x$",
                lambda: tends_to(sp.log(1 + x) - x, x, 0, 0),
                lambda: bool(sp.simplify(sp.diff(x - sp.log(1 + x), x)).is_positive),
                lambda: all(
                    region_sum(a, b) <= sp.Rational(271, 100) ** b * sp.Rational(a, b) ** b
                    for a in range(1, 16)
                    for b in range(1, a + 1)
                ),
            ),
            symbolic(
                r"the logarithm of the bound grows with $n$ up to $n = 4 D M$: fewer variables"
                r" never have a larger bound",
                lambda: is_zero(
                    sp.diff(x * sp.log(4 * sp.E * D * M / x), x) - sp.log(4 * D * M / x)
                ),
            ),
        ),
    )


def _exact_least(values: Any) -> mp.mpf:  # noqa: ANN401
    size = int(values["size"])
    rank = 1
    while 2 * rank * mp.log(4 * mp.e * size / rank, 2) < size and 2 * rank < size:
        rank += 1
    return mp.mpf(rank)


@proof("warren1968/sign-rank")
def sign_rank() -> Proof:
    """Not all sign matrices can have a small sign rank."""
    return Proof(
        Form(
            left="R",
            right=LEAST,
            symbols={"size": N},
            where=(
                (
                    LEAST,
                    r"\text{the least } r \text{ with } 2 r \log_2(4 e N / r) \ge N"
                    r" \text{ or } 2 r \ge N",
                ),
            ),
            derived={LEAST: _exact_least},
        ),
        (
            WARREN,
            matrices(),
            symbolic(
                r"there are $2^{N^2}$ sign matrices: if all had a sign rank of at most $r < N / 2$,"
                r" then $2 r N \log_2(4 e N / r) \ge N^2$; the left side grows with $r \le N$, and"
                r" is enough at $r = N / 2$",
                lambda: is_zero(sp.diff(r * sp.log(4 * sp.E * N / r), r) - sp.log(4 * N / r)),
                lambda: bool(sp.log(8 * sp.E) / sp.log(2) > 1),
            ),
            symbolic(
                r"in proportion to the size: $2 x \log_2(4 e / x) < 1$ for $x = 0.0683$, not for"
                r" $x = 0.0684$; the printed $N / 32$ is less",
                lambda: _share(sp.Rational(683, 10000)) < 1 < _share(sp.Rational(684, 10000)),
                lambda: _share(sp.Rational(1, 32)) < 1,
            ),
        ),
    )


def _share(x: sp.Rational) -> sp.Expr:
    return sp.N(2 * x * sp.log(4 * sp.E / x) / sp.log(2), 30)
