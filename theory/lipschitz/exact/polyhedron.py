"""Linear programmes over cells of units within a box; what they find is proved without them.

A float row is the exact one up to an error that is known over the box. Weak duality makes of
whatever dual values the solver returns a bound that holds; where rounding leaves it undecided, the
rows that the solver points at are taken exactly (`theory.lipschitz.exact.rational`).
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import highspy
import numpy as np

from theory.arrays import FloatArray
from theory.lipschitz.exact.rational import no_interior
from theory.norms import accumulated_error

ROOM = 1e-9
"""Distance that a linear programme can tell from 0, for rows of length about 1."""
_PRICE = 1e-10
"""Dual values below this part of the largest are 0."""


class Cell(NamedTuple):
    """Half-spaces row @ (x, 1) >= 0 that hold in a cell.

    Attributes
    ----------
    rows : ndarray, shape (r, n + 1)
        Scaled by powers of two to lengths in [1/2, 1].
    errors : ndarray, shape (r,)
        How far the values may be from the exact ones, anywhere in the box.
    units : tuple of (int, int)
        Unit, and 1 or -1 for the side, of each row.
    """

    rows: FloatArray
    errors: FloatArray
    units: tuple[tuple[int, int], ...]

    def cut(self, row: FloatArray, error: float, unit: int, side: int) -> "Cell":
        """Return the part of the cell on one side of a unit; the row is of its positive side."""
        return Cell(
            np.vstack([self.rows, side * row]),
            np.append(self.errors, error),
            (*self.units, (unit, side)),
        )


class Programmes:
    """Programmes over one cell after another.

    Parameters
    ----------
    low, high : ndarray, shape (n,)
        Ends of the box, possibly infinite.
    exact_row : callable
        (unit, side) -> the exact row of the cell that is loaded, up to a positive factor.
    """

    def __init__(
        self,
        low: FloatArray,
        high: FloatArray,
        exact_row: Callable[[int, int], Sequence[int]],
    ) -> None:
        self.low, self.high = low, high
        self._exact_row = exact_row
        self._n = n = len(low)
        self.finite = bool(np.all(np.isfinite(low) & np.isfinite(high)))
        self._solver = solver = highspy.Highs()  # type: ignore[no-untyped-call]
        for name, value in (
            ("output_flag", False),
            ("threads", 1),
            ("presolve", "off"),
            ("solver", "simplex"),
            ("primal_feasibility_tolerance", 1e-10),
            ("dual_feasibility_tolerance", 1e-10),
        ):
            solver.setOptionValue(name, value)
        for j in range(n):
            solver.addVar(
                low[j] if np.isfinite(low[j]) else -highspy.kHighsInf,
                high[j] if np.isfinite(high[j]) else highspy.kHighsInf,
            )
        # The last variable is the distance from the sides of the cell.
        solver.addVar(0.0, 0.0)
        self._columns = np.arange(n + 1, dtype=np.int32)
        self._cell = Cell(np.zeros((0, n + 1)), np.zeros(0), ())
        self._n_loaded = 0
        self._size = np.append(np.maximum(np.abs(low), np.abs(high)), 1.0)

    def load(self, cell: Cell) -> None:
        """Make programmes over another cell; rows that it begins with as the last did stay."""
        old, new = self._cell, cell
        same = 0
        for mine, theirs in zip(old.units, new.units, strict=False):
            if mine != theirs or not np.array_equal(old.rows[same], new.rows[same]):
                break
            same += 1
        if same < len(old.rows):
            gone = np.arange(same, len(old.rows), dtype=np.int32)
            self._solver.deleteRows(len(gone), gone)
        added = new.rows[same:]
        if len(added):
            r, n = len(added), self._n
            values = np.hstack([added[:, :n], -np.linalg.norm(added[:, :n], axis=1)[:, None]])
            self._solver.addRows(
                r,
                -added[:, n],
                np.full(r, highspy.kHighsInf),
                values.size,
                np.arange(0, values.size, n + 1, dtype=np.int32),
                np.tile(self._columns, r),
                values.ravel(),
            )
        self._cell = cell

    def inner_point(self) -> tuple[FloatArray | None, bool]:
        """Return a point far from the sides of the cell, if any, and whether there may be one.

        In the interior of the cell as far as floating point tells; without one, the second value
        says whether the interior could not be proved to be empty.
        """
        n = self._n
        if not len(self._cell.rows):
            # The point of the box nearest to the middle of what it has of [-1, 1]^n.
            near = np.clip(np.array([-1.0, 1.0])[:, None], self.low, self.high)
            return np.asarray(near.mean(axis=0)), True
        self._solver.changeColBounds(n, -highspy.kHighsInf, 1.0)
        cost = np.zeros(n + 1)
        cost[n] = -1.0
        solved = self._run(cost)
        self._solver.changeColBounds(n, 0.0, 0.0)
        if solved is None:
            return None, True
        values, prices = solved
        if values[n] > ROOM:
            return values[:n], True
        nothing = np.zeros(n + 1)
        empty = self._bound(nothing, 0.0, prices) > 0.0
        return None, not (empty or self._no_interior(nothing, prices))

    def least(self, form: FloatArray, error: float) -> tuple[float, FloatArray | None, FloatArray]:
        """Return a proved lower bound on form @ (x, 1), the solver's point and dual values.

        The bound is -inf where there is none; the point is None where the solver has none.
        """
        solved = self._run(np.append(form[: self._n], 0.0))
        if solved is None:
            return -np.inf, None, np.zeros(0)
        values, prices = solved
        return self._bound(form, error, prices), values[: self._n], prices

    def nonnegative(
        self, form: FloatArray, error: float, unit: int, side: int
    ) -> tuple[bool, FloatArray | None]:
        """Return whether a unit is proved >= 0 (side 1) or <= 0 (side -1), and a least point.

        The form is the one that is not to be negative.
        """
        bound, point, prices = self.least(form, error)
        if bound >= 0.0 or point is None:
            return bound >= 0.0, point
        if form[: self._n] @ point + form[self._n] < -ROOM:
            return False, point
        return self._no_interior(form, prices, (unit, -side)), point

    def _run(self, cost: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """Return the solver's point and dual values; None where it has none, as without bounds."""
        solver = self._solver
        solver.changeColsCost(self._n + 1, self._columns, cost)
        for _ in range(2):
            solver.run()
            status = solver.getModelStatus()
            if status == highspy.HighsModelStatus.kOptimal:
                found = solver.getSolution()
                return np.array(found.col_value), np.array(found.row_dual)
            if status in (
                highspy.HighsModelStatus.kUnbounded,
                highspy.HighsModelStatus.kInfeasible,
                highspy.HighsModelStatus.kUnboundedOrInfeasible,
            ):
                return None
            # From the basis that it kept the solver sometimes gets nowhere; from none it does.
            solver.clearSolver()
        # Nothing is concluded from a programme that was not solved: the search goes on below.
        return None

    def _bound(self, form: FloatArray, error: float, prices: FloatArray) -> float:
        """Return a lower bound on form @ (x, 1) over the cell, from any dual values."""
        if not self.finite:
            return -np.inf
        prices = np.maximum(prices, 0.0)
        rows, n = self._cell.rows, self._n
        left = form - prices @ rows
        value = np.where(left[:n] > 0, left[:n] * self.low, left[:n] * self.high).sum() + left[n]
        size = (np.abs(form) + prices @ np.abs(rows)) @ self._size
        doubt = error + prices @ self._cell.errors
        return float(value - (2 * accumulated_error(len(rows) + n + 8) * size + 1.01 * doubt))

    def _no_interior(
        self, form: FloatArray, prices: FloatArray, other: tuple[int, int] | None = None
    ) -> bool:
        """Return whether the rows with dual values, and one more, exactly have no interior."""
        n, cell = self._n, self._cell
        prices = np.maximum(prices, 0.0)
        used = prices > _PRICE * max(1.0, float(prices.max(initial=0.0)))
        exact: list[Sequence[int | Fraction]] = [
            self._exact_row(*cell.units[i]) for i in np.flatnonzero(used)
        ]
        left = form[:n] - (prices * used) @ cell.rows[:, :n]
        if other is not None:
            exact.append(self._exact_row(*other))
        for j in np.flatnonzero(np.abs(left) > ROOM):
            end = self.low[j] if left[j] > 0 else self.high[j]
            if not np.isfinite(end):
                return False
            side: list[int | Fraction] = [0] * (n + 1)
            turn = 1 if left[j] > 0 else -1
            side[j], side[n] = turn, -turn * Fraction(float(end))
            exact.append(side)
        return no_interior(exact)
