"""Bounds on adversarial robustness as mathematical objects: claims, evidence and verdicts."""

from theory.claim import CLAIMS, Claim, Quantity, Ref, Relation, Status, conjecture, theorem
from theory.errors import InputError

__all__ = [
    "CLAIMS",
    "Claim",
    "InputError",
    "Quantity",
    "Ref",
    "Relation",
    "Status",
    "conjecture",
    "theorem",
]
