"""Counts of regions, patterns and pieces: the bounds against what brute force counts."""

import itertools
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest

from theory.arrangement import HyperplaneArrangement, counting, generic
from theory.arrangement.broadcast import float_above, float_below
from theory.claim import CLAIMS, OutOfScopeError
from theory.claims.alon1985 import log2_sign_matrices, printed_sign_rank
from theory.claims.buck1943 import max_bounded_faces, max_faces
from theory.claims.cover1965 import max_affine_dichotomies, max_dichotomies
from theory.claims.hanin2019 import mean_regions_on_segment
from theory.claims.montufar2014 import linear_regions_lower_bound
from theory.claims.serra2018 import linear_regions_upper_bound
from theory.claims.warren1968 import max_sign_patterns, sign_rank_lower_bound
from theory.claims.wendel1962 import half_space_probability
from theory.claims.zaslavsky1975 import max_bounded_regions, max_regions

Layers = list[tuple[np.ndarray, np.ndarray]]


def evaluated(claim: str, facts: dict[str, Any]) -> float:
    return float(CLAIMS[claim].evaluate(facts, CLAIMS[claim].quantities[0]))


def random_layers(n_inputs: int, widths: list[int], rng: np.random.Generator) -> Layers:
    sizes = [n_inputs, *widths]
    return [
        (rng.normal(size=(after, before)) / np.sqrt(before), rng.normal(size=after))
        for before, after in itertools.pairwise(sizes)
    ]


def patterns_on_line(layers: Layers, low: float, high: float) -> int:
    """Count the intervals of constant activation pattern, splitting them layer by layer."""
    pieces = [(low, high, np.array([1.0]), np.array([0.0]))]
    for weights, biases in layers:
        after = []
        for start, stop, slope, offset in pieces:
            a, b = weights @ slope, weights @ offset + biases
            kinks = sorted(t for t in -b[a != 0] / a[a != 0] if start < t < stop)
            for left, right in itertools.pairwise([start, *kinks, stop]):
                on = a * (left + right) / 2 + b > 0
                after.append((left, right, a * on, b * on))
        pieces = after
    return len(pieces)


def split(polygon: np.ndarray, a: np.ndarray, b: float) -> list[np.ndarray]:
    """Return the parts of a convex polygon on the two sides of a line, but for slivers."""
    values = polygon @ a + b
    parts = []
    for side in (1, -1):
        corners = []
        for i, j in zip(range(len(polygon)), np.roll(range(len(polygon)), -1), strict=True):
            if side * values[i] >= 0:
                corners.append(polygon[i])
            if values[i] * values[j] < 0:
                share = values[i] / (values[i] - values[j])
                corners.append(polygon[i] + share * (polygon[j] - polygon[i]))
        part = np.array(corners)
        if len(part) > 2:
            x, y = part.T
            if abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) > 1e-9:
                parts.append(part)
    return parts


def patterns_in_square(layers: Layers, size: float) -> int:
    """Count the polygons of constant activation pattern in a square."""
    square = size * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    pieces = [(square, np.eye(2), np.zeros(2))]
    for weights, biases in layers:
        after = []
        for polygon, matrix, offset in pieces:
            rows, levels = weights @ matrix, weights @ offset + biases
            parts = [polygon]
            for row, level in zip(rows, levels, strict=True):
                parts = [piece for part in parts for piece in split(part, row, level)]
            for part in parts:
                on = rows @ part.mean(axis=0) + levels > 0
                after.append((part, rows * on[:, None], levels * on))
        pieces = after
    return len(pieces)


@pytest.mark.parametrize(("m", "n"), [(5, 1), (7, 2), (6, 3), (7, 4)])
def test_arrangements_attain_zaslavsky_and_buck(m: int, n: int) -> None:
    a = generic(m, n, np.random.default_rng(m))
    facts = {"n_hyperplanes": m, "dimension": n}
    assert len(list(a.regions())) == max_regions(m, n) == evaluated("zaslavsky1975/regions", facts)
    assert a.n_bounded_regions == evaluated("zaslavsky1975/bounded-regions", facts)
    assert evaluated("zaslavsky1975/affine-orthants", facts) == a.n_regions
    for k, found in enumerate(a.face_numbers()):
        assert found == evaluated("buck1943/faces", facts | {"face_dimension": k})
    bounded = [
        evaluated("buck1943/bounded-faces", facts | {"face_dimension": k}) for k in range(n + 1)
    ]
    assert sum(f * (-1) ** k for k, f in enumerate(bounded)) == 1


