"""Simpler weights of which a claim is still violated: few binary digits, zeros and ones."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from theory.falsify.counterexample import Counterexample, counterexample
from theory.falsify.laboratory import Specimen, Trial

_MOST_BITS = 14
_PASSES = 4
_SIMPLE = tuple(
    Fraction(sign * over, under)
    for under in (1, 2, 4)
    for over in range(4)
    for sign in ((1, -1) if over else (1,))
    if math.gcd(over, under) == 1
)


def rounded(trial: Trial, specimen: Specimen) -> Counterexample | None:
    """Return a counterexample of weights with as few binary places as will do; None if none will.

    They are rational numbers with small denominators, which exact methods are quick with.
    """
    for bits in range(_MOST_BITS + 1):
        weights = np.round(specimen.weights * 2.0**bits) / 2.0**bits + 0.0
        found = counterexample(trial, specimen.structure, weights)
        if found is not None:
            return found
    return counterexample(trial, specimen.structure, specimen.weights)


def simplified(trial: Trial, specimen: Specimen) -> Counterexample | None:
    """Return a counterexample in which one weight after another is a simpler number.

    Parameters
    ----------
    trial : Trial
    specimen : Specimen
        A counterexample, or None comes back.
    """
    best = rounded(trial, specimen)
    changed = best is not None
    for _ in range(_PASSES):
        if best is None or not changed:
            break
        changed = False
        for j in range(len(best.specimen.weights)):
            for value in _simpler(float(best.specimen.weights[j])):
                weights = best.specimen.weights.copy()
                weights[j] = value
                other = counterexample(trial, specimen.structure, weights)
                if other is not None:
                    best, changed = other, True
                    break
    return best


def complexity(value: float) -> tuple[int, int, bool]:
    """Return how complicated a number is: by its denominator, its numerator, its sign.

    Examples
    --------
    >>> sorted([0.5, -1.0, 3.0, 0.0, 1.0], key=complexity)
    [0.0, 1.0, -1.0, 3.0, 0.5]
    """
    over, under = value.as_integer_ratio()
    return under, abs(over), over < 0


def _simpler(value: float) -> Iterator[float]:
    own = complexity(value)
    candidates = {float(each) for each in _SIMPLE}
    candidates |= {round(value * 2.0**bits) / 2.0**bits + 0.0 for bits in range(_MOST_BITS)}
    for each in sorted(candidates, key=complexity):
        if complexity(each) < own:
            yield each
