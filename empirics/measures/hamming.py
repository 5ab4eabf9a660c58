"""Least number of pixels to change for each other label, and for any: intervals, by box."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from empirics.correct_images import CorrectImages, correct_images
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.record import Evidence
from empirics.settings import setting
from empirics.tangents import TorchClassifier, searchable
from theory.arrays import FloatArray
from theory.claims.shamir2019 import (
    LABEL_DISTANCE,
    TARGETED_QUANTILES,
    hamming_in,
    targeted_quantile,
)
from theory.evidence import Interval, Radii
from theory.hamming.chosen.search import search
from theory.hamming.exact.least import least_changes
from theory.hamming.problem import MARGIN, LabelProblem
from theory.hamming.recession import RecessionLabels, escape_range, recession_labels
from theory.relu import ReluNetwork

_RAYS = 8
"""Rays tried for each image and target, those of the largest leads first."""


@dataclass
class _Pairs:
    """Ends of the least number of changes, and the points, of each image and target."""

    lower: FloatArray
    upper: FloatArray
    points: npt.NDArray[np.float32]
    problems: dict[tuple[int, int], LabelProblem] = field(default_factory=dict)

    @classmethod
    def of(cls, images: CorrectImages, n_classes: int) -> "_Pairs":
        n = len(images.flat)
        ends = np.full((2, n, n_classes), np.nan)
        points = np.repeat(images.flat[:, None].astype(np.float32), n_classes, axis=1)
        pairs = cls(ends[0], ends[1], points)
        for i, label in enumerate(images.labels):
            for target in range(n_classes):
                if target != label:
                    pairs.lower[i, target], pairs.upper[i, target] = 1.0, np.inf
        return pairs

    def offer(self, at: tuple[int, int], point: npt.NDArray[np.float32], changes: int) -> None:
        if changes < self.upper[at]:
            self.upper[at], self.points[at] = changes, point

    def radii(self) -> Radii:
        """Return the intervals of all images and targets."""
        there = ~np.isnan(self.upper)
        return Radii(self.lower[there], self.upper[there])

    def untargeted(self) -> Radii:
        """Return the intervals of the images: the nearest other label."""
        return Radii(np.nanmin(self.lower, axis=1), np.nanmin(self.upper, axis=1))


@measure("hamming")
@dataclass(frozen=True)
class MinimalHamming:
    """Fewest changed pixels for every other label of correctly classified test images.

    A point counts where the network itself, in its own precision, gives it the target's label with
    every changed pixel a multiple of 1 / levels. Lower ends are 1 where no programme was solved.
    Networks that are not piecewise linear are searched through their tangents.

    Attributes
    ----------
    images : int
        The first test images that the network classifies correctly.
    overshoots : tuple of float
        Boxes: for each entry r, pixels may take the values in [-r, 1 + r].
    levels : int
        Grey levels in [0, 1], less one.
    max_changes : int
        The search stops beyond as many.
    effort : int
        Of the search; see `theory.hamming.search`.
    scan_units : int
        Networks of more units with two phases are searched through their tangents too.
    exact_units : int
        Networks of at most as many units with two phases are solved exactly.
    exact_overshoots : tuple of float
        The boxes in which they are.
    exact_seconds : float
        Time for each pair. Pairs that need more have ends that differ, by how much depends on the
        machine.
    proofs : int
        Pairs, those of most changes, for which it is tried to prove that K + 1 do not suffice.
    proof_seconds : float
        Time for each of them.
    shown : int
        Images whose changed pixels are kept for the figure.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = (
        "r_targeted",
        "label_distance",
        "targeted_median",
        "targeted_ninth_decile",
    )
    images: int = setting(10, at_least=1)
    overshoots: tuple[float, ...] = setting((0.0, 1.0), at_least=0)
    levels: int = setting(255, at_least=1)
    max_changes: int = setting(100, at_least=1)
    effort: int = setting(1, at_least=0, at_most=2)
    scan_units: int = setting(4096, at_least=0)
    exact_units: int = setting(16, at_least=0)
    exact_overshoots: tuple[float, ...] = setting((0.0, 1.0), at_least=0)
    exact_seconds: float = setting(120.0, above=0)
    proofs: int = setting(0, at_least=0)
    proof_seconds: float = setting(60.0, above=0)
    shown: int = setting(1, at_least=1)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the intervals as evidence, by box, and the changed images."""
        assert subject.classifier is not None
        images = correct_images(subject, self.images)
        network, reason = searchable(subject.classifier, subject.image_shape)
        scanned: ReluNetwork | TorchClassifier = network
        if isinstance(network, ReluNetwork) and network.n_units > self.scan_units:
            scanned = TorchClassifier(subject.classifier, subject.image_shape)
        n_classes = network.n_outputs
        evidence: dict[str, Evidence] = {}
        facts: dict[str, Any] = {
            "n_classes": n_classes,
            "piecewise_linear": reason is None,
            "test_error": images.test_error,
            "levels": self.levels,
            "max_changes": self.max_changes,
            "overshoots": list(self.overshoots),
        }
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "index": images.index,
            "label": images.labels,
            "image": images.flat[: self.shown].astype(np.float32).reshape(-1, *subject.image_shape),
        }
        for overshoot in self.overshoots:
            space = hamming_in(-overshoot, 1 + overshoot)
            pairs = self._search(scanned, images, overshoot, f"{context.title} {space}")
            arrays[f"{space}.searched"] = pairs.upper.copy()
            if overshoot in self.exact_overshoots and isinstance(scanned, ReluNetwork):
                self._solve(scanned, pairs, images, context.title)
                self._refute(pairs, images, n_classes + 1, context.title)
            seen = pairs.radii()
            evidence |= {
                f"r_targeted[{space}]": seen,
                f"r_unc[{space}]": pairs.untargeted(),
                f"label_distance[{space}]": targeted_quantile(seen, 1.0),
            }
            evidence |= {
                f"{symbol}[{space}]": targeted_quantile(seen, share)
                for symbol, share in TARGETED_QUANTILES.items()
            }
            arrays[f"{space}.lower"], arrays[f"{space}.upper"] = pairs.lower, pairs.upper
            arrays[f"{space}.points"] = pairs.points[: self.shown].reshape(
                -1, n_classes, *subject.image_shape
            )
        if isinstance(network, ReluNetwork):
            facts["n_units"] = network.n_units
            change = self._unlimited(network, images, facts)
            arrays["unlimited.change"] = change
            all_reached = bool(np.isfinite(change[~np.isnan(change)]).all())
            evidence[str(LABEL_DISTANCE)] = Interval(1.0, 1.0 if all_reached else np.inf)
        return Outcome(evidence, facts, arrays)

    def _search(
        self,
        network: ReluNetwork | TorchClassifier,
        images: CorrectImages,
        overshoot: float,
        title: str,
    ) -> _Pairs:
        pairs = _Pairs.of(images, network.n_outputs)
        for at in progress(list(zip(*np.nonzero(~np.isnan(pairs.upper)), strict=True)), title):
            i, target = int(at[0]), int(at[1])
            problem = LabelProblem.of(network, images.flat[i], target, (-overshoot, 1 + overshoot))
            pairs.problems[i, target] = problem
            found = search(problem, self.max_changes, levels=self.levels, effort=self.effort)
            if found is not None:
                self._offer(pairs, images, (i, target), found)
        return pairs

    def _offer(
        self, pairs: _Pairs, images: CorrectImages, at: tuple[int, int], point: FloatArray
    ) -> None:
        """Count a point if the network itself says so."""
        i, target = at
        deployed = point.astype(np.float32)
        if images.deployed_labels(deployed[None])[0] == target:
            changes = int(np.count_nonzero(deployed != images.flat[i].astype(np.float32)))
            pairs.offer(at, deployed, changes)

    def _solve(
        self, network: ReluNetwork, pairs: _Pairs, images: CorrectImages, title: str
    ) -> None:
        if network.n_units > self.exact_units:
            return
        for at in progress(list(pairs.problems), f"{title} exact"):
            known = pairs.points[at].astype(np.float64) if np.isfinite(pairs.upper[at]) else None
            solved = least_changes(pairs.problems[at], known=known, time_limit=self.exact_seconds)
            if solved.point is not None:
                self._offer(pairs, images, at, solved.point)
            pairs.lower[at] = max(pairs.lower[at], min(solved.lower, pairs.upper[at]))

    def _refute(self, pairs: _Pairs, images: CorrectImages, k: int, title: str) -> None:
        """Try to prove for the hardest pairs that k changes do not suffice."""
        open_pairs = [at for at in pairs.problems if pairs.lower[at] <= k < pairs.upper[at]]
        open_pairs.sort(key=lambda at: -pairs.upper[at])
        for at in progress(open_pairs[: self.proofs], f"{title} more than {k}"):
            solved = least_changes(pairs.problems[at], max_changes=k, time_limit=self.proof_seconds)
            if solved.point is not None:
                self._offer(pairs, images, at, solved.point)
            pairs.lower[at] = max(pairs.lower[at], min(solved.lower, pairs.upper[at]))

    def _unlimited(
        self, network: ReluNetwork, images: CorrectImages, facts: dict[str, Any]
    ) -> FloatArray:
        """Return the least change of one pixel found for each image and target, shape (n, K).

        Along rays whose label without biases is the target; infinite where the network itself
        does not agree, NaN for an image's own label.
        """
        rays = recession_labels(network)
        facts["recession_classes"] = len(rays.classes)
        change = np.full((len(images.flat), network.n_outputs), np.nan)
        for i, label in enumerate(images.labels):
            for target in range(network.n_outputs):
                if target != label:
                    change[i, target] = self._along_rays(network, images, i, target, rays)
        return change

    def _along_rays(
        self,
        network: ReluNetwork,
        images: CorrectImages,
        i: int,
        target: int,
        rays: RecessionLabels,
    ) -> float:
        x, best = images.flat[i], np.inf
        tried = _RAYS if network.n_units <= self.scan_units else 1
        for side, pixel in rays.reaching(target)[:tried]:
            sign = -1 if side else 1
            beyond = escape_range(network, x, pixel, sign, target, MARGIN)
            value = np.ceil((beyond + abs(x[pixel])) * self.levels + 1) / self.levels
            point = x.astype(np.float32)
            point[pixel] = sign * value
            size = abs(float(point[pixel]) - x[pixel])
            if size < best and images.deployed_labels(point[None])[0] == target:
                best = size
        return best
