"""The mean distance from a point of a sphere to an error: Levy's caps, exactly."""

from collections.abc import Mapping
from typing import Any

import mpmath as mp
import sympy as sp

from theory.interval import enclosure, nonnegative_on
from theory.proof import Proof, Step, assumed, by_intervals, is_zero, proof, symbolic, tends_to
from theory.symbolic import Form, Isf, Phi, Survival, a, half_normal

rho = sp.Symbol("rho", positive=True)
n = sp.Symbol("n", integer=True, positive=True)
angle = sp.Symbol("alpha", nonnegative=True)
theta = sp.Symbol("theta", nonnegative=True)
start = sp.Symbol("theta_0", nonnegative=True)
_MEAN, _TAIL = sp.Symbol("M", nonnegative=True), sp.Symbol("T", nonnegative=True)
_START_TEXT = (start, r"\text{the angle of the cap of measure } \rho")
_WHOLE = r"\int_0^\pi \sin^{n-2}\theta\, d\theta"
_MEAN_TEXT = r"\frac{\int_{\theta_0}^\pi %s \sin^{n-2}\theta\, d\theta}{" + _WHOLE + "}"

LEVY = assumed(
    r"spherical isoperimetry (Levy 1951; Schmidt 1948): no set of the same uniform measure has"
    r" smaller enlargements, by any angle, than a cap"
)


