"""Transport inequalities: a set of mass p is near to the whole law, and so two sets are near."""

import numpy as np
import sympy as sp
from scipy.stats import wasserstein_distance

from theory.interval import nonnegative_on
from theory.proof import Proof, Step, assumed, by_intervals, is_zero, proof, sampled, symbolic
from theory.proofs.fawzi2018.corollaries import tail_below_exponential
from theory.proofs.fawzi2018.robustness import ISOPERIMETRY
from theory.proofs.mahloujifar2019 import MEAN, NEAR, RHO, half_spaces_attain
from theory.proofs.prescott2021 import linear_map, smaller_norms
from theory.symbolic import Form, Isf, Phi, Survival, eta, half_normal, t

sigma, left = sp.symbols("sigma p", positive=True)
n = sp.Symbol("n", integer=True, positive=True)
q = sp.Symbol("q", positive=True)
start = sp.Symbol("eta_0", nonnegative=True)
_NOISE = sigma * sp.sqrt(2 * sp.log(1 / RHO))
_WHERE = ((start, _NOISE),)
_SYMBOLS = {"risk": RHO, "sigma": sigma}


def _law(distance: sp.Expr, **symbols: sp.Symbol) -> Form:
    kept = sp.exp(-(sp.Max(0, distance - start) ** 2) / (2 * sigma**2))
    return Form(
        left=NEAR,
        right=1 - kept,
        survival=kept,
        symbols={"eta": eta, **_SYMBOLS, **symbols},
        where=_WHERE,
    )


def _near_the_whole() -> Step:
    return symbolic(
        r"the law restricted to a set of measure $\rho$ has the density $1/\rho$ on it, relative to"
        r" the whole law, and so the divergence $\log(1/\rho)$; by $W_1 \le W_2$ and"
        r" $T_2(\sigma^2)$ it is within $\eta_0 = \sigma\sqrt{2\log(1/\rho)}$ of the whole law in"
        r" $W_1$",
        lambda: is_zero(sp.integrate(sp.log(1 / RHO) / RHO, (left, 0, RHO)) - sp.log(1 / RHO)),
        lambda: is_zero(sp.sqrt(2 * sigma**2 * sp.log(1 / RHO)) - _NOISE),
    )


def _marton() -> tuple[Step, ...]:
    kept = sp.exp(-((eta - start) ** 2) / (2 * sigma**2))
    excess = sp.Symbol("s", positive=True)
    far = sp.sqrt(2 * sp.log(1 / left)) * sigma
    return (
        _near_the_whole(),
        symbolic(
            r"let the points farther than $\eta$ from $E$ have measure $p$: their law is at least"
            r" $\eta$ from that of the errors in $W_1$, and at most"
            r" $\eta_0 + \sigma\sqrt{2\log(1/p)}$, so that $p \le e^{-(\eta - \eta_0)^2/2\sigma^2}$"
            r" for $\eta \ge \eta_0$",
            lambda: is_zero(sp.simplify(far.subs(left, kept.subs(eta, start + excess))) - excess),
            lambda: bool((-sp.diff(sp.log(1 / left), left)).is_positive),
        ),
        symbolic(
            r"at $\eta = 2\eta_0$ the robust accuracy is at most $\rho$",
            lambda: is_zero(sp.simplify(kept.subs(eta, 2 * start).subs(start, _NOISE)) - RHO),
        ),
    )


@proof("dohmatob2019/no-free-lunch")
def no_free_lunch() -> Proof:
    """Marton's argument."""
    return Proof(_law(eta), _marton())


@proof("dohmatob2019/gaussian")
def gaussian() -> Proof:
    """Isoperimetry after a linear map, and that it says more."""
    x, offset = sp.Symbol("x", nonnegative=True), eta / sigma - Isf(RHO)
    return Proof(
        Form(
            left=NEAR,
            right=Phi(offset),
            survival=Survival(offset),
            symbols={"eta": eta, **_SYMBOLS},
        ),
        (
            ISOPERIMETRY,
            linear_map(),
            half_spaces_attain(),
            tail_below_exponential(),
            symbolic(
                r"so $\bar\Phi(x) \le e^{-x^2/2}$ for $x \ge 0$, and"
                r" $\bar\Phi^{-1}(\rho) \le \eta_0/\sigma$ (for $\rho > 1/2$ it is negative): for"
                r" $\eta \ge \eta_0$ the survival is at most $\bar\Phi((\eta - \eta_0)/\sigma) \le"
                r" e^{-(\eta - \eta_0)^2/2\sigma^2}$",
                lambda: is_zero(sp.exp(-(x**2) / 2).subs(x, _NOISE / sigma) - RHO),
                lambda: bool((-sp.diff(Survival(t), t)).is_positive),
            ),
        ),
    )


