"""Distances of real images to another label: their ends, and when an upper one counts."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.adversary.checks import Box
from empirics.attacks import minimal
from empirics.attacks.candidates import PUSHES, pushed
from empirics.correct_images import CorrectImages
from empirics.devices import precise
from empirics.feed_forward import feed_forward
from empirics.trace import relu_network
from theory.arrays import FloatArray
from theory.distance import MarginCertifier
from theory.distance.certificates.deployment import DeploymentError
from theory.errors import InputError
from theory.lipschitz.feed_forward import FeedForward
from theory.relu import ReluNetwork

NORMS = {"l2": 2.0, "linf": np.inf}
PIXELS = (0.0, 1.0)
_ROUNDING = 1e-12
"""Far above the relative rounding error of a norm in double precision."""


class Deployed:
    """A classifier as it is deployed, in double precision, and as arrays where that is possible.

    Parameters
    ----------
    images : CorrectImages
    most_units : int
        Networks with more are not looked at as arrays: their layers' norms would take too long.

    Attributes
    ----------
    images : CorrectImages
    traced : FeedForward or None
        None where an operator is not known or the network is too large, which `reason` says.
    relu : ReluNetwork or None
        None where some activations are curved, too.
    """

    def __init__(self, images: CorrectImages, most_units: int = 16_384) -> None:
        self.images = images
        self.traced: FeedForward | None = None
        self.relu: ReluNetwork | None = None
        self.reason: str | None = None
        self.n_units = 0
        try:
            traced = feed_forward(images.module, images.shape)
            n_units = sum(len(stage.bias) for stage in traced.stages[:-1])
            if n_units > most_units:
                raise InputError(f"{n_units} units; certificates are for at most {most_units}")
        except InputError as error:
            self.reason = str(error)
            self._logits = _double_logits(images)
            return
        self.traced, self.n_units = traced, n_units
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

    @cached_property
    def _certifier(self) -> MarginCertifier:
        assert self.traced is not None
        return MarginCertifier(self.traced, deployment="float32")

    def certified(self, p: float, best_units: int, box: Box | None = PIXELS) -> FloatArray:
        """Return certified distances to another label, shape (n,).

        Parameters
        ----------
        p : float
        best_units : int
            Networks of at most as many units are certified by all methods, larger ones by the
            product of their layers' norms; those without a trace not at all: 0.
        box : tuple of float or None
            Range of a pixel. Without one, the product of a linear classifier is exact.
        """
        images = self.images
        if self.traced is None:
            return np.zeros(len(images.flat))
        least = 1 if box is None else 0
        return self._certifier.radii(
            images.flat,
            p=p,
            box=box,
            method="best" if least <= self.n_units <= best_units else "product",
            labels=images.labels,
        )


def _double_logits(images: CorrectImages) -> Callable[[FloatArray], FloatArray]:
    home = precise(images.device)
    twin: nn.Module = copy.deepcopy(images.module).to(home, torch.float64)

    def logits(points: FloatArray) -> FloatArray:
        with torch.no_grad():
            batch = torch.from_numpy(points.reshape(-1, *images.shape)).to(home)
            return np.asarray(twin(batch).cpu().numpy(), dtype=np.float64)

    return logits


@dataclass
class Distances:
    """Ends of the distance of each image in one norm, and the points of the upper ones.

    Attributes
    ----------
    p : float
    network : Deployed
    lower, upper : ndarray, shape (n,)
    points : ndarray of float32, shape (n, pixels)
    box : tuple of float or None
        Where points count; None for anywhere.
    """

    p: float
    network: Deployed
    lower: FloatArray
    upper: FloatArray
    points: npt.NDArray[np.float32]
    box: tuple[float, float] | None = PIXELS

    @classmethod
    def of(
        cls, p: float, network: Deployed, box: tuple[float, float] | None = PIXELS
    ) -> "Distances":
        """Return [0, inf) for each image."""
        flat = network.images.flat
        n = len(flat)
        return cls(p, network, np.zeros(n), np.full(n, np.inf), flat.astype(np.float32), box)

    def attack(self, effort: str, seed: int) -> None:
        """Search for the nearest points with `empirics.attacks.minimal`, and count them.

        Parameters
        ----------
        effort : str
            A budget of the search.
        seed : int
        """
        images = self.network.images
        flat = torch.from_numpy(images.flat.astype(np.float32))
        points, radii = minimal(
            images.module,
            flat.reshape(-1, *images.shape).to(images.device),
            torch.from_numpy(images.labels).to(images.device),
            p=self.p,
            budget=effort,
            box=self.box,
            seed=seed,
        )
        self.attacked(points, radii)

    def attacked(self, points: torch.Tensor, radii: torch.Tensor) -> None:
        """Count what `empirics.attacks.minimal` gave for the images."""
        rows = np.flatnonzero(torch.isfinite(radii).cpu().numpy())
        self.offer(rows, points.flatten(1).cpu().double().numpy()[rows])

    def offer(self, rows: npt.NDArray[np.intp], candidates: FloatArray) -> None:
        """Count candidates of some images, or points just beyond, where both precisions agree."""
        images, pending = self.network.images, np.ones(len(rows), dtype=bool)
        origin = torch.from_numpy(images.flat[rows])
        for push in PUSHES:
            if not pending.any():
                return
            moved = pushed(origin, torch.from_numpy(candidates), push).numpy()
            inside = moved if self.box is None else np.clip(moved, *self.box)
            stored = inside.astype(np.float32)
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
