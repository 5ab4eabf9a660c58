"""Random pixels, the same for every target: how often they reach it, by number and range."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from empirics.correct_images import CorrectImages, active_pixels, correct_images
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.seeds import numpy_stream
from empirics.settings import setting
from empirics.trace import relu_network
from theory.arrays import FloatArray
from theory.hamming.given.climb import climb
from theory.hamming.given.path import OutputPath, draw_path
from theory.hamming.problem import LabelProblem
from theory.relu import ReluNetwork

_WALK_STEPS = 5
"""A path of at least as many crossings is shown, if there is one."""


@measure("random_pixels")
@dataclass(frozen=True)
class RandomPixels:
    """The construction of Shamir et al. with coordinates drawn at random.

    One draw of pixels serves all targets of an image, as in the paper. A try succeeds where the
    network itself, in its own precision, gives the point the target's label. Pixels are drawn from
    those that vary over the training images.

    Attributes
    ----------
    images : int
        The first test images that the network classifies correctly.
    overshoots : tuple of float
        Boxes [-r, 1 + r] for the climb by linear programmes.
    counts : tuple of int
        Numbers of pixels for the climb.
    tries : int
        Draws of pixels for the climb.
    path_counts : tuple of int
        Numbers of pixels for the path through output space, of unlimited range; at least K - 1.
    draws : int
        Draws of pixels and goals for the path.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    images: int = setting(6, at_least=1)
    overshoots: tuple[float, ...] = setting((5.0, 50.0), at_least=0)
    counts: tuple[int, ...] = setting((3, 5, 7, 9, 11), at_least=1)
    tries: int = setting(3, at_least=1)
    path_counts: tuple[int, ...] = setting((9, 11), at_least=1)
    draws: int = setting(30, at_least=1)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the number of the first draw that succeeded, for each image and target."""
        assert subject.classifier is not None
        network = relu_network(subject.classifier, subject.image_shape)
        images = correct_images(subject, self.images)
        pool = active_pixels(subject)
        work = _Draws(network, images, pool)
        shape = (len(self.overshoots), len(self.counts))
        climbs = np.array(
            [
                work.climbs(overshoot, k, self.tries, context)
                for overshoot in self.overshoots
                for k in self.counts
            ]
        ).reshape(*shape, -1)
        paths = np.array([work.paths(k, self.draws, context) for k in self.path_counts])
        facts: dict[str, Any] = {
            "n_classes": network.n_outputs,
            "pool": len(pool),
            "tries": self.tries,
            "draws": self.draws,
        }
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "climb.counts": np.array(self.counts),
            "climb.overshoots": np.array(self.overshoots),
            "climb.tries": climbs,
            "path.counts": np.array(self.path_counts),
            "path.draws": paths,
        }
        if work.walk is not None:
            walk = work.walk
            arrays |= {
                "walk.leads": walk.problem.leads(walk.outputs),
                "walk.progress": walk.progress,
                "walk.change": walk.changes,
            }
            facts["walk"] = {
                "label": int(walk.outputs[0].argmax()),
                "target": walk.problem.target,
                "k": len(walk.coordinates),
                "folds": walk.folds,
                "status": walk.status,
            }
        return Outcome(facts=facts, arrays=arrays)


class _Draws:
    """Tries with random pixels on one network."""

    def __init__(
        self, network: ReluNetwork, images: CorrectImages, pool: npt.NDArray[np.int64]
    ) -> None:
        self.network, self.images, self.pool = network, images, pool
        self.walk: OutputPath | None = None

    def _targets(self, i: int) -> list[int]:
        return [t for t in range(self.network.n_outputs) if t != self.images.labels[i]]

    def _problem(self, i: int, target: int, overshoot: float) -> LabelProblem:
        box = (-overshoot, 1 + overshoot)
        return LabelProblem.of(self.network, self.images.flat[i], target, box)

    def _counts(self, point: FloatArray, target: int) -> bool:
        labels = self.images.deployed_labels(point.astype(np.float32)[None])
        return bool(labels[0] == target)

    def climbs(self, overshoot: float, k: int, tries: int, context: Context) -> list[int]:
        """Return for each image and target the try that first succeeded, 0 if none did."""
        first = []
        size = min(k, len(self.pool))
        for i in progress(range(len(self.images.flat)), f"{context.title} {k} pixels"):
            stream = numpy_stream(context.seed, *context.scope, f"climb {overshoot} {k} {i}")
            drawn = [stream.choice(self.pool, size, replace=False) for _ in range(tries)]
            for target in self._targets(i):
                problem = self._problem(i, target, overshoot)
                first.append(0)
                for number, chosen in enumerate(drawn, start=1):
                    found = climb(problem, [int(j) for j in chosen])
                    if found.point is not None and self._counts(found.point, target):
                        first[-1] = number
                        break
        return first

    def paths(self, k: int, draws: int, context: Context) -> list[int]:
        """Return for each image and target the draw whose path first arrived, 0 if none did."""
        first = []
        pool = [int(j) for j in self.pool]
        for i in progress(range(len(self.images.flat)), f"{context.title} path of {k} pixels"):
            stream = numpy_stream(context.seed, *context.scope, f"path {k} {i}")
            for target in self._targets(i):
                problem = self._problem(i, target, np.inf)
                first.append(0)
                for number in range(1, draws + 1):
                    path = draw_path(problem, min(k, len(pool)), 1, stream, pool)
                    if path.point is not None and self._counts(path.point, target):
                        first[-1] = number
                        self._show(path)
                        break
        return first

    def _show(self, path: OutputPath) -> None:
        """Keep a path that is worth a picture: the first with a fold, else the first long one."""
        known = self.walk
        if len(path.progress) < _WALK_STEPS and known is not None:
            return
        if known is None or (path.folds and not known.folds):
            self.walk = path
