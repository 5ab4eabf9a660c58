"""Networks: without a limit on range a theorem, in a box a conjecture that records can refute.

What the paper asks of networks is how many coordinates lead to any label, whatever the depth. With
coordinates that may take any value the answer is in the network's directions of recession, and it
is often 1; counts of classes do not enter. So the range of the coordinates is part of the question,
and each box has a quantity of its own.
"""

import numpy as np
import numpy.typing as npt

from theory.arrangement.broadcast import broadcast_count
from theory.arrays import FloatArray
from theory.claim import (
    Bound,
    Facts,
    Kind,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    conjecture,
    theorem,
)
from theory.claims.shamir2019.setting import (
    CLASSES,
    KEY,
    LABEL_DISTANCE,
    LABEL_DISTANCE_IN,
    SOURCE,
    known,
    known_classes,
    require_trained_network,
)
from theory.evidence import Interval, Radii
from theory.parameter import Integers, Parameter

SPARSITY = Parameter("k", "k", "coordinates that each direction changes", Integers(1, 50), 1)
IN_A_BOX = (
    r"Let $F$ be a piecewise-linear network of any depth, trained on pictures of $K$ kinds of"
    r" things, with at most one test image in ten classified wrongly,"
)


def recession_bound(k: npt.ArrayLike) -> FloatArray:
    """Return k: as many coordinates suffice as directions change that lead to all labels.

    Parameters
    ----------
    k : array_like of int
        At least 1.

    Raises
    ------
    ValueError
        If a number is not whole or below 1.

    Examples
    --------
    >>> recession_bound([1, 2]).tolist()
    [1.0, 2.0]
    """
    return broadcast_count(int, k=(k, 1))


def network_label_distance_bound(n_classes: npt.ArrayLike) -> FloatArray:
    """Return K + 1, two coordinates more than an affine classifier needs for any label.

    Parameters
    ----------
    n_classes : array_like of int
        K, at least 2.

    Raises
    ------
    ValueError
        If a number is not whole or below 2.

    Examples
    --------
    >>> float(network_label_distance_bound(10))
    11.0
    """
    return broadcast_count(lambda n_classes: n_classes + 1, n_classes=(n_classes, 2))


def targeted_quantile(radii: Radii, share: float) -> Interval:
    """Return the least distance within which a share of the points lies: that very sample's.

    Parameters
    ----------
    radii : Radii
        Intervals of the pairs of an image and another label; those of one image need not be
        independent.
    share : float
        In (0, 1].

    Raises
    ------
    ValueError
        If share is out of range.

    Examples
    --------
    >>> ends = np.array([1.0, 2.0, 3.0, 4.0])
    >>> targeted_quantile(Radii(ends, ends + 1), 0.5)
    Interval(lower=2.0, upper=3.0)
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share}")
    place = int(np.ceil(share * radii.n * (1 - 1e-12))) - 1
    return Interval(float(np.sort(radii.lower)[place]), float(np.sort(radii.upper)[place]))


@theorem(
    "shamir2019/recession",
    kind=Kind.SCALAR,
    quantities=(LABEL_DISTANCE,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "our own, for unlimited range"),
    setting=(
        r"Let $F$ be a piecewise-linear network, $F_0$ the same with all biases 0, and let $h$ be"
        r" the least number such that from each $x$ each label is reached by changing at most $h$"
        r" coordinates"
    ),
    hypotheses=(
        r"for each class $t$ there is a $d_t$ with at most $k$ coordinates other than 0 at which"
        r" output $t$ of $F_0$ is larger than all others",
    ),
    bound=Bound((SPARSITY,), recession_bound),
)
def recession(facts: Facts, quantity: Quantity) -> float:
    """A direction in which the network without biases has a label leads to it from every point.

    Where the signed unit vectors have all labels, one coordinate of unlimited range suffices from
    every point to every label, whatever the depth, the width and the number of classes.

    Hypotheses: the coordinates may take any real value, and the number of classes that signed unit
    vectors reach without biases is known to be all, or else a number of coordinates whose
    directions reach all classes is known.
    """
    n_classes = known_classes(facts)
    reached = known(
        facts, "recession_classes", "the number of classes that single coordinates reach", 0
    )
    if reached == n_classes:
        return 1.0
    if "recession_sparsity" in facts:
        return float(known(facts, "recession_sparsity", "the sparsity of directions"))
    raise OutOfScopeError(
        f"far away, single coordinates reach {reached} of {n_classes} classes without biases"
    )


@conjecture(
    "shamir2019/eleven-pixels",
    kind=Kind.SCALAR,
    quantities=LABEL_DISTANCE_IN,
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "the question for networks, put for boxes"),
    setting=(
        f"{IN_A_BOX} and let $h$ be the least number such that from each image each label is"
        r" reached by changing at most $h$ coordinates, all of them within a box"
    ),
    bound=Bound((CLASSES,), network_label_distance_bound),
)
def eleven_pixels(facts: Facts, quantity: Quantity) -> float:
    """In a box, too, one coordinate more than there are classes suffices for any label.

    Eleven for ten classes: one for each output, and one more. Nothing proves it in a box: of all
    the pairs of an image and a label that are asked for, one with a certified distance above K + 1
    refutes it. With unlimited range more follows from `shamir2019/recession`.

    Hypotheses: a piecewise-linear network that classifies at least nine in ten test images
    rightly. Without training nothing of the kind is true, nor where brightness tells the classes.
    """
    require_trained_network(facts)
    return float(known_classes(facts) + 1)
