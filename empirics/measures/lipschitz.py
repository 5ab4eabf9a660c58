"""The Lipschitz constant of a classifier of the data set's own images, by every method."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from empirics.constants import Effort, lipschitz_constants
from empirics.plugins import Context, Outcome, Subject, measure


@measure("lipschitz")
@dataclass(frozen=True)
class LipschitzConstant(Effort):
    """Bounds on the Lipschitz constant of a classifier, from (image, l2) to (logits, l2).

    The ascent to a lower end starts at test images.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = (
        "lipschitz[l2->l2]",
        "free_pattern[l2->l2]",
        "semidefinite[l2->l2]",
        "seqlip[l2->l2]",
        "cut_points[l2->l2]",
    )

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the ends that each method gives, with what the claims about them need."""
        assert subject.classifier is not None
        assert subject.data is not None
        images = subject.data.test_images[: self.starts].astype(np.float64)
        points = images.reshape(len(images), -1)
        rng = np.random.default_rng(context.seed)
        shape = tuple(subject.image_shape)
        outcome, _ = lipschitz_constants(subject.classifier, shape, points, self, rng)
        return outcome
