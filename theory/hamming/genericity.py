"""Which coordinates lead to every cell: a property of columns, not of the hyperplanes' position."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from theory.arrangement.rows import Rows, eliminate, is_exact, primitive, real_entries, whole_rows


def is_coordinate_generic(
    normals: npt.ArrayLike, draws: int | None = None, stream: np.random.Generator | None = None
) -> bool:
    """Whether any m coordinates lead from every point to every cell of m hyperplanes.

    That is, whether no m x m minor of the normals is 0. General position of the hyperplanes,
    `HyperplaneArrangement.is_simple`, is about the rows and neither implies this nor follows.

    Parameters
    ----------
    normals : array_like, shape (m, n)
        Whole numbers and fractions are treated exactly; of floats, columns count as dependent where
        an angle between them and what the others span has a sine below 1e-11.
    draws : int, optional
        Random sets of m coordinates to test; by default all sets are tested, C(n, m) of them.
    stream : Generator, optional
        Needed with draws.

    Returns
    -------
    bool
        False is certain; True is where all sets were tested, and says of draws that none failed.

    Raises
    ------
    ValueError
        If the normals are no matrix of m <= n real rows, or draws come without a stream.

    References
    ----------
    A. Shamir, I. Safran, E. Ronen, O. Dunkelman, "A simple explanation for the existence of
    adversarial examples with small Hamming distance", arXiv:1901.10861 (2019).

    Examples
    --------
    >>> powers = [[1, 1, 1, 1], [1, 2, 3, 4]]
    >>> is_coordinate_generic(powers), is_coordinate_generic([[1, 0, 0], [0, 1, 0]])
    (True, False)
    """
    given = real_entries("normals", np.asarray(normals))
    if given.ndim != 2 or 0 in given.shape or given.shape[0] > given.shape[1]:
        raise ValueError(f"normals must have the shape (m, n), 1 <= m <= n, got {given.shape}")
    m, n = given.shape
    # Each column as a hyperplane through 0 in R^m: any m of them shall meet in 0 alone.
    columns = np.hstack([given.T, np.zeros((n, 1), dtype=given.dtype)])
    rows = whole_rows(columns) if is_exact(given) else primitive(columns)
    if draws is None:
        return _independent(rows, m)
    if stream is None or draws < 1:
        raise ValueError("draws must be at least 1, and come with a stream")
    return all(_independent(rows[chosen], m) for chosen in _sets(n, m, draws, stream))


def _sets(
    n: int, m: int, draws: int, stream: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    for _ in range(draws):
        yield stream.choice(n, m, replace=False)


def _independent(rows: Rows, size: int) -> bool:
    """Whether any `size` of the normals are independent; sets share what they begin with."""
    if not np.all(np.any(rows[:, :-1] != 0, axis=1)):
        return False
    return size == 1 or all(
        _independent(eliminate(rows[i + 1 :], rows[i]), size - 1)
        for i in range(len(rows) - size + 1)
    )
