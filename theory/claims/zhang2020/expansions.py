"""What sampled neighbours show of a local Lipschitz constant, and what they do not."""

from theory.claim import Facts, Kind, Quantity, Ref, Relation, refuted, required, theorem
from theory.claims.zhang2020.classes import KEY, SOURCE

LOCAL_LIPSCHITZ = Quantity("local_lipschitz", "l2->l2")
_REF = Ref(KEY, SOURCE, "experiments, the estimate of the local Lipschitz constants")
_SETTING = (
    r"Let $L$ be the Lipschitz constant of $g$ on the ball of radius $r$ around $z$, and let"
    r" $z_1, \ldots, z_m$ be random points of the ball"
)


def _largest_sampled(facts: Facts, quantity: Quantity) -> float:
    name = f"sampled_expansion[{quantity.norm}]"
    return float(required(facts, name, "the largest expansion towards sampled neighbours"))


@theorem(
    "zhang2020/sampled-expansion",
    kind=Kind.SCALAR,
    quantities=(LOCAL_LIPSCHITZ,),
    relation=Relation.AT_LEAST,
    ref=_REF,
    setting=_SETTING,
)
def sampled_expansion(facts: Facts, quantity: Quantity) -> float:
    """The largest expansion towards sampled neighbours is a lower end of the Lipschitz constant.

    Hypotheses: the largest expansion that was seen is known.
    """
    return _largest_sampled(facts, quantity)


@refuted(
    "zhang2020/random-direction-lipschitz",
    kind=Kind.SCALAR,
    quantities=(LOCAL_LIPSCHITZ,),
    relation=Relation.AT_MOST,
    ref=_REF,
    setting=_SETTING,
    stronger="zhang2020/sampled-expansion",
)
def random_direction_lipschitz(facts: Facts, quantity: Quantity) -> float:
    """The largest expansion towards sampled neighbours is no upper end of the Lipschitz constant.

    A linear map J expands a random direction by ||J||_F / sqrt d in the root mean square: by 1.41
    for the singular values 10, 1, ..., 1 in 100 dimensions, whose Lipschitz constant is 10. And
    directions with non-negative coordinates alone, which normalised uniform numbers of [0, 1] are,
    need not show it however many are drawn: where the first singular vector is
    (1, -1, 0, ..., 0) / sqrt 2, none of them expands by more than sqrt(50.5) = 7.11.

    Hypotheses: the largest expansion that was seen is known.
    """
    return _largest_sampled(facts, quantity)
