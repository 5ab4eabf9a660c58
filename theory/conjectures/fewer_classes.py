"""The fewer classes, the more robust the classifier."""

from theory.claim import (
    FOUND,
    Facts,
    Kind,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    conjecture,
    required,
)
from theory.claims.fawzi2018.robustness import KEY, SOURCE
from theory.comparison import only_difference
from theory.latent import R_IN, R_LATENT, R_UNC

RADII = (R_LATENT, R_IN, R_UNC)
FOUND_RADII = tuple(Quantity(FOUND + radius.symbol, radius.norm) for radius in RADII)

_CLASSES = ("classifier.settings.classes", "classifier.settings.n_classes")


@conjecture(
    "fawzi2018/fewer-classes",
    kind=Kind.COMPARISON,
    quantities=(*RADII, *FOUND_RADII),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Section 3.1, on the number of classes"),
    setting=(
        r"For two classifiers of the images of one $g$ that differ only in their number of"
        r" classes, fewer for the first, consider the distance to another label at $x = g(z)$"
    ),
)
def fewer_classes(first: Facts, second: Facts, quantity: Quantity) -> None:
    """A classifier with fewer classes is more robust.

    Believed because: the bound of Theorem 1 falls like 1 / sqrt(log K), half-spaces of mass 1 / K
    being the nearer to their boundary the fewer points they hold; and merging classes takes
    boundary away. A classifier that is trained for fewer classes is no merged one, though: nothing
    forces it to keep away from the points that it no longer has to tell apart.

    Hypotheses: one generator, and classifiers that differ in the number of classes alone.
    """
    only_difference(first, second, *_CLASSES)
    known = [required(facts, "n_classes", "the number of classes") for facts in (first, second)]
    if not known[0] < known[1]:
        raise OutOfScopeError("the first has no fewer classes")
