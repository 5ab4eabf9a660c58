"""Theorem 4, local moduli and other latents."""

from collections.abc import Mapping
from typing import Any

import mpmath as mp
import sympy as sp

from theory.interval import nonnegative_on
from theory.proof import Proof, assumed, by_intervals, is_zero, proof, symbolic, tends_to
from theory.proofs.fawzi2018.corollaries import (
    EQUAL_OFFSET,
    integral_of_kernel,
    k,
    printed_offset_is_lower,
    s,
)
from theory.proofs.fawzi2018.robustness import ISOPERIMETRY, OFFSETS, thm1_form
from theory.symbolic import (
    Density,
    Form,
    Isf,
    K,
    Omega,
    OmegaInverse,
    Phi,
    Survival,
    a,
    delta,
    density,
    eta,
    exact_inverse,
    exact_isf,
    half_normal,
    i,
    offset,
    p,
    t,
)

_MEAN = r"\mathbf{E}_{x \sim \mu}\, r_{\mathrm{unc}}(x)"
_COUPLING = symbolic(
    r"$r_{\mathrm{unc}}$ is 1-Lipschitz: for two points of one label by the triangle inequality,"
    r" for"
    r" two of different labels because each is the other's adversarial point; so an optimal"
    r" coupling"
    r" changes its mean by at most $W_1 \le \delta$",
    lambda: bool(((s + t) - sp.Max(s, t)).is_nonnegative is not False) and is_zero((s + t) - s - t),
)


@proof("fawzi2018/thm4")
def theorem4() -> Proof:
    """Lipschitz radius, coupling, Jensen."""
    return Proof(
        Form(
            left=_MEAN,
            right=Omega(sp.Sum(Density(offset[i]) - offset[i] * p[i], (i, 1, K))) + delta,
            symbols={"class_masses": p, "wasserstein": delta},
            where=(OFFSETS,),
        ),
        (integral_of_kernel(), _COUPLING),
    )


@proof("fawzi2018/thm4-equiprobable-sharp")
def theorem4_sharp() -> Proof:
    """Theorem 4 at equal masses."""
    term = half_normal(EQUAL_OFFSET)
    return Proof(
        Form(
            left=_MEAN,
            right=Omega(K * Density(EQUAL_OFFSET) - EQUAL_OFFSET) + delta,
            symbols={"n_classes": K, "wasserstein": delta},
            where=((EQUAL_OFFSET, Isf(1 / K)),),
        ),
        (
            integral_of_kernel(),
            _COUPLING,
            symbolic(
                r"$K$ equal terms, with $\bar\Phi(a_K) = 1/K$",
                lambda: is_zero(
                    (K * term).subs(Survival(EQUAL_OFFSET), 1 / K)
                    - (K * density(EQUAL_OFFSET) - EQUAL_OFFSET)
                ),
            ),
        ),
    )


@proof("fawzi2018/thm4-equiprobable")
def theorem4_printed() -> Proof:
    """Sharp => printed."""
    level = sp.log(4 * sp.pi * sp.log(K))
    at = sp.Symbol("x", nonnegative=True)
    ell = sp.Symbol("l", positive=True)
    root = sp.sqrt(s**2 - ell)
    return Proof(
        Form(
            left=_MEAN,
            right=Omega(level / sp.sqrt(2 * sp.log(K))) + delta,
            symbols={"n_classes": K, "wasserstein": delta},
        ),
        (
            integral_of_kernel(),
            _COUPLING,
            *printed_offset_is_lower(),
            symbolic(
                r"$K\varphi(x) - x$ falls for $x \ge 0$, so that $a_K$ may be replaced by the"
                r" smaller"
                r" $\alpha_K$, where it is $s - \sqrt{s^2 - \ell}$ with $s = \sqrt{2 \log K}$ and"
                r" $\ell = \log(4\pi\log K)$",
                lambda: is_zero(sp.diff(k * density(at) - at, at) + k * at * density(at) + 1),
                lambda: bool((k * at * density(at) + 1).is_positive),
            ),
            symbolic(
                r"$s - \sqrt{s^2 - \ell} = \ell / (s + \sqrt{s^2 - \ell}) \le \ell / s$",
                lambda: is_zero(sp.expand((s - root) * (s + root)) - ell),
            ),
            by_intervals(
                r"the printed constant is at least 1.5 times the sum for every real $K$ in $[5,"
                r" 1000]$",
                lambda: nonnegative_on(_printed_excess(), [(k, 5.0, 1000.0)]),
            ),
        ),
    )


def _printed_excess() -> sp.Expr:
    # The sum is at most its value at alpha_K; compared with a fraction of the printed constant.
    root, level = sp.sqrt(2 * sp.log(k)), sp.log(4 * sp.pi * sp.log(k))
    alpha = sp.sqrt(root**2 - level)
    return level / root - sp.Rational(3, 2) * (root - alpha) + (root - alpha) / 2


_SPLIT, _LEAST = sp.Symbol("s", positive=True), sp.Symbol("m", nonnegative=True)


