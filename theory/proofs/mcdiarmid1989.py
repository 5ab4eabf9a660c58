"""Bounded differences of the Hamming distance to a set, and why they beat Talagrand's form."""

import itertools
from collections.abc import Mapping
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from theory.proof import Proof, Step, assumed, is_zero, proof, sampled, symbolic
from theory.symbolic import Form, K, i, p

rho = sp.Symbol("rho", positive=True)
k = sp.Symbol("k", integer=True, nonnegative=True)
n = sp.Symbol("n", integer=True, positive=True)
_BELOW = sp.Symbol("b", nonnegative=True)
"""1 where fewer than all coordinates may change; else 0, as all points can then be reached."""
BELOW = (_BELOW, r"1 \text{ for } k < n \text{, else } 0")
_mean, _count, _surprise = sp.symbols("m c L", positive=True)
_CENTER, _CENTERS = sp.Symbol("m", nonnegative=True), sp.IndexedBase("m", real=True)

DIFFERENCES = assumed(
    r"a function of $n$ independent variables, which no one of them changes by more than 1, is at"
    r" least $t$ above its mean with probability at most $e^{-2t^2/n}$, and as rarely at least $t$"
    r" below it (McDiarmid 1989, Lemma 1.2)"
)


def tail(count: Any, mean: Any) -> Any:  # noqa: ANN401
    """Return the bound on P(d_H >= count) for a distance of at most this mean."""
    return sp.exp(-2 * sp.Max(count - mean, 0) ** 2 / n)


def largest_mean(mass: Any) -> Any:  # noqa: ANN401
    """Return the largest mean distance to a set of this mass."""
    return sp.sqrt(-n * sp.log(mass) / 2)


def below(values: Mapping[str, Any]) -> mp.mpf:
    """Return 1 where fewer than all coordinates may change, or nothing can be reached."""
    return mp.mpf(values["k"] < values["n"] or max(values.get("class_masses", [0])) == 1)


def mean_of_distance() -> Step:
    """Return the step that the mean distance to a set is at most sqrt(n log(1/mass) / 2)."""
    largest = sp.sqrt(n * _surprise / 2)
    return symbolic(
        r"one coordinate changes the Hamming distance $d$ to a set of mass $e^{-L}$ by at most 1;"
        r" it is 0 on the set, which is $m = \mathbf{E}\, d$ below its mean:"
        r" $e^{-L} \le e^{-2m^2/n}$, and $m \le \sqrt{nL/2}$",
        lambda: is_zero(2 * largest**2 / n - _surprise),
        lambda: bool(sp.diff(2 * _mean**2 / n, _mean).is_positive),
    )


def tail_of_distance() -> Step:
    """Return the step from the mean to the tail of the distance."""
    room = sp.Symbol("t", nonnegative=True)
    exponent = 2 * (_count - _mean) ** 2 / n
    return symbolic(
        r"for $c \ge m$, $\Pr(d \ge c) \le e^{-2(c - m)^2/n}$, which grows with $m$, so that its"
        r" upper end may stand for $m$; more than $k$ coordinates are needed where $d \ge k + 1$,"
        r" and never more than $n$",
        lambda: bool((-sp.diff(exponent, _mean).subs(_count, _mean + room)).is_nonnegative),
        lambda: is_zero(exponent.subs(_count, _mean)),
    )


def beats_talagrand() -> Step:
    """Return the step that the exponent is never below Talagrand's, where that says anything."""
    mine = 2 * (_count - sp.sqrt(n * _surprise / 2)) ** 2 / n
    theirs = _count**2 / n - _surprise
    square = (_count - sp.sqrt(2 * n * _surprise)) ** 2 / n
    edge = theirs.subs(_count, sp.sqrt(n * _surprise / 2))
    return symbolic(
        r"the exponent exceeds that of $e^L e^{-c^2/n}$ by $(c - \sqrt{2nL})^2/n$; below $c = m$,"
        r" where the root is cut off, the latter is more than 1",
        lambda: is_zero(sp.expand(mine - theirs) - sp.expand(square)),
        lambda: bool(sp.simplify(edge).is_negative),
        lambda: bool(sp.diff(theirs, _count).is_positive),
    )


