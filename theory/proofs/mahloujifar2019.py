"""Concentration: a set of positive measure grows to one half, and from there to nearly all."""

import itertools
from collections.abc import Mapping
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from theory.interval import nonnegative_on
from theory.proof import Proof, Step, by_intervals, is_zero, proof, sampled, symbolic, tends_to
from theory.proofs.fawzi2018.corollaries import tail_below_exponential
from theory.proofs.fawzi2018.robustness import ISOPERIMETRY, LATENT
from theory.symbolic import Form, Isf, Phi, Survival, a, density, eta, exact_isf, t

RHO = sp.Symbol("rho", positive=True)
NEAR = r"\Pr(d(x, E) \le \eta)"
MEAN = r"\mathbf{E}\, d(x, E)"
k1, k2, gamma = sp.symbols("k_1 k_2 gamma", positive=True)
n = sp.Symbol("n", integer=True, positive=True)
b, b1, s = sp.symbols("b b_1 s", nonnegative=True)
_REACHED = sp.Symbol(r"\mathbf{1}_{\eta \ge b_1}", nonnegative=True)
_START = sp.sqrt(sp.Max(0, sp.log(k1 / RHO)) / (k2 * n))
_SYMBOLS = {"risk": RHO, "k1": k1, "k2": k2, "n": n}


def _reached(values: Mapping[str, Any]) -> mp.mpf:
    half = mp.sqrt(max(mp.log(values["k1"] / values["risk"]), 0) / (values["k2"] * values["n"]))
    return mp.mpf(1 if values["eta"] >= half else 0)


def _to_one_half() -> Step:
    alpha = k1 * sp.exp(-k2 * n * b**2)
    return symbolic(
        r"let $\alpha(b) < \rho$: if the $b$-neighbourhood of $E$ had measure at most $1/2$, its"
        r" complement $S$ would have measure at least $1/2$, and no point of $E$ would be nearer"
        r" than $b$ to $S$, so that $\rho \le \alpha(b)$; the upper limit"
        r" $k_1 e^{-k_2 n b^2}$ falls, and is $\rho$ at $b = b_1$ where $\rho \le k_1$",
        lambda: is_zero(alpha.subs(b, sp.sqrt(sp.log(k1 / RHO) / (k2 * n))) - RHO),
        lambda: bool((-sp.diff(alpha, b)).is_nonnegative),
    )


def _finite_spaces() -> bool:
    """Check both halves of the argument on all subsets of random finite metric spaces."""
    rng = np.random.default_rng(7)
    for size in (5, 6, 7):
        points = rng.normal(size=(size, 2))
        far = np.linalg.norm(points[:, None] - points[None], axis=2)
        law = rng.dirichlet(np.ones(size))
        subsets = np.array(list(itertools.product((False, True), repeat=size)))[1:]
        distances = np.array([far[:, subset].min(axis=1) for subset in subsets])
        mass = subsets @ law
        for first, second in rng.choice(far[far > 0], (12, 2)):
            grown = (
                (distances[mass >= 0.5] <= first) @ law,
                (distances[mass >= 0.5] <= second) @ law,
            )
            level, last = (1.0 - g.min() for g in grown)
            big = mass > level + 1e-12
            if np.any((distances[big] <= first) @ law < 0.5):
                return False
            if np.any((distances[big] <= first + second + 1e-12) @ law < 1.0 - last - 1e-12):
                return False
    return True


@proof("mahloujifar2019/levy")
def levy() -> Proof:
    """From the risk to one half, from one half to nearly all."""
    kept = k1 * sp.exp(-k2 * n * (eta - b1) ** 2)
    budget = b1 + sp.sqrt(sp.log(k1 / gamma) / (k2 * n))
    return Proof(
        Form(
            left=NEAR,
            right=_REACHED * (1 - kept),
            survival=(1 - _REACHED) + _REACHED * kept,
            symbols={"eta": eta, **_SYMBOLS},
            where=((b1, _START),),
            derived={_REACHED: _reached},
        ),
        (
            _to_one_half(),
            symbolic(
                r"the $s$-neighbourhood of the $b_1$-neighbourhood lies in the"
                r" $(b_1 + s)$-neighbourhood, and has measure at least $1 - \alpha(s)$; closed"
                r" neighbourhoods shrink to that of radius $b_1$, so that $b = b_1$ is allowed",
                lambda: is_zero((kept - k1 * sp.exp(-k2 * n * s**2)).subs(eta, b1 + s)),
            ),
            sampled("both halves hold for all sets of small random metric spaces", _finite_spaces),
            symbolic(
                r"measure $1 - \gamma$ is reached at"
                r" $b = (\sqrt{\log(k_1/\rho)} + \sqrt{\log(k_1/\gamma)}) / \sqrt{k_2 n}$",
                lambda: is_zero(kept.subs(eta, budget) - gamma),
                lambda: tends_to(kept, eta, sp.oo, 0),
            ),
        ),
    )


