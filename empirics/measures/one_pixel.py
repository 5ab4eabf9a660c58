"""How often differential evolution changes a label by one pixel."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from empirics.attacks.one_pixel import one_pixel
from empirics.correct_images import correct_images
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.claims.shamir2019 import hamming_in


@measure("one_pixel")
@dataclass(frozen=True)
class OnePixel:
    """One changed pixel, found by differential evolution on the probability of the label.

    Attributes
    ----------
    images : int
        The first test images that the network classifies correctly.
    overshoots : tuple of float
        Boxes [-r, 1 + r] of the new value.
    population, iterations : int
        Of the evolution.
    scale : float
        Factor F of differences.

    References
    ----------
    Su, Vargas and Sakurai, One pixel attack for fooling deep neural networks (IEEE Trans. Evol.
    Comput. 23, 2019): a population of 400, F = 0.5, at most 100 iterations.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    images: int = setting(20, at_least=1)
    overshoots: tuple[float, ...] = setting((0.0, 1.0), at_least=0)
    population: int = setting(400, at_least=4)
    iterations: int = setting(100, at_least=1)
    scale: float = setting(0.5, above=0)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return which images were changed, by box."""
        assert subject.classifier is not None
        images = correct_images(subject, self.images)
        pictures = torch.from_numpy(images.flat.astype(np.float32))
        pictures = pictures.reshape(-1, *subject.image_shape).to(context.device)
        arrays: dict[str, npt.NDArray[np.generic]] = {"index": images.index}
        facts: dict[str, Any] = {
            "population": self.population,
            "iterations": self.iterations,
            "scale": self.scale,
        }
        for overshoot in self.overshoots:
            space = hamming_in(-overshoot, 1 + overshoot)
            changed = np.zeros(len(pictures), dtype=bool)
            for i in progress(range(len(pictures)), f"{context.title} {space}"):
                label = torch.from_numpy(images.labels[i : i + 1]).to(context.device)
                found = one_pixel(
                    subject.classifier,
                    pictures[i : i + 1],
                    label,
                    low=-overshoot,
                    high=1 + overshoot,
                    population=self.population,
                    iterations=self.iterations,
                    scale=self.scale,
                    stream=context.stream(space, str(i)),
                )
                flat = found.cpu().numpy().reshape(1, -1)
                changed[i] = images.deployed_labels(flat)[0] != images.labels[i]
            arrays[f"{space}.changed"] = changed
        return Outcome(facts=facts, arrays=arrays)
