"""Named arrangements; `theory.arrangement.counting` has their polynomials in closed form."""

from itertools import combinations

import numpy as np
import numpy.typing as npt

from theory.arrangement.arrangement import HyperplaneArrangement


def generic(m: int, n: int, rng: np.random.Generator) -> HyperplaneArrangement:
    """Return m hyperplanes in R^n with standard normal normals and offsets.

    They are in general position with probability 1.

    Examples
    --------
    >>> generic(5, 3, np.random.default_rng(0)).n_regions
    26
    """
    _at_least(0, m=m)
    _at_least(1, n=n)
    return HyperplaneArrangement(rng.normal(size=(m, n)), rng.normal(size=m))


def central_generic(m: int, n: int) -> HyperplaneArrangement:
    """Return m hyperplanes through 0 in R^n, any n independent: normals (1, s, ..., s^(n-1)).

    Examples
    --------
    >>> central_generic(5, 3).n_regions
    22
    """
    _at_least(1, m=m, n=n)
    normals = [[s**k for k in range(n)] for s in range(1, m + 1)]
    return _exact(normals, [0] * m)


def boolean(n: int) -> HyperplaneArrangement:
    """Return the coordinate hyperplanes of R^n.

    Examples
    --------
    >>> boolean(3).n_regions
    8
    """
    _at_least(1, n=n)
    return _exact([[int(i == j) for j in range(n)] for i in range(n)], [0] * n)


def parallel(m: int, n: int) -> HyperplaneArrangement:
    """Return the hyperplanes x_1 = 0, ..., m - 1 of R^n.

    Examples
    --------
    >>> parallel(4, 2).n_regions, parallel(4, 2).n_relatively_bounded_regions
    (5, 3)
    """
    _at_least(1, m=m, n=n)
    return _exact([[1] + [0] * (n - 1)] * m, list(range(m)))


def braid(n: int) -> HyperplaneArrangement:
    """Return the hyperplanes x_i = x_j of R^n; regions are orders of the coordinates.

    Examples
    --------
    >>> braid(4).n_regions
    24
    """
    return _differences(n, [0])


def shi(n: int) -> HyperplaneArrangement:
    """Return the hyperplanes x_i - x_j = 0, 1 of R^n for i < j.

    Examples
    --------
    >>> shi(3).n_regions
    16
    """
    return _differences(n, [0, 1])


def linial(n: int) -> HyperplaneArrangement:
    """Return the hyperplanes x_i - x_j = 1 of R^n for i < j.

    Examples
    --------
    >>> linial(3).n_regions
    7
    """
    return _differences(n, [1])


def threshold(n: int) -> HyperplaneArrangement:
    """Return the hyperplanes x_i + x_j = 0 of R^n for i < j; regions are threshold graphs.

    Examples
    --------
    >>> threshold(3).n_regions
    8
    """
    _at_least(2, n=n)
    normals = [[int(k in pair) for k in range(n)] for pair in combinations(range(n), 2)]
    return _exact(normals, [0] * len(normals))


def _differences(n: int, levels: list[int]) -> HyperplaneArrangement:
    _at_least(2, n=n)
    pairs = list(combinations(range(n), 2))
    normals = [[int(k == i) - int(k == j) for k in range(n)] for i, j in pairs for _ in levels]
    return _exact(normals, levels * len(pairs))


def _exact(normals: list[list[int]], offsets: list[int]) -> HyperplaneArrangement:
    entries: npt.NDArray[np.object_] = np.array(normals, dtype=object)
    return HyperplaneArrangement(entries, np.array(offsets, dtype=object))


def _at_least(least: int, **given: int) -> None:
    for name, value in given.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
