"""Arrangements: every region once, witnesses in it, and counts against slow definitions."""

import itertools
from collections.abc import Callable
from fractions import Fraction
from math import comb, factorial
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from theory.arrangement import (
    HyperplaneArrangement,
    boolean,
    braid,
    central_generic,
    counting,
    generic,
    linial,
    parallel,
    shi,
    simple,
    threshold,
)
from theory.arrangement.rows import Rows, eliminate

# Four lines, two of them parallel and three through a point.
DEGENERATE = HyperplaneArrangement([[1, 0], [1, 0], [0, 1], [1, 1]], [0, 1, 0, 0])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def whole(m: int, n: int, size: int, seed: int) -> HyperplaneArrangement:
    """Random whole numbers: small ones make many dependences."""
    draws = rng(seed)
    while True:
        try:
            entries = draws.integers(-size, size + 1, (m, n + 1))
            return HyperplaneArrangement(entries[:, :-1], entries[:, -1])
        except ValueError:
            continue


def as_floats(a: HyperplaneArrangement, seed: int = 0) -> HyperplaneArrangement:
    """The same arrangement in other coordinates, with rounded entries."""
    turn = rng(seed).normal(size=(a.dimension, a.dimension)) + 3 * np.eye(a.dimension)
    shift = rng(seed + 1).normal(size=a.dimension)
    normals = a.normals.astype(float) @ turn
    return HyperplaneArrangement(normals, a.offsets.astype(float) + normals @ shift)


def rank(rows: Rows) -> int:
    if not np.any(rows != 0):
        return 0
    some = rows[np.any(rows != 0, axis=1)]
    # A last column of zeros keeps the pivot among the others.
    wide = np.column_stack([some, np.zeros(len(some), dtype=object)])
    return 1 + rank(eliminate(wide[1:], wide[0])[:, :-1])


def whitney(a: HyperplaneArrangement) -> tuple[int, ...]:
    """Sum over central subsets of (-1)^size t^(n - rank)."""
    coefficients = [0] * (a.dimension + 1)
    rows = a._rows
    for size in range(a.n_hyperplanes + 1):
        for subset in itertools.combinations(range(a.n_hyperplanes), size):
            chosen = rows[list(subset)]
            r = rank(chosen[:, :-1]) if size else 0
            if not size or rank(chosen) == r:
                coefficients[r] += (-1) ** size
    return tuple(coefficients)


def deletion_restriction(a: HyperplaneArrangement) -> tuple[int, ...]:
    if not a.n_hyperplanes:
        return (1,) + (0,) * a.dimension
    without = deletion_restriction(a.deletion(a.n_hyperplanes - 1))
    on = deletion_restriction(a.restriction(a.n_hyperplanes - 1))
    return (without[0], *(x - y for x, y in zip(without[1:], on, strict=True)))


def feasible_sign_vectors(a: HyperplaneArrangement) -> set[tuple[int, ...]]:
    """One linear programme for each of the 2^m sign vectors."""
    normals, offsets = a.normals.astype(float), a.offsets.astype(float)
    found = set()
    for signs in itertools.product((-1, 1), repeat=a.n_hyperplanes):
        s = np.array(signs)
        # s (A x - b) >= margin, margin <= 1.
        left = np.column_stack([-s[:, None] * normals, np.ones(len(s))])
        result = optimize.linprog(
            np.append(np.zeros(a.dimension), -1.0),
            A_ub=left,
            b_ub=-s * offsets,
            bounds=[(-1e4, 1e4)] * a.dimension + [(None, 1.0)],
        )
        if result.x is not None and result.x[-1] > 1e-7:
            found.add(signs)
    return found


def check_regions(a: HyperplaneArrangement) -> set[tuple[int, ...]]:
    found = list(a.regions())
    signs = {tuple(region.sign_vector.tolist()) for region in found}
    assert len(signs) == len(found) == a.n_regions
    for block, points in a.region_blocks():
        assert block.dtype == np.int8
        # The witnesses are in the regions, as fractions say.
        rows, exact = a._rows, np.vectorize(Fraction, otypes=[object])(points)
        values = exact @ np.vectorize(Fraction, otypes=[object])(rows[:, :-1]).T - rows[:, -1]
        assert np.all(values * block.astype(object) > 0)
        np.testing.assert_array_equal(a.sign_vector(points), block)
    return signs


