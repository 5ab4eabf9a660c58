"""The certificates of a batch of points, by method."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.distance.certificates.branched import branched_radii
from theory.distance.certificates.constants import PairConstants
from theory.distance.certificates.deployment import DeploymentError
from theory.distance.certificates.linear import margins
from theory.distance.certificates.local import local_radii
from theory.distance.certificates.search import largest_radii
from theory.distance.certificates.sets import Sets
from theory.norms import accumulated_error
from theory.relu.network import ReluNetwork

Method: TypeAlias = Literal["product", "semidefinite", "local", "interval", "linear", "best"]
_DOWN: Final = 1 - 2.0**-50
_BEYOND: Final = 4.0
_ROOT: Final = np.sqrt(2.0) * (1 + 2.0**-50)


class Settings(NamedTuple):
    """What all points of a network share.

    Attributes
    ----------
    constants : PairConstants
    error : DeploymentError or None
    steps : int
    tolerance : float
    max_units : int
    nodes : int
    relu : ReluNetwork or None
        The network, where it may be branched.
    """

    constants: PairConstants
    error: DeploymentError | None
    steps: int
    tolerance: float
    max_units: int
    nodes: int
    relu: ReluNetwork | None


@dataclass(frozen=True, eq=False)
class Batch:
    """B points with their labels.

    Attributes
    ----------
    settings : Settings
    points : ndarray, shape (B, n)
    labels : ndarray of int, shape (B,)
    p : {1, 2, inf}
    box : (ndarray, ndarray) or None
        Ends of shape (n,) with all points between them.
    """

    settings: Settings
    points: FloatArray
    labels: npt.NDArray[np.intp]
    p: float
    box: tuple[FloatArray, FloatArray] | None

    def radii(self, method: Method) -> FloatArray:
        """Return certified radii, shape (B,)."""
        if method == "product":
            found = self._by_product
        elif method == "semidefinite":
            found = self._by_semidefinite
        elif method == "local":
            found = self._by_local(self._unreached, None)
        elif method in ("interval", "linear"):
            found = self._searched(self._unreached, method == "linear")[:, None]
        else:
            found = self._best()[:, None]
        least = found.min(axis=1)
        least = np.where(least >= self._farthest, np.inf, least)
        return np.where(self.margin.min(axis=1) > 0, least, 0.0)

    def _best(self) -> FloatArray:
        known = np.maximum(self._by_product, self._cheap_semidefinite)
        known = np.maximum(known, self._by_local(known, self.settings.steps))
        return self._branched(self._searched(known, True))

    def _branched(self, known: FloatArray) -> FloatArray:
        """Return radii, shape (B,), that a few branches make larger."""
        settings = self.settings
        if settings.relu is None or not settings.nodes or self.p == 1:
            return known

        def slack(radius: FloatArray, at: int) -> float:
            return float(self._slack(radius, np.array([at]))[0, 0])

        known = np.where(self.margin.min(axis=1) > 0, known, 0.0)
        known = np.where(known >= self._farthest, np.inf, known)
        inputs = self.points, self.labels, self.p, self.box
        return branched_radii(settings.relu, *inputs, known, slack, settings.nodes)

    @property
    def _cheap_semidefinite(self) -> FloatArray:
        """The semidefinite radii where they are within reach, else 0."""
        constants = self.settings.constants
        if not 0 < constants.n_units <= self.settings.max_units:
            return np.zeros_like(self.margin)
        try:
            return self._by_semidefinite
        except (ArithmeticError, RuntimeError, ValueError):
            return np.zeros_like(self.margin)

    @cached_property
    def margin(self) -> FloatArray:
        """Lower ends of output[label] - output[t] as they are computed, shape (B, K)."""
        return np.asarray(self._exact_margin - self._slack(np.zeros((len(self.points), 1))))

    @cached_property
    def _exact_margin(self) -> FloatArray:
        still = Sets(self.points, np.zeros(len(self.points)), np.inf)
        return margins(self.settings.constants.network, self.labels, still, steps=0)

    def _slack(self, radius: FloatArray, at: npt.NDArray[np.intp] | None = None) -> FloatArray:
        """Return what rounding takes off margins within radii of points, shape (B, k)."""
        if self.settings.error is None:
            return np.zeros_like(radius)
        points = self.points if at is None else self.points[at]
        n = points.shape[1]
        factor = np.sqrt(n) if self.p == np.inf else 1.0
        norms = np.linalg.norm(points, axis=1)[:, None] + factor * radius
        return np.asarray(_ROOT * self.settings.error(norms * (1 + accumulated_error(n + 8))))

    @cached_property
    def _farthest(self) -> FloatArray:
        """Radii of balls that hold the box."""
        if self.box is None:
            return np.full(len(self.points), np.inf)
        sides = np.maximum(self.points - self.box[0], self.box[1] - self.points)
        norms = np.linalg.norm(sides, self.p, axis=1)
        return np.asarray(norms * (1 + accumulated_error(self.points.shape[1] + 8)))

    @cached_property
    def _by_product(self) -> FloatArray:
        return self._ratios(self.settings.constants.product(self.p)[self.labels])

    @property
    def _unreached(self) -> FloatArray:
        """+inf for the pairs whose difference is constant and positive, else 0."""
        return np.where(np.isinf(self._by_product), np.inf, 0.0)

    @cached_property
    def _by_semidefinite(self) -> FloatArray:
        rates = self.settings.constants.semidefinite_rows(self.labels)
        if self.p == np.inf:
            # |v|_2 <= sqrt(n) |v|_inf, and |v|_2 <= |v|_1.
            rates = rates * (np.sqrt(self.points.shape[1]) * (1 + 2.0**-50))
        return self._ratios(rates)

    def _ratios(self, rates: FloatArray) -> FloatArray:
        """Return margins over rates at which they may fall, shape (B, K)."""

        def over(margin: FloatArray) -> FloatArray:
            with np.errstate(divide="ignore", invalid="ignore"):
                found = np.where(rates > 0, margin / rates * _DOWN, np.inf)
            return np.where(margin > 0, found, 0.0)

        found = over(self.margin)
        if self.settings.error is None:
            return found
        reach = self._finite(found)
        return self._rivals(np.minimum(reach, over(self._exact_margin - self._slack(reach))))

    def _finite(self, radii: FloatArray) -> FloatArray:
        """Return radii of pairs, shape (B, K), within which rounding is counted.

        Those of exact arithmetic, as far as they are finite: rounding grows with the inputs.
        """
        largest = np.where(np.isfinite(radii), radii, 0.0).max(axis=1, keepdims=True)
        size = np.abs(self.points).max(axis=1, keepdims=True)
        return np.where(np.isfinite(radii), radii, _BEYOND * np.maximum(largest, size))

    def _rivals(self, radii: FloatArray) -> FloatArray:
        """Return radii of pairs without those of a label and itself."""
        radii[np.arange(len(radii)), self.labels] = np.inf
        return radii

    def _by_local(self, known: FloatArray, lines: int | None) -> FloatArray:
        settings = self.settings
        scale = self._by_product.min(axis=1)
        scale = np.where((scale > 0) & np.isfinite(scale), scale, 1.0)
        inputs = settings.constants, self.points, self.labels, self.p, self.box

        def found(kept: FloatArray) -> FloatArray:
            limits = settings.max_units, lines
            return local_radii(*inputs, self._exact_margin - kept, known, scale, kept, *limits)

        radii = found(np.broadcast_to(self._slack(np.zeros((len(scale), 1))), known.shape))
        if settings.error is None:
            return radii
        reach = self._finite(radii)
        return self._rivals(np.minimum(reach, found(self._slack(reach))))

    def _searched(self, known: FloatArray, lines: bool) -> FloatArray:
        """Return radii that margins on balls prove, or are known by pair, shape (B,)."""
        settings = self.settings
        steps = settings.steps if lines else None

        def value(at: npt.NDArray[np.intp], radius: FloatArray) -> FloatArray:
            sets = Sets(self.points[at], radius, self.p, self.box)
            lower = margins(settings.constants.network, self.labels[at], sets, steps=steps)
            lower = lower - self._slack(radius[:, None], at)
            open_pairs = np.where(known[at] >= radius[:, None], np.inf, lower)
            return np.asarray(open_pairs.min(axis=1))

        least = known.min(axis=1)
        # Where margins are linear, the second guess is the radius.
        guess = np.maximum(0.9 * self._by_product.min(axis=1), 1.2 * least)
        guess = np.where((guess > 0) & np.isfinite(guess), guess, 1.0)
        margin = self.margin.min(axis=1)
        return largest_radii(value, margin, least, guess, self._farthest, settings.tolerance)
