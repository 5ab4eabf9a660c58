"""What a solver of the semidefinite bound returns."""

from dataclasses import dataclass

from theory.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Solution:
    """A point of the semidefinite bound as its solver believes it to be; verified elsewhere.

    Attributes
    ----------
    square : float
        rho: the square of the bound.
    multipliers : ndarray, shape (m,)
        lambda, one a unit.
    lower : float
        A proved lower end of the optimum, of the norm and not of its square; 0 if there is none.
    iterations : int
    """

    square: float
    multipliers: FloatArray
    lower: float
    iterations: int
