"""Crossings of a level, in the mean over the level."""

import sympy as sp

from theory.proof import Proof, is_zero, proof, symbolic
from theory.symbolic import Form

N = sp.Symbol("N", integer=True, positive=True)
length, slope, density = sp.symbols("ell G B", nonnegative=True)
u, v, level = sp.symbols("u v b", real=True)
s, rise = sp.symbols("s h", positive=True)


@proof("hanin2019/regions-on-a-segment")
def regions_on_a_segment() -> Proof:
    """Each unit is crossed as often as its slope and the density of its bias allow."""
    crossed = sp.Integral(density, (level, u, u + rise)).doit()
    uniform = sp.Integral(sp.Integral(1, (level, 0, s)), (u, 0, length)).doit()
    return Proof(
        Form(
            left=r"\operatorname{E} r",
            right=1 + slope * density * N * length,
            symbols={"n_units": N, "length": length, "slope": slope, "density": density},
        ),
        (
            symbolic(
                r"given all other parameters, the input $z(t)$ of a unit, without its bias $-b$, is"
                r" a piecewise linear function of the place $t$ on the segment. A piece that rises"
                r" or falls by $h$ meets the level $b$ with a probability of at most $B h$, so $z$"
                r" meets it at most $B \int |z'(t)| dt$ times in the mean",
                lambda: is_zero(crossed - density * rise),
                lambda: is_zero(
                    sp.Integral(density * s, (v, 0, length)).doit() - density * s * length
                ),
            ),
            symbolic(
                r"in the mean over the other parameters that is at most $B G \ell$, for each of $N$"
                r" units; and a segment on which patterns change $k$ times meets $k + 1$ of them",
                lambda: is_zero(
                    sp.summation(slope * density * length, (level, 1, N))
                    + 1
                    - (1 + slope * density * N * length)
                ),
            ),
            symbolic(
                r"equality up to the ends: a unit $s t - b$ with $b$ uniform on $[0, s \ell]$, of"
                r" density $1 / (s \ell)$, is met exactly once, which is $B G \ell$",
                lambda: is_zero(uniform - s * length),
                lambda: is_zero(s * (1 / (s * length)) * length - 1),
            ),
        ),
    )
