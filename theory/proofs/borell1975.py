"""Gaussian isoperimetry: half-spaces attain it, and on the line it is proved here."""

import sympy as sp

from theory.interval import nonnegative_on
from theory.proof import Proof, Step, by_intervals, is_zero, proof, symbolic, tends_to
from theory.proofs.fawzi2018.robustness import ISOPERIMETRY
from theory.symbolic import Density, Form, Isf, Phi, a, density, eta, t

b = sp.Symbol("b", real=True)
s = sp.Symbol("s", nonnegative=True)
rho = sp.Symbol("rho", positive=True)
mass = sp.Symbol("p", nonnegative=True)
OFFSET = sp.Symbol("a_rho", real=True)


def _enlarged(quantile: sp.Expr, distance: sp.Expr) -> sp.Expr:
    """Return the measure of the enlargement of the half-line {z <= quantile}."""
    return Phi(quantile + distance)


def _half_spaces() -> Step:
    return symbolic(
        r"equality for half-spaces: that of the $z_1 \le b$ has the measure $\rho = \Phi(b)$, that"
        r" is, $b = -a_\rho$, and its enlargement $z_1 \le b + \eta$ the measure $\Phi(b + \eta)$,"
        r" which is $\rho$ at $\eta = 0$, rises, and tends to 1",
        lambda: is_zero(Phi(eta - OFFSET).subs(OFFSET, -b) - _enlarged(b, eta)),
        lambda: is_zero(_enlarged(b, s).subs(s, 0) - Phi(b)),
        lambda: bool(sp.diff(_enlarged(b, t), t).is_positive),
        lambda: tends_to(_enlarged(b, t), t, sp.oo, 1),
    )


def _semigroup() -> Step:
    return symbolic(
        r"enlarging by $s$ and then by $t$ is enlarging by $s + t$: the quantile $b$ of the measure"
        r" becomes $b + s$, and then $b + s + t$",
        lambda: is_zero(_enlarged(b + s, t) - _enlarged(b, s + t)),
    )


def profile_is_concave() -> Step:
    """Return the step that I(p) = phi(Phi^{-1}(p)) is concave, symmetric and subadditive."""
    slope = sp.simplify(sp.diff(density(a), a) / sp.diff(Phi(a), a))
    curvature = sp.simplify(sp.diff(slope, a) / sp.diff(Phi(a), a))
    chord = slope * Phi(a) - density(a)
    return symbolic(
        r"at $p = \Phi(a)$ the profile $I(p) = \varphi(a)$ has slope $-a$ and second derivative"
        r" $-1/\varphi(a) < 0$; it is symmetric, and $I(p)/p$ falls, as $p I'(p) - I(p)$ is 0 at"
        r" $p = 0$ and has the slope $-\Phi(a)$ in $a$: so $I(p + q) \le I(p) + I(q)$",
        lambda: is_zero(slope + a),
        lambda: is_zero(curvature + 1 / density(a)) and bool((1 / density(a)).is_positive),
        lambda: is_zero(density(-a) - density(a)) and is_zero(Phi(-a) + Phi(a) - 1),
        lambda: is_zero(sp.diff(chord, a) + Phi(a)) and tends_to(chord, a, -sp.oo, 0),
    )


def _unions_of_intervals() -> tuple[Step, ...]:
    x, y, w = sp.symbols("x y w", real=True)
    # The last term vanishes where {z <= w} has the measure of the interval.
    apart = density(x) + density(y) - density(w) + 40 * (Phi(w) - Phi(y) + Phi(x)) ** 2
    return (
        profile_is_concave(),
        symbolic(
            r"on the line, an interval $(x, y)$ has the boundary $\varphi(x) + \varphi(y) ="
            r" I(\Phi(x)) + I(\bar\Phi(y)) \ge I(\Phi(x) + \bar\Phi(y)) = I(\Phi(y) - \Phi(x))$,"
            r" and a finite union of disjoint intervals has the boundary of all of them, at least"
            r" $I$ of the sum of their measures",
            lambda: is_zero(Phi(x) + (1 - Phi(y)) - (1 - (Phi(y) - Phi(x)))),
        ),
        symbolic(
            r"so the measure $u(t)$ of its enlargement has $u' \ge I(u)$ while no two intervals"
            r" meet, $\Phi^{-1}(u)$ has a slope of at least 1, and $u(t) \ge \Phi(\Phi^{-1}(u(0)) +"
            r" t)$, for which $u' = I(u)$; where intervals meet, fewer are left: the inequality is"
            r" proved on the line",
            lambda: is_zero(sp.diff(_enlarged(b, t), t) - density(b + t)),
            lambda: is_zero(sp.diff(Phi(a), a) / density(a) - 1),
        ),
        by_intervals(
            r"$\varphi(x) + \varphi(y) - \varphi(w) + 40 (\Phi(w) - \Phi(y) + \Phi(x))^2 \ge 0$ for"
            r" $-1 \le x \le 0 \le y \le 1$ and $-1.5 \le w \le 1.5$: no such interval has less"
            r" boundary than a half-line of its measure",
            lambda: nonnegative_on(apart, [(x, -1, 0), (y, 0, 1), (w, -1.5, 1.5)]),
        ),
    )


@proof("borell1975/isoperimetry")
def isoperimetry() -> Proof:
    """Half-spaces attain it; on the line it is proved, in any dimension assumed."""
    return Proof(
        Form(
            left=r"\Pr(d(z, E) \le \eta)",
            right=Phi(eta - OFFSET),
            survival=Phi(OFFSET - eta),
            symbols={"eta": eta, "risk": rho},
            where=((OFFSET, Isf(rho)),),
        ),
        (ISOPERIMETRY, _half_spaces(), _semigroup(), *_unions_of_intervals()),
    )


@proof("borell1975/perimeter")
def perimeter() -> Proof:
    """The slope of the enlargement at 0."""
    quotient = (_enlarged(a, t) - Phi(a)) / t
    return Proof(
        Form(
            left=r"\liminf_{t \to 0} \frac{1}{t} \bigl(\gamma(A^t) - \gamma(A)\bigr)",
            right=Density(Isf(mass)),
            symbols={"mass": mass},
        ),
        (
            ISOPERIMETRY,
            symbolic(
                r"$(\Phi(\Phi^{-1}(p) + t) - p) / t$ tends to $\varphi(\Phi^{-1}(p))$ as $t \to 0$,"
                r" and is that for a half-space: equality",
                lambda: tends_to(quotient, t, 0, density(a)),
                lambda: is_zero(sp.diff(_enlarged(a, t), t).subs(t, 0) - density(a)),
            ),
            profile_is_concave(),
        ),
    )
