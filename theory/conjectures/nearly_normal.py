"""Adversarial perturbations are nearly normal to the data manifold."""

from theory.claim import Facts, Kind, Quantity, Ref, Relation, conjecture, required
from theory.evidence import Interval

KEY, SOURCE = "shamir2021", "Shamir, Melamed and BenShmuel, arXiv 2106.10151"
TANGENTIAL = Quantity("tangential_share", "l2")
"""Of the square of the length of the perturbation that was found, the part along the range of g."""


@conjecture(
    "shamir2021/nearly-normal",
    kind=Kind.MEAN,
    quantities=(TANGENTIAL,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "adversarial perturbations are roughly perpendicular to the manifold"),
    setting=(
        r"Let $\delta$ be the smallest change of label that a search finds at $x = g(z)$ in"
        r" $\mathbb{R}^p$, and $P$ the projection onto the tangent space of the range of $g$ at"
        r" $x$, of dimension $d$; consider $\lVert P \delta \rVert^2 / \lVert \delta \rVert^2$ and"
        r" its value $d / p$ for a random direction"
    ),
)
def nearly_normal(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """Perturbations lie less along the manifold than a random direction would.

    Believed because: in the dimpled-manifold model training first draws the decision boundary close
    to the manifold of the data and then bends it past each point by as little as the labels need,
    so that from a point the boundary is nearest in the direction across the manifold. Roughly
    perpendicular is read as weakly as it can be: less tangential, in the mean square, than a
    direction drawn at random.

    Hypotheses: a generator whose range stands for the manifold, of known tangent dimension.
    """
    space = required(facts, "tangent_space", "the tangent space of the generator's range")
    share = float(space["dimension"]) / float(space["pixels"])
    return Interval(share, share)
