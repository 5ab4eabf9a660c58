"""Within the data manifold another label is more than twice as far away as without it."""

from theory.claim import Facts, Kind, Quantity, Ref, Relation, conjecture
from theory.conjectures.adversarial_training_aligns import RATIO, RATIO_OF_FOUND
from theory.conjectures.nearly_normal import KEY, SOURCE
from theory.evidence import Interval

FACTOR = 2.0


@conjecture(
    "shamir2021/in-distribution-is-far",
    kind=Kind.MEAN,
    quantities=(RATIO, RATIO_OF_FOUND),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "perturbations on and off the manifold, much larger put as twice"),
    setting=(
        r"For $x = g(z)$, $z \sim \mathcal{N}(0, I_d)$, consider $r_{\mathrm{unc}} /"
        r" r_{\mathrm{in}}$ and the value $1/2$"
    ),
)
def in_distribution_is_far(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """On average r_unc is at most half of r_in.

    Believed because: in the dimpled-manifold model a boundary that clings to the manifold is near
    across it and far along it; perturbations held to the manifold of an auto-encoder were found to
    be much larger than free ones. Much larger is read as twice, on average over the points.

    Hypotheses: both radii of each point in one norm. Of what one search found for both it says no
    more than that: neither distance need be the least.
    """
    return Interval(1 / FACTOR, 1 / FACTOR)
