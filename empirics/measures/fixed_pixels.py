"""Fixed pixels, the same for all images and labels: how many of them lead to every label."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from empirics.correct_images import CorrectImages, active_pixels, correct_images
from empirics.pixel_ascent import ascent
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.record import Evidence
from empirics.seeds import numpy_stream
from empirics.settings import setting
from empirics.tangents import searchable
from theory.arrays import FloatArray
from theory.claims.shamir2019 import hamming_in, targeted_quantile
from theory.evidence import Radii
from theory.hamming.exact.least import least_changes
from theory.hamming.given.climb import climb
from theory.hamming.problem import LabelProblem
from theory.relu import ReluNetwork


@dataclass(frozen=True)
class _Pair:
    """An order of pixels, an image and another label."""

    order: int
    image: int
    target: int


@measure("fixed_pixels")
@dataclass(frozen=True)
class FixedPixels:
    """The first k pixels of random orders, the same for all images and all labels.

    Least numbers k with which an image is led to another label, by order. In piecewise-linear
    networks points are found by linear programmes, region by region, and in the boxes named it is
    tried to prove that so many pixels do not suffice. In all networks an ascent along gradients is
    tried, the same for all; what it finds is told by itself. A point counts where the network
    itself, in its own precision, gives it the label; a programme that the solver gives up is
    counted and shows nothing. Pixels are those that vary over the training images; of colour
    images, their single channels.

    Attributes
    ----------
    images : int
        The first test images that the network classifies correctly.
    orders : int
        Random orders of pixels.
    overshoots : tuple of float
        Boxes [-r, 1 + r] of the pixels.
    counts : tuple of int
        Numbers k that are tried, ascending.
    programme_units : int
        Networks of more units with two phases have no programmes: these have a row for each unit.
    programmes : int
        For each pair and number, at most.
    proof_overshoots : tuple of float
        Boxes in which it is tried to prove that a number does not suffice.
    proof_seconds : float
        Time for each proof. How many end in time depends on the machine.
    ascent_overshoots : tuple of float
        The boxes in which the ascent is tried.
    ascent_counts : tuple of int
        Numbers k that the ascent tries, ascending.
    ascent_steps : int
        Of the ascent, from the image and once more from random values.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = (
        "fixed_pixels_median",
        "fixed_pixels_ninth_decile",
        "ascent_pixels_ninth_decile",
    )
    images: int = setting(12, at_least=1)
    orders: int = setting(1, at_least=1)
    overshoots: tuple[float, ...] = setting((0.0, 1.0, 50.0), at_least=0)
    counts: tuple[int, ...] = setting((1, 2, 3, 5, 7, 9, 10, 11, 16), at_least=1)
    programme_units: int = setting(1024, at_least=0)
    programmes: int = setting(150, at_least=1)
    proof_overshoots: tuple[float, ...] = setting((0.0, 1.0), at_least=0)
    proof_seconds: float = setting(1.0, above=0)
    ascent_overshoots: tuple[float, ...] = setting((50.0,), at_least=0)
    ascent_counts: tuple[int, ...] = setting((1, 2, 3, 5, 7, 9, 10, 11, 16, 24), at_least=1)
    ascent_steps: int = setting(60, at_least=1)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return least numbers as evidence, by box, and those of each pair."""
        assert subject.classifier is not None
        images = correct_images(subject, self.images)
        network, reason = searchable(subject.classifier, subject.image_shape)
        pool = active_pixels(subject)
        stream = numpy_stream(context.seed, *context.scope, "orders")
        orders = np.array([stream.permutation(pool) for _ in range(self.orders)])
        pairs = [
            _Pair(order, image, target)
            for order in range(self.orders)
            for image, label in enumerate(images.labels)
            for target in range(network.n_outputs)
            if target != label
        ]
        failed = 0
        evidence: dict[str, Evidence] = {}
        arrays: dict[str, npt.NDArray[np.generic]] = {"index": images.index}
        for overshoot in self.overshoots:
            box = (-overshoot, 1 + overshoot)
            space = hamming_in(*box)
            found: dict[str, Radii] = {}
            if isinstance(network, ReluNetwork) and network.n_units <= self.programme_units:
                work = _Programmes(network, images, orders, box, self)
                ends = np.array(
                    [work.least(pair) for pair in progress(pairs, f"{context.title} {space}")]
                )
                failed += work.failed
                found["fixed_pixels"] = Radii(ends[:, 0], ends[:, 1])
            if overshoot in self.ascent_overshoots:
                reached = self._ascend(images, orders, pairs, box, context)
                found["ascent_pixels"] = Radii(reached, reached)
            for symbol, each in found.items():
                of_image = _all_labels(each, self.orders * len(images.flat))
                evidence[f"{symbol}_median[{space}]"] = targeted_quantile(of_image, 0.5)
                evidence[f"{symbol}_ninth_decile[{space}]"] = targeted_quantile(each, 0.9)
                shape = (self.orders, len(images.flat), -1)
                arrays[f"{space}.{symbol}.lower"] = each.lower.reshape(shape)
                arrays[f"{space}.{symbol}.upper"] = each.upper.reshape(shape)
        facts: dict[str, Any] = {
            "n_classes": network.n_outputs,
            "piecewise_linear": reason is None,
            "test_error": images.test_error,
            "pool": len(pool),
            "failed": failed,
        }
        return Outcome(evidence, facts, arrays)

    def _ascend(
        self,
        images: CorrectImages,
        orders: npt.NDArray[np.int64],
        pairs: list[_Pair],
        box: tuple[float, float],
        context: Context,
    ) -> FloatArray:
        """Return the least count at which the ascent reached each pair's label, inf for none."""
        reached = np.full(len(pairs), np.inf)
        for k in progress(_counts(self.ascent_counts, orders), f"{context.title} ascent"):
            left = np.flatnonzero(np.isinf(reached))
            if not left.size:
                break
            some = [pairs[i] for i in left]
            points = ascent(
                images.module,
                torch.from_numpy(images.flat[[p.image for p in some]].astype(np.float32)),
                torch.tensor([p.target for p in some]),
                torch.from_numpy(orders[[p.order for p in some], :k]),
                images.shape,
                box=box,
                steps=self.ascent_steps,
                stream=context.stream("ascent", str(box), str(k)),
                device=context.device,
            )
            labels = images.deployed_labels(points.numpy())
            reached[left[labels == [p.target for p in some]]] = k
        return reached