def _nearer_than_transport() -> bool:
    rng = np.random.default_rng(13)
    for _ in range(200):
        points, law = rng.normal(size=8), rng.dirichlet(np.ones(8))
        errors = rng.random(8) < 0.4
        if not errors.any():
            continue
        mean = law @ np.abs(points[:, None] - points[errors]).min(axis=1)
        moved = wasserstein_distance(points, points[errors], law, law[errors])
        if mean > moved + 1e-12:
            return False
    return True


@proof("dohmatob2019/mean-distance")
def mean_distance() -> Proof:
    """An optimal coupling of the law and the law of its errors."""
    c = sp.Symbol("c", nonnegative=True)
    noise = sp.sqrt(-2 * sp.log(Survival(c)))
    return Proof(
        Form(left=MEAN, right=start, symbols=_SYMBOLS, where=_WHERE),
        (
            _near_the_whole(),
            sampled(
                r"in a coupling of $x$ with an error $y$ the distance of $x$ to $E$ is at most"
                r" $\lVert x - y \rVert$, whose mean is $W_1$ at the best (tried on laws of"
                r" finitely many points of a line)",
                _nearer_than_transport,
            ),
            by_intervals(
                r"for $\mathcal{N}(0, 1)$ and errors $x \ge c$ the mean distance $c + \varphi(c) -"
                r" c\bar\Phi(c)$ is at most $\eta_0$, for every $c$ in $[0, 6]$",
                lambda: nonnegative_on(noise - (c + half_normal(c)), [(c, 0.0, 6.0)]),
            ),
        ),
    )


@proof("dohmatob2019/mean-distance-printed")
def mean_distance_printed() -> Proof:
    """The law, integrated."""
    excess = sp.Symbol("s", nonnegative=True)
    extra = sigma * sp.sqrt(sp.pi / 2)
    return Proof(
        Form(left=MEAN, right=start + extra, symbols=_SYMBOLS, where=_WHERE),
        (
            *_marton(),
            symbolic(
                r"the robust accuracy is at most 1 up to $\eta_0$, and its bound beyond integrates"
                r" to $\sigma\sqrt{\pi/2}$",
                lambda: is_zero(
                    sp.integrate(sp.exp(-(excess**2) / (2 * sigma**2)), (excess, 0, sp.oo)) - extra
                ),
            ),
        ),
    )


@proof("dohmatob2019/lq")
def lq() -> Proof:
    """Smaller norms, smaller distances."""
    return Proof(
        _law(eta),
        (
            *_marton(),
            smaller_norms(),
        ),
    )


@proof("dohmatob2019/lq-corollary")
def lq_corollary() -> Proof:
    """The counterexample: errors beyond a hyperplane orthogonal to an axis."""
    stretch = n ** (sp.Rational(1, 2) - 1 / q)
    true = Phi(sp.Rational(3, 2)).rewrite(sp.erf)
    risk = Survival(sp.Integer(2)).rewrite(sp.erf)
    at = {sigma: 1, n: 100, eta: sp.Rational(1, 2)}
    claimed = _law(stretch * eta, n=n, q=q).full(_law(stretch * eta, n=n, q=q).survival)
    power = sp.Symbol("s", positive=True)
    return Proof(
        _law(stretch * eta, n=n, q=q),
        (
            assumed(r"$\mathcal{N}(0, I)$ satisfies $T_2(1)$ (Talagrand 1996)"),
            symbolic(
                r"to the errors $x_1 \ge 2$ all $\ell_q$ distances are $(2 - x_1)_+$; the robust"
                r" accuracy at $1/2$ is $\Phi(3/2) = 0.9332$, and for $n = 100$ and $q = \infty$ at"
                r" most $0.0797$ is claimed, for $n = 10^6$ and $q = 3$ too",
                lambda: abs(sp.N(true, 15) - sp.Float("0.933192798731142", 15)) < 1e-14,
                lambda: bool(
                    sp.N(claimed.subs(at).subs(q, sp.oo).subs(RHO, risk)) < sp.Float("0.0797")
                ),
                lambda: bool(
                    sp.N((claimed.subs(at | {n: 10**6}).subs(q, 3).subs(RHO, risk)) - true) < 0
                ),
            ),
            symbolic(
                r"for every $q > 2$ the claimed budget tends to 0 as $n$ grows, the true one does"
                r" not depend on $n$",
                lambda: sp.limit(n ** (-power), n, sp.oo) == 0,
                lambda: bool((sp.Rational(1, 2) - 1 / (2 + power)).simplify().is_positive),
            ),
        ),
    )
