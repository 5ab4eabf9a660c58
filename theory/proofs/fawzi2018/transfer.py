"""Theorems 2 and 3: the projected classifier, and perturbations that fool several classifiers."""

import itertools
from collections.abc import Mapping
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from theory.claim import Relation
from theory.claims.fawzi2018.transfer import worst_unions
from theory.gaussian import survival_kernel
from theory.proof import Proof, Step, is_zero, proof, sampled, symbolic
from theory.proofs.fawzi2018.corollaries import (
    PRINTED,
    PRINTED_VALUE,
    balanced_chord,
    tail_below_exponential,
)
from theory.proofs.fawzi2018.robustness import ISOPERIMETRY, LATENT, kernel_is_convex
from theory.symbolic import Form, Isf, K, Survival, a, c, delta, eta, i, offset, p, t

r_in = sp.Symbol(r"r_{\mathrm{in}}(x; f)", nonnegative=True)
v, tau, rho = sp.symbols("v tau rho", nonnegative=True)
_UNIONS = sp.IndexedBase("u", positive=True)
_JOINT = r"\Pr\bigl(\exists v,\ \lVert v \rVert \le \eta:\ f, h \text{ change at } x + v\bigr)"


def _triangle(slack: sp.Expr, relative: sp.Expr) -> Step:
    # dist(x + v, range) <= ||v||, as x is in the range.
    reach = (1 + relative) * v + slack + v
    return symbolic(
        r"if $\tilde f(x + v) \neq f(x)$, then $g(z^\ast)$ has another label than $x$, and"
        r" $r_{\mathrm{in}}(x) \le \lVert g(z^\ast) - x \rVert \le \lVert g(z^\ast) - (x + v)"
        r" \rVert +"
        r" \lVert v \rVert$, where the first term is at most $\lVert v \rVert$ and the slack,"
        r" since $x$"
        r" itself is in the range; solved for $\lVert v \rVert$",
        lambda: is_zero(sp.solve(sp.Eq(reach, r_in), v)[0] - (r_in - slack) / (2 + relative)),
        lambda: bool(sp.diff(reach, v).is_positive),
    )


def _half_is_optimal() -> Step:
    # The range {0, 1} of the line, two labels: the projection switches at 1/2.
    switch = sp.solve(sp.Eq(sp.Abs(v), sp.Abs(1 - v)), v)
    return symbolic(
        r"the factor $1/2$ is optimal: a range of two points at distance 1 with two labels has"
        r" $r_{\mathrm{in}} = 1$, and its projection switches at $1/2$",
        lambda: switch == [sp.Rational(1, 2)],
    )


@proof("fawzi2018/thm2")
def theorem2() -> Proof:
    """The triangle inequality, and why 1/2 is the best factor."""
    return Proof(
        Form(
            left=r"r_{\mathrm{unc}}(x; \tilde f)",
            right=r_in / 2,
            symbols={"r_in": r_in},
            relation=Relation.AT_LEAST,
        ),
        (_triangle(sp.S.Zero, sp.S.Zero), _half_is_optimal()),
    )


@proof("fawzi2018/thm2-slack")
def theorem2_slack() -> Proof:
    """The same with a projection that is off by a proved gap."""
    return Proof(
        Form(
            left=r"r_{\mathrm{unc}}(x; \tilde f)",
            right=sp.Max(r_in - tau, 0) / 2,
            symbols={"r_in": r_in, "slack": tau},
            relation=Relation.AT_LEAST,
        ),
        (_triangle(tau, sp.S.Zero), _triangle(sp.S.Zero, rho)),
    )


def _worst_unions(values: Mapping[str, Any]) -> list[mp.mpf]:
    """Return p with delta added to the largest classes first, none above 1."""
    masses, left = list(values["class_masses"]), values["disagreement"]
    for j in sorted(range(len(masses)), key=lambda j: -masses[j]):
        share = min(left, 1 - masses[j])
        masses[j], left = masses[j] + share, left - share
    return masses


