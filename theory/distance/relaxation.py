"""Linear relaxation of a network with phases set, taken back to the input with any multipliers."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.distance.problem import TINY, DistanceProblem, Stage
from theory.distance.reach import HalfSpace, Reach
from theory.norms import accumulated_error
from theory.relu.layer import BoolArray

_ROUNDED = float(np.finfo(np.float64).eps)


class Units(NamedTuple):
    """What is known of the pre-activations of one stage, each of shape (m,).

    Attributes
    ----------
    lower, upper : ndarray
    split : ndarray of int8
        1 or -1 where a branch has set the phase, else 0: only then it can be a constraint.
    """

    lower: FloatArray
    upper: FloatArray
    split: npt.NDArray[np.int8]

    @property
    def size(self) -> FloatArray:
        """The largest absolute values."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))

    def opened(self, stage: Stage) -> BoolArray:
        """Return which units may have either phase, where it makes a difference."""
        return np.asarray((self.lower < 0) & (self.upper > 0) & (stage.kink != 0))


class Multipliers(NamedTuple):
    """Of one stage, each of shape (m,).

    Attributes
    ----------
    share : ndarray
        From 0 to 1: how the part from below is shared by r >= z (1) and r >= 0 (0).
    split : ndarray
        At least 0, those of the constraints split * z >= 0.
    """

    share: FloatArray
    split: FloatArray


