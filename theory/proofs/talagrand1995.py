"""Talagrand's exponential moment, Markov's inequality, and the comparison."""

import sympy as sp

from theory.proof import Proof, Step, assumed, is_zero, proof, symbolic
from theory.proofs.mcdiarmid1989 import beats_talagrand, k, limited, n, rho

_rate, _count = sp.symbols("s c", positive=True)


def exponential_moment() -> Step:
    """Return the theorem that is trusted."""
    return assumed(
        r"$\mathbf{E}\, e^{s d} \le e^{ns^2/4}/\rho$ for the Hamming distance $d$ to a set of"
        r" measure $\rho$ of a product, and all $s \ge 0$ (Talagrand 1995, Proposition 2.1.1)"
    )


def best_exponent() -> Step:
    """Return the step from the moment to the tail."""
    exponent = n * _rate**2 / 4 - _rate * _count
    best = 2 * _count / n
    return symbolic(
        r"by Markov's inequality $\Pr(d \ge c) \le e^{ns^2/4 - sc}/\rho$, least at $s = 2c/n$,"
        r" where it is $e^{-c^2/n}/\rho$; more than $k$ coordinates are needed where $d \ge k + 1$,"
        r" and never more than $n$",
        lambda: sp.solve(sp.diff(exponent, _rate), _rate) == [best],
        lambda: bool(sp.diff(exponent, _rate, 2).is_positive),
        lambda: is_zero(exponent.subs(_rate, best) + _count**2 / n),
    )


@proof("talagrand1995/product")
def product() -> Proof:
    """The best exponent."""
    return Proof(
        limited(sp.Min(1 - rho, sp.exp(-((k + 1) ** 2) / n) / rho), r"\Pr(d \le k)", {"risk": rho}),
        (exponential_moment(), best_exponent(), beats_talagrand()),
    )
