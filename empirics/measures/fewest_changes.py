"""How many coordinates one and the same search changes for another label, in any network."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from empirics.attacks.strongest import BUDGETS, minimal
from empirics.correct_images import correct_images
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.record import Evidence
from empirics.settings import setting
from empirics.tangents import searchable
from theory.claims.shamir2019 import hamming_in
from theory.errors import InputError, nearest
from theory.evidence import Interval, Radii

_AT_ONCE = 100


@measure("fewest_changes")
@dataclass(frozen=True)
class FewestChanges:
    """Few changed coordinates of correctly classified test images, found along gradients.

    The search is the same for piecewise-linear networks and for all others, so that what it finds
    can be compared between them. A point counts where the network itself, in its own precision,
    gives it another label. Lower ends are 1: nothing is proved. In the mean number of changes
    found, an image for which none was counts with all of its coordinates.

    Attributes
    ----------
    images : int
        The first test images that the network classifies correctly.
    overshoots : tuple of float
        Boxes [-r, 1 + r] of the coordinates.
    effort : str
        Of the search: "quick", "standard" or "thorough"; see `empirics.attacks.minimal`.

    Raises
    ------
    InputError
        If the effort is not known.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    images: int = setting(200, at_least=1)
    overshoots: tuple[float, ...] = setting((0.0, 1.0), at_least=0)
    effort: str = setting("quick")

    def __post_init__(self) -> None:
        if self.effort not in BUDGETS:
            raise InputError(
                f"fewest_changes: unknown effort '{self.effort}': {nearest(self.effort, BUDGETS)}"
            )

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the intervals as evidence, by box."""
        assert subject.classifier is not None
        images = correct_images(subject, self.images)
        network, reason = searchable(subject.classifier, subject.image_shape)
        evidence: dict[str, Evidence] = {}
        arrays: dict[str, npt.NDArray[np.generic]] = {"index": images.index}
        pictures = torch.from_numpy(images.flat.astype(np.float32))
        pictures = pictures.reshape(-1, *subject.image_shape).to(context.device)
        labels = torch.from_numpy(images.labels).to(context.device)
        for overshoot in self.overshoots:
            box = (-overshoot, 1 + overshoot)
            space = hamming_in(*box)
            found = []
            for begin in progress(range(0, len(pictures), _AT_ONCE), f"{context.title} {space}"):
                part = slice(begin, begin + _AT_ONCE)
                moved, _ = minimal(
                    subject.classifier,
                    pictures[part],
                    labels[part],
                    p=0,
                    budget=self.effort,
                    box=box,
                    seed=context.seed,
                )
                found.append(moved.cpu().numpy().reshape(len(moved), -1))
            points = np.concatenate(found)
            changes = (points != images.flat.astype(np.float32)).sum(axis=1).astype(np.float64)
            changes[images.deployed_labels(points) == images.labels] = np.inf
            evidence[f"r_unc[{space}]"] = Radii(np.ones_like(changes), changes)
            counted = float(np.minimum(changes, points.shape[1]).mean())
            evidence[f"found_changes_mean[{space}]"] = Interval(counted, counted)
        facts: dict[str, Any] = {
            "n_classes": network.n_outputs,
            "piecewise_linear": reason is None,
            "test_error": images.test_error,
        }
        return Outcome(evidence, facts, arrays)