FAMILIES: list[tuple[HyperplaneArrangement, tuple[int, ...]]] = [
    *((boolean(n), counting.boolean_polynomial(n)) for n in (1, 2, 4, 6)),
    *((braid(n), counting.braid_polynomial(n)) for n in (2, 3, 4, 5)),
    *((shi(n), counting.shi_polynomial(n)) for n in (2, 3, 4)),
    *((linial(n), counting.linial_polynomial(n)) for n in (2, 3, 4)),
    *((threshold(n), counting.threshold_polynomial(n)) for n in (2, 3, 4)),
    *((parallel(m, n), counting.parallel_polynomial(m, n)) for m, n in ((1, 1), (4, 1), (5, 3))),
    *(
        (central_generic(m, n), counting.central_polynomial(m, n))
        for m, n in ((1, 1), (3, 1), (4, 2), (2, 4), (6, 3), (6, 4))
        if n > 1 or m == 1
    ),
    *(
        (generic(m, n, rng(m)), counting.simple_polynomial(m, n))
        for m, n in ((0, 2), (1, 3), (3, 3), (2, 4), (5, 1), (8, 2), (9, 3), (8, 4), (8, 6))
    ),
]


@pytest.mark.parametrize(("a", "polynomial"), FAMILIES, ids=lambda x: str(x)[:60])
def test_families_have_their_polynomials(
    a: HyperplaneArrangement, polynomial: tuple[int, ...]
) -> None:
    assert a.characteristic_polynomial() == polynomial
    if a.n_hyperplanes <= 8:
        assert deletion_restriction(a) == polynomial
        if a.is_exact:
            assert whitney(a) == polynomial
    assert a.n_regions == counting.n_regions_of(polynomial)
    assert sum(f * (-1) ** k for k, f in enumerate(a.face_numbers())) == (-1) ** a.dimension
    assert a.face_numbers()[a.dimension] == a.n_regions
    check_regions(a)


def test_numbers_of_the_literature() -> None:
    assert [braid(n).n_regions for n in range(2, 7)] == [2, 6, 24, 120, 720]
    assert [shi(n).n_regions for n in (2, 3, 4)] == [3, 16, 125]
    assert [shi(n).n_relatively_bounded_regions for n in (2, 3, 4)] == [1, 4, 27]
    assert [shi(n).n_bounded_regions for n in (2, 3, 4)] == [0, 0, 0]
    assert [linial(n).n_regions for n in (2, 3, 4, 5)] == [2, 7, 36, 246]
    assert [threshold(n).n_regions for n in (2, 3, 4, 5)] == [2, 8, 46, 332]
    # Faces of the braid arrangement are ordered set partitions.
    assert braid(5).face_numbers() == (0, 1, 30, 150, 240, 120)
    signs = list(itertools.product((0, 1), repeat=3))
    functions = HyperplaneArrangement([[1, *s] for s in signs], [0] * 8)
    assert functions.n_regions == 104
    sums = [s for s in signs if any(s)]
    assert HyperplaneArrangement(sums, [0] * 7).n_regions == 32
    catalan = [
        (np.eye(4, dtype=int)[i] - np.eye(4, dtype=int)[j], c)
        for i, j in itertools.combinations(range(4), 2)
        for c in (-1, 0, 1)
    ]
    a = HyperplaneArrangement([row for row, _ in catalan], [c for _, c in catalan])
    assert (a.n_regions, a.n_relatively_bounded_regions) == (24 * 14, 24 * 5)
    assert len(check_regions(a)) == 336


def test_type_b_and_d() -> None:
    for n in (2, 3):
        pairs = [
            np.eye(n, dtype=int)[i] + sign * np.eye(n, dtype=int)[j]
            for i, j in itertools.combinations(range(n), 2)
            for sign in (1, -1)
        ]
        d = HyperplaneArrangement(pairs, [0] * len(pairs))
        b = HyperplaneArrangement([*pairs, *np.eye(n, dtype=int)], [0] * (len(pairs) + n))
        assert d.n_regions == 2 ** (n - 1) * factorial(n)
        assert b.n_regions == len(check_regions(b)) == 2**n * factorial(n)


def test_a_graph_has_as_many_regions_as_acyclic_orientations() -> None:
    # The Petersen graph.
    edges = [(i, (i + 1) % 5) for i in range(5)] + [(i, i + 5) for i in range(5)]
    edges += [(5 + i, 5 + (i + 2) % 5) for i in range(5)]
    for graph, expected in ((edges[:5], 2**5 - 2), (edges, 16680)):
        normals = [np.eye(10, dtype=int)[i] - np.eye(10, dtype=int)[j] for i, j in graph]
        assert HyperplaneArrangement(normals, [0] * len(graph)).n_regions == expected


