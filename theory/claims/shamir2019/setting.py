"""What the claims share: quantities with their boxes, parameters, and known facts."""

import numpy as np

from theory.arrangement.broadcast import whole_number
from theory.claim import Facts, OutOfScopeError, Quantity, Ref, required
from theory.parameter import Integers, Parameter

KEY, SOURCE = "shamir2019", "Shamir et al., arXiv 1901.10861, 2019"
LINEAR = Ref(KEY, SOURCE, "the linear case")
MOST_ERRORS = 0.1
"""Share of wrong test labels up to which a network counts as trained."""


def hamming_in(low: float, high: float) -> str:
    """Return the norm part of a quantity's name: changed coordinates, all of them in a box.

    Parameters
    ----------
    low, high : float
        Ends of all coordinates; both infinite where their range is not limited.

    Raises
    ------
    ValueError
        Unless low < high.

    Examples
    --------
    >>> hamming_in(0, 1), hamming_in(-0.5, 1.5), hamming_in(-np.inf, np.inf)
    ('hamming in 0..1', 'hamming in -0.5..1.5', 'hamming')
    """
    if not low < high:
        raise ValueError(f"a box needs low < high, got {low} and {high}")
    if np.isinf(low) and np.isinf(high):
        return "hamming"
    # No negative zero.
    return f"hamming in {low + 0.0:g}..{high + 0.0:g}"


BOXES = ((0, 1), (-1, 2), (-50, 51))
"""The range of the images; widened by its own size to both sides; and by fifty times that."""
CELL_DISTANCE = Quantity("cell_distance", hamming_in(-np.inf, np.inf))
"""Least number of coordinates to change for a given cell, over all points and cells the largest."""
LABEL_DISTANCE = Quantity("label_distance", hamming_in(-np.inf, np.inf))
"""Least number of coordinates to change for a given label, over points and labels the largest."""
LABEL_DISTANCE_IN = tuple(Quantity("label_distance", hamming_in(*box)) for box in BOXES)
"""The same, with all coordinates in a box, over the images and labels that are asked for."""
TARGETED_QUANTILES = {"targeted_median": 0.5, "targeted_ninth_decile": 0.9}
"""Shares of the pairs of an image and another label, by the symbol of the least number of
coordinates that suffices for them. Half, and nearly all: set before any record was made."""
REACH_PROBABILITY = Quantity("reach_probability")
"""Probability that some change of k fixed coordinates reaches a fixed cell."""
LABEL_REACH_PROBABILITY = Quantity("label_reach_probability")
"""Probability that some change of k fixed coordinates reaches a fixed label."""
CHANGE_NORM = Quantity("change_norm", "l2")
"""Norm of the least change that moves A x by v, as a multiple of the norm of v."""
ROWS = Parameter("m", "m", "number of hyperplanes", Integers(1, 200), 9)
CLASSES = Parameter("n_classes", "K", "number of classes", Integers(2, 1000), 10)
CHANGED = Parameter("k", "k", "number of coordinates that may change", Integers(0, 200), 3)


def known(facts: Facts, name: str, what: str, least: int = 1) -> int:
    """Return a whole number that is known; raises OutOfScopeError where it is not."""
    return whole_number(name, required(facts, name, what), least)


def known_rows(facts: Facts) -> int:
    """Return the number of hyperplanes."""
    return known(facts, "n_hyperplanes", "the number of hyperplanes")


def known_classes(facts: Facts) -> int:
    """Return the number of classes."""
    return known(facts, "n_classes", "the number of classes", 2)


def require_row_law(facts: Facts, allowed: tuple[str, ...]) -> None:
    """Raise OutOfScopeError unless the law of the random rows is one of these."""
    law = required(facts, "row_law", "the law of the random rows")
    if law not in allowed:
        raise OutOfScopeError(f"the law of the rows is {law}, not {' or '.join(allowed)}")


def require_trained_network(facts: Facts) -> None:
    """Raise OutOfScopeError unless a network is known to be piecewise linear and to be trained."""
    if not required(facts, "piecewise_linear", "whether the classifier is piecewise linear"):
        raise OutOfScopeError("the classifier is not piecewise linear")
    error = float(required(facts, "test_error", "the error rate on test images"))
    if not 0 <= error <= MOST_ERRORS:
        raise OutOfScopeError(
            f"{error:.3g} of the test images are classified wrongly, more than {MOST_ERRORS}"
        )