def exact_distances(inside: np.ndarray) -> np.ndarray:
    """Return the Hamming distances of all points of {0, 1}^n to a set, by breadth-first search."""
    dimension = inside.ndim
    distance = np.where(inside, 0, dimension + 1)
    for _ in range(dimension):
        for axis in range(dimension):
            distance = np.minimum(distance, np.flip(distance, axis) + 1)
    return distance


def product_measure(shares: np.ndarray) -> np.ndarray:
    """Return the measure of {0, 1}^n whose coordinates are 1 with these probabilities."""
    measure = np.ones(())
    for share in shares:
        measure = np.multiply.outer(measure, [1 - share, share])
    return measure


def _all_sets_hold() -> bool:
    rng = np.random.default_rng(5)
    for shares in ([0.5] * 3, [0.5, 0.2, 0.9], [0.01, 0.3, 0.6]):
        measure = product_measure(np.asarray(shares))
        for bits in itertools.product((False, True), repeat=8):
            inside = np.reshape(bits, (2, 2, 2))
            if not inside.any() or (rng.random() < 0.5 and not inside.all()):
                continue
            mass, distance = float(measure[inside].sum()), exact_distances(inside)
            for c in range(1, 4):
                bound = np.exp(-2 * max(c - np.sqrt(1.5 * np.log(1 / min(mass, 1.0))), 0) ** 2 / 3)
                if float(measure[distance >= c].sum()) > bound + 1e-12:
                    return False
    return True


def limited(survival: Any, left: str, symbols: Mapping[str, Any], *where: Any) -> Form:  # noqa: ANN401
    """Return the form of a bound for k of n coordinates, whose survival is 0 from k = n on."""
    return Form(
        left=left,
        right=1 - _BELOW * survival,
        survival=_BELOW * survival,
        symbols={"k": k, "n": n, **symbols},
        where=(*where, BELOW),
        derived={_BELOW: below},
    )


@proof("mcdiarmid1989/product")
def product() -> Proof:
    """From the mean of the distance to its tail."""
    return Proof(
        limited(
            sp.Min(1 - rho, tail(k + 1, _CENTER)),
            r"\Pr(d \le k)",
            {"risk": rho},
            (_CENTER, largest_mean(rho)),
        ),
        (
            DIFFERENCES,
            mean_of_distance(),
            tail_of_distance(),
            beats_talagrand(),
            sampled(
                r"half of the sets of three bits, under three laws, by breadth-first search",
                _all_sets_hold,
            ),
        ),
    )


@proof("mcdiarmid1989/prediction-change")
def prediction_change() -> Proof:
    """A class at a time."""
    mass, odds = sp.symbols("q u", positive=True)
    rise = sp.diff(sp.log(1 / (1 - mass)), mass)
    return Proof(
        limited(
            sp.Sum(sp.Min(p[i], tail(k + 1, _CENTERS[i])), (i, 1, K)),
            r"\Pr(r_0 \le k)",
            {"class_masses": p},
            (_CENTERS[i], largest_mean(1 - p[i])),
        ),
        (
            DIFFERENCES,
            mean_of_distance(),
            tail_of_distance(),
            symbolic(
                r"a point of class $i$ that keeps its label has $d \ge k + 1$ for the distance $d$"
                r" to the other classes, of mass $1 - p_i = e^{-L}$: the class keeps no more than"
                r" that, nor more than itself",
                lambda: is_zero(largest_mean(sp.exp(-_surprise)) - sp.sqrt(n * _surprise / 2)),
                lambda: is_zero(sp.log(tail(_mean + odds, _mean)) + 2 * sp.Max(odds, 0) ** 2 / n),
            ),
            symbolic(
                r"$\log(1/(1 - p))$ grows with $p = u/(1 + u)$, and with it what a class may keep:"
                r" upper limits of the masses may stand for the masses",
                lambda: bool(sp.simplify(rise.subs(mass, odds / (1 + odds))).is_positive),
            ),
        ),
    )
