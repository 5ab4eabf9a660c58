"""Sphere, cube and few coordinates: exact => sharp => printed, each step checked."""

from collections.abc import Mapping
from typing import Any

import mpmath as mp
import sympy as sp

from theory.interval import nonnegative_on
from theory.proof import Proof, Step, by_intervals, is_zero, proof, symbolic, tends_to
from theory.proofs.fawzi2018.robustness import ISOPERIMETRY
from theory.proofs.gilmer2018 import LEVY, exact_cap_mass
from theory.proofs.mcdiarmid1989 import (
    DIFFERENCES,
    beats_talagrand,
    k,
    largest_mean,
    limited,
    mean_of_distance,
    n,
    tail,
    tail_of_distance,
)
from theory.proofs.talagrand1995 import best_exponent, exponential_moment
from theory.symbolic import Form, Isf, Phi, Survival, c, density

level = sp.Symbol("ell", nonnegative=True)
eps = sp.Symbol("epsilon", nonnegative=True)
order = sp.Symbol("p", positive=True)
tau = sp.Symbol("tau", nonnegative=True)
u, x, m = sp.Symbol("u", real=True), sp.Symbol("x", positive=True), sp.Symbol("m", positive=True)
_CAP, _CENTER = sp.Symbol("q", nonnegative=True), sp.Symbol("m", nonnegative=True)
_SPHERE, _CUBE = {"angle": eps, "log_density": level, "n": n}, {"log_density": level}
_SCALED = (tau, n ** (sp.Rational(1, 2) - 1 / sp.Min(order, 2)) * eps)
_NEAR = r"\Pr(d \le \epsilon)"

CLASS = symbolic(
    r"a point of the class at $d > \epsilon$ is called $c$ and is farther than $\epsilon$ from the"
    r" rest, which has measure at least $1/2$; the uniform measure $q$ of all such points is what"
    r" an enlargement of half of the space leaves at most, and the class has at most $e^\ell q$"
    r" there, its density being at most $e^\ell$",
    lambda: is_zero(sp.integrate(sp.exp(level), (x, 0, _CAP)) - sp.exp(level) * _CAP),
    lambda: bool(sp.exp(level).is_positive),
)


def _law(survival: Any, symbols: Mapping[str, Any], *where: Any) -> Form:  # noqa: ANN401
    return Form(left=_NEAR, right=1 - survival, survival=survival, symbols=symbols, where=where)


def _exact_cap(values: Mapping[str, Any]) -> mp.mpf:
    return exact_cap_mass(mp.pi / 2 - values["angle"], int(values["n"]))


def _hemisphere() -> Step:
    """Return the step that the cap beyond a hemisphere is an incomplete beta function."""
    power = sp.Symbol("c", positive=True)
    # d/de of int_0^{cos^2 e} y^(c-1) (1-y)^(-1/2) dy, with c = (n - 1) / 2.
    y = sp.cos(eps) ** 2
    slope = y ** (power - 1) / sp.sqrt(sp.sin(eps) ** 2) * sp.diff(y, eps)
    inside = {eps: sp.Rational(7, 10)}
    return symbolic(
        r"an enlargement of a hemisphere by $\epsilon$ leaves the cap of angle $\pi/2 - \epsilon$,"
        r" of measure $\int_\epsilon^{\pi/2} \cos^{n-2} / \int_{-\pi/2}^{\pi/2} \cos^{n-2} ="
        r" \frac{1}{2} I_{\cos^2\epsilon}(\frac{n-1}{2}, \frac{1}{2})$, by $y = \cos^2 u$; it is"
        r" $1/2$ at 0, and nothing from $\pi/2$ on",
        lambda: is_zero((slope / (-2 * sp.cos(eps) ** (2 * power - 1))).subs(inside) - 1),
        *[
            lambda d=d: is_zero(
                2 * sp.integrate(sp.cos(u) ** (d - 2), (u, 0, sp.pi / 2))
                - sp.gamma(sp.Rational(d - 1, 2)) * sp.sqrt(sp.pi) / sp.gamma(sp.Rational(d, 2))
            )
            for d in (2, 3, 4, 5, 10)
        ],
    )


def _cap_below_exponential() -> Step:
    """Return the step from the exact cap to exp(-(n - 1) e^2 / 2) / 2."""
    primitive = -(sp.cos(u) ** (m + 1)) / ((m + 1) * sp.sin(eps))
    return symbolic(
        r"with $C(\epsilon) = \int_\epsilon^{\pi/2} \cos^m u\, du$, $m = n - 2$: since $\sin u \ge"
        r" \sin\epsilon$ there, $C(\epsilon) \le \int \cos^m u \frac{\sin u}{\sin\epsilon}\, du ="
        r" \cos^{m+1}\epsilon / ((m + 1)\sin\epsilon)$, that is, $-(\log C)' \ge (m + 1)"
        r"\tan\epsilon = -(\log\cos^{m+1}\epsilon)'$, and $C(\epsilon) \le C(0)"
        r" \cos^{n-1}\epsilon$",
        lambda: is_zero(
            sp.simplify(sp.diff(primitive, u) - sp.cos(u) ** m * sp.sin(u) / sp.sin(eps))
        ),
        lambda: is_zero(primitive.subs(u, sp.pi / 2)),
        lambda: is_zero(
            sp.simplify(sp.cos(eps) ** m / primitive.subs(u, eps) + (m + 1) * sp.tan(eps))
        ),
        lambda: is_zero(
            sp.simplify(sp.diff((m + 1) * sp.log(sp.cos(eps)), eps) + (m + 1) * sp.tan(eps))
        ),
    )


