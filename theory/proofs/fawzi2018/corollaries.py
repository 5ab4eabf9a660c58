"""Theorem 1 for balanced and equal classes: general => sharp => printed, each step checked."""

from typing import Any

import mpmath as mp
import sympy as sp

from theory.interval import nonnegative_on
from theory.proof import Proof, Step, by_intervals, is_zero, proof, symbolic, tends_to
from theory.proofs.fawzi2018.robustness import LATENT, OFFSETS, kernel_is_convex
from theory.symbolic import (
    Density,
    Form,
    Isf,
    K,
    Omega,
    Survival,
    a,
    c,
    density,
    eta,
    half_normal,
    i,
    offset,
    p,
    t,
)

k = sp.Symbol("k", positive=True)
"""K as a real number: derivatives are taken in it."""
s = sp.Symbol("s", positive=True)
CONSTANT = sp.sqrt(sp.pi / 2)
EQUAL_OFFSET = sp.Symbol("a_K", real=True)
ALPHA = sp.Symbol("alpha_K", nonnegative=True)
PRINTED_OFFSET = sp.sqrt(sp.log(K**2 / (4 * sp.pi * sp.log(K))))


PRINTED = (c, r"\sqrt{\pi/2}")
"""The constant of the printed forms, as it is printed, and its value."""
PRINTED_VALUE = {c: lambda _: mp.sqrt(mp.pi / 2)}


def _law(survival: sp.Expr, *where: tuple[sp.Expr, Any]) -> Form:
    return Form(
        left=r"\Pr(r \le \eta)",
        right=1 - survival,
        survival=survival,
        symbols={"eta": eta, "n_classes": K},
        where=(*where, LATENT),
        derived=PRINTED_VALUE if PRINTED in where else {},
    )


def tail_below_exponential() -> Step:
    """Return the step 2 Phibar(t) <= exp(-t^2/2) for t >= 0."""
    gap = sp.exp(-(t**2) / 2) - 2 * Survival(t)
    factor = sp.simplify(sp.diff(gap, t) / sp.exp(-(t**2) / 2))
    return symbolic(
        r"$2\bar\Phi(t) \le e^{-t^2/2}$: the difference is 0 at $t = 0$ and tends to 0 at infinity,"
        r" and its slope is $e^{-t^2/2}$ times a linear function that falls, so that it rises first"
        r" and then falls",
        lambda: is_zero(gap.subs(t, 0)),
        lambda: tends_to(gap, t, sp.oo, 0),
        lambda: sp.Poly(factor, t).degree() == 1 and bool(sp.diff(factor, t).is_negative),
        lambda: bool(factor.subs(t, 0).is_positive),
    )


def balanced_chord() -> Step:
    """Return the step G_t(p) <= 2 p Phibar(t) for p <= 1/2."""
    return symbolic(
        r"$G_t(0) = 0$, $G_t(1/2) = \bar\Phi(t)$ and convexity give $G_t(p) \le 2p\,\bar\Phi(t)$"
        r" for"
        r" $p \le 1/2$; the masses sum to 1",
        lambda: tends_to(Survival(a + t), a, sp.oo, 0),
        lambda: Isf(sp.Rational(1, 2)) == 0 and is_zero(Survival(t).subs(t, 0) - sp.Rational(1, 2)),
    )


@proof("fawzi2018/thm1-balanced-sharp")
def balanced_sharp() -> Proof:
    """General => balanced, sharp."""
    return Proof(
        _law(2 * Survival(t)),
        (
            kernel_is_convex(),
            balanced_chord(),
            symbolic(
                r"equality for $K = 2$ equal half-spaces",
                lambda: is_zero(2 * Survival(t) - (Survival(a + t) + Survival(-a + t)).subs(a, 0)),
            ),
        ),
    )


@proof("fawzi2018/thm1-balanced")
def balanced_printed() -> Proof:
    """Balanced: sharp => printed."""
    return Proof(
        _law(c * sp.exp(-(t**2) / 2), PRINTED),
        (
            kernel_is_convex(),
            balanced_chord(),
            tail_below_exponential(),
            symbolic(
                r"$1 \le \sqrt{\pi/2}$: the printed constant is larger than it need be",
                lambda: bool(CONSTANT >= 1),
            ),
        ),
    )


