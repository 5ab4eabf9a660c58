"""What the conjectures on single pixels and on few of them share: quantities, and hypotheses."""

from theory.claim import Facts, OutOfScopeError, Quantity, required
from theory.claims.shamir2019.setting import BOXES, MOST_ERRORS, hamming_in

ACTIVATION = "image_classifier.settings.activation"
WIDEST = BOXES[-1]
"""Where coordinates may take nearly any value."""
SCANS = (*BOXES[:-1], (-5, 6))
"""Boxes in which all pixels are scanned; in the last one few images resist."""
VALUES = (2, 256)
"""Values that a scanned pixel takes: the two ends of the box, or all that eight bits have."""


def scanned(low: float, high: float, values: int) -> str:
    """Return the norm part of a quantity's name: one changed pixel, and the values it may take.

    Examples
    --------
    >>> scanned(-1, 2, 2)
    'one pixel in -1..2 of 2 values'
    """
    box = hamming_in(low, high).removeprefix("hamming")
    return f"one pixel{box} of {values} values"


def _scanned(symbol: str) -> tuple[Quantity, ...]:
    return tuple(Quantity(symbol, scanned(*box, n)) for box in SCANS for n in VALUES)


RESISTING = _scanned("resisting_share")
"""Share of the images whose label no change of one pixel to one of the values alters."""
ELSEWHERE = _scanned("elsewhere")
"""s / (s + t), for an image that a pixel changes: t of the neighbours of such pixels change it
too, s of all other pixels; 1/2 where none does."""
ELSEWHERE_VARYING = _scanned("elsewhere_varying")
"""The same, of the pixels that vary over the training images alone."""
FOUND_CHANGES = tuple(Quantity("found_changes_mean", hamming_in(*box)) for box in BOXES[:-1])
"""Coordinates that a search changed for another label, on the mean over the images."""
FIXED_MEDIAN = tuple(Quantity("fixed_pixels_median", hamming_in(*box)) for box in BOXES)
"""Least k such that the first k pixels of an order bring half of the images to all labels."""
FIXED_NINTH_DECILE = Quantity("fixed_pixels_ninth_decile", hamming_in(*WIDEST))
"""Least k such that they do so for nine in ten pairs of an image and another label."""
ASCENT_NINTH_DECILE = Quantity("ascent_pixels_ninth_decile", hamming_in(*WIDEST))
"""Least k, of those tried, with which an ascent along gradients did."""


def require_trained(facts: Facts) -> None:
    """Raise OutOfScopeError unless at most one test image in ten is known to be misclassified."""
    error = float(required(facts, "test_error", "the error rate on test images"))
    if not 0 <= error <= MOST_ERRORS:
        raise OutOfScopeError(
            f"{error:.3g} of the test images are classified wrongly, more than {MOST_ERRORS}"
        )


def is_piecewise_linear(facts: Facts) -> bool:
    """Return whether a trained classifier is piecewise linear.

    Raises
    ------
    OutOfScopeError
        If that is not known, or it makes too many errors.
    """
    require_trained(facts)
    return bool(required(facts, "piecewise_linear", "whether the classifier is piecewise linear"))
