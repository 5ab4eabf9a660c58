"""The smoother the generator, the less robust the classifier."""

from theory.claim import Facts, Kind, OutOfScopeError, Quantity, Ref, Relation, conjecture, required
from theory.claims.fawzi2018.robustness import KEY, SOURCE
from theory.comparison import only_difference
from theory.conjectures.fewer_classes import FOUND_RADII, RADII

_DIFFERENCES = ("generator.settings.constant", "generator.name")
_KINDS = ("vae", "lipschitz_vae")
"""Auto-encoders that differ in whether their decoder is held to a constant."""


def _constant(facts: Facts) -> float:
    """Return the Lipschitz constant that a generator was held to, +inf where to none.

    Raises
    ------
    OutOfScopeError
        If it is no variational auto-encoder of perceptrons.
    """
    generator = required(facts, "generator", "the generator")
    if generator["name"] not in _KINDS:
        raise OutOfScopeError(f"{generator['name']} has no setting for its smoothness")
    return float(generator["settings"].get("constant", float("inf")))


@conjecture(
    "fawzi2018/smoother-generator",
    kind=Kind.COMPARISON,
    quantities=(*RADII[1:], *FOUND_RADII[1:]),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "Section 3.1, on the smoothness of the generator"),
    setting=(
        r"For one classifier trained on two generators that differ only in the Lipschitz constant"
        r" that they were held to, smaller for the first, consider the distance to another label at"
        r" $x = g(z)$"
    ),
)
def smoother_generator(first: Facts, second: Facts, quantity: Quantity) -> None:
    """A smoother generator makes a classifier less robust.

    Believed because: r_in <= omega(r_latent), and the bound of Theorem 1 on r_latent knows nothing
    of the generator: the smaller the modulus omega, the smaller what it leaves of r_in. This is a
    statement about the bound; a generator is steepest where labels change, and those places need
    not become less steep when its largest slope is held down.

    Hypotheses: one classifier by its settings, and generators that differ in the constant that
    they were held to alone, none counting as infinite.
    """
    known = [_constant(facts) for facts in (first, second)]
    only_difference(first, second, *_DIFFERENCES)
    if not known[0] < known[1]:
        raise OutOfScopeError("the first was held to no smaller constant")
