"""Buck, Partition of space (1943): faces of all dimensions of hyperplanes in general position."""

import numpy.typing as npt

from theory.arrangement.broadcast import broadcast_count, float_above, whole_number
from theory.arrangement.counting import simple_bounded_faces, simple_faces
from theory.arrays import FloatArray
from theory.claim import (
    Bound,
    Facts,
    Kind,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    required,
    theorem,
)
from theory.claims.zaslavsky1975 import known_arrangement
from theory.parameter import Integers, Parameter

KEY, SOURCE = "buck1943", "Buck, Amer. Math. Monthly 50, 1943"
N_FACES, N_BOUNDED_FACES = Quantity("n_faces"), Quantity("n_bounded_faces")
_COUNT = Parameter("m", "m", "number of hyperplanes", Integers(1, 200), 10)
_SPACE = Parameter("n", "n", "dimension of the space", Integers(1, 60), 3)
_FACE = Parameter("k", "k", "dimension of the faces", Integers(0, 30), 2)
_SETTING = (
    r"Let $f_k$ be the number of $k$-dimensional relatively open faces, and $g_k$ that of the"
    r" bounded ones, of $m$ hyperplanes of $\mathbb{R}^n$, where $k \le n$"
)


def max_faces(m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> FloatArray:
    """Return the largest number of k-faces that m hyperplanes can have in R^n.

    Parameters
    ----------
    m, n, k : array_like of int
        m and n at least 1, 0 <= k <= n; they broadcast.

    Returns
    -------
    ndarray
        C(m, n - k) (C(m - n + k, 0) + ... + C(m - n + k, k)), rounded; +inf above all floats.

    Raises
    ------
    OutOfScopeError
        If k > n.
    ValueError
        If an argument is no whole number of its range.

    Examples
    --------
    >>> max_faces(4, 2, [0, 1, 2])
    array([ 6., 16., 11.])
    """
    return broadcast_count(_faces, m=(m, 1), n=(n, 1), k=(k, 0))


def max_bounded_faces(m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> FloatArray:
    """Return the largest number of bounded k-faces that m hyperplanes can have in R^n.

    Parameters and errors are those of `max_faces`; the value is C(m, n - k) C(m - n + k - 1, k),
    with C(-1, 0) = 1, and 0 where m < n - k.

    Examples
    --------
    >>> max_bounded_faces(4, 2, [0, 1, 2])
    array([6., 8., 3.])
    """
    return broadcast_count(_bounded_faces, m=(m, 1), n=(n, 1), k=(k, 0))


def _faces(m: int, n: int, k: int) -> int:
    _require_dimension(n, k)
    return simple_faces(m, n, k)


def _bounded_faces(m: int, n: int, k: int) -> int:
    _require_dimension(n, k)
    return simple_bounded_faces(m, n, k)


def _require_dimension(n: int, k: int) -> None:
    if k > n:
        raise OutOfScopeError(f"faces of dimension {k} do not exist in dimension {n}")


def _known(facts: Facts) -> tuple[int, int, int]:
    k = required(facts, "face_dimension", "the dimension of the faces")
    return (*known_arrangement(facts), whole_number("face_dimension", k, 0))


@theorem(
    "buck1943/faces",
    kind=Kind.SCALAR,
    quantities=(N_FACES,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "formula for the k-dimensional parts"),
    setting=_SETTING,
    bound=Bound((_COUNT, _SPACE, _FACE), max_faces),
)
def faces(facts: Facts, quantity: Quantity) -> float:
    """Hyperplanes have no more faces of any dimension than in general position.

    Attained in general position.

    Hypotheses: the numbers of hyperplanes and of dimensions are known.
    """
    return float_above(_faces(*_known(facts)))


@theorem(
    "buck1943/bounded-faces",
    kind=Kind.SCALAR,
    quantities=(N_BOUNDED_FACES,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "formula for the bounded k-dimensional parts"),
    setting=_SETTING,
    bound=Bound((_COUNT, _SPACE, _FACE), max_bounded_faces),
)
def bounded_faces(facts: Facts, quantity: Quantity) -> float:
    """Hyperplanes have no more bounded faces of any dimension than in general position.

    Attained in general position.

    Hypotheses: the numbers of hyperplanes and of dimensions are known.
    """
    return float_above(_bounded_faces(*_known(facts)))
