"""What random pixels reach, in words."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from empirics.record import Record
from figures.hamming import Box, percent
from theory.arrays import FloatArray
from theory.claims.shamir2019 import label_reach_probability


def other_label_law(counts: npt.ArrayLike, n_classes: int) -> FloatArray:
    """Return the law for random affine classifiers and a label that the point does not have.

    With no change at all one label in K is reached, the point's own; the others share the rest.
    """
    reached = label_reach_probability(counts, n_classes)
    return np.asarray((reached - 1 / n_classes) / (1 - 1 / n_classes))


def climb_words(record: Record | None) -> str:
    """Say how often one draw of random pixels succeeds in the widest box, beside the law."""
    if record is None or not len(record.arrays["climb.overshoots"]):
        return "random pixels were not drawn"
    overshoots, counts = record.arrays["climb.overshoots"], record.arrays["climb.counts"]
    widest = int(np.argmax(overshoots))
    rates = [percent(float(np.mean(at == 1))) for at in record.arrays["climb.tries"][widest]]
    law = other_label_law(counts, int(record.facts["n_classes"]))
    return (
        f"in {Box(float(overshoots[widest])).name} one draw of {_listed(counts)} random pixels"
        f" reaches {_listed(rates)}% of the targets, where for random affine"
        f" classifiers it is {_listed([percent(round(float(p), 9)) for p in law])}%"
    )


def path_words(record: Record | None) -> str:
    """Say how often a path reaches the target, the first one and the best of all draws."""
    if record is None or "path.draws" not in record.arrays:
        return "paths were not drawn"
    first = record.arrays["path.draws"]
    once = [percent(float(np.mean(at == 1))) for at in first]
    ever = [percent(float(np.mean(at >= 1))) for at in first]
    return (
        f"one path with {_listed(record.arrays['path.counts'])} random pixels reaches"
        f" {_listed(once)}% of the targets, and the best of {record.facts['draws']} draws"
        f" {_listed(ever)}%"
    )


def _listed(values: Iterable[object]) -> str:
    *others, last = [str(value) for value in values]
    return f"{', '.join(others)} and {last}" if others else last
