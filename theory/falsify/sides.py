"""A claim's inequality at one specimen: both sides with their errors, and the room between them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from theory.arrays import FloatArray
from theory.claim import ROUNDING, Claim, Kind, LawBound, OutOfScopeError, Relation
from theory.evidence import Interval
from theory.falsify.gauss import Law
from theory.falsify.laboratory import Specimen, Trial

LEVEL = 0.05
"""What a stochastic claim is asked at; no fact of a specimen is estimated, so nothing depends on
it."""
LEAST = 1e-6
"""Part of its scale by which an inequality must be violated to count as found."""
_GRID = np.concatenate([[0.0], np.geomspace(1e-3, 12.0, 64)])
"""Distances at which laws are compared, in units of the scale of the radius."""


@dataclass(frozen=True)
class Sides:
    """Two numbers that a claim compares, each between ends.

    Attributes
    ----------
    left, right : Interval
        What the specimen has, and what the claim says of it.
    relation : Relation
        left `relation` right is claimed.
    scale : float
        What differences are measured by, above 0.
    at : float or None
        Of a law the distance.
    """

    left: Interval
    right: Interval
    relation: Relation
    scale: float
    at: float | None = None

    @property
    def gap(self) -> float:
        """How far the inequality is from being violated beyond all errors; below 0 it is."""
        if self.relation is Relation.AT_MOST:
            high, low = self.right.upper, self.left.lower
        else:
            high, low = self.left.upper, self.right.lower
        # What is claimed of infinite numbers holds where both are.
        return 0.0 if math.isinf(high) and high == low else high - low

    @property
    def slack(self) -> float:
        """The gap as a part of the scale, between -1e9 and 1e9."""
        return float(np.clip(self.gap / self.scale, -1e9, 1e9))

    @property
    def violated(self) -> bool:
        """Whether it is violated by more than all errors and a millionth of its scale."""
        return self.slack < -LEAST

    def __str__(self) -> str:
        at = "" if self.at is None else f" at distance {self.at:.6g}"
        return f"{_shown(self.left)}, claimed {self.relation} {_shown(self.right)}{at}"


def _shown(ends: Interval) -> str:
    middle = ends.lower if math.isinf(ends.upper) else (ends.lower + ends.upper) / 2
    return f"{middle:.10g}"


def formula(claim: Claim, *arguments: object) -> object:
    """Return what a claim's function says.

    Raises
    ------
    OutOfScopeError
        If it raises that, or any other error: then it names the error.
    """
    try:
        return claim.evaluate(*arguments)
    except (OutOfScopeError, KeyboardInterrupt):
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise OutOfScopeError(f"its formula raised {type(error).__name__}: {said}") from error


def number(value: object) -> float:
    """Return what a formula gave as a float.

    Raises
    ------
    OutOfScopeError
        If it is no number, or NaN.
    """
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise OutOfScopeError(f"its formula returns {value!r}, which is no number") from None
    if math.isnan(found):
        raise OutOfScopeError("its formula returns NaN")
    return found


def sides(
    trial: Trial, specimen: Specimen, *, verified: bool = False, at: float | None = None
) -> Sides:
    """Return both sides of a claim at a specimen.

    Parameters
    ----------
    trial : Trial
    specimen : Specimen
    verified : bool
        Whether the quantities come from the second method of their providers.
    at : float, optional
        Of a law the only distance that is looked at; by default that of least slack.

    Raises
    ------
    OutOfScopeError
        If the claim does not speak of the specimen.
    ValueError
        If a quantity of the specimen makes no sense.
    """
    # What the claim says comes first: where it says nothing, nothing has to be computed.
    compared = _claimed(trial, specimen)
    known = [
        (provider.verified if verified else provider.found)(specimen, quantity)
        for provider, quantity in zip(trial.providers, trial.quantities, strict=True)
    ]
    return compared(known, at)


_Compared = Callable[[list[Any], float | None], Sides]


def _claimed(trial: Trial, specimen: Specimen) -> _Compared:
    """Return what compares the quantities of a specimen with what the claim says of it."""
    claim, facts = trial.claim, specimen.facts
    if claim.kind is Kind.POINTWISE:
        image = formula(claim, facts)
        if image is not None and not callable(image):
            raise OutOfScopeError(f"its formula returns {image!r}, which is no function")
        return lambda known, at: _compared(_moved(image, known[0]), known[1], Relation.AT_MOST)
    if claim.kind is Kind.LAW:
        bound = formula(claim, facts, trial.quantities[0], LEVEL)
        if not isinstance(bound, LawBound):
            raise OutOfScopeError(f"its formula returns {bound!r}, which is no LawBound")
        return lambda known, at: _at_worst(known[0], bound, claim.relation, at)
    if claim.kind is Kind.MEAN:
        given = formula(claim, facts, trial.quantities[0], LEVEL)
        mean = given if isinstance(given, Interval) else Interval.exact(number(given), 0.0)
        return lambda known, at: _compared(known[0].mean(), mean, claim.relation)
    value = number(formula(claim, facts, trial.quantities[0]))
    right = Interval.exact(value, 0.0 if _exact_kind(claim) else _error(claim, value))
    return lambda known, at: _compared(known[0], right, claim.relation)


def _exact_kind(claim: Claim) -> bool:
    return str(claim.kind) == "combinatorial"


def _error(claim: Claim, value: float) -> float:
    if math.isinf(value):
        return 0.0
    return float(claim.bound.error(value)) if claim.bound else ROUNDING * abs(value)


def _compared(left: Interval, right: Interval, relation: Relation) -> Sides:
    sizes = [abs(end) for ends in (left, right) for end in (ends.lower, ends.upper)]
    scale = max([size for size in sizes if math.isfinite(size)], default=1.0)
    return Sides(left, right, relation, scale or 1.0)


def _moved(image: Any, left: Interval) -> Interval:  # noqa: ANN401
    """Return the image of an interval under what a pointwise claim applies to its left side."""
    if image is None:
        return left
    ends = [number(np.asarray(image(np.array([end]))).item()) for end in (left.lower, left.upper)]
    finite = [abs(end) for end in ends if math.isfinite(end)]
    error = ROUNDING * max(finite, default=0.0)
    return Interval(min(ends) - error, max(ends) + error)


def _at_worst(law: Law, bound: LawBound, relation: Relation, at: float | None) -> Sides:
    scale = getattr(law, "scale", 1.0)
    eta = _GRID * scale if at is None else np.array([at])
    left, right = law.cdf(eta), _ends(bound, eta)
    # Where both are near 0 or near 1, what counts is the part of the smaller tail.
    tails = np.minimum(np.minimum(left[1], right[1]), 1 - np.maximum(left[0], right[0]))
    scales = np.maximum(tails, 1e-9)
    found = [
        Sides(Interval(*map(float, own)), Interval(*map(float, other)), relation, float(size), e)
        for own, other, size, e in zip(
            np.transpose(left), np.transpose(right), scales, eta.tolist(), strict=True
        )
    ]
    return min(found, key=lambda each: each.slack)


def _ends(bound: LawBound, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    low, high = np.asarray(bound.lower(eta)), np.asarray(bound.upper(eta))
    if np.any(np.isnan(low) | np.isnan(high)):
        raise OutOfScopeError("its formula returns NaN")
    return np.minimum(low, high), np.maximum(low, high)
