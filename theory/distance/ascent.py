"""Multipliers of many nodes at once, by ascent of the distances of their half-spaces.

Nothing here is rounded outwards: the multipliers that are found go through `Relaxation`, which
makes a bound of any.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.distance.problem import DistanceProblem
from theory.distance.relaxation import Multipliers, Units

_TANGENTS = 16
"""Steps of Newton's method along one ray: each ends a piece of a concave function."""
_LITTLE = 1e-300


class Ascended(NamedTuple):
    """What an ascent gives for B nodes.

    Attributes
    ----------
    distances : ndarray, shape (B,)
    changes : ndarray, shape (B, n)
        The nearest points of the half-spaces, less x.
    multipliers : list of list of Multipliers
        Of each node, stage by stage, for a lead of price 1.
    losses : list of ndarray, each of shape (B, m)
        What the relaxation of each unit gives away there.
    """

    distances: FloatArray
    changes: FloatArray
    multipliers: list[list[Multipliers]]
    losses: list[FloatArray]

    def at(self, rows: list[int]) -> "Ascended":
        """Return the same of some nodes alone."""
        return Ascended(
            self.distances[rows],
            self.changes[rows],
            [self.multipliers[b] for b in rows],
            [each[rows] for each in self.losses],
        )


class _Stack(NamedTuple):
    """One stage of all nodes, each of shape (B, m)."""

    free: npt.NDArray[np.bool_]
    on: npt.NDArray[np.bool_]
    chord: FloatArray
    intercept: FloatArray
    split: FloatArray


class _Passed(NamedTuple):
    """Half-spaces of all nodes, their nearest points and what came back to each stage."""

    distances: FloatArray
    changes: FloatArray
    positive: list[FloatArray]
    negative: list[FloatArray]