@pytest.mark.parametrize("seed", range(6))
def test_regions_are_the_feasible_sign_vectors(seed: int) -> None:
    a = whole(6, 2 + seed % 3, 1 + seed % 2, seed)
    expected = feasible_sign_vectors(a)
    assert check_regions(a) == expected
    assert a.n_regions == len(expected)


@pytest.mark.parametrize("seed", range(12))
def test_degenerate_floats_are_counted_as_the_whole_numbers_they_come_from(seed: int) -> None:
    a = whole(4 + seed % 5, 2 + seed % 3, 1 + seed % 3, seed)
    b = as_floats(a, seed)
    assert b.characteristic_polynomial() == a.characteristic_polynomial() == whitney(a)
    assert b.face_numbers() == a.face_numbers()
    assert (a.is_simple, a.is_central, a.rank) == (b.is_simple, b.is_central, b.rank)
    assert check_regions(a) == check_regions(b)


@pytest.mark.parametrize(("m", "n"), [(7, 1), (12, 2), (10, 3), (9, 4), (9, 5), (8, 6), (7, 7)])
def test_general_position(m: int, n: int) -> None:
    for a in (generic(m, n, rng(n)), whole(m, n, 10**6, n)):
        assert a.is_simple
        assert len(check_regions(a)) == counting.binomial_sum(m, n)
        assert a.n_bounded_regions == comb(m - 1, n)
        assert a.characteristic_polynomial() == deletion_restriction(a)
        assert a.face_numbers() == tuple(counting.simple_faces(m, n, k) for k in range(n + 1))


def test_bounded_faces_are_counted() -> None:
    # A bounded k-face is a bounded region of the arrangement on the flat that it spans.
    a = generic(6, 3, rng(3))
    for k in range(3):
        total = 0
        for chosen in itertools.combinations(range(6), 3 - k):
            on = a
            for i in reversed(chosen):
                on = on.restriction(i)
            total += on.n_bounded_regions if k else 1
        assert total == counting.simple_bounded_faces(6, 3, k)
    assert a.n_bounded_regions == counting.simple_bounded_faces(6, 3, 3)


def test_more_regions_than_random_points_find() -> None:
    a = generic(12, 3, rng(5))
    regions = check_regions(a)
    points = 3 * rng(6).normal(size=(20_000, 3))
    seen = {tuple(row) for row in a.sign_vector(points).tolist()}
    assert seen <= regions
    assert len(seen) > len(regions) / 3


