"""Theorem 1: from isoperimetry to the law of the radius, and what the bound's shape is."""

import numpy as np
import sympy as sp

from theory.claims.fawzi2018 import cdf_lower_bound
from theory.gaussian import argmax_family_cdf
from theory.modulus import LipschitzModulus
from theory.proof import Proof, Step, assumed, is_zero, proof, sampled, symbolic, tends_to
from theory.symbolic import (
    Form,
    Isf,
    K,
    OmegaInverse,
    Phi,
    Survival,
    a,
    density,
    eta,
    i,
    offset,
    p,
    t,
)

OFFSETS = (offset[i], Isf(p[i]))
LATENT = (t, OmegaInverse(eta))
ISOPERIMETRY = assumed(
    r"Gaussian isoperimetry (Borell 1975; Sudakov and Tsirelson 1974): a set of mass $q$ has an"
    r" open"
    r" $t$-enlargement of mass at least $\Phi(\Phi^{-1}(q) + t)$"
)


def kernel_slope() -> sp.Expr:
    """Return dG_t/dp at p = Phibar(a), by the chain rule through a."""
    return sp.simplify(sp.diff(Survival(a + t), a) / sp.diff(Survival(a), a))


def kernel_is_convex() -> Step:
    """Return the step that G_t is convex and increasing in the mass."""
    slope = kernel_slope()
    return symbolic(
        r"$G_t(p) = \bar\Phi(\bar\Phi^{-1}(p) + t)$ has the slope $e^{-at - t^2/2} > 0$ at"
        r" $p = \bar\Phi(a)$, which falls as $a$ grows, that is, rises with $p$: $G_t$ is"
        r" increasing"
        r" and convex",
        lambda: is_zero(slope - sp.exp(-a * t - t**2 / 2)),
        lambda: bool(slope.is_positive),
        lambda: bool((-sp.diff(slope, a) / slope).simplify().is_nonnegative),
        lambda: bool(sp.diff(Survival(a), a).is_negative),
    )


def thm1_form() -> Form:
    """Return the inequality of Theorem 1."""
    return Form(
        left=r"\Pr(r \le \eta)",
        right=sp.Sum(Phi(offset[i] + t) - Phi(offset[i]), (i, 1, K)),
        survival=sp.Sum(Survival(offset[i] + t), (i, 1, K)),
        symbols={"eta": eta, "class_masses": p},
        where=(OFFSETS, LATENT),
    )


@proof("fawzi2018/thm1")
def theorem1() -> Proof:
    """Isoperimetry for each class, summed."""
    crossing = Phi(a + t) - Phi(a)
    two = crossing + Phi(-a + t) - Phi(-a)
    return Proof(
        thm1_form(),
        (
            ISOPERIMETRY,
            symbolic(
                r"applied to the other classes, of mass $1 - p_i$, it keeps at most"
                r" $G_t(p_i) = \bar\Phi(a_i + t)$ of class $i$ at distance more than $t$ from them;"
                r" what is left of $p_i$ is $\Phi(a_i + t) - \Phi(a_i)$",
                lambda: is_zero(Survival(a) - Survival(a + t) - crossing),
            ),
            symbolic(
                r"a label that changes within $t$ in latent space changes within $\omega(t)$ in"
                r" image"
                r" space, and the bound is continuous and increasing in $t$, so that"
                r" $t = \omega^{-1}(\eta)$ may be taken; it rises from 0 to $\sum_i p_i = 1$",
                lambda: is_zero(sp.diff(crossing, t) - density(a + t)),
                lambda: bool(density(a + t).is_positive),
                lambda: is_zero(crossing.subs(t, 0)),
                lambda: tends_to(crossing, t, sp.oo, Survival(a)),
            ),
            kernel_is_convex(),
            symbolic(
                r"$G_t(0) = 0$, so that $G_t$ is superadditive: merging two classes lowers the"
                r" bound",
                lambda: tends_to(Survival(a + t), a, sp.oo, 0),
            ),
            symbolic(
                r"equality for $K = 2$ and a half-space at offset $a$, where $r = |z_1 - a|$",
                lambda: is_zero(two - (Phi(a + t) - Phi(a - t))),
            ),
            sampled(
                r"equal masses make the bound largest (Jensen, from convexity)", _equal_is_largest
            ),
            sampled(
                r"not attained for $K \ge 3$: the law of $\arg\max_i z_i$ lies above", _argmax_above
            ),
        ),
    )


def _equal_is_largest() -> bool:
    rng, omega = np.random.default_rng(0), LipschitzModulus(1.0)
    etas = rng.uniform(0, 4, 40)
    for k in rng.integers(2, 30, 50):
        masses = rng.dirichlet(np.full(k, 0.5))
        equal = cdf_lower_bound(etas, omega, np.full(k, 1 / k))
        if np.any(cdf_lower_bound(etas, omega, masses) > equal + 1e-14):
            return False
    return True


def _argmax_above() -> bool:
    rng, omega = np.random.default_rng(1), LipschitzModulus(1.0)
    for k in (3, 4, 10, 100, 1000):
        etas = rng.uniform(0.01, 3, 20)
        bound = cdf_lower_bound(etas, omega, np.full(k, 1 / k))
        if not np.all(argmax_family_cdf(etas, k) > bound):
            return False
    return True


@proof("fawzi2018/thm1-sampled-modulus")
def theorem1_sampled() -> Proof:
    """Why a sampled modulus proves nothing."""
    seen = sp.Symbol("L_seen", positive=True)
    true = seen + sp.Symbol("gap", nonnegative=True)
    return Proof(
        thm1_form(),
        (
            symbolic(
                r"a sampled modulus is at most the true one, $\hat\omega \le \omega$, so that"
                r" $\hat\omega^{-1}(\eta) \ge \omega^{-1}(\eta)$ and the bound claims at least as"
                r" much as"
                r" Theorem 1, which may be too much: not proved (shown for Lipschitz moduli)",
                lambda: bool(sp.simplify(eta / seen - eta / true).is_nonnegative),
            ),
        ),
    )


@proof("fawzi2018/unconstrained-below-in-distribution")
def unconstrained() -> Proof:
    """An infimum over more points."""
    inside, outside = sp.symbols("d_in d_out", nonnegative=True)
    return Proof(
        Form(
            left=r"r_{\mathrm{unc}}(x)",
            right=sp.Symbol(r"r_{\mathrm{in}}(x)"),
            symbols={},
        ),
        (
            symbolic(
                r"the points of the range with another label are among all points with another"
                r" label,"
                r" and an infimum over more points is not larger",
                lambda: (
                    sp.simplify(sp.Min(sp.Min(inside, outside), inside) - sp.Min(inside, outside))
                    == 0
                ),
            ),
        ),
    )
