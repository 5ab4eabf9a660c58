"""The smaller the latent dimension, the more robust the classifier, relative to the norm."""

from theory.claim import FOUND, Facts, Kind, OutOfScopeError, Quantity, Ref, Relation, conjecture
from theory.claims.fawzi2018.robustness import KEY, SOURCE
from theory.comparison import only_difference

RELATIVE = tuple(Quantity(f"{name}_relative", "l2") for name in ("r_latent", "r_in", "r_unc"))
"""r_latent / |z|, r_in / |g(z)| and r_unc / |g(z)|, point by point."""


@conjecture(
    "fawzi2018/smaller-latent-dimension",
    kind=Kind.COMPARISON,
    quantities=(*RELATIVE, *(Quantity(FOUND + each.symbol, each.norm) for each in RELATIVE)),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Section 3.1, on the dimension of the latent space"),
    setting=(
        r"For one classifier trained on two generators that differ only in their latent dimension,"
        r" smaller for the first, consider the distance to another label at $x = g(z)$, divided by"
        r" the norm of the point"
    ),
)
def smaller_latent_dimension(first: Facts, second: Facts, quantity: Quantity) -> None:
    """Relative to the norm, a generator of smaller latent dimension allows more robustness.

    Believed because: the bound of Theorem 1 on r_latent is free of the dimension, while |z| is
    nearly sqrt(d); where |g(z)| grows like |z| the relative robustness falls like 1 / sqrt(d). Real
    images have a mean that no latent dimension adds to, so that for r_in and r_unc the premise may
    fail.

    Hypotheses: one classifier by its settings, and generators that differ in their latent dimension
    alone.
    """
    one, two = only_difference(first, second, "generator.settings.latent_dimension")
    if not 0 < one < two:
        raise OutOfScopeError("the first has no smaller latent dimension")