def _cosine_below_gaussian() -> Step:
    gap = -sp.log(sp.cos(eps)) - eps**2 / 2
    return symbolic(
        r"$\cos\epsilon \le e^{-\epsilon^2/2}$ on $[0, \pi/2)$: the logarithms agree at 0, where so"
        r" do their slopes $-\tan\epsilon$ and $-\epsilon$, and $(\tan\epsilon)' - 1 ="
        r" \tan^2\epsilon \ge 0$; beyond, the left side is 0 for the cap",
        lambda: is_zero(gap.subs(eps, 0)),
        lambda: is_zero(sp.diff(gap, eps).subs(eps, 0)),
        lambda: is_zero(sp.simplify(sp.diff(gap, eps, 2) - sp.tan(eps) ** 2)),
    )


@proof("shafahi2019/sphere-exact")
def sphere_exact() -> Proof:
    """Levy for half of the sphere."""
    survival = sp.exp(level) * _CAP
    return Proof(
        Form(
            left=_NEAR,
            right=1 - survival,
            survival=survival,
            symbols=_SPHERE,
            where=(
                (
                    _CAP,
                    r"\frac{1}{2} I_{\cos^2\epsilon}\bigl(\frac{n-1}{2}, \frac{1}{2}\bigr)"
                    r"\text{, and 0 for } \epsilon \ge \frac{\pi}{2}",
                ),
            ),
            derived={_CAP: _exact_cap},
        ),
        (
            LEVY,
            CLASS,
            _hemisphere(),
            symbolic(
                r"for $n = 3$ it is $(1 - \sin\epsilon)/2$ (Archimedes)",
                lambda: is_zero(
                    sp.integrate(sp.cos(u), (u, eps, sp.pi / 2)) / 2 - (1 - sp.sin(eps)) / 2
                ),
            ),
        ),
    )


@proof("shafahi2019/sphere-sharp")
def sphere_sharp() -> Proof:
    """Exact => sharp."""
    return Proof(
        _law(sp.exp(level) * sp.exp(-(n - 1) * eps**2 / 2) / 2, _SPHERE),
        (LEVY, CLASS, _hemisphere(), _cap_below_exponential(), _cosine_below_gaussian()),
    )


@proof("shafahi2019/sphere")
def sphere() -> Proof:
    """Sharp => printed."""
    survival = sp.exp(level) * c * sp.exp(-(n - 1) * eps**2 / 2)
    return Proof(
        Form(
            left=_NEAR,
            right=1 - survival,
            survival=survival,
            symbols=_SPHERE,
            where=((c, r"\sqrt{\pi/8}"),),
            derived={c: lambda _: mp.sqrt(mp.pi / 8)},
        ),
        (
            LEVY,
            CLASS,
            _hemisphere(),
            _cap_below_exponential(),
            _cosine_below_gaussian(),
            symbolic(
                r"$1/2 \le \sqrt{\pi/8}$: the printed constant is larger than it need be",
                lambda: bool(sp.sqrt(sp.pi / 8) >= sp.Rational(1, 2)),
            ),
        ),
    )


def _transport() -> tuple[Step, ...]:
    """Return the steps from Gauss space to the cube."""
    slope = sp.diff(Phi(u), u)
    root = sp.Symbol("t", nonnegative=True)
    scale = sp.sqrt(2 * sp.pi)
    return (
        ISOPERIMETRY,
        symbolic(
            r"the cube is the image of $\mathcal{N}(0, I_n)$ by $g = \Phi$ in each coordinate, of"
            r" slope at most $\varphi(0) = 1/\sqrt{2\pi}$: $g$ divides $\ell_2$ distances by"
            r" $\sqrt{2\pi}$ at least",
            lambda: sp.solve(sp.diff(slope, u), u) == [0],
            lambda: is_zero(slope.subs(u, 0) - 1 / scale),
            lambda: bool(sp.diff(slope, u, 2).subs(u, 0) < 0),
        ),
        symbolic(
            r"$\lVert v \rVert_p \le n^{1/p - 1/2} \lVert v \rVert_2$ for $p < 2$, by the mean of"
            r" the powers $t = v_i^2$: $t^{p/2}$ is concave; and $\lVert v \rVert_p \le \lVert v"
            r" \rVert_2$ for $p \ge 2$. So $g$ has the modulus $\omega(t) = n^{1/\min(p, 2) - 1/2}"
            r" t/\sqrt{2\pi}$",
            # p = 2 q for some 0 < q < 1: the second derivative of t^q, with 1 - q = s.
            lambda: bool((-sp.diff(x ** (1 - m / (1 + m)), x, 2)).simplify().is_positive),
            lambda: is_zero(n * (1 / n) ** (order / 2) - n ** (1 - order / 2)),
        ),
        symbolic(
            r"the kernel of the theorem on generators, $G_t(p) = \bar\Phi(\bar\Phi^{-1}(p) + t)$ at"
            r" $p = 1/2$ and $t = \omega^{-1}(\epsilon) = \sqrt{2\pi}\,\tau$, is what half of the"
            r" cube keeps at most",
            lambda: is_zero(Survival(Isf(sp.Rational(1, 2)) + scale * tau) - Survival(scale * tau)),
            lambda: is_zero(
                sp.solve(sp.Eq(root * n ** (1 / order - sp.Rational(1, 2)) / scale, eps), root)[0]
                - scale * n ** (sp.Rational(1, 2) - 1 / order) * eps
            ),
        ),
    )


