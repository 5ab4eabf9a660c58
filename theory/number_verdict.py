"""Judging a bound on one number: a real one on its interval, or a whole one exactly."""

from fractions import Fraction

import numpy as np

from theory.claim import Relation
from theory.evidence import Interval
from theory.outcome import Judgement, Outcome


def judge_scalar(evidence: Interval, relation: Relation, value: float) -> Judgement:
    """Judge `quantity relation value` on an interval that holds the quantity.

    Parameters
    ----------
    evidence : Interval
        Holds the quantity, in its unit.
    relation : Relation
        AT_MOST or AT_LEAST.
    value : float
        The bound, in the quantity's unit; infinite where it says nothing.

    Returns
    -------
    Judgement

    Raises
    ------
    ValueError
        If value is NaN.

    Examples
    --------
    >>> judge_scalar(Interval.at_least(3.0), Relation.AT_MOST, 2.0).outcome
    <Outcome.VIOLATED: 'VIOLATED'>
    """
    if np.isnan(value):
        raise ValueError(f"value must be a number or infinite, got {value}")
    at_most = relation is Relation.AT_MOST
    inner, outer = (
        (evidence.lower, evidence.upper) if at_most else (-evidence.upper, -evidence.lower)
    )
    limit = value if at_most else -value
    shown = f"the quantity lies in [{evidence.lower:.4g}, {evidence.upper:.4g}]"
    text = f"{shown}, the bound is {value:.4g}"
    if inner > limit:
        return Judgement(Outcome.VIOLATED, text, slack=limit - inner)
    if outer <= limit:
        return Judgement(Outcome.HOLDS, text, limit - outer, 1.0)
    return Judgement(
        Outcome.UNDECIDED,
        text,
        limit - outer,
        to_decide=_ends_that_decide(evidence, at_most, value),
    )


def _ends_that_decide(evidence: Interval, at_most: bool, value: float) -> str:
    """Return which end of an interval would confirm a bound, and which would refute it."""
    ends = ("upper", evidence.upper), ("lower", evidence.lower)
    (confirming, one), (refuting, two) = ends if at_most else ends[::-1]
    said = [
        f"an {name} end" if name == "upper" else f"a {name} end" for name in (confirming, refuting)
    ]
    moved = [
        f"now {end:.4g}, {abs(end - value):.4g} short" if np.isfinite(end) else "now unknown"
        for end in (one, two)
    ]
    side, other = ("at most", "above") if at_most else ("at least", "below")
    return (
        f"{said[0]} {side} {value:.4g} ({moved[0]}) would confirm it, {said[1]} {other} it"
        f" ({moved[1]}) would refute it"
    )


def judge_combinatorial(
    evidence: Interval, relation: Relation, value: int | Fraction | float
) -> Judgement:
    """Judge `quantity relation value` for a whole number, exactly: there is no tolerance.

    Parameters
    ----------
    evidence : Interval
        Holds the number; its ends are whole or infinite.
    relation : Relation
        AT_MOST or AT_LEAST.
    value : int, Fraction or float
        The bound; compared as it is, however large.

    Returns
    -------
    Judgement

    Raises
    ------
    ValueError
        If an end is not whole, or value is NaN.

    Examples
    --------
    >>> judge_combinatorial(Interval(3, 12), Relation.AT_MOST, 11).to_decide
    'showing that it is not 12 would confirm it, showing that it is would refute it'
    """
    for end in (evidence.lower, evidence.upper):
        if np.isfinite(end) and end != int(end):
            raise ValueError(f"a whole number needs whole ends, got {end}")
    if value != value:
        raise ValueError(f"value must be a number or infinite, got {value}")
    lower, upper = (_whole(end) for end in (evidence.lower, evidence.upper))
    at_most = relation is Relation.AT_MOST
    shown = f"the number is {lower}" if lower == upper else f"the number lies in {lower}..{upper}"
    text = f"{shown}, the bound is {_whole(value)}"
    against = evidence.lower > value if at_most else evidence.upper < value
    agreed = evidence.upper <= value if at_most else evidence.lower >= value
    gap = value - evidence.upper if at_most else evidence.lower - value
    if against:
        past = value - evidence.lower if at_most else evidence.upper - value
        return Judgement(Outcome.VIOLATED, text, float(past))
    if agreed:
        return Judgement(Outcome.HOLDS, text, float(gap), 1.0)
    side = "above" if at_most else "below"
    if abs(gap) <= 1:
        last = upper if at_most else lower
        how = f"showing that it is not {last} would confirm it, showing that it is would refute it"
    else:
        how = (
            f"showing that it is not {side} {_whole(value)} would confirm it, that it is, refute it"
        )
    return Judgement(Outcome.UNDECIDED, text, float(gap), to_decide=how)


def _whole(value: int | Fraction | float) -> str:
    if isinstance(value, float) and (np.isinf(value) or value != int(value)):
        return f"{value:.6g}"
    return f"{int(value):,}" if value == int(value) else str(value)