class Relaxation:
    """Bounds on what a problem's network does on a part of a ball.

    Parameters
    ----------
    problem : DistanceProblem
    radius : float
        Finite: all that is said holds for changes of at most this norm.

    Raises
    ------
    ValueError
        If values leave the range of double precision.
    """

    def __init__(self, problem: DistanceProblem, radius: float) -> None:
        self.problem, self.radius = problem, radius
        self._input = (np.abs(problem.x) + radius) * (1 + 2 * _ROUNDED)
        self.stages = problem.stages
        first = self.stages[0]
        self._first_sums = first.size @ self._input + np.abs(first.bias)
        self.low, self.high = problem.low - problem.x, problem.high - problem.x
        # Rounded outwards: the true box of changes is inside.
        self.low = np.where(self.low == 0, 0.0, np.nextafter(self.low, -np.inf))
        self.high = np.where(self.high == 0, 0.0, np.nextafter(self.high, np.inf))

    def reach(self, radius: float, half: HalfSpace | None) -> Reach:
        """Return the part of the ball of a radius, in the box and in a half-space."""
        return Reach.of(self.problem.p, self.low, self.high, radius, half)

    def start(self) -> list[Units]:
        """Return what is known on the ball, with no phase set."""
        reach = self.reach(self.radius, None)
        known: list[Units] = []
        for stage in self.stages:
            m = len(stage.bias)
            nothing = Units(np.full(m, -np.inf), np.full(m, np.inf), np.zeros(m, np.int8))
            with np.errstate(over="ignore", invalid="ignore"):
                found = self._tightened([*known, nothing], reach, np.arange(m))
            if found is None or not np.all(np.isfinite(found.size)):
                raise ValueError(f"values of stage {len(known)} leave the range of doubles")
            known.append(found._replace(split=np.zeros(m, np.int8)))
        return known

    def propagated(self, units: list[Units], reach: Reach, first: int = 0) -> list[Units] | None:
        """Return tighter ends of all units that are open, from the stage `first` on.

        None if there is no point at all.
        """
        known = units[:first]
        for stage, each in list(zip(self.stages, units, strict=True))[first:]:
            at = np.flatnonzero(each.opened(stage) | (each.split != 0))
            found = self._tightened([*known, each], reach, at)
            if found is None:
                return None
            known.append(found)
        return known

    def branched(self, units: list[Units], branch: tuple[int, int], phase: int) -> list[Units]:
        """Return a child's units: one has its phase set."""
        i, j = branch
        low, high, split = units[i]
        low, high, split = low.copy(), high.copy(), split.copy()
        split[j] = phase
        (low if phase == 1 else high)[j] = 0.0
        return [*units[:i], Units(low, high, split), *units[i + 1 :]]

    def _tightened(
        self, units: list[Units], reach: Reach, at: npt.NDArray[np.intp]
    ) -> Units | None:
        """Return the last of `units` with tighter ends of those at `at`, None if they cross."""
        i = len(units) - 1
        stage, (low, high, split) = self.stages[i], units[i]
        if not at.size:
            return units[i]
        rows = stage.weight[at]
        both = np.vstack([rows, -rows])
        shift = np.concatenate([stage.bias[at], -stage.bias[at]])
        normals, shifts, errors = self._back(both, shift, units[:i], None, i)
        found = shifts + reach.lower(normals) - errors
        found = found - 2 * _ROUNDED * (np.abs(found) + np.abs(shifts))
        low, high = low.copy(), high.copy()
        low[at] = np.maximum(low[at], found[: len(at)])
        high[at] = np.minimum(high[at], -found[len(at) :])
        # Only what has just been found makes a sign true: from now on it is a constraint.
        closed = (split == 0) & units[i].opened(stage)
        split = np.where(closed & (low >= 0), 1, np.where(closed & (high <= 0), -1, split))
        split = split.astype(np.int8)
        low = np.where(split == 1, np.maximum(low, 0.0), low)
        high = np.where(split == -1, np.minimum(high, 0.0), high)
        return None if np.any(low > high) else Units(low, high, split)

    def half_space(
        self,
        units: list[Units],
        target: int,
        price: float = 1.0,
        multipliers: list[Multipliers] | None = None,
    ) -> HalfSpace:
        """Return a half-space that holds all changes of a node where the target leads.

        Parameters
        ----------
        units : list of Units
        target : int
        price : float
            Multiplier of the lead, at least 0.
        multipliers : list of Multipliers, optional
        """
        row = np.zeros((1, self.problem.network.n_outputs))
        row[0, self.problem.label], row[0, target] = price, -price
        count = len(self.stages)
        normals, shifts, errors = self._back(row, np.zeros(1), units, multipliers, count)
        shift = float(np.nextafter(shifts[0] - errors[0], -np.inf))
        if self.problem.slack:
            shift = float(np.nextafter(shift - price * self.problem.slack * (1 + 1e-15), -np.inf))
        return HalfSpace(normals[0], shift)

    def _back(
        self,
        rows: FloatArray,
        shift: FloatArray,
        units: list[Units],
        multipliers: list[Multipliers] | None,
        count: int,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return lower functions normals @ d + shifts - errors of rows @ state + shift."""
        error = np.zeros(len(rows))
        for i in reversed(range(count)):
            stage, each = self.stages[i], units[i]
            above, size = rows * stage.kink, each.size
            opened = each.opened(stage)
            on = each.lower >= 0
            width = np.where(opened, each.upper - each.lower, 1.0)
            chord = np.where(opened, each.upper / width, on)
            if multipliers is None:
                share = np.where(opened, each.upper > -each.lower, on).astype(np.float64)
            else:
                share = np.where(opened, multipliers[i].share, on)
            positive = np.maximum(above, 0.0)
            negative = above - positive
            slopes = rows * stage.linear + positive * share + negative * chord
            # What the line of this float slope needs at both ends.
            intercept = np.where(
                opened, np.maximum(-chord * each.lower, (1 - chord) * each.upper), 0.0
            ) * (1 + 4 * _ROUNDED)
            shift = shift + negative @ intercept
            weighed = np.abs(rows) * (np.abs(stage.linear) + np.abs(stage.kink))
            if multipliers is not None:
                # The unit's own sign, as a constraint: split * z >= 0.
                pushed = multipliers[i].split * each.split
                slopes = slopes - pushed
                weighed = weighed + np.abs(pushed)
            # |z| is at most `size` and at most what its inputs allow, by which sums are rounded.
            inputs = self._input_size(units, i)
            sums = stage.size @ inputs + np.abs(stage.bias) if i else self._first_sums
            gamma = 2 * accumulated_error(sum(stage.weight.shape) + 10)
            error = error + gamma * (weighed @ (size + sums) - negative @ intercept + np.abs(shift))
            error = error + TINY * (1 + size.sum() + inputs.sum() + weighed.sum(axis=1))
            shift = shift + slopes @ stage.bias
            rows = slopes @ stage.weight
        x = self.problem.x
        error = error + 2 * accumulated_error(len(x) + 8) * (
            np.abs(rows) @ np.abs(x) + np.abs(shift)
        )
        return rows, shift + rows @ x, 2 * error + TINY

    def _input_size(self, units: list[Units], i: int) -> FloatArray:
        if i == 0:
            return self._input
        stage, each = self.stages[i - 1], units[i - 1]
        steepest = np.maximum(np.abs(stage.linear), np.abs(stage.linear + stage.kink))
        return np.asarray(steepest * each.size * (1 + 4 * _ROUNDED))
