"""Distances of real images to another label, each an interval, and the robust accuracies."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from empirics.attacks.strongest import BUDGETS
from empirics.correct_images import correct_images
from empirics.image_distances import NORMS, PIXELS, Deployed, Distances
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.record import Evidence
from empirics.settings import setting
from theory.distance import exact
from theory.errors import InputError, nearest
from theory.evidence import Radii

__all__ = ["NORMS", "ImageRadii"]


@measure("image_radii")
@dataclass(frozen=True)
class ImageRadii:
    """Distances from correctly classified test images to another label, within [0, 1], by norm.

    Upper ends are distances of images to which the network was seen to give another label in the
    deployed precision and in double precision (beyond the rounding error of the latter); the points
    of the attack are pushed a little where one of them does not agree. Lower ends are certificates,
    0 where the network cannot be traced. They hold for the network in exact arithmetic and in
    single precision; those of the exact search, for exact arithmetic alone.

    Robust accuracies are of all test images up to the last that is looked at: those that are
    misclassified are not robust. An image is certified at a budget if its lower end is larger, and
    attacked if its upper end is not.

    Attributes
    ----------
    images : int
        The first test images that the network classifies correctly.
    norms : tuple of str
        Of "l2" and "linf".
    effort : str
        Of the attack: "quick", "standard" or "thorough"; see `empirics.attacks.minimal`.
    best_units, most_units : int
        Networks of at most as many units are certified by all methods, and by the product of their
        layers' norms; larger ones are not, and their rounding is not bounded.
    exact_units : int
        Piecewise-linear networks of at most as many units with two phases are searched exactly.
    exact_seconds : float
        Time for each image and norm; 0 for no exact search. How far a search gets depends on the
        machine: such records do not repeat byte by byte unless every search ends in time.
    budgets_l2, budgets_linf : tuple of float
        Where the robust accuracies are.
    shown : int
        Images whose adversarial points are kept.

    Raises
    ------
    InputError
        If a norm or an effort is not known, or there is no norm.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = ("distance[l2]", "distance[linf]")
    images: int = setting(100, at_least=1)
    norms: tuple[str, ...] = setting(("l2", "linf"))
    effort: str = setting("standard")
    best_units: int = setting(2048, at_least=0)
    most_units: int = setting(16_384, at_least=0)
    exact_units: int = setting(64, at_least=0)
    exact_seconds: float = setting(0.0, at_least=0)
    budgets_l2: tuple[float, ...] = setting((0.25, 0.5, 1.0, 1.5, 2.0, 3.0), above=0)
    budgets_linf: tuple[float, ...] = setting((0.01, 0.03, 0.05, 0.1, 0.2, 0.3), above=0)
    shown: int = setting(8, at_least=1)

    def __post_init__(self) -> None:
        if not self.norms:
            raise InputError(f"image_radii: norms is empty; known: {', '.join(NORMS)}")
        for norm in self.norms:
            if norm not in NORMS:
                raise InputError(f"image_radii: unknown norm '{norm}'; {nearest(norm, NORMS)}")
        if self.effort not in BUDGETS:
            raise InputError(
                f"image_radii: unknown effort '{self.effort}'; {nearest(self.effort, BUDGETS)}"
            )

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the distances as evidence, by norm, the robust accuracies and some points."""
        assert subject.data is not None
        images = correct_images(subject, self.images)
        network = Deployed(images, self.most_units)
        complete = len(images.index) == self.images
        n_drawn = int(images.index[-1]) + 1 if complete else len(subject.data.test_labels)
        shown = images.flat[: self.shown].astype(np.float32)
        evidence: dict[str, Evidence] = {}
        facts: dict[str, Any] = {
            "n": len(images.index),
            "n_drawn": n_drawn,
            "test_error": images.test_error,
            "traced": network.traced is not None,
            "not_traced_because": network.reason,
        }
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "index": images.index,
            "label": images.labels,
            "image": shown.reshape(-1, *images.shape),
        }
        for norm in dict.fromkeys(self.norms):
            found = Distances.of(NORMS[norm], network)
            found.lower = network.certified(found.p, self.best_units)
            found.attack(self.effort, context.stream("attack", norm).initial_seed())
            proved = self._solve(found, f"{context.title} {norm} exact")
            evidence[f"distance[{norm}]"] = Radii(found.lower, found.upper)
            budgets = self.budgets_l2 if norm == "l2" else self.budgets_linf
            facts |= {
                f"exact[{norm}]": proved,
                f"not_found[{norm}]": int(np.isinf(found.upper).sum()),
                f"robust_accuracy[{norm}]": found.robust(budgets, n_drawn),
            }
            points = found.points[: self.shown]
            arrays[f"{norm}.points"] = points.reshape(-1, *images.shape)
            arrays[f"{norm}.labels"] = images.deployed_labels(points)
        return Outcome(evidence, facts, arrays)

    def _solve(self, found: Distances, title: str) -> int:
        """Search exactly where the network is small; return how many distances were proved."""
        relu, images = found.network.relu, found.network.images
        if relu is None or relu.n_units > self.exact_units or not self.exact_seconds:
            return 0
        proved = 0
        for i in progress(range(len(images.flat)), title):
            solved = exact(
                relu,
                images.flat[i],
                p=found.p,
                box=PIXELS,
                label=int(images.labels[i]),
                time_limit=self.exact_seconds,
                start=found.points[i] if np.isfinite(found.upper[i]) else None,
            )
            if solved.point is not None:
                found.offer(np.array([i]), solved.point[None])
            found.lower[i] = max(found.lower[i], solved.lower)
            proved += solved.proved
        return proved