@pytest.mark.parametrize("seed", range(8))
def test_no_arrangement_exceeds_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(2, 8)), int(rng.integers(1, 4))
    rows: dict[tuple[int, ...], None] = {}
    while len(rows) < m:
        row = rng.integers(-2, 3, n + 1)
        leading = next((x for x in row[:-1] if x), 0)
        if leading:
            primitive = row // np.gcd.reduce(row) * np.sign(leading)
            rows[tuple(primitive.tolist())] = None
    entries = np.array(list(rows))
    a = HyperplaneArrangement(entries[:, :-1], entries[:, -1])
    assert a.n_regions <= max_regions(m, n)
    assert bool(a.n_regions == max_regions(m, n)) is a.is_simple
    assert a.n_bounded_regions <= max_bounded_regions(m, n)
    assert all(f <= max_faces(m, n, k) for k, f in enumerate(a.face_numbers()))


def test_dichotomies_are_counted() -> None:
    points = np.random.default_rng(0).normal(size=(6, 2))
    # Twelve sectors of directions: none is so narrow that all of these miss it.
    directions = np.random.default_rng(1).normal(size=(20_000, 2))
    seen = {tuple(row) for row in np.sign(directions @ points.T).tolist()}
    assert len(seen) == max_dichotomies(6, 2) == 12
    affine = set()
    for direction in directions[:4000]:
        heights = np.sort(points @ direction)
        for level in [heights[0] - 1, *(heights[1:] + heights[:-1]) / 2, heights[-1] + 1]:
            affine.add(tuple(np.sign(points @ direction - level).tolist()))
    assert len(affine) == max_affine_dichotomies(6, 2) == 32
    facts = {"n_points": 6, "dimension": 2}
    assert evaluated("cover1965/dichotomies", facts) == 12
    assert evaluated("cover1965/affine-dichotomies", facts) == 32
    assert evaluated("cover1965/orthants", facts) == 12
    assert max_dichotomies(20, 10) == 2**19


def test_wendel_by_simulation() -> None:
    rng, trials = np.random.default_rng(2), 20_000
    for n_points in (3, 4, 5):
        # In the plane, points share a half-space where a gap between their angles exceeds pi.
        angles = np.sort(rng.uniform(0, 2 * np.pi, (trials, n_points)), axis=1)
        gaps = np.diff(np.column_stack([angles, angles[:, 0] + 2 * np.pi]), axis=1)
        share = float(np.mean(gaps.max(axis=1) > np.pi))
        expected = float(half_space_probability(n_points, 2))
        assert expected == n_points / 2 ** (n_points - 1)
        assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / trials)
    assert half_space_probability(20, 10) == 0.5
    facts = {"n_points": 4, "dimension": 2}
    assert evaluated("wendel1962/half-space", facts) == pytest.approx(0.5, rel=1e-11)


def test_conics_have_no_more_sign_patterns() -> None:
    rng = np.random.default_rng(3)
    for count in (2, 4, 6):
        conics = rng.normal(size=(count, 6))
        x, y = rng.normal(size=(2, 100_000)) * 2
        values = conics @ np.array([x * x, x * y, y * y, x, y, np.ones_like(x)])
        seen = np.unique(np.sign(values), axis=1).shape[1]
        assert seen <= max_sign_patterns(count, 2, 2)
        known = {"n_polynomials": count, "degree": 2, "n_variables": 2}
        assert seen <= evaluated("warren1968/sign-patterns", known)
    with pytest.raises(OutOfScopeError, match="3 variables need as many polynomials, not 2"):
        max_sign_patterns(2, 1, 3)


