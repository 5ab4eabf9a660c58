"""Simplex cones are not the best partition at large distances: slabs are a counterexample."""

import sympy as sp

from theory.interval import nonnegative_on
from theory.proof import Proof, by_intervals, is_zero, proof, symbolic
from theory.symbolic import Form, Survival, eta, t

LAW = sp.Symbol("F_p", nonnegative=True)
_OFFSET = sp.Rational(431, 1000)
"""Just above the offset of a half-space of mass 1/3."""


@proof("milman2022/simplex-cones-at-every-distance")
def at_every_distance() -> Proof:
    """Three equal classes, at a distance of 4 and beyond."""
    cones, slabs = 3 * Survival(2 * t / sp.sqrt(3)), 2 * Survival(_OFFSET + t)
    one = sp.Matrix([1, -sp.Rational(1, 2), -sp.Rational(1, 2)])
    normals = [sp.Matrix([1, -1, 0]), sp.Matrix([1, 0, -1])]
    return Proof(
        Form(
            left=r"\Pr(r \le \eta)",
            right=LAW,
            symbols={"eta": eta},
            where=((LAW, r"1 - \Pr(r > \eta)\ \text{of the cones}"),),
        ),
        (
            symbolic(
                r"a point of the cone of $z_1$ farther than $t$ from the others has $z_1 - z_j \ge"
                r" \sqrt{2} t$, $j = 2, 3$, and so $z_1 - (z_2 + z_3)/2 \ge \sqrt{2} t$: it lies in"
                r" a half-space at the distance $2 t / \sqrt{3}$, and three cones keep at most $3"
                r" \bar\Phi(2 t / \sqrt{3})$",
                lambda: sum(normals, sp.zeros(3, 1)) / 2 == one,
                lambda: is_zero(sp.sqrt(2) * t / one.norm() - 2 * t / sp.sqrt(3)),
            ),
            by_intervals(
                r"the outer slabs are half-spaces of mass $1/3$, at the offset $a = \bar\Phi^{-1}"
                r"(1/3) \le 0.431$, and keep $2 \bar\Phi(a + t)$",
                lambda: nonnegative_on(sp.Rational(1, 3) - Survival(t), [(t, 0.4309, 0.4311)]),
            ),
            by_intervals(
                r"$2 \bar\Phi(0.431 + t) > 3 \bar\Phi(2 t / \sqrt{3})$ for $4 \le t \le 6$: there"
                r" the slabs keep more",
                lambda: nonnegative_on(slabs - cones - Survival(t) / 100, [(t, 4.0, 6.0)]),
            ),
        ),
    )