@proof("shafahi2019/cube-sharp")
def cube_sharp() -> Proof:
    """Gauss space, transported."""
    kept = Survival(sp.sqrt(2 * sp.pi) * tau)
    return Proof(
        _law(
            sp.exp(level) * kept,
            {"distance": eps, "n": n, "p": order, **_CUBE},
            _SCALED,
        ),
        (
            CLASS,
            *_transport(),
            symbolic(
                r"at distance 0 and to first order it is attained by half of the cube along one"
                r" coordinate, which keeps $1/2 - \epsilon$ for $p \ge 2$",
                lambda: is_zero(kept.subs(tau, 0) - sp.Rational(1, 2)),
                lambda: is_zero(sp.diff(kept, tau).subs(tau, 0) + 1),
            ),
        ),
    )


def upper_mills_ratio() -> Step:
    """Return the upper bound phi(x) / x on the upper tail."""
    gap = density(x) / x - Survival(x)
    return symbolic(
        r"$\bar\Phi(x) \le \varphi(x)/x$ for $x > 0$: the difference has the slope $-\varphi(x)/x^2"
        r" < 0$ and tends to 0 at infinity",
        lambda: is_zero(sp.diff(gap, x) + density(x) / x**2),
        lambda: tends_to(gap, x, sp.oo, 0),
    )


@proof("shafahi2019/cube")
def cube() -> Proof:
    """Sharp => printed, by Mills' ratio."""
    at = sp.sqrt(2 * sp.pi) * tau
    printed = sp.exp(-sp.pi * tau**2) / (2 * sp.pi * tau)
    return Proof(
        _law(
            sp.exp(level) * printed,
            {"distance": eps, "n": n, "p": order, **_CUBE},
            _SCALED,
        ),
        (
            CLASS,
            *_transport(),
            upper_mills_ratio(),
            symbolic(
                r"at $x = \sqrt{2\pi}\,\tau$ that is $e^{-\pi\tau^2}/(2\pi\tau)$, which is infinite"
                r" at $\tau = 0$, where the tail is $1/2$",
                lambda: is_zero(sp.simplify((density(at) / at - printed).subs(tau, x))),
                lambda: sp.limit(printed, tau, 0) == sp.oo,
            ),
            by_intervals(
                r"$e^{-\pi\tau^2}/(2\pi\tau) \ge \bar\Phi(\sqrt{2\pi}\,\tau)$ for $\tau$ in"
                r" $[0.05, 2]$",
                lambda: nonnegative_on(
                    printed.subs(tau, x) - Survival(at.subs(tau, x)), [(x, 0.05, 2.0)]
                ),
            ),
        ),
    )


@proof("shafahi2019/hamming-sharp")
def hamming_sharp() -> Proof:
    """Bounded differences for half of the cube."""
    half = sp.Rational(1, 2)
    return Proof(
        limited(
            sp.exp(level) * sp.Min(half, tail(k + 1, _CENTER)),
            r"\Pr(d \le k)",
            _CUBE,
            (_CENTER, largest_mean(half)),
        ),
        (CLASS, DIFFERENCES, mean_of_distance(), tail_of_distance()),
    )


@proof("shafahi2019/hamming")
def hamming() -> Proof:
    """Talagrand's form at k, for half of the cube."""
    survival = 2 * sp.exp(level) * sp.exp(-(k**2) / n)
    return Proof(
        Form(
            left=r"\Pr(d \le k)",
            right=1 - survival,
            survival=survival,
            symbols={"k": k, "n": n, **_CUBE},
        ),
        (
            CLASS,
            exponential_moment(),
            best_exponent(),
            symbolic(
                r"with $\rho = 1/2$, and $k$ for $k + 1$",
                lambda: bool((((k + 1) ** 2 - k**2) / n).expand().is_positive),
            ),
            beats_talagrand(),
        ),
    )