def _counts(counts: tuple[int, ...], orders: npt.NDArray[np.int64]) -> list[int]:
    """Return the numbers of pixels that there are to be tried, ascending."""
    return sorted({min(k, orders.shape[1]) for k in counts})


def _all_labels(pairs: Radii, n: int) -> Radii:
    """Return the ends of the least numbers that lead each of n images to all of its labels."""
    return Radii(pairs.lower.reshape(n, -1).max(axis=1), pairs.upper.reshape(n, -1).max(axis=1))


class _Programmes:
    """Least numbers of pixels in a piecewise-linear network, by linear programmes and proofs.

    Attributes
    ----------
    failed : int
        Programmes that the solver gave up.
    """

    def __init__(
        self,
        network: ReluNetwork,
        images: CorrectImages,
        orders: npt.NDArray[np.int64],
        box: tuple[float, float],
        settings: FixedPixels,
    ) -> None:
        self._network, self._images, self._orders, self._box = network, images, orders, box
        self._counts = _counts(settings.counts, orders)
        self._programmes = settings.programmes
        self.failed = 0
        self._seconds = settings.proof_seconds if -box[0] in settings.proof_overshoots else None

    def least(self, pair: _Pair) -> tuple[float, float]:
        """Return two ends of the least number of pixels for a pair."""
        reached = self._reached(pair)
        below = [k for k in self._counts if k < reached]
        lower = self._refuted(pair, below) + 1 if self._seconds is not None else 1
        return float(lower), reached

    def _reached(self, pair: _Pair) -> float:
        """Return the least count that a bisection found to suffice, or infinity.

        More pixels never do worse, but what is found may: each end of the bisection was tried.
        """
        low, high = 0, len(self._counts)
        while low < high:
            middle = (low + high) // 2
            if self._climbs(pair, self._counts[middle]):
                high = middle
            else:
                low = middle + 1
        return float(self._counts[high]) if high < len(self._counts) else np.inf

    def _refuted(self, pair: _Pair, counts: list[int]) -> int:
        """Return the largest count that is proved not to suffice; 0 if none is."""
        for k in reversed(counts):
            problem, _ = self._problem(pair, k)
            try:
                solved = least_changes(problem, max_changes=k, time_limit=self._seconds)
            except RuntimeError:
                self.failed += 1
                continue
            if solved.lower > k:
                return k
        return 0

    def _climbs(self, pair: _Pair, k: int) -> bool:
        problem, pixels = self._problem(pair, k)
        try:
            point = climb(problem, pixels, max_programmes=self._programmes).point
        except RuntimeError:
            self.failed += 1
            return False
        if point is None:
            return False
        return bool(self._images.deployed_labels(point.astype(np.float32)[None])[0] == pair.target)

    def _problem(self, pair: _Pair, k: int) -> tuple[LabelProblem, list[int]]:
        """Return the problem in a box that leaves all but k pixels where they are."""
        pixels = [int(j) for j in self._orders[pair.order, :k]]
        x = self._images.flat[pair.image]
        low, high = x.copy(), x.copy()
        low[pixels], high[pixels] = self._box
        return LabelProblem.of(self._network, x, pair.target, (low, high)), pixels
