"""What a judgement says: HOLDS, VIOLATED, UNDECIDED or OUT OF SCOPE, never "looks fine"."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What the evidence says of a claim."""

    HOLDS = "HOLDS"
    VIOLATED = "VIOLATED"
    UNDECIDED = "UNDECIDED"
    OUT_OF_SCOPE = "OUT OF SCOPE"


@dataclass(frozen=True)
class Judgement:
    """An outcome with what it rests on.

    Attributes
    ----------
    outcome : Outcome
    reason : str
        One sentence: the range on which it holds, or what stands in the way.
    slack : float
        How far the evidence is inside the claim at its worst place, band included (law: in
        probability; mean, scalar and pointwise: in the quantity's unit); negative when not shown.
    decided : float
        The part of the range, or of the points, that is decided, in [0, 1].
    to_decide : str
        Where nothing is decided, one sentence: which end of an interval is loose and by how much,
        how many points would make the band narrow enough, or which fact is missing.
    tolerance : float
        Up to which two values counted as equal, in the quantity's unit.
    """

    outcome: Outcome
    reason: str
    slack: float = float("nan")
    decided: float = 0.0
    to_decide: str = ""
    tolerance: float = 0.0