@proof("mahloujifar2019/levy-mean")
def levy_mean() -> Proof:
    """The law, integrated."""
    extra = k1 * sp.sqrt(sp.pi / (4 * k2 * n))
    return Proof(
        Form(left=MEAN, right=b1 + extra, symbols=_SYMBOLS, where=((b1, _START),)),
        (
            _to_one_half(),
            symbolic(
                r"the probability of a distance above $b$ is at most 1 up to $b_1$ and at most"
                r" $k_1 e^{-k_2 n (b - b_1)^2}$ beyond, which integrates to"
                r" $k_1 \sqrt{\pi / (4 k_2 n)}$",
                lambda: is_zero(sp.integrate(k1 * sp.exp(-k2 * n * s**2), (s, 0, sp.oo)) - extra),
            ),
        ),
    )


def half_spaces_attain() -> Step:
    """Return the step that half-spaces grow as the bound says."""
    c = sp.Symbol("c", real=True)
    return symbolic(
        r"equality for the half-space $z_1 \ge c$, whose measure is $\bar\Phi(c)$ and whose"
        r" $t$-neighbourhood is $z_1 \ge c - t$",
        lambda: is_zero(Survival(c - t) - Phi(t - c)),
    )


@proof("mahloujifar2019/gaussian")
def gaussian() -> Proof:
    """Isoperimetry, and what the Levy form loses."""
    right = t - Isf(RHO)
    half, c = sp.sqrt(-2 * sp.log(2 * RHO)), sp.Symbol("c", nonnegative=True)
    return Proof(
        Form(
            left=NEAR,
            right=Phi(right),
            survival=Survival(right),
            symbols={"eta": eta, "risk": RHO},
            where=(LATENT,),
        ),
        (
            ISOPERIMETRY,
            symbolic(
                r"a latent within $t$ of an error gives a point within $\omega(t)$ of one; the"
                r" bound is continuous and rises with $t$, so that $t = \omega^{-1}(\eta)$ may be"
                r" taken",
                lambda: is_zero(sp.diff(Phi(t - a), t) - density(t - a)),
                lambda: bool(density(t - a).is_positive),
            ),
            half_spaces_attain(),
            symbolic(
                r"measure $1 - \gamma$ is reached at $t = \bar\Phi^{-1}(\rho) +"
                r" \bar\Phi^{-1}(\gamma)$",
                lambda: is_zero(
                    Survival(right).subs(t, Isf(RHO) + Isf(gamma)) - Survival(Isf(gamma))
                ),
            ),
            tail_below_exponential(),
            symbolic(
                r"so $\alpha(b) = \bar\Phi(b)$ is at most $k_1 e^{-k_2 n b^2}$ for"
                r" $k_1 = k_2 n = 1/2$, and $\bar\Phi(b_1) \le \rho$, that is,"
                r" $\bar\Phi^{-1}(\rho) \le b_1$: the Lévy form says less",
                lambda: is_zero(sp.exp(-(half**2) / 2) / 2 - RHO),
                lambda: bool((-sp.diff(Survival(t - a), t)).is_positive),
            ),
            by_intervals(
                r"for every $\rho = \bar\Phi(c)$ with $c$ in $[0.01, 6]$ the distance $c$ at which"
                r" half-spaces reach one half is at most $b_1$",
                lambda: nonnegative_on(half.subs(RHO, Survival(c)) - c, [(c, 0.01, 6.0)]),
            ),
        ),
    )


_CORNERS = tuple(itertools.product((0, 1), repeat=3))
_Subset = frozenset[tuple[int, ...]]


