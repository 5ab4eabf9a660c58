"""Supports of a given size: greedy growth, swaps with a tabu list, pruning, perturbations."""

from typing import NamedTuple

import numpy as np

from theory.arrays import FloatArray
from theory.hamming.chosen.moves import Changes, IntArray, Moves
from theory.hamming.problem import MARGIN

_RADII = (0.5, 0.25, 0.1, 0.03, 0.01)
"""Steps of the ascent in the values, as shares of the box."""

_LARGEST_EXCHANGE = 4000
"""Pairs of a change and a move that are tried at once, unless there are more than this / 4."""


class Reached(NamedTuple):
    """Changes, and whether the target leads with them."""

    changes: Changes
    success: bool


class Swaps:
    """Searches among the supports of one size for the lead of a target.

    They climb a soft minimum of the leads, -T log sum exp(-lead / T): unlike the least lead it
    grows with every lead, so that it tells apart changes that leave the least lead as it is.

    Parameters
    ----------
    moves : Moves
    target : int
    softness : float
        T in units of the deficit at x, above 0.
    shortlist : int
        How many moves of each scan are tried with every exchange.
    patience : int
        Exchanges without a new best value after which a search ends.
    """

    def __init__(
        self, moves: Moves, target: int, softness: float, shortlist: int, patience: int
    ) -> None:
        self.moves, self.target, self.patience = moves, target, patience
        self.shortlist = min(shortlist, len(moves.values))
        n_outputs = moves.classifier.n_outputs
        self._differences = np.delete(-np.eye(n_outputs), target, axis=0)
        self._differences[:, target] = 1.0
        self._deficit = -float(self.leads(moves.outputs(moves.base)).min())
        self.temperature = softness * max(self._deficit, MARGIN)

    def leads(self, outputs: FloatArray) -> FloatArray:
        """Return F_target - F_j for all others, shape (..., K - 1)."""
        # Outputs of networks lie class by class in memory; kept so, minima over classes are fast.
        flat = outputs.reshape(-1, outputs.shape[-1])
        return np.asarray((self._differences @ flat.T).T.reshape(*outputs.shape[:-1], -1))

    def soft(self, leads: FloatArray) -> FloatArray:
        """Return the soft minimum over the last axis."""
        least = leads.min(axis=-1)
        spread = np.exp((least[..., None] - leads) / self.temperature)
        return np.asarray(least - self.temperature * np.log(spread.sum(axis=-1)))

    def succeeds(self, changes: Changes) -> bool:
        """Return whether the target leads at the changed point itself."""
        outputs = self.moves.classifier(changes.at(self.moves.x))
        return bool(self.leads(outputs).min() > MARGIN)

    def grown(
        self, start: Changes, size: int, noise: float = 0.0, rng: np.random.Generator | None = None
    ) -> Reached:
        """Return the changes after adding the best move again and again, until success or a size.

        Without noise it ends earlier where no move is better than none. With noise, Gumbel
        variables of this scale, in temperatures, are added to the values.
        """
        changes, features = start, self.moves.features(start)
        leads = self.leads(self.moves.outputs(features))
        margin, gain = float(leads.min()), 0.0
        value = float(self.soft(leads)) if len(start.values) else -np.inf
        # Hopeless if all that is left to add, at twice the largest gain so far, leaves a deficit.
        while len(changes.values) < size and (
            not gain or margin + 2 * gain * (size - len(changes.values)) > 0
        ):
            scores = self._scores(features, changes)
            if noise and rng is not None:
                scores += rng.gumbel(scale=noise * self.temperature, size=len(scores))
            top = _largest(scores, 1 if noise else self.shortlist)
            if not len(top):
                break
            shifted = features + self.moves.shifts_of(top)
            leads = self.leads(self.moves.outputs(shifted))
            margins = leads.min(axis=-1)
            values = self.soft(leads)
            best = int(np.argmax(margins if margins.max() > MARGIN else values))
            if not noise and margins[best] <= MARGIN and values[best] <= value:
                break
            value = float(values[best])
            changes, features = changes.added(*self._move(top[best])), shifted[best]
            margin, gain = float(margins[best]), max(gain, float(margins[best]) - margin)
            if margins[best] > MARGIN and self.succeeds(changes):
                return Reached(changes, True)
        return Reached(changes, False)

    def exchanged(self, start: Changes, n_exchanges: int = 300) -> Reached:
        """Return the best changes of the same size that exchanges lead to.

        Each step takes the best exchange of one change for another, better or not. A
        coordinate that was left is not taken again for a few steps.
        """
        changes, best, best_value, since = start, start, -np.inf, 0
        free_from = np.zeros(len(self.moves.x), dtype=np.intp)
        for step in range(n_exchanges if len(start.values) else 0):
            shifts = self.moves.shifts(changes)
            features = self.moves.base + shifts.sum(axis=0)
            scores = self._scores(features, changes)
            scores[free_from[self.moves.coordinates] > step] = -np.inf
            top = _largest(scores, max(4, min(self.shortlist, _LARGEST_EXCHANGE // len(shifts))))
            if not len(top):
                break
            left = features - shifts
            tried = left[:, None, :] + self.moves.shifts_of(top)
            leads = self.leads(self.moves.outputs(tried))
            margins = leads.min(axis=-1)
            if margins.max() > MARGIN:
                i, m = np.unravel_index(int(margins.argmax()), margins.shape)
                found = changes.swapped(int(i), *self._move(top[m]))
                if self.succeeds(found):
                    return Reached(found, True)
            values = self.soft(leads)
            i, m = np.unravel_index(int(values.argmax()), values.shape)
            value = float(values[i, m])
            free_from[changes.coordinates[i]] = step + 4 + step * 7 % 3
            changes = changes.swapped(int(i), *self._move(top[m]))
            if value > best_value + 1e-12 * abs(best_value):
                best, best_value, since = changes, value, 0
            else:
                since += 1
                if since > self.patience:
                    break
        return Reached(best, False)

    def tuned(self, start: Changes) -> Reached:
        """Return the changes after an ascent in their values, the coordinates as they are."""
        moves, changes = self.moves, start
        at = changes.coordinates
        low, high = moves.low[at], moves.high[at]
        shifts = moves.shifts(changes)
        value = float(self.soft(self.leads(moves.outputs(moves.base + shifts.sum(axis=0)))))
        for radius in _RADII:
            steps = radius * (high - low)[:, None] * np.array([-1.0, 1.0])
            for _ in range(2 * len(at)):
                tried = np.clip(changes.values[:, None] + steps, low[:, None], high[:, None])
                tried = moves.rounded(tried)
                moved = [moves.shifts(Changes(at, tried[:, side])) for side in (0, 1)]
                rest = moves.base + shifts.sum(axis=0) - shifts
                leads = self.leads(moves.outputs(rest[:, None, :] + np.stack(moved, axis=1)))
                values = self.soft(leads)
                i, side = np.unravel_index(int(values.argmax()), values.shape)
                if not values[i, side] > value + 1e-9 * abs(value):
                    break
                value = float(values[i, side])
                changes = changes.swapped(int(i), int(at[i]), float(tried[i, side]))
                shifts[i] = moved[int(side)][i]
                if leads[i, side].min() > MARGIN and self.succeeds(changes):
                    return Reached(changes, True)
        return Reached(changes, False)

    def pruned(self, start: Changes) -> Changes:
        """Return changes with which the target leads still, one after another undone."""
        changes = start
        while len(changes.values) > 1:
            shifts = self.moves.shifts(changes)
            left = self.moves.base + shifts.sum(axis=0) - shifts
            margins = self.leads(self.moves.outputs(left)).min(axis=-1)
            fewer = changes.without(int(margins.argmax()))
            if not (margins.max() > MARGIN and self.succeeds(fewer)):
                break
            changes = fewer
        return changes

    def fewer(self, start: Changes, tune: bool) -> Changes:
        """Return changes with which the target leads, as few as exchanges find."""
        changes = self.pruned(start)
        while len(changes.values) > 1:
            found = self.improved(self._least_lost(changes), tune)
            if not found.success:
                break
            changes = self.pruned(found.changes)
        return changes

    def improved(self, start: Changes, tune: bool) -> Reached:
        """Return the changes after exchanges, and if these fail and it is asked for, tuned."""
        found = self.exchanged(start)
        return found if found.success or not tune else self.tuned(found.changes)

    def is_far(self, changes: Changes) -> bool:
        """Return whether the target lacks more than the changes brought, each on average."""
        left = -float(self.leads(self.moves.outputs(self.moves.features(changes))).min())
        return left * (len(changes.values) + 1) > self._deficit

    def perturbed(self, changes: Changes, size: int, rng: np.random.Generator) -> Reached:
        """Return changes of a size: some of the given ones, and others added with noise."""
        n_new = int(rng.integers(1, max(2, size // 2) + 1))
        kept = np.sort(rng.permutation(len(changes.values))[: max(size - n_new, 0)])
        rest = Changes(changes.coordinates[kept], changes.values[kept])
        return self.grown(rest, size, 0.15, rng)

    def _least_lost(self, changes: Changes) -> Changes:
        shifts = self.moves.shifts(changes)
        left = self.moves.base + shifts.sum(axis=0) - shifts
        return changes.without(int(self.soft(self.leads(self.moves.outputs(left))).argmax()))

    def _scores(self, features: FloatArray, changes: Changes) -> FloatArray:
        """Return the soft minimum after each of the moves, -inf for coordinates in use."""
        moves = self.moves
        outlook = moves.outlook(features) if len(changes.values) else moves.first
        scores = self.soft(self.leads(outlook))
        used = np.zeros(len(self.moves.x), dtype=bool)
        used[changes.coordinates] = True
        scores[used[self.moves.coordinates]] = -np.inf
        return scores

    def _move(self, index: np.intp) -> tuple[int, float]:
        return int(self.moves.coordinates[index]), float(self.moves.values[index])


def _largest(scores: FloatArray, n: int) -> IntArray:
    """Return the indices of the n largest finite scores, in any order."""
    if n == 1:
        best = int(scores.argmax())
        chosen = np.array([best], dtype=np.intp)
    else:
        chosen = np.argpartition(-scores, min(n, len(scores)) - 1)[:n]
    return np.asarray(chosen[np.isfinite(scores[chosen])])
