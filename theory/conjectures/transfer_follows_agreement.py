"""Perturbations transfer in proportion to agreement."""

from theory.claim import Facts, Kind, OutOfScopeError, Quantity, Ref, Relation, conjecture, required
from theory.evidence import Interval

KEY = "goodfellow2015"
SOURCE = "Goodfellow, Shlens and Szegedy, ICLR 2015"
DISORDER = Quantity("transfer_disorder")
"""How often a change fools the target that agrees less, and not the other; ties are one half."""


@conjecture(
    "goodfellow2015/transfer-follows-agreement",
    kind=Kind.MEAN,
    quantities=(DISORDER,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Section 8"),
    setting=(
        r"For classifiers of the images of one $g$, let $\tau(f, h)$ be the share of perturbations"
        r" made against $f$ that change the label of $h$; consider $u = \frac12 - \frac12"
        r" \bigl(\tau(f, h) - \tau(f, h')\bigr)$ and the value $\frac12$, $h$ being the one of the"
        r" two that agrees with $f$ on more images, on average over all $f$, $h$ and $h'$"
    ),
)
def transfer_follows_agreement(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """Of two classifiers, the one that agrees more with a third is fooled more by what fools it.

    Believed because: different models trained for one task learn similar functions, and a
    perturbation is aligned with what they share; two classifiers that agree have boundaries close
    to one another, and by Theorem 3 of Fawzi et al. one perturbation that fools both is then not
    much larger than one that fools either. That it is the one that was found is not said there.

    Hypotheses: at least three classifiers, whose agreements differ by more than they may by chance.
    """
    compared = int(required(facts, "compared_targets", "how many pairs of targets are ordered"))
    if not compared:
        raise OutOfScopeError("no two classifiers differ in how much they agree with a third")
    return Interval(0.5, 0.5)