def _growth(subset: _Subset, budget: int) -> sp.Rational:
    """Return the measure of a neighbourhood in {0, 1}^3, in the number of coordinates."""
    apart = [[sum(map(int.__ne__, x, y)) for y in subset] for x in _CORNERS]
    return sp.Rational(sum(min(row) <= budget for row in apart), 8)


def _least_growth(family: list[_Subset], mass: sp.Rational, budget: int) -> sp.Rational:
    return min(_growth(subset, budget) for subset in family if sp.Rational(len(subset), 8) >= mass)


def _all_subsets() -> list[_Subset]:
    """Return the 255 non-empty subsets of the corners."""
    chosen = itertools.product((False, True), repeat=8)
    return [frozenset(itertools.compress(_CORNERS, choice)) for choice in chosen if any(choice)]


def _subcubes() -> list[_Subset]:
    """Return the 27 subcubes."""
    fixed = itertools.product((0, 1, None), repeat=3)
    return [
        frozenset(x for x in _CORNERS if all(f in (None, c) for c, f in zip(x, face, strict=True)))
        for face in fixed
    ]


def _restriction_raises() -> bool:
    every, some = _all_subsets(), _subcubes()
    return all(
        _least_growth(every, sp.Rational(size, 8), budget)
        <= _least_growth(some, sp.Rational(size, 8), budget)
        for size in range(1, 9)
        for budget in range(3)
    )


def _cube() -> Step:
    half, ball = sp.Rational(1, 2), frozenset(x for x in _CORNERS if sum(x) <= 1)
    return symbolic(
        r"the uniform law on the corners of $[0, 1]^3$, in $\ell_2$ with budget 1, and"
        r" $\mathcal{G}$ the subcubes: each of measure at least $1/2$ grows to everything, the four"
        r" points with at most one coordinate 1 grow to $7/8$, and no set of their measure to less",
        lambda: _least_growth(_subcubes(), half, 1) == 1,
        lambda: len(ball) == 4 and _growth(ball, 1) == sp.Rational(7, 8),
        lambda: _least_growth(_all_subsets(), half, 1) == sp.Rational(7, 8),
    )


@proof("mahloujifar2019/empirical-concentration")
def empirical_concentration() -> Proof:
    """An infimum over fewer sets."""
    return Proof(
        Form(
            left=r"h(\mu, a, b)",
            right=sp.Symbol(r"h(\mu, a, b, \mathcal{G})"),
            symbols={},
        ),
        (
            symbolic(
                r"the sets of $\mathcal{G}$ are among all sets, and an infimum over more sets is"
                r" not larger (counted out for the subcubes of $[0, 1]^3$, every $a$ and $b$); any"
                r" one set of measure at least $a$ gives an upper end",
                _restriction_raises,
            ),
            _cube(),
        ),
    )


@proof("mahloujifar2019/empirical-lower-bound")
def empirical_lower_bound() -> Proof:
    """Half-spaces, and balls of the cube, grow less than what was searched."""
    gap = sp.Max(0, Isf(RHO / 2) - eta)
    half, quarter = sp.Rational(1, 2), sp.Rational(1, 4)
    return Proof(
        Form(
            left=r"\Pr(d(z, E) \le \eta)",
            right=2 * Survival(gap),
            survival=sp.erf(gap / sp.sqrt(2)),
            symbols={"eta": eta, "risk": RHO},
        ),
        (
            symbolic(
                r"the sets $|z_1| \ge c$ of measure at least $\rho$ have"
                r" $c \le \bar\Phi^{-1}(\rho/2)$ and grow to $2\bar\Phi(c - \eta)$, and to"
                r" everything from $\eta = c$ on",
                lambda: is_zero(2 * Survival(t).subs(t, 0) - 1),
                lambda: bool((-sp.diff(2 * Survival(t), t)).is_positive),
            ),
            symbolic(
                r"at $\rho = 1/2$ and $\eta = \bar\Phi^{-1}(1/4)$ the measured concentration is 1,"
                r" and a classifier wrong on $z_1 \ge 0$ has the adversarial risk"
                r" $\Phi(\eta) = 3/4$",
                lambda: sp.Mul(2, Survival(gap)).subs(RHO, half).subs(eta, Isf(quarter)) == 1,
                lambda: Isf(half) == 0,
                lambda: abs(mp.ncdf(exact_isf(mp.mpf("0.25"))) - mp.mpf("0.75")) < mp.mpf("1e-14"),
            ),
            _cube(),
        ),
    )
