"""Two networks on the same images and targets: counts, exact sign tests, verdicts in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from figures.hamming import Box

Group = Literal["depth", "architecture", "escape", "one pixel"]
Found = Mapping[tuple[int, int], bool]
"""Whether a label was reached, by image and target."""
OPEN = "no difference shown"


@dataclass(frozen=True)
class Comparison:
    """One network and its baseline in one box, on the pairs that both have.

    Attributes
    ----------
    network, baseline, data : str
    group : str
    box : Box
    pairs : int
        Pairs of an image and a target that both were asked for.
    successes : tuple of int
        Of the baseline and of the network.
    only : tuple of int
        Pairs that only the baseline, and only the network, has reached.
    images : tuple of int
        Images of which the baseline, and of which the network, has reached more targets.
    n_images : int
        All images of these pairs.
    """

    network: str
    baseline: str
    data: str
    group: Group
    box: Box
    pairs: int
    successes: tuple[int, int]
    only: tuple[int, int]
    images: tuple[int, int]
    n_images: int

    @classmethod
    def of(
        cls, names: tuple[str, str, str], group: Group, box: Box, network: Found, baseline: Found
    ) -> "Comparison":
        """Count on the pairs that both have; ValueError if there are none."""
        common = sorted(network.keys() & baseline.keys())
        if not common:
            raise ValueError(f"{names[0]} and {names[1]} have no image in common")
        one = np.array([baseline[pair] for pair in common])
        other = np.array([network[pair] for pair in common])
        image = np.unique([pair[0] for pair in common], return_inverse=True)[1]
        lead = np.bincount(image, weights=one.astype(float) - other)
        return cls(
            *names,
            group,
            box,
            len(common),
            (int(one.sum()), int(other.sum())),
            (int((one & ~other).sum()), int((other & ~one).sum())),
            (int((lead > 0).sum()), int((lead < 0).sum())),
            len(lead),
        )

    @property
    def p_pairs(self) -> float:
        """Exact two-sided McNemar test: as if pairs were independent."""
        return sign_test(*self.only)

    @property
    def p_images(self) -> float:
        """Exact two-sided sign test with images as the independent units."""
        return sign_test(*self.images)


def verdict(counts: tuple[int, int], adjusted: float, alpha: float) -> str:
    """Return what so many units for the baseline and for the network show of the latter's labels.

    Examples
    --------
    >>> verdict((9, 0), 0.004, 0.05), verdict((9, 8), 1.0, 0.05)
    ('harder', 'no difference shown')
    """
    if adjusted > alpha:
        return OPEN
    return "harder" if counts[0] > counts[1] else "easier"


def sign_test(one: int, other: int) -> float:
    """Return the exact two-sided p-value of so many signs of each kind under fair coins.

    Examples
    --------
    >>> sign_test(5, 0), sign_test(0, 0)
    (0.0625, 1.0)
    """
    if one + other == 0:
        return 1.0
    return float(stats.binomtest(one, one + other, 0.5).pvalue)