def test_sign_matrices() -> None:
    # Sign rank 1: products of two sign vectors.
    signs = list(itertools.product((-1, 1), repeat=4))
    rank_one = {np.outer(a, b).tobytes() for a in signs for b in signs}
    assert len(rank_one) == 2**7
    assert np.log2(len(rank_one)) <= log2_sign_matrices(4, 4, 1)
    known = {"matrix_rows": 4, "matrix_columns": 4, "sign_rank": 1}
    assert evaluated("alon1985/sign-matrices", known) >= 7
    # Of sign rank 2 are dichotomies of points by lines through the origin.
    rng = np.random.default_rng(4)
    products = rng.normal(size=(50_000, 4, 2)) @ rng.normal(size=(50_000, 2, 4))
    seen = np.unique(np.sign(products).reshape(-1, 16), axis=0)
    assert np.log2(len(seen)) <= log2_sign_matrices(4, 4, 2)
    with pytest.raises(OutOfScopeError, match="more entries than the 4 x 4 matrix"):
        log2_sign_matrices(4, 4, 3)
    for size in (1, 2, 50, 500, 3000):
        assert evaluated("warren1968/sign-rank", {"matrix_size": size}) >= size / 32
        assert evaluated("alon1985/sign-rank", {"matrix_size": size}) == printed_sign_rank(size)
    assert sign_rank_lower_bound(10**6) == pytest.approx(68369.5, abs=1)


@pytest.mark.parametrize("widths", [[3], [5, 4], [2, 3, 2], [1, 4], [4, 1, 3]])
def test_pieces_on_a_line(widths: list[int]) -> None:
    bound = linear_regions_upper_bound(1, widths)
    facts = {"n_inputs": 1, "hidden_widths": widths}
    assert evaluated("serra2018/linear-regions", facts) == bound
    seen = [
        patterns_on_line(random_layers(1, widths, np.random.default_rng(seed)), -1e6, 1e6)
        for seed in range(40)
    ]
    assert max(seen) <= bound
    if len(widths) == 1:
        assert max(seen) == bound
    if 1 not in widths:
        assert bound == np.prod(np.array(widths) + 1)


@pytest.mark.parametrize("widths", [[4], [3, 3], [4, 4], [3, 2, 3], [2, 1, 3]])
def test_pieces_of_the_plane(widths: list[int]) -> None:
    bound = linear_regions_upper_bound(2, widths)
    seen = [
        patterns_in_square(random_layers(2, widths, np.random.default_rng(seed)), 300.0)
        for seed in range(12)
    ]
    assert max(seen) <= bound
    if len(widths) == 1:
        assert max(seen) == bound == counting.binomial_sum(4, 2)


def folding_layers(n_inputs: int, q: int, depth: int, rng: np.random.Generator) -> Layers:
    """The construction of Montufar et al.: q units an input fold it, and the last layer cuts."""
    slopes = np.array([q] + [2 * q * (-1) ** i for i in range(1, q)], dtype=float)
    units = np.kron(np.eye(n_inputs), np.ones((q, 1)))
    sums = np.kron(np.eye(n_inputs), slopes)
    kinks = np.tile(-np.arange(q) / q, n_inputs)
    layers: Layers = [(units, kinks)]
    layers += [(units @ sums, kinks) for _ in range(depth - 2)]
    # Lines through points near the middle of the cube, so that all of them cross inside it.
    width = q * n_inputs
    normals = rng.normal(size=(width, n_inputs))
    inside = 0.5 + 0.05 * rng.normal(size=(width, n_inputs))
    offsets = -np.sum(normals * inside, axis=1)
    return [*layers, (normals @ sums, offsets)]


@pytest.mark.parametrize(("q", "depth"), [(2, 2), (3, 3), (4, 3), (2, 6)])
def test_folds_have_the_pieces_that_are_promised_on_a_line(q: int, depth: int) -> None:
    promised = linear_regions_lower_bound(1, [q] * depth)
    layers = folding_layers(1, q, depth, np.random.default_rng(q))
    assert promised <= patterns_on_line(layers, 0.0, 1.0)
    assert patterns_on_line(layers, -1e6, 1e6) <= linear_regions_upper_bound(1, [q] * depth)


def test_folds_have_the_pieces_that_are_promised_in_the_plane() -> None:
    promised = linear_regions_lower_bound(2, [4, 4])
    assert promised == 44
    counts = [
        patterns_in_square(folding_layers(2, 2, 2, np.random.default_rng(seed)), 4.0)
        for seed in range(20)
    ]
    assert promised <= max(counts) <= linear_regions_upper_bound(2, [4, 4])
    facts = {"n_inputs": 2, "hidden_widths": [4, 4]}
    assert evaluated("montufar2014/max-linear-regions", facts) == 44