def _least_split(values: Mapping[str, Any]) -> mp.mpf:
    """Return the infimum over the split: a fine grid, then golden sections around its best."""
    distance, shift = values["eta"], values["wasserstein"]
    inverse = exact_inverse(values["modulus"])
    offsets = [exact_isf(mass) for mass in values["class_masses"]]

    def total(split: mp.mpf) -> mp.mpf:
        latent = inverse(distance - split)
        return mp.fsum(mp.ncdf(-a_i - latent) for a_i in offsets) + shift / split

    if shift >= distance:
        return mp.mpf(1)
    if shift == 0:
        return total(mp.mpf(10) ** -mp.mp.dps)
    reach = mp.log(distance / shift)
    shares = [mp.mpf(j) / 400 for j in range(401)]
    with mp.workdps(20):
        rough = [total(shift * mp.exp(share * reach)) for share in shares[:-1]]
    best = rough.index(min(rough))
    low, high = shares[max(best - 1, 0)], shares[best + 1]
    golden = (mp.sqrt(5) - 1) / 2

    def at(share: mp.mpf) -> mp.mpf:
        return total(shift * mp.exp(share * reach))

    inner, outer = high - golden * (high - low), low + golden * (high - low)
    at_inner, at_outer = at(inner), at(outer)
    # The minimum is flat: half of the digits of its place give all of its value.
    while high - low > mp.mpf(10) ** (-mp.mp.dps // 2 - 2):
        if at_inner < at_outer:
            high, outer, at_outer = outer, inner, at_inner
            inner = high - golden * (high - low)
            at_inner = at(inner)
        else:
            low, inner, at_inner = inner, outer, at_outer
            outer = low + golden * (high - low)
            at_outer = at(outer)
    return min(at_inner, at_outer)


@proof("fawzi2018/thm4-tail")
def theorem4_tail() -> Proof:
    """Markov's inequality on the coupling's distance."""
    return Proof(
        Form(
            left=r"\Pr_{x \sim \mu}(r_{\mathrm{unc}}(x) \le \eta)",
            right=1 - _LEAST,
            survival=_LEAST,
            symbols={"eta": eta, "class_masses": p, "wasserstein": delta},
            where=(
                (
                    _LEAST,
                    r"\inf_{0 < s < \eta} \Bigl[\sum_{i=1}^{K}"
                    r" \bar\Phi\bigl(a_i + \omega^{-1}(\eta - s)\bigr) + \frac{\delta}{s}\Bigr]",
                ),
                OFFSETS,
            ),
            derived={_LEAST: _least_split},
        ),
        (
            _COUPLING,
            symbolic(
                r"a point with $r > \eta$ is coupled to one with $r > \eta - s$, or to one at"
                r" distance at"
                r" least $s$, which by Markov's inequality has probability at most $\delta / s$;"
                r" for $W_q$,"
                r" $(\delta / s)^q$; any $s$ in $(0, \eta)$ gives a bound, and the least is taken",
                lambda: is_zero((eta - _SPLIT) + _SPLIT - eta),
                lambda: tends_to(delta / _SPLIT, _SPLIT, sp.oo, 0),
            ),
        ),
    )


@proof("fawzi2018/thm4-total-variation")
def theorem4_total_variation() -> Proof:
    """An event's probability changes by at most the total variation."""
    tv = sp.Symbol("tau", nonnegative=True)
    form = thm1_form()
    return Proof(
        Form(
            left=r"\Pr_{x \sim \mu}(r_{\mathrm{unc}}(x) \le \eta)",
            right=form.right - tv,
            survival=form.survival + tv,
            symbols={"eta": eta, "class_masses": p, "total_variation": tv},
            where=form.where,
        ),
        (
            ISOPERIMETRY,
            symbolic(
                r"the event $r \le \eta$ loses at most $\tau$ of its probability",
                lambda: is_zero((Survival(a + t) + tv) + (Phi(a + t) - tv) - 1),
            ),
        ),
    )


@proof("fawzi2018/thm1-local-modulus")
def local_modulus() -> Proof:
    """Theorem 1 on the latents where the expansion holds."""
    failure = sp.Symbol("q", nonnegative=True)
    form = thm1_form()
    return Proof(
        Form(
            left=r"\Pr(r \le \eta)",
            right=form.right - failure,
            survival=form.survival + failure,
            symbols={"t": t, "class_masses": p, "failure": failure},
            where=(OFFSETS,),
        ),
        (
            ISOPERIMETRY,
            symbolic(
                r"a latent within $t$ of another label, at which the expansion holds, has $r \le"
                r" \eta$;"
                r" the first fails with probability at most $\sum_i \bar\Phi(a_i + t)$, the second"
                r" with at"
                r" most $q$",
                lambda: is_zero((Survival(a + t) + failure) + (Phi(a + t) - failure) - 1),
            ),
        ),
    )


_SCALE = sp.Symbol("Lambda", positive=True)


@proof("fawzi2018/thm1-other-latents")
def other_latents() -> Proof:
    """A Lipschitz map from the Gaussian, and its constants."""
    form, x = thm1_form(), sp.Symbol("x", real=True)
    slope = sp.diff(Phi(x), x)
    return Proof(
        Form(
            left=form.left,
            right=form.right,
            survival=form.survival,
            symbols={"eta": eta, "class_masses": p, "transport": _SCALE},
            where=(OFFSETS, (t, OmegaInverse(eta) / _SCALE)),
        ),
        (
            ISOPERIMETRY,
            symbolic(
                r"$g \circ T$ has the modulus $\omega(\Lambda t)$, whose inverse is"
                r" $\omega^{-1}(\eta)/\Lambda$",
                lambda: is_zero(_SCALE * (OmegaInverse(eta) / _SCALE) - OmegaInverse(eta)),
            ),
            symbolic(
                r"uniform on a cube of side 1: $T = \Phi$ in each coordinate, of slope at most"
                r" $\varphi(0) = 1/\sqrt{2\pi}$",
                lambda: sp.solve(sp.diff(slope, x), x) == [0],
                lambda: is_zero(slope.subs(x, 0) - 1 / sp.sqrt(2 * sp.pi)),
                lambda: bool(sp.diff(slope, x, 2).subs(x, 0) < 0),
            ),
            assumed(
                r"a Gaussian restricted to a convex set, or any density $e^{-V}$ with"
                r" $\nabla^2 V \succeq I$: the optimal transport map is a contraction (Caffarelli"
                r" 2000)"
            ),
        ),
    )