def sharp_form() -> Form:
    """Return the transfer bound for any masses."""
    survival = delta + sp.Sum(Survival(offset[i] + t), (i, 1, K))
    return Form(
        left=_JOINT,
        right=1 - survival,
        survival=survival,
        symbols={"eta": eta, "class_masses": p, "disagreement": delta},
        where=(
            (offset[i], Isf(_UNIONS[i])),
            (_UNIONS[i], r"p_i + \delta \,\mathbf{1}[p_i = \max_j p_j]"),
            LATENT,
        ),
        derived={_UNIONS: _worst_unions},
    )


@proof("fawzi2018/thm3-sharp")
def theorem3_sharp() -> Proof:
    """The union of two classes' regions, and where the disagreement hurts most."""
    return Proof(
        sharp_form(),
        (
            ISOPERIMETRY,
            symbolic(
                r"let $u_i$ be the mass where $f$ or $h$ says $i$: a point on which both say $i$,"
                r" farther"
                r" than $t$ from all points where neither does, lies in a set of mass at most"
                r" $G_t(u_i)$; nearer ones are fooled together, and the classifiers disagree on at"
                r" most"
                r" $\delta$",
                lambda: is_zero(1 - delta - Survival(a + t) - (1 - (delta + Survival(a + t)))),
            ),
            kernel_is_convex(),
            sampled(
                r"$u_i \ge p_i$, $u_i \le p_i + \delta$ and $\sum_i u_i \le 1 + \delta$: a sum of"
                r" convex"
                r" functions is largest at a vertex, with all of $\delta$ in one class, and the"
                r" slope of"
                r" $G_t$ is largest in the largest class",
                _worst_at_largest,
            ),
        ),
    )


def _worst_at_largest() -> bool:
    rng = np.random.default_rng(2)
    for _ in range(200):
        masses = rng.dirichlet(np.full(int(rng.integers(2, 6)), 0.7))
        most, at = float(rng.uniform(0, 0.3)), float(rng.uniform(0, 3))
        worst = survival_kernel(worst_unions(masses, most), at).sum()
        for j, share in itertools.product(range(masses.size), rng.uniform(0, 1, 3)):
            u = masses.copy()
            u[j] = min(u[j] + share * most, 1.0)
            u[j - 1] = min(u[j - 1] + (1 - share) * most, 1.0)
            if survival_kernel(u, at).sum() > worst + 1e-13:
                return False
    return True


@proof("fawzi2018/thm3")
def theorem3() -> Proof:
    """Sharp => printed."""
    e = sp.Symbol("e", positive=True)
    survival = c * sp.exp(-(t**2) / 2) + 2 * delta
    return Proof(
        Form(
            left=_JOINT,
            right=1 - survival,
            survival=survival,
            symbols={"eta": eta, "class_masses": p, "disagreement": delta},
            where=(PRINTED, LATENT),
            derived=PRINTED_VALUE,
        ),
        (
            kernel_is_convex(),
            balanced_chord(),
            symbolic(
                r"with $u_i \le 1/2$ and $\sum_i u_i \le 1 + \delta$ the sharp form is at least"
                r" $1 - \delta - 2(1 + \delta)\bar\Phi(t)$",
                lambda: is_zero(
                    (1 - delta - (1 + delta) * 2 * Survival(t))
                    - (1 - delta - 2 * (1 + delta) * Survival(t))
                ),
            ),
            tail_below_exponential(),
            symbolic(
                r"with $e = \sqrt{\pi/2}\, e^{-t^2/2} \ge 2\bar\Phi(t)$: where $e \le 1$,"
                r" $(1 + \delta) e + \delta \le e + 2\delta$; elsewhere the printed form is at"
                r" most 0",
                lambda: is_zero((e + 2 * delta) - ((1 + delta) * e + delta) - delta * (1 - e)),
                lambda: bool((-(1 - (1 + e) - 2 * delta)).is_positive),
            ),
        ),
    )