def test_accepted_numbers_of_regions() -> None:
    assert linear_regions_upper_bound(2, [3, 2, 3]) == 100
    assert linear_regions_upper_bound(784, [64, 32]) == 79201434157993456665383216549
    assert linear_regions_upper_bound(11, [64]) == 927740240713
    with pytest.raises(OutOfScopeError, match="3 units is narrower than the 4 inputs"):
        linear_regions_lower_bound(4, [8, 3])
    with pytest.raises(ValueError, match="at least one hidden layer"):
        linear_regions_upper_bound(4, [])
    with pytest.raises(ValueError, match=r"widths must be a whole number.*got 2\.5"):
        linear_regions_upper_bound(4, [2.5])  # type: ignore[list-item]


def test_random_networks_have_few_pieces_on_a_segment() -> None:
    rng, widths, trials = np.random.default_rng(5), [8, 8, 8], 200
    counts, slopes = [], []
    for _ in range(trials):
        layers = random_layers(1, widths, rng)
        counts.append(patterns_on_line(layers, -1.0, 1.0))
        # The slopes of the units at a few places.
        for t in (-0.9, -0.3, 0.3, 0.9):
            value, slope, seen = np.array([t]), np.array([1.0]), []
            for weights, biases in layers:
                value, slope = weights @ value + biases, weights @ slope
                seen.append(np.abs(slope))
                value, slope = value * (value > 0), slope * (value > 0)
            slopes.append(np.concatenate(seen))
    largest = float(np.max(np.mean(slopes, axis=0))) * 1.3
    bound = float(mean_regions_on_segment(24, 2.0, largest, 1 / np.sqrt(2 * np.pi)))
    assert np.mean(counts) <= bound <= linear_regions_upper_bound(1, widths)
    facts = {
        "n_units": 24, "segment_length": 2.0, "unit_slope": largest,
        "bias_density": 1 / np.sqrt(2 * np.pi),
    }  # fmt: skip
    found = CLAIMS["hanin2019/regions-on-a-segment"].evaluate(facts, None, 0.05)
    assert found.lower <= bound <= found.upper


@pytest.mark.parametrize(
    ("claim", "facts", "reason"),
    [
        ("zaslavsky1975/regions", {"dimension": 3}, "number of hyperplanes is not known"),
        ("zaslavsky1975/bounded-regions", {"n_hyperplanes": 3}, "dimension of the space is not"),
        ("buck1943/faces", {"n_hyperplanes": 3, "dimension": 2}, "dimension of the faces is not"),
        (
            "buck1943/bounded-faces",
            {"n_hyperplanes": 3, "dimension": 2, "face_dimension": 3},
            "faces of dimension 3 do not exist in dimension 2",
        ),
        ("cover1965/dichotomies", {"dimension": 3}, "number of points is not known"),
        ("wendel1962/half-space", {"n_points": 3}, "dimension of the space is not known"),
        ("warren1968/sign-patterns", {"degree": 3}, "number of polynomials is not known"),
        ("warren1968/sign-rank", {}, "size of the matrices is not known"),
        ("alon1985/sign-matrices", {}, "number of rows is not known"),
        ("serra2018/linear-regions", {"n_inputs": 3}, "widths of the hidden layers are not|is not"),
        ("montufar2014/max-linear-regions", {}, "number of inputs is not known"),
    ],
)
def test_facts_that_are_missing_are_named(claim: str, facts: dict[str, Any], reason: str) -> None:
    with pytest.raises(OutOfScopeError, match=reason):
        evaluated(claim, facts)


def test_floats_stay_on_the_side_that_keeps_the_bound() -> None:
    for count in (2**53 + 1, 3**40, comb(300, 150), 2**1100):
        above, below = float_above(count), float_below(count)
        assert below <= count <= above
        if above < np.inf:
            assert Fraction(above) - Fraction(below) <= Fraction(count, 2**51)
    assert max_regions(2000, 1500) == np.inf
    assert max_regions([[3], [4]], [1, 2]).tolist() == [[4, 7], [5, 11]]
    for wrong in (0, 1.5, np.nan, np.inf, -1):
        with pytest.raises(ValueError, match="m must be a whole number of at least 1"):
            max_regions(wrong, 2)
    assert max_bounded_faces(1, 3, 2) == 0