class Ascent:
    """Projected steps (Adam) of slopes from below and of multipliers of set phases.

    Parameters
    ----------
    problem : DistanceProblem
    low, high : ndarray, shape (n,)
        Ends of changes.

    References
    ----------
    Wang et al., Beta-CROWN: Efficient Bound Propagation with Per-neuron Split Constraints for
    Neural Network Robustness Verification (NeurIPS 2021).
    """

    def __init__(self, problem: DistanceProblem, low: FloatArray, high: FloatArray) -> None:
        self._problem, self._low, self._high = problem, low, high

    def run(
        self,
        targets: Sequence[int],
        units: Sequence[list[Units]],
        start: Sequence[list[Multipliers] | None],
        enough: float,
        steps: int,
        rate: float = 0.25,
    ) -> Ascended:
        """Return multipliers of B nodes after so many steps, the best ones of each.

        Parameters
        ----------
        targets : sequence of int
        units : sequence of list of Units
        start : sequence of list of Multipliers or None
            Where to start from.
        enough : float
            When all distances are above it, the ascent stops.
        steps : int
        rate : float
            Of the first step; shares are from 0 to 1, and others are relative to the rows.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            return self._run(targets, units, start, enough, steps, rate)

    def _run(
        self,
        targets: Sequence[int],
        units: Sequence[list[Units]],
        start: Sequence[list[Multipliers] | None],
        enough: float,
        steps: int,
        rate: float,
    ) -> Ascended:
        stages = self._problem.stages
        stacks = [self._stack(units, i) for i in range(len(stages))]
        rows = np.zeros((len(targets), self._problem.network.n_outputs))
        rows[:, self._problem.label] = 1.0
        rows[np.arange(len(targets)), list(targets)] = -1.0
        shares, pushes = self._first(units, stacks, start)
        found = self._evaluate(rows, stacks, shares, pushes)
        sizes = [
            np.abs(up + down) + np.abs(up + down).mean(axis=1, keepdims=True) + _LITTLE
            for up, down in zip(found.positive, found.negative, strict=True)
        ]
        best = found.distances.copy()
        kept = [each.copy() for each in (*shares, *pushes)]
        means = [np.zeros_like(each) for each in kept]
        squares = [np.zeros_like(each) for each in kept]
        n = len(stages)
        for step in range(1, steps + 1):
            if np.all(best > enough):
                break
            gradients = self._gradients(stacks, shares, found)
            turn = rate / (1 + 4 * step / steps)
            for k, gradient in enumerate(gradients):
                i = k % n
                scaled = gradient if k < n else gradient * sizes[i]
                means[k] = 0.9 * means[k] + 0.1 * scaled
                squares[k] = 0.95 * squares[k] + 0.05 * scaled**2
                root = np.sqrt(squares[k] / (1 - 0.95**step)) + _LITTLE
                move = turn * means[k] / (1 - 0.9**step) / root
                if k < n:
                    turned = np.clip(shares[i] + move, 0.0, 1.0)
                    shares[i] = np.where(stacks[i].free, turned, shares[i])
                else:
                    pushes[i] = np.maximum(pushes[i] + move * sizes[i], 0.0)
            found = self._evaluate(rows, stacks, shares, pushes)
            better = found.distances > best
            best = np.where(better, found.distances, best)
            for old, new in zip(kept, (*shares, *pushes), strict=True):
                old[better] = new[better]
        shares, pushes = kept[:n], kept[n:]
        found = self._evaluate(rows, stacks, shares, pushes)
        return Ascended(
            found.distances,
            found.changes,
            [
                [Multipliers(s[b], q[b]) for s, q in zip(shares, pushes, strict=True)]
                for b in range(len(targets))
            ],
            self._losses(stacks, shares, found),
        )

    def _stack(self, units: Sequence[list[Units]], i: int) -> _Stack:
        low = np.stack([each[i].lower for each in units])
        high = np.stack([each[i].upper for each in units])
        split = np.stack([each[i].split for each in units]).astype(np.float64)
        stage = self._problem.stages[i]
        opened = (low < 0) & (high > 0) & (stage.kink != 0)
        width = np.where(opened, high - low, 1.0)
        chord = np.where(opened, high / width, low >= 0)
        return _Stack(opened, low >= 0, chord, np.where(opened, -chord * low, 0.0), split)

    def _first(
        self,
        units: Sequence[list[Units]],
        stacks: list[_Stack],
        start: Sequence[list[Multipliers] | None],
    ) -> tuple[list[FloatArray], list[FloatArray]]:
        shares, pushes = [], []
        for i, stack in enumerate(stacks):
            share = np.where(stack.free, stack.chord, stack.on).astype(np.float64)
            push = np.zeros_like(share)
            for b, each in enumerate(start):
                if each is not None:
                    share[b] = np.where(stack.free[b], each[i].share, share[b])
                    push[b] = np.where(stack.split[b] != 0, each[i].split, 0.0)
            shares.append(share)
            pushes.append(push)
        return shares, pushes

    def _evaluate(
        self,
        rows: FloatArray,
        stacks: list[_Stack],
        shares: list[FloatArray],
        pushes: list[FloatArray],
    ) -> _Passed:
        shift = np.zeros(len(rows))
        up, down = [], []
        for i in reversed(range(len(stacks))):
            stage, stack = self._problem.stages[i], stacks[i]
            above = rows * stage.kink
            positive = np.maximum(above, 0.0)
            negative = above - positive
            slopes = rows * stage.linear + positive * shares[i] + negative * stack.chord
            slopes -= pushes[i] * stack.split
            shift += np.einsum("bm,bm->b", negative, stack.intercept) + slopes @ stage.bias
            rows = slopes @ stage.weight
            up.append(positive)
            down.append(negative)
        shift = shift + rows @ self._problem.x
        distances, changes = self._nearest(rows, shift)
        return _Passed(distances, changes, up[::-1], down[::-1])

    def _nearest(self, normals: FloatArray, shifts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return distances of half-spaces in the box, and the nearest points.

        How far the nearest points get grows concavely along a ray, in pieces: Newton's method
        from below ends in the right one.
        """
        wall = np.where(normals > 0, -self._low, self._high)
        weights = np.abs(normals)
        linf = math.isinf(self._problem.p)
        rates = np.ones_like(weights) if linf else weights
        along = np.zeros(len(shifts))
        steps = np.zeros_like(weights)
        open_ = wall > 0
        missing = shifts
        for _ in range(_TANGENTS):
            slope = np.einsum("bn,bn->b", weights * open_, rates)
            step = np.where((missing > 0) & (slope > 0), missing / slope, 0.0)
            if not np.any(step > 1e-12 * along):
                break
            along = along + step
            wanted = along[:, None] * rates
            steps = np.minimum(wanted, wall)
            open_ = wanted < wall
            missing = shifts - np.einsum("bn,bn->b", weights, steps)
        steps = np.where(weights > 0, steps, 0.0)
        distances = along if linf else np.sqrt(np.einsum("bn,bn->b", steps, steps))
        # Rounding of sums of many steps; a wrong infinity costs a better choice, not a bound.
        beyond = missing > 1e-9 * np.abs(shifts)
        changes = np.nan_to_num(-np.sign(normals) * steps, posinf=0.0, neginf=0.0)
        return np.where(beyond, np.inf, np.nan_to_num(distances)), changes

    def _gradients(
        self, stacks: list[_Stack], shares: list[FloatArray], found: _Passed
    ) -> list[FloatArray]:
        """Return directions of ascent: of all shares, then of all multipliers of set phases."""
        by_share, by_push = [], []
        state = self._problem.x + found.changes
        for i, (stage, stack) in enumerate(zip(self._problem.stages, stacks, strict=True)):
            z = state @ stage.weight.T + stage.bias
            by_share.append(np.where(stack.free, found.positive[i] * z, 0.0))
            by_push.append(-stack.split * z)
            under, over = shares[i] * z, stack.chord * z + stack.intercept
            state = stage.linear * z + stage.kink * np.where(found.positive[i] > 0, under, over)
        return [*by_share, *by_push]

    def _losses(
        self, stacks: list[_Stack], shares: list[FloatArray], found: _Passed
    ) -> list[FloatArray]:
        losses = []
        state = self._problem.x + found.changes
        for i, (stage, stack) in enumerate(zip(self._problem.stages, stacks, strict=True)):
            z = state @ stage.weight.T + stage.bias
            ramp = np.maximum(z, 0.0)
            under, over = shares[i] * z, stack.chord * z + stack.intercept
            lost = found.positive[i] * (ramp - under) + found.negative[i] * (ramp - over)
            losses.append(np.where(stack.free, np.maximum(lost, 0.0), 0.0))
            state = stage.linear * z + stage.kink * np.where(found.positive[i] > 0, under, over)
        return losses