def _series(x: mp.mpf, numerator: int, denominator: int) -> mp.mpf:
    """Return sum_k prod_{j < k} (numerator + 2j) / (denominator + 2j) x^k, in fixed point."""
    bits = mp.mp.prec + 20
    unit = 1 << bits
    x_fixed = int(mp.ldexp(x, bits))
    term = total = unit
    k = 0
    while term:
        term = (term * (numerator + 2 * k) // (denominator + 2 * k) * x_fixed) >> bits
        total += term
        k += 1
    return mp.mpf(total) / unit


def exact_cap_mass(radius: mp.mpf, dimension: int) -> mp.mpf:
    """Return the uniform measure of a cap of this angle, to the working precision.

    I_x(c, 1/2) / 2 with x = sin^2 and c = (n - 1) / 2, by its series in x, or by that of its
    complement in 1 - x, whichever needs fewer terms.
    """
    if radius <= 0:
        return mp.mpf(0)
    if 2 * radius > mp.pi:
        return 1 - exact_cap_mass(mp.pi - radius, dimension)
    digits, c = mp.mp.dps, mp.mpf(dimension - 1) / 2
    decay = -2 * float(mp.log(mp.sin(radius)))
    lost = dimension * decay / 2 / 2.3
    if 2.3 * digits < max(decay, 1e-300) * (4.6 * lost + 4 * digits) * (1 + lost / digits):
        with mp.workdps(digits + 10):
            x = mp.sin(radius) ** 2
            factor = x**c * mp.cos(radius) / (2 * c * mp.beta(c, 0.5))
            return factor * _series(x, dimension, dimension + 1)
    # The complement is close to 1/2, whose digits cancel.
    with mp.workdps(digits + 10 + int(lost)):
        y = mp.cos(radius) ** 2
        factor = mp.cos(radius) * (1 - y) ** c / mp.beta(c, 0.5)
        return mp.mpf(1) / 2 - factor * _series(y, dimension, 3)


def exact_cap_angle(mass: mp.mpf, dimension: int) -> mp.mpf:
    """Return the angle of the cap of this measure, to the working precision."""
    if mass > 0.5:
        return mp.pi - exact_cap_angle(1 - mass, dimension)
    digits = mp.mp.dps + 10
    with mp.workdps(20):
        low, high = mp.mpf(-800), mp.log(mp.pi / 2)
        for _ in range(60):
            middle = (low + high) / 2
            reached = exact_cap_mass(mp.exp(middle), dimension) >= mass
            low, high = (low, middle) if reached else (middle, high)
        radius = mp.exp(high)
    step = 15
    while step < digits:
        step = min(2 * step, digits)
        # Newton's method doubles the digits.
        with mp.workdps(step + 5):
            rate = mp.sin(radius) ** (dimension - 2) / mp.beta(mp.mpf(dimension - 1) / 2, 0.5)
            radius -= (exact_cap_mass(radius, dimension) - mass) / rate
    return radius


def exact_mean(values: Mapping[str, Any], chord: bool) -> mp.mpf:
    """Return the mean distance to a cap by quadrature in the latitude."""
    dimension, m = int(values["n"]), int(values["n"]) - 2
    if values["risk"] == 1:
        return mp.mpf(0)
    first = exact_cap_angle(values["risk"], dimension) - mp.pi / 2
    share = mp.exp(-2.4 * mp.mp.dps / max(m, 1)) if m else mp.mpf(0)
    last = mp.acos(share * mp.cos(max(first, mp.mpf(0))))
    ends = [max(first, -mp.acos(share)), *([mp.mpf(0)] if first < 0 else []), last]

    def integrand(u: mp.mpf) -> mp.mpf:
        s = u - first
        return (2 * mp.sin(s / 2) if chord else s) * mp.cos(u) ** m

    return mp.quad(integrand, ends) / mp.beta(mp.mpf(dimension - 1) / 2, 0.5)


def exact_survival(values: Mapping[str, Any]) -> mp.mpf:
    """Return what lies farther than an angle from the cap of this measure."""
    dimension = int(values["n"])
    if values["risk"] == 1:
        return mp.mpf(0)
    beyond = exact_cap_angle(1 - values["risk"], dimension) - values["angle"]
    return exact_cap_mass(beyond, dimension)


def _cap_form(chord: bool) -> Form:
    distance = r"2\sin\bigl((\theta - \theta_0)/2\bigr)" if chord else r"(\theta - \theta_0)"
    return Form(
        left=r"\mathbf{E}\, d",
        right=_MEAN,
        symbols={"risk": rho, "n": n},
        where=((_MEAN, _MEAN_TEXT % distance), _START_TEXT),
        derived={_MEAN: lambda values: exact_mean(values, chord)},
    )


def _weight(dimension: int) -> Any:  # noqa: ANN401
    """Return the density of the angle between two uniform points."""
    power = sp.sin(theta) ** (dimension - 2)
    return power / sp.integrate(power, (theta, 0, sp.pi))


def _by_parts(dimension: int, chord: bool) -> bool:
    # E d = int T(theta_0 + s) h'(s) ds for a distance h(s) at the angle s.
    s = theta - start
    h = 2 * sp.sin(s / 2) if chord else s
    w = _weight(dimension)
    tail = sp.integrate(w, (theta, theta, sp.pi))
    direct = sp.integrate(h * w, (theta, start, sp.pi))
    return is_zero(sp.integrate(tail * sp.diff(h, theta), (theta, start, sp.pi)) - direct)


def _layers(chord: bool) -> Step:
    return symbolic(
        r"$\mathbf{E}\, d = \int \Pr(d > s)\, ds$, and with the least enlargements it is the mean"
        r" over the cap's own distances, $(\theta - \theta_0)_+$ for the angle $\theta$ between two"
        r" uniform points, or its chord (shown for $n = 2, 3, 4$); so the cap attains it",
        *[lambda m=m: _by_parts(m, chord) for m in (2, 3, 4)],
    )


_CLOSED = (sp.pi - start - sp.sin(start)) / 2
"""The mean geodesic distance to a cap for n = 3."""

_FALLS = symbolic(
    r"it falls as $\rho$ grows, at the rate $\Pr(\theta > \theta_0)$ in $\theta_0$: for $n = 3$"
    r" it is $(\pi - \theta_0 - \sin\theta_0)/2$, of slope $-(1 + \cos\theta_0)/2$",
    lambda: is_zero(sp.integrate((theta - start) * _weight(3), (theta, start, sp.pi)) - _CLOSED),
    lambda: is_zero(sp.diff(_CLOSED, start) + (1 + sp.cos(start)) / 2),
)


def _normal_limit() -> Step:
    x, size = sp.Symbol("x", real=True), sp.Symbol("n", positive=True)
    return symbolic(
        r"as $n \to \infty$ the density of the latitude, scaled by $\sqrt n$, tends to the normal"
        r" one, and $\sqrt n$ times the mean to $\mathbf{E}(z + a)_+ = a + [\varphi(a) -"
        r" a\bar\Phi(a)]$ with $a = \bar\Phi^{-1}(\rho)$: more than the rate $a$",
        lambda: tends_to((size - 2) * sp.log(sp.cos(x / sp.sqrt(size))), size, sp.oo, -(x**2) / 2),
        lambda: is_zero(sp.diff(half_normal(-a), a) - Phi(a)),
        lambda: tends_to(half_normal(-a), a, -sp.oo, 0),
        lambda: is_zero(half_normal(-a) - (a + half_normal(a))),
    )


_EXCESS = by_intervals(
    r"$\varphi(a) > a\bar\Phi(a)$ for $a$ in $[0, 8]$",
    lambda: nonnegative_on(half_normal(theta) - sp.Rational(1, 10**17), [(theta, 0.0, 8.0)]),
)


@proof("gilmer2018/cap")
def cap() -> Proof:
    """Layers, and the normal limit."""
    return Proof(_cap_form(chord=False), (LEVY, _layers(False), _FALLS, _normal_limit(), _EXCESS))


@proof("gilmer2018/cap-chord")
def cap_chord() -> Proof:
    """The chord grows with the angle, so the same sets are extremal."""
    return Proof(
        _cap_form(chord=True),
        (
            LEVY,
            symbolic(
                r"a chord is $2\sin(s/2)$ for an angle $s$, which rises up to $s = \pi$ and is at"
                r" most $s$: enlargements by chords are enlargements by angles",
                lambda: is_zero(sp.diff(2 * sp.sin(theta / 2), theta) - sp.cos(theta / 2)),
                lambda: is_zero((theta - 2 * sp.sin(theta / 2)).subs(theta, 0)),
                lambda: is_zero(1 - sp.cos(theta / 2) - 2 * sp.sin(theta / 4) ** 2),
                lambda: bool((2 * sp.sin(theta / 4) ** 2).is_nonnegative),
            ),
            _layers(True),
        ),
    )


@proof("gilmer2018/law")
def law() -> Proof:
    """The enlargement of a cap is a cap."""
    tail = sp.integrate(_weight(3), (theta, theta, sp.pi))
    return Proof(
        Form(
            left=r"\Pr(d \le \alpha)",
            right=1 - _TAIL,
            survival=_TAIL,
            symbols={"angle": angle, "risk": rho, "n": n},
            where=(
                (
                    _TAIL,
                    r"\frac{\int_{\theta_0 + \alpha}^\pi \sin^{n-2}\theta\, d\theta}{"
                    + _WHOLE
                    + r"}\text{, and 0 for } \theta_0 + \alpha > \pi",
                ),
                _START_TEXT,
            ),
            derived={_TAIL: exact_survival},
        ),
        (
            LEVY,
            symbolic(
                r"the enlargement of the cap is the cap of angle $\theta_0 + \alpha$: for $n = 3$"
                r" what is left has measure $(1 + \cos(\theta_0 + \alpha))/2$, which is $1 - \rho$"
                r" at $\alpha = 0$ and 0 at the antipode",
                lambda: is_zero(tail - (1 + sp.cos(theta)) / 2),
                lambda: is_zero(tail.subs(theta, sp.pi)),
            ),
        ),
    )


def _moments(c: Any, dimension: int) -> tuple[Any, Any, Any]:  # noqa: ANN401
    """Return enclosures of int_c^pi (theta - c)^j sin^m, j = 0, 1, 3, over int_0^pi sin^m; m even.

    By the reduction that `_reduction` checks; only the lower ends at pi vanish.
    """
    iv = mp.iv
    mass, first, third = iv.pi - c, (iv.pi - c) ** 2 / 2, (iv.pi - c) ** 4 / 4
    whole = iv.pi
    for k in range(2, dimension - 1, 2):
        share, power = iv.mpf(k - 1) / k, iv.sin(c) ** k
        mass = share * mass + iv.sin(c) ** (k - 1) * iv.cos(c) / k
        first = share * first - power / k**2
        third = share * third - iv.mpf(6) / k**2 * first
        whole = share * whole
    return mass / whole, first / whole, third / whole


def _reduction(j: int) -> bool:
    k, s = sp.Symbol("k", positive=True), theta - start
    sine, cosine = sp.sin(theta), sp.cos(theta)
    inner = j * s ** (j - 1) * sine**k / k**2 if j else sp.S.Zero
    left = sp.diff(-(s**j) * sine ** (k - 1) * cosine / k + inner, theta)
    right = s**j * sine**k - (k - 1) / k * s**j * sine ** (k - 2)
    extra = j * (j - 1) * s ** (j - 2) * sine**k / k**2 if j > 1 else sp.S.Zero
    return bool(sp.simplify(sp.powsimp(sp.expand((left - right - extra) / sine ** (k - 2)))) == 0)


def _at_500() -> bool:
    digits = mp.iv.dps
    try:
        mp.iv.dps = 60
        # A cap a little larger than that of measure 1/100, and an upper end of Isf(1/100).
        c, isf = mp.iv.mpf("1.4667"), mp.mpf("2.3263478741")
        beyond, first, third = _moments(c, 500)
        rate = mp.iv.mpf(isf) / mp.iv.sqrt(mp.iv.mpf(500))
        tail = enclosure(Survival(theta), [theta])(mp.iv.mpf(isf))
        larger = bool((1 - beyond).a >= mp.mpf(1) / 100)
        # 2 sin(s / 2) >= s - s^3 / 24.
        return larger and bool(tail.b <= mp.mpf(1) / 100) and bool((first - third / 24).a > rate.b)
    finally:
        mp.iv.dps = digits


@proof("gilmer2018/thm")
def rate() -> Proof:
    """Counterexamples to the rate as a bound."""
    three = _CLOSED.subs(start, sp.pi / 3)
    s = theta
    return Proof(
        Form(
            left=r"\mathbf{E}\, d",
            right=Isf(rho) / sp.sqrt(n),
            symbols={"risk": rho, "n": n},
        ),
        (
            symbolic(
                r"for $n = 3$ and $\rho = 1/4$ the cap has $\theta_0 = \pi/3$, and is at mean"
                r" distance $(2\pi/3 - \sqrt 3/2)/2 = 0.614$, more than $1/\sqrt 3$; but"
                r" $\bar\Phi(1) < 1/4$, and the rate is below $1/\sqrt 3$",
                lambda: is_zero((1 - sp.cos(sp.pi / 3)) / 2 - sp.Rational(1, 4)),
                lambda: bool(sp.N(three - 1 / sp.sqrt(3), 30) > 0),
                lambda: bool(sp.N(Survival(1).rewrite(sp.erf), 30) < sp.Rational(1, 4)),
            ),
            symbolic(
                r"$\int (\theta - c)^j \sin^k\theta\, d\theta$ reduces to the powers $k - 2$ and"
                r" $j - 2$, for $j = 0, 1, 3$, and $2\sin(s/2) \ge s - s^3/24$ by its alternating"
                r" series",
                *[lambda j=j: _reduction(j) for j in (0, 1, 3)],
                lambda: is_zero(sp.series(2 * sp.sin(s / 2), s, 0, 5).removeO() - (s - s**3 / 24)),
            ),
            by_intervals(
                r"for $n = 500$ and $\rho = 1/100$, the cap's mean chord, and so its"
                r" mean angle, is more than the rate",
                _at_500,
            ),
            _normal_limit(),
            _EXCESS,
        ),
    )
