"""A face is a region of the arrangement on the flat that it spans."""

from math import comb

import sympy as sp

from theory.proof import Proof, Step, is_zero, proof, sampled, symbolic
from theory.proofs.zaslavsky1975 import Choose, ChooseSum, examples, m, n, region_sum
from theory.symbolic import Form

k = sp.Symbol("k", integer=True, nonnegative=True)


def _flats() -> Step:
    return symbolic(
        r"a $k$-face spans a flat of dimension $k$, which is the meet of $n - k$ of the"
        r" hyperplanes: there are at most $\binom{m}{n - k}$ such flats, and the other $m - n + k$"
        r" hyperplanes cut it in at most as many. A flat that lies in more of them is the meet of"
        r" more than one choice, and is cut by fewer",
        lambda: is_zero(sp.combsimp(sp.binomial(m, n - k) / sp.binomial(m, m - n + k)) - 1),
    )


def _counted() -> Step:
    return sampled(
        "face numbers of arrangements, counted flat by flat, are at most these, and equal in"
        " general position",
        lambda: all(
            all(found <= most for found, most in pairs) and (not simple or _equal(pairs))
            for simple, pairs in (
                (a.is_simple, list(zip(a.face_numbers(), _most(a), strict=True)))
                for a in examples()
            )
        ),
    )


def _equal(pairs: list[tuple[int, int]]) -> bool:
    return all(found == most for found, most in pairs)


def _most(arrangement: object) -> list[int]:
    a, b = arrangement.n_hyperplanes, arrangement.dimension  # type: ignore[attr-defined]
    return [comb(a, b - d) * region_sum(a - b + d, d) if b - d <= a else 0 for d in range(b + 1)]


@proof("buck1943/faces")
def faces() -> Proof:
    """Flats times regions."""
    return Proof(
        Form(
            left="f_k",
            right=Choose(m, n - k) * ChooseSum(m - n + k, k),
            symbols={"m": m, "n": n, "k": k},
        ),
        (
            _flats(),
            _counted(),
            sampled(
                r"the alternating sum of the numbers of faces is $(-1)^n$, as Euler's relation for"
                r" a division of $\mathbb{R}^n$ demands",
                lambda: all(
                    sum(
                        (-1) ** d * comb(a, b - d) * region_sum(a - b + d, d)
                        for d in range(max(0, b - a), b + 1)
                    )
                    == (-1) ** b
                    for a in range(1, 12)
                    for b in range(1, 10)
                ),
            ),
        ),
    )


@proof("buck1943/bounded-faces")
def bounded_faces() -> Proof:
    """Flats times bounded regions."""
    return Proof(
        Form(
            left="g_k",
            right=Choose(m, n - k) * Choose(m - n + k - 1, k),
            symbols={"m": m, "n": n, "k": k},
        ),
        (
            _flats(),
            symbolic(
                r"on each flat at most $\binom{m - n + k - 1}{k}$ regions are bounded; a vertex is"
                r" one"
                r" for $k = 0$",
                lambda: is_zero(sp.binomial(m - n - 1, 0) - 1),
            ),
            sampled(
                r"for $m \ge n$ the bounded faces together form a contractible set: their"
                r" alternating sum is 1",
                lambda: all(
                    sum(
                        (-1) ** d * comb(a, b - d) * comb(a - b + d - 1, d) for d in range(1, b + 1)
                    )
                    + comb(a, b)
                    == 1
                    for b in range(1, 10)
                    for a in range(b, 13)
                ),
            ),
        ),
    )
