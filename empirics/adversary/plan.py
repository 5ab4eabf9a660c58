"""How much work the strongest minimal-norm search does."""

from dataclasses import dataclass

from empirics.adversary.descent import Schedule

_NONE = Schedule(0)


@dataclass(frozen=True)
class Plan:
    """How much work one stage of a search does; by default none.

    Attributes
    ----------
    first : Schedule
        The descent to any other label, from the origin.
    rivals : int
        Further descents: to each of the labels with the largest logits.
    probe : Schedule
        Of these.
    margin : float
        A probe that ends within this factor of the nearest point is followed up.
    pursuit : Schedule
        How.
    samples : int
        Random points within the distance of the nearest point, looked at and not descended from.
    shakes : int
        Descents from the nearest point, randomly moved.
    shake : Schedule
        Of these.
    polish : Schedule
        Of the nearest point at last.
    projections : int
        Steps of sequential projection after that.
    starts : int
        Descents from random points about as far as the nearest, many at once.
    labels : int
        Further such descents: to each of the labels with the largest logits.
    scattered : Schedule
        Of both.
    walk : int
        Steps along the boundary after each of them; twice as many from the nearest point at last.
    """

    first: Schedule = _NONE
    rivals: int = 0
    probe: Schedule = _NONE
    margin: float = 1.0
    pursuit: Schedule = _NONE
    samples: int = 0
    shakes: int = 0
    shake: Schedule = _NONE
    polish: Schedule = _NONE
    projections: int = 0
    starts: int = 0
    labels: int = 0
    scattered: Schedule = _NONE
    walk: int = 0


_FINE = (0.01, 5e-4)
_QUICK = Plan(
    first=Schedule(25),
    rivals=3,
    probe=Schedule(12, gamma=(0.2, 0.02)),
    margin=1.1,
    pursuit=Schedule(12, (0.3, 0.01), _FINE),
    samples=3,
    polish=Schedule(13, (0.1, 0.005), _FINE),
    projections=1,
)
_STANDARD = Plan(
    rivals=5,
    probe=Schedule(20, gamma=(0.15, 0.01)),
    margin=1.15,
    pursuit=Schedule(25, (0.3, 0.01), _FINE),
    samples=60,
    shakes=3,
    shake=Schedule(30, (0.5, 0.01), (0.02, 5e-4)),
    polish=Schedule(30, (0.1, 0.003), (0.01, 2e-4)),
    projections=10,
)
_THOROUGH = Plan(
    polish=_STANDARD.polish,
    starts=16,
    labels=9,
    scattered=Schedule(15, (0.6, 0.03), (0.15, 0.02)),
    walk=12,
)
BUDGETS = {
    "quick": (_QUICK,),
    "standard": (_QUICK, _STANDARD),
    "thorough": (_QUICK, _STANDARD, _THOROUGH),
}
"""Stages of a search, in their order: about 100, 400 and 1,000 gradients of the batch.

Each budget begins with the search of the smaller one, so that it is never worse, image by image.
"""