@pytest.mark.parametrize("exact", [True, False])
def test_what_floats_do_not_settle_is_found_in_fractions(
    monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    a = whole(6, 3, 50, 1) if exact else generic(6, 3, rng(1))
    expected = check_regions(a)
    certain = simple._certain
    calls = itertools.count()

    def never(*args: Any) -> Any:  # noqa: ANN401
        return certain(*args) & (next(calls) % 3 == 0)

    monkeypatch.setattr(simple, "_certain", never)
    assert check_regions(a) == expected


def test_thin_regions_have_exact_witnesses() -> None:
    # Three lines that nearly meet: the triangle is far below the resolution of floats there.
    tiny = Fraction(1, 10**40)
    a = HyperplaneArrangement([[1, 0], [0, 1], [1, 1]], np.array([1, 1, 2 + tiny]))
    assert a.is_simple
    assert len(check_regions(a)) == 7
    assert any(region.witness.dtype == object for region in a.regions())
    meeting = HyperplaneArrangement([[1, 0], [0, 1], [1, 1]], [1, 1, 2])
    assert not meeting.is_simple
    assert len(check_regions(meeting)) == 6
    huge = HyperplaneArrangement([[10**400, 1], [1, 10**400], [1, 1]], [0, 0, 1])
    assert len(check_regions(huge)) == 7


def test_a_scale_does_not_matter() -> None:
    for scale in (1e-8, 1e8):
        a = generic(8, 3, rng(2))
        b = HyperplaneArrangement(a.normals, scale * a.offsets)
        assert b.is_simple
        assert check_regions(b) == check_regions(a)


def test_attributes() -> None:
    assert (DEGENERATE.n_hyperplanes, DEGENERATE.dimension, DEGENERATE.rank) == (4, 2, 2)
    assert (DEGENERATE.n_regions, DEGENERATE.n_bounded_regions) == (9, 1)
    assert not DEGENERATE.is_simple
    assert not DEGENERATE.is_central
    assert DEGENERATE.deletion(1).is_central
    assert DEGENERATE.restriction(0).n_hyperplanes == 1
    assert DEGENERATE.restriction(1).n_hyperplanes == 2
    assert boolean(3).is_simple
    assert boolean(3).is_central
    assert not braid(3).is_essential
    assert not parallel(2, 2).is_simple
    assert parallel(1, 2).is_simple
    assert repr(braid(3)) == "<exact arrangement of 3 hyperplanes in R^3>"
    assert "float" in repr(generic(3, 2, rng()))
    empty = HyperplaneArrangement(np.zeros((0, 3)), np.zeros(0))
    assert (empty.n_regions, len(list(empty.regions())), empty.rank) == (1, 1, 0)


def test_distance_counts_separating_hyperplanes() -> None:
    a = generic(9, 3, rng(4))
    regions = list(a.regions())
    one, other = regions[0], regions[-1]
    crossed = a.sign_vector(np.linspace(one.witness, other.witness, 200_001))
    assert a.distance(one, other) == np.count_nonzero(np.diff(crossed, axis=0))
    assert a.distance(one, one) == 0
    assert a.distance(one.sign_vector, -one.sign_vector) == 9
    on = DEGENERATE.sign_vector([0, 0])
    assert on.tolist() == [0, -1, 0, 0]
    assert DEGENERATE.distance(on, DEGENERATE.sign_vector([2, 1])) == 1
    for wrong in ([1, 1], [1, 1, 1, 2], "x"):
        with pytest.raises(ValueError, match="sign vector of 4 entries"):
            DEGENERATE.distance(on, wrong)


def test_sign_vectors_are_exact() -> None:
    third = HyperplaneArrangement([[3]], [1])
    assert third.sign_vector(np.array([Fraction(1, 3)])).tolist() == [0]
    # The float is above or below, and which is known.
    assert third.sign_vector([1 / 3]).tolist() == [-1]
    assert third.sign_vector([np.nextafter(1 / 3, 1)]).tolist() == [1]
    assert third.sign_vector(np.zeros((2, 4, 1))).shape == (2, 4, 1)
    turned = as_floats(boolean(3))
    corner = np.linalg.solve(turned.normals, turned.offsets)
    assert turned.sign_vector(corner).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("normals", "offsets", "message"),
    [
        ([[1, 0], [0, 0]], [0, 1], r"normals\[1\] is"),
        ([[1.0, 0.0], [0.0, 0.0]], [0, 1], r"normals\[1\] is"),
        ([[1, 0]], [0, 1], r"shape .* got \(1, 2\) and \(2,\)"),
        ([1, 0], [0, 1], "must have the shape"),
        ([[1, np.nan]], [0], "normals must be finite"),
        ([[1, 1]], [np.inf], "offsets must be finite"),
        ([[1, 1j]], [0], "normals must be real"),
        ([["a", "b"]], [0], "normals must be real"),
        ([[Fraction(1), None]], [0], "normals must be real"),
        ([[1, 2], [0, 1], [2, 4]], [1, 5, 2], "hyperplane 2 is hyperplane 0 again"),
        ([[1, 2], [0, 1], [-2, -4]], [1, 5, -2], "hyperplane 2 is hyperplane 0 again"),
        ([[1.0, 0.3], [-10 / 3, -1.0]], [0.5, -5 / 3], "hyperplane 1 is hyperplane 0 again"),
        (np.zeros((1, 0)), [1], r"normals\[0\] is"),
    ],
)
def test_bad_input_is_named(normals: Any, offsets: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=message):
        HyperplaneArrangement(normals, offsets)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"\[0, 4\)"):
        DEGENERATE.restriction(4)
    with pytest.raises(ValueError, match=r"\[0, 4\)"):
        DEGENERATE.deletion(-1)
    for x in ([1, 2, 3], 1.0, [np.nan, 0]):
        with pytest.raises(ValueError, match="x must"):
            DEGENERATE.sign_vector(x)
    calls: list[Callable[[], object]] = [
        lambda: boolean(0),
        lambda: braid(1),
        lambda: threshold(1),
        lambda: parallel(0, 1),
        lambda: central_generic(0, 2),
        lambda: generic(-1, 2, rng()),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="must be at least"):
            call()


def test_regions_are_made_as_they_are_asked_for() -> None:
    # Of six million regions, the first hundred.
    a = generic(60, 5, rng(7))
    a.__dict__["_is_simple_in_its_span"] = True
    first = list(itertools.islice(a.regions(), 100))
    assert len({region.sign_vector.tobytes() for region in first}) == 100