@proof("fawzi2018/thm1-equiprobable-sharp")
def equiprobable_sharp() -> Proof:
    """General, at equal masses."""
    return Proof(
        _law(K * Survival(EQUAL_OFFSET + t), (EQUAL_OFFSET, Isf(1 / K))),
        (
            symbolic(
                r"the sum of Theorem 1 has $K$ equal terms",
                lambda: (
                    sp.Sum(Survival(EQUAL_OFFSET + t), (i, 1, K)).doit()
                    == K * Survival(EQUAL_OFFSET + t)
                ),
            ),
            symbolic(
                r"for $K = 2$ it is the bound for balanced classes, attained by half-spaces",
                lambda: is_zero((K * Survival(Isf(1 / K) + t)).subs(K, 2) - 2 * Survival(t)),
            ),
        ),
    )


def exponential_kernel() -> Step:
    """Return the step G_t(p) <= p exp(-t^2/2 - a t)."""
    shifted = density(s + t)
    return symbolic(
        r"$G_t(p) = \int_a^\infty \varphi(s) e^{-st - t^2/2} ds \le p\, e^{-at - t^2/2}$, the"
        r" exponential being largest at $s = a$",
        lambda: is_zero(shifted - density(s) * sp.exp(-s * t - t**2 / 2)),
        lambda: bool((-sp.diff(-s * t - t**2 / 2, s)).is_nonnegative),
    )


def mills_ratio() -> Step:
    """Return Birnbaum's lower bound on the upper tail."""
    x = sp.Symbol("x", nonnegative=True)
    lower = 2 * density(x) / (x + sp.sqrt(x**2 + 4))
    gap = Survival(x) - lower
    root = sp.Symbol("w", positive=True)
    # With w = sqrt(x^2 + 4) the slope is phi(x) times a rational function of x and w.
    slope = sp.simplify(sp.diff(gap, x) / density(x)).subs(sp.sqrt(x**2 + 4), root)
    claimed = (x - root) / (root * (x + root))
    return symbolic(
        r"$\bar\Phi(x) \ge 2\varphi(x) / (x + \sqrt{x^2 + 4})$ for $x \ge 0$ (Birnbaum 1942): the"
        r" difference tends to 0 at infinity, and never rises: with $w = \sqrt{x^2 + 4} > x$ its"
        r" slope is $\varphi(x)(x - w)/(w(x + w))$ times a positive number",
        lambda: tends_to(Survival(x), x, sp.oo, 0) and sp.limit(lower, x, sp.oo) == 0,
        lambda: _same_sign(slope, claimed, x, root),
    )


def _same_sign(slope: sp.Expr, claimed: sp.Expr, x: sp.Symbol, root: sp.Symbol) -> bool:
    u = sp.Symbol("u", positive=True)
    # x = 1/u - u runs over the reals >= 0 as u runs over (0, 1], and w = 1/u + u.
    rational = sp.simplify((slope / claimed).subs(root, 1 / u + u).subs(x, 1 / u - u))
    numerator, denominator = sp.fraction(sp.together(rational))
    inside = [
        q for e in (numerator, denominator) for q in sp.real_roots(sp.Poly(e, u)) if 0 < q < 1
    ]
    return not inside and bool(rational.subs(u, sp.Rational(1, 2)) > 0)


def threshold() -> Step:
    """Return the step that the printed offset is real from K = 4.2715 on."""
    root = sp.exp(-sp.LambertW(-1 / (2 * sp.pi), -1) / 2)
    excess = k**2 - 4 * sp.pi * sp.log(k)
    return symbolic(
        r"$\alpha_K$ is real iff $K^2 \ge 4\pi\log K$, that is, from"
        r" $K = \exp(-W_{-1}(-1/2\pi)/2) = 4.2715\ldots$ on, where $K^2 - 4\pi\log K$ has its last"
        r" zero: beyond $\sqrt{2\pi}$ it rises; so for whole $K \ge 5$, and not for 2, 3, 4",
        lambda: abs(sp.N(excess.subs(k, root), 30)) < sp.Float("1e-25"),
        lambda: abs(sp.N(root, 20) - sp.Float("4.271539051456748342", 20)) < sp.Float("1e-17"),
        lambda: is_zero(sp.diff(excess, k) - 2 * (k**2 - 2 * sp.pi) / k),
        lambda: bool(sp.N(root - sp.sqrt(2 * sp.pi)) > 0),
        lambda: all(bool(sp.N(excess.subs(k, n)) < 0) for n in (2, 3, 4)),
        lambda: bool(sp.N(excess.subs(k, 5)) > 0),
    )


