"""Distances of real images to another label, each an interval, and the robust accuracies."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.attacks import minimal
from empirics.attacks.candidates import PUSHES, pushed
from empirics.attacks.strongest import BUDGETS
from empirics.correct_images import CorrectImages, correct_images
from empirics.devices import precise
from empirics.feed_forward import feed_forward
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.record import Evidence
from empirics.settings import setting
from empirics.trace import relu_network
from theory.arrays import FloatArray
from theory.distance import MarginCertifier, exact
from theory.distance.certificates.deployment import DeploymentError
from theory.errors import InputError, nearest
from theory.evidence import Radii
from theory.lipschitz.feed_forward import FeedForward
from theory.relu import ReluNetwork

NORMS = {"l2": 2.0, "linf": np.inf}
_BOX = (0.0, 1.0)
_ROUNDING = 1e-12
"""Far above the relative rounding error of a norm in double precision."""


class _Network:
    """A classifier as it is deployed, in double precision, and as arrays where that is possible."""

    def __init__(self, images: CorrectImages) -> None:
        self.images = images
        self.traced: FeedForward | None = None
        self.relu: ReluNetwork | None = None
        self.reason: str | None = None
        try:
            self.traced = feed_forward(images.module, images.shape)
        except InputError as error:
            self.reason = str(error)
            self._logits = _double_logits(images)
            return
        self._logits, self._error = self.traced, DeploymentError(self.traced, "float64")
        try:
            self.relu = relu_network(images.module, images.shape)
        except InputError:
            self.relu = None  # some activations are curved

    def changed(
        self, points: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Whether both precisions give another label, the double one beyond its rounding error.

        The rounding of a network without a trace is not known: there the labels alone count.
        """
        flat = points.astype(np.float64)
        logits = self._logits(flat)
        rows = np.arange(len(flat))
        own = logits[rows, labels]
        others = logits.copy()
        others[rows, labels] = -np.inf
        norms = np.linalg.norm(flat, axis=1) * (1 + _ROUNDING)
        error = np.zeros(len(flat)) if self.traced is None else self._error(norms)
        beyond = others.max(axis=1) - own > 2 * error
        return np.asarray(beyond & (self.images.deployed_labels(points) != labels))


def _double_logits(images: CorrectImages) -> Callable[[FloatArray], FloatArray]:
    home = precise(images.device)
    twin: nn.Module = copy.deepcopy(images.module).to(home, torch.float64)

    def logits(points: FloatArray) -> FloatArray:
        with torch.no_grad():
            batch = torch.from_numpy(points.reshape(-1, *images.shape)).to(home)
            return np.asarray(twin(batch).cpu().numpy(), dtype=np.float64)

    return logits


@dataclass
class _Distances:
    """Ends of the distance of each image in one norm, and the points of the upper ones."""

    p: float
    network: _Network
    lower: FloatArray
    upper: FloatArray
    points: npt.NDArray[np.float32]

    @classmethod
    def of(cls, p: float, network: _Network) -> "_Distances":
        flat = network.images.flat
        n = len(flat)
        return cls(p, network, np.zeros(n), np.full(n, np.inf), flat.astype(np.float32))

    def offer(self, rows: npt.NDArray[np.intp], candidates: FloatArray) -> None:
        """Count candidates of some images, or points just beyond, where both precisions agree."""
        images, pending = self.network.images, np.ones(len(rows), dtype=bool)
        origin = torch.from_numpy(images.flat[rows])
        for push in PUSHES:
            if not pending.any():
                return
            moved = pushed(origin, torch.from_numpy(candidates), push).numpy()
            stored = np.clip(moved, *_BOX).astype(np.float32)
            changed = pending & self.network.changed(stored, images.labels[rows])
            change = stored.astype(np.float64) - images.flat[rows]
            distance = np.linalg.norm(change, ord=self.p, axis=1) * (1 + _ROUNDING)
            closer = changed & (distance < self.upper[rows])
            self.upper[rows[closer]] = distance[closer]
            self.points[rows[closer]] = stored[closer]
            pending &= ~changed

    def robust(self, budgets: tuple[float, ...], n_drawn: int) -> list[dict[str, float]]:
        """Return the ends of the robust accuracy of all images drawn, at each budget."""
        return [
            {
                "budget": budget,
                "lower": float((self.lower > budget).sum() / n_drawn),
                "upper": float((self.upper > budget).sum() / n_drawn),
            }
            for budget in budgets
        ]


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
    best_units : int
        Networks of at most as many units are certified by all methods, larger ones by the product
        of their layers' norms.
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
    images: int = setting(100, at_least=1)
    norms: tuple[str, ...] = setting(("l2", "linf"))
    effort: str = setting("standard")
    best_units: int = setting(2048, at_least=0)
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
        network = _Network(images)
        certifier = None
        if network.traced is not None:
            certifier = MarginCertifier(network.traced, deployment="float32")
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
            found = _Distances.of(NORMS[norm], network)
            if certifier is not None:
                found.lower = self._certified(certifier, images, found.p)
            self._attack(found, context, norm)
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

    def _certified(self, certifier: MarginCertifier, images: CorrectImages, p: float) -> FloatArray:
        """Return certified distances, shape (n,)."""
        n_units = sum(len(stage.bias) for stage in certifier.network.stages[:-1])
        return certifier.radii(
            images.flat,
            p=p,
            box=_BOX,
            method="best" if n_units <= self.best_units else "product",
            labels=images.labels,
        )

    def _attack(self, found: _Distances, context: Context, norm: str) -> None:
        images = found.network.images
        flat = torch.from_numpy(images.flat.astype(np.float32))
        points, radii = minimal(
            images.module,
            flat.reshape(-1, *images.shape).to(images.device),
            torch.from_numpy(images.labels).to(images.device),
            p=found.p,
            budget=self.effort,
            box=_BOX,
            seed=context.stream("attack", norm).initial_seed(),
        )
        rows = np.flatnonzero(torch.isfinite(radii).cpu().numpy())
        found.offer(rows, points.flatten(1).cpu().double().numpy()[rows])

    def _solve(self, found: _Distances, title: str) -> int:
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
                box=_BOX,
                label=int(images.labels[i]),
                time_limit=self.exact_seconds,
                start=found.points[i] if np.isfinite(found.upper[i]) else None,
            )
            if solved.point is not None:
                found.offer(np.array([i]), solved.point[None])
            found.lower[i] = max(found.lower[i], solved.lower)
            proved += solved.proved
        return proved
