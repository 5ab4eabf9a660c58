"""Multi-bubbles in Gauss space: the slope at 0, the exact law of the cones, and what is assumed."""

import functools
from collections.abc import Callable
from typing import Any

import mpmath as mp
import sympy as sp

from theory.claims.milman2022 import isoperimetric_lower_bound, multi_bubble_lower_bound
from theory.proof import Proof, Step, assumed, is_zero, proof, sampled, symbolic
from theory.proofs.fawzi2018.robustness import ISOPERIMETRY
from theory.symbolic import Density, Form, Isf, K, Phi, Survival, a, density, eta, t

x = sp.Symbol("x", real=True)
AREA, CHANGE, KEPT = sp.symbols("J D J_eta", nonnegative=True)
EQUAL_OFFSET = sp.Symbol("a_K", real=True)
_DIGITS = 80
"""No integral is computed to more: nothing is subtracted from one."""
_LEFT = r"\liminf_{t \to 0} \frac{1}{t} \Pr(r \le t)"

MULTI_BUBBLE = assumed(
    r"the multi-bubble theorem in Gauss space (Milman and Neeman 2022): of all partitions into $K"
    r" \le d + 1$ sets of equal measure, the simplex cones have the least total boundary"
)
CONTENT = assumed(
    r"the enlargement of a set grows at first at least at the rate of its perimeter (coarea formula"
    r" and lower semicontinuity: Ambrosio, Fusco and Pallara 2000), and the classes of a partition"
    r" share every boundary: the slope is at least twice the total boundary"
)


