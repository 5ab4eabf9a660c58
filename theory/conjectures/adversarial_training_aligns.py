"""Adversarial training moves r_unc towards r_in."""

from theory.claim import FOUND, Facts, Kind, OutOfScopeError, Quantity, Ref, Relation, conjecture
from theory.claims.fawzi2018.robustness import KEY, SOURCE
from theory.comparison import differences

RATIO, RATIO_OF_FOUND = Quantity("radius_ratio", "l2"), Quantity(f"{FOUND}radius_ratio", "l2")
"""r_unc / r_in of a point, and the same of the distances that one search found for both."""
_ADVERSARIAL = "classifier.settings.adversarial_"


@conjecture(
    "fawzi2018/adversarial-training-aligns",
    kind=Kind.COMPARISON,
    quantities=(RATIO_OF_FOUND, RATIO),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "Section 4, on adversarially trained classifiers"),
    setting=(
        r"For two classifiers of generated images that differ only in that the first was trained"
        r" adversarially, consider $r_{\mathrm{unc}} / r_{\mathrm{in}}$ at $x = g(z)$"
    ),
    statistic="median",
)
def adversarial_training_aligns(first: Facts, second: Facts, quantity: Quantity) -> None:
    """Adversarial training brings r_unc nearer to r_in.

    Believed because: a classifier may be fragile in directions that leave the range of the
    generator, where it has seen no data, and only there can training move the boundary without
    moving it for the data. Theorem 2 says that a classifier with r_unc >= r_in / 2 exists for every
    one that has been found, and examples made off the range are what adversarial training adds to
    the data.

    Hypotheses: the two differ only in their adversarial training, which the second has none of.
    """
    found = differences(first, second)
    others = [name for name in found if not name.startswith(_ADVERSARIAL)]
    if others:
        raise OutOfScopeError(f"the two differ in {', '.join(others)} too")
    radii = found.get(f"{_ADVERSARIAL}radius", (0, 0))
    if not (radii[0] or 0) > (radii[1] or 0) == 0:
        raise OutOfScopeError("not the first alone was trained adversarially")