def printed_offset_is_lower() -> tuple[Step, ...]:
    """Return the steps of the lemma a_K >= alpha_K."""
    alpha = sp.sqrt(sp.log(k**2 / (4 * sp.pi * sp.log(k))))
    root = sp.sqrt(2 * sp.log(k))
    ell = sp.Symbol("l", positive=True)
    return (
        threshold(),
        mills_ratio(),
        symbolic(
            r"$K\varphi(\alpha_K) = s$ with $s = \sqrt{2\log K}$, and $s^2 - \alpha_K^2 ="
            r" \log(4\pi\log K) =: \ell$",
            lambda: is_zero(sp.expand_log(sp.log(k * density(alpha)) - sp.log(root), force=True)),
            lambda: is_zero(
                sp.expand_log(root**2 - alpha**2 - sp.log(4 * sp.pi * sp.log(k)), force=True)
            ),
        ),
        symbolic(
            r"by the tail bound $K\bar\Phi(\alpha) \ge 2s/(\alpha + \sqrt{\alpha^2 + 4})$, which"
            r" is at"
            r" least 1 as soon as $s(s - \alpha) \ge 1$; and $s(s - \alpha) = s\ell/(s + \alpha)"
            r" \ge"
            r" \ell/2 \ge 1$ for $K \ge \exp(e^2/4\pi) = 1.80$. Hence $\bar\Phi(\alpha_K) \ge"
            r" 1/K$, that"
            r" is, $\alpha_K \le a_K$",
            # (2s - alpha)^2 - (alpha^2 + 4) = 4 (s (s - alpha) - 1).
            lambda: is_zero((2 * s - a) ** 2 - (a**2 + 4) - 4 * (s * (s - a) - 1)),
            lambda: is_zero((s**2 - (s**2 - ell)) * s / (s + a) - s * ell / (s + a)),
            lambda: is_zero(sp.log(4 * sp.pi * sp.log(sp.exp(sp.exp(2) / (4 * sp.pi)))) - 2),
            lambda: bool(sp.N(sp.exp(sp.exp(2) / (4 * sp.pi))) < 2),
        ),
        by_intervals(
            r"$K\,\bar\Phi(\alpha_K) \ge 1$ for every real $K$ in $[4.2716, 1000]$",
            lambda: nonnegative_on(k * Survival(alpha) - 1, [(k, 4.2716, 1000.0)]),
        ),
    )


@proof("fawzi2018/thm1-equiprobable")
def equiprobable_printed() -> Proof:
    """Equal classes: sharp => printed."""
    return Proof(
        _law(c * sp.exp(-(t**2) / 2 - t * ALPHA), PRINTED, (ALPHA, PRINTED_OFFSET)),
        (
            exponential_kernel(),
            *printed_offset_is_lower(),
            symbolic(
                r"so $K\bar\Phi(a_K + t) \le e^{-t^2/2 - a_K t} \le \sqrt{\pi/2}\, e^{-t^2/2 -"
                r" \alpha_K t}$",
                lambda: bool(CONSTANT >= 1),
                lambda: bool((t * (ALPHA + s) - t * ALPHA).simplify().is_nonnegative),
            ),
        ),
    )


def integral_of_kernel() -> Step:
    """Return the step that the kernel integrates to phi(a) - a Phibar(a)."""
    integral = half_normal(a + t)
    return symbolic(
        r"$\int_0^\infty G_t(p)\,dt = \varphi(a) - a\,\bar\Phi(a)$",
        lambda: is_zero(sp.diff(integral, t) + Survival(a + t)),
        lambda: tends_to(integral, t, sp.oo, 0),
        lambda: is_zero(integral.subs(t, 0) - half_normal(a)),
    )


@proof("fawzi2018/thm1-mean")
def mean() -> Proof:
    """Theorem 1, integrated over the distance."""
    return Proof(
        Form(
            left=r"\mathbf{E}\, r",
            right=Omega(sp.Sum(Density(offset[i]) - offset[i] * p[i], (i, 1, K))),
            symbols={"class_masses": p},
            where=(OFFSETS,),
        ),
        (
            integral_of_kernel(),
            symbolic(
                r"so $\mathbf{E}\, r_{\mathrm{latent}} = \int_0^\infty \Pr(r > t)\,dt$ is at most"
                r" the"
                r" sum; for $K = 2$ equal classes it is $\sqrt{2/\pi}$, the mean of $|z_1|$",
                lambda: is_zero(2 * half_normal(sp.S.Zero) - sp.sqrt(2 / sp.pi)),
            ),
            symbolic(
                r"$r \le \omega(r_{\mathrm{latent}})$ and $\omega$ is concave: Jensen's inequality"
                r" (shown"
                r" at two points of equal weight for $\omega = \sqrt{t}$)",
                lambda: is_zero(
                    (s + t) / 2
                    - ((sp.sqrt(s) + sp.sqrt(t)) / 2) ** 2
                    - ((sp.sqrt(s) - sp.sqrt(t)) / 2) ** 2
                ),
            ),
        ),
    )