def line_integral(integrand: Callable[[mp.mpf], mp.mpf]) -> mp.mpf:
    """Return the integral over the line of a positive function that decays like the normal density.

    The trapezoidal rule, as the function is entire: each halving of the step doubles the number of
    digits, so that the last change may be the root of the error that is asked for.
    """
    digits = min(mp.mp.dps, _DIGITS)
    with mp.workdps(digits + 30):
        # Wide enough for integrals down to 1e-100 of the density's.
        reach = 4 * int(mp.sqrt(2 * mp.log(10) * (digits + 130)) + 1)
        coarse = {j: integrand(mp.mpf(j) / 4) for j in range(-reach, reach + 1)}
        least = max(coarse.values()) * mp.mpf(10) ** (-digits - 10)
        seen = [j for j, value in coarse.items() if value > least]
        start, stop = mp.mpf(min(seen) - 1) / 4, mp.mpf(max(seen) + 1) / 4
        step, total = mp.mpf(1) / 4, mp.fsum(coarse.values())
        value, change = step * total, mp.inf
        while change > abs(value) * mp.mpf(10) ** (-digits // 2):
            n = int((stop - start) / step)
            total += mp.fsum(integrand(start + step * (j + mp.mpf(1) / 2)) for j in range(n))
            step, previous = step / 2, value
            value = step * total
            change = abs(value - previous)
        return value


@functools.lru_cache(maxsize=256)
def _kept(shift: mp.mpf, k: int, digits: int) -> tuple[mp.mpf, mp.mpf]:
    """Return int phi(x) Phi(x - shift)^(K-1) dx, and what it is below the integral at shift 0."""
    if shift == 0:
        return mp.mpf(1) / k, mp.mpf(0)

    def change(y: mp.mpf) -> mp.mpf:
        return mp.npdf(y) * (mp.ncdf(y) ** (k - 1) - mp.ncdf(y - shift) ** (k - 1))

    kept = line_integral(lambda y: mp.npdf(y) * mp.ncdf(y - shift) ** (k - 1))
    # Where little is kept, what is lost needs no integral of its own.
    return kept, line_integral(change) if kept > mp.mpf("0.4") / k else mp.mpf(1) / k - kept


def _part(index: int) -> Callable[[Any], mp.mpf]:
    def value(values: Any) -> mp.mpf:  # noqa: ANN401
        shift = mp.sqrt(2) * values["eta"]
        return _kept(shift, int(values["n_classes"]), mp.mp.dps)[index]

    return value


def _area(values: Any) -> mp.mpf:  # noqa: ANN401
    k = int(values["n_classes"])
    return line_integral(lambda y: mp.npdf(y) ** 2 * mp.ncdf(y) ** (k - 2))


def _cones() -> tuple[Step, ...]:
    """Return the steps that give the law of the simplex cones and its slope at 0."""
    kept = density(x) * Phi(x - sp.sqrt(2) * t) ** (K - 1)
    one, other, height = sp.symbols("z_i z_j h", real=True)
    # The nearest point with z_j = z_i shares their mean.
    middle = (one + other) / 2
    return (
        symbolic(
            r"for $f(z) = \arg\max_i z_i$ another label $j$ begins where $z_j = z_i$, at the"
            r" distance $(z_i - z_j) / \sqrt{2}$: the radius is $(z_{(1)} - z_{(2)}) / \sqrt{2}$",
            lambda: is_zero(
                (one - middle) ** 2 + (other - middle) ** 2 - ((one - other) / sp.sqrt(2)) ** 2
            ),
            lambda: (
                sp.solve(sp.diff((one - height) ** 2 + (other - height) ** 2, height), height)
                == [middle]
            ),
        ),
        symbolic(
            r"given $z_i = x$ the others are below $x - \sqrt{2} t$ with probability $\Phi(x -"
            r" \sqrt{2} t)^{K-1}$; summed over the $K$ classes, $\Pr(r > t) = K \int"
            r" \varphi(x)\,\Phi(x - \sqrt{2} t)^{K-1} dx$, which is 1 at $t = 0$, as $K \varphi"
            r" \Phi^{K-1}$ is the slope of $\Phi^K$",
            lambda: is_zero(sp.diff(Phi(x) ** K, x) - K * kept.subs(t, 0)),
        ),
        symbolic(
            r"its slope at 0 is $K (K - 1) \sqrt{2} \int \varphi^2 \Phi^{K-2}$",
            lambda: is_zero(
                (-K * sp.diff(kept, t).subs(t, 0))
                - K * (K - 1) * sp.sqrt(2) * density(x) ** 2 * Phi(x) ** (K - 2)
            ),
        ),
        symbolic(
            r"for $K = 2$ and $K = 3$ it is $\sqrt{2/\pi}$ and $3/\sqrt{2\pi}$: $\Phi(x) + \Phi(-x)"
            r" = 1$, so that $\int \varphi^2 \Phi$ is half of $\int \varphi^2 = 1/(2\sqrt{\pi})$",
            lambda: is_zero(Phi(x) + Phi(-x) - 1),
            lambda: is_zero(2 * sp.sqrt(2) * _square() - sp.sqrt(2 / sp.pi)),
            lambda: is_zero(6 * sp.sqrt(2) * _square() / 2 - 3 / sp.sqrt(2 * sp.pi)),
        ),
    )


def _square() -> sp.Expr:
    return sp.integrate(density(x) ** 2, (x, -sp.oo, sp.oo))


@proof("milman2022/multi-bubble-slope")
def multi_bubble() -> Proof:
    """The theorem, with the boundary of the cones."""
    return Proof(
        Form(
            left=_LEFT,
            right=K * (K - 1) * sp.sqrt(2) * AREA,
            symbols={"n_classes": K},
            where=((AREA, r"\int_{-\infty}^{\infty} \varphi(x)^2\, \Phi(x)^{K-2}\, dx"),),
            derived={AREA: _area},
        ),
        (
            MULTI_BUBBLE,
            CONTENT,
            *_cones(),
            sampled(
                r"above the slope $K \varphi(a_K)$ of half-spaces for $K \ge 3$: each cone has the"
                r" measure $1/K$ and is no half-space",
                lambda: all(
                    multi_bubble_lower_bound(k) > isoperimetric_lower_bound(k)
                    for k in (3, 4, 5, 10, 100, 1000)
                ),
            ),
        ),
    )


@proof("milman2022/isoperimetric-slope")
def isoperimetric() -> Proof:
    """Theorem 1 of Fawzi et al., divided by the distance."""
    crossing = K * (Phi(a + t) - Phi(a))
    return Proof(
        Form(
            left=_LEFT,
            right=K * Density(EQUAL_OFFSET),
            symbols={"n_classes": K},
            where=((EQUAL_OFFSET, Isf(1 / K)),),
        ),
        (
            ISOPERIMETRY,
            symbolic(
                r"for each of $K$ equal classes it gives $\Pr(r \le t) \ge K (\Phi(a_K + t) -"
                r" \Phi(a_K))$, whose slope at $t = 0$ is $K \varphi(a_K)$",
                lambda: is_zero(sp.diff(crossing, t).subs(t, 0) - K * density(a)),
                lambda: is_zero(crossing.subs(t, 0)),
            ),
            symbolic(
                r"for $K = 2$ it is $\sqrt{2/\pi}$, that of two half-spaces: equality",
                lambda: Isf(sp.Rational(1, 2)) == 0,
                lambda: is_zero(2 * density(sp.S.Zero) - sp.sqrt(2 / sp.pi)),
            ),
        ),
    )


@proof("milman2022/simplex-cones")
def simplex_cones() -> Proof:
    """The exact law of one family."""
    # int phi(x) phi(x - c) dx by completing the square: the slope of the law for K = 2.
    c = sp.Symbol("c", positive=True)
    overlap = sp.integrate(sp.expand(density(x) * density(x - c)), (x, -sp.oo, sp.oo))
    half_spaces = Survival(c / sp.sqrt(2))
    return Proof(
        Form(
            left=r"\Pr(r \le \eta)",
            right=K * CHANGE,
            survival=K * KEPT,
            symbols={"eta": eta, "n_classes": K},
            where=(
                (
                    CHANGE,
                    r"\int_{-\infty}^{\infty} \varphi(x) \bigl(\Phi(x)^{K-1} - \Phi(x - \sqrt{2}"
                    r"\eta)^{K-1}\bigr)\, dx",
                ),
            ),
            derived={KEPT: _part(0), CHANGE: _part(1)},
        ),
        (
            *_cones(),
            symbolic(
                r"for $K = 2$ it is the law of two half-spaces: $\int \varphi(x)\,\Phi(x - c)\, dx"
                r" = \bar\Phi(c / \sqrt{2})$, as both tend to 0 and have one slope in $c$",
                lambda: is_zero(sp.simplify(-overlap - sp.diff(half_spaces, c))),
            ),
        ),
    )
