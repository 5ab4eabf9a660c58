"""Regions of networks: linear programmes one by one, areas, counts known in closed form."""

from typing import Any

import numpy as np
import pytest
from scipy import optimize

from tests.test_relu_enumeration import random_network
from theory.arrangement.counting import binomial_sum
from theory.arrays import FloatArray
from theory.relu import (
    PlanarSlice,
    Region,
    ReluNetwork,
    plane_through,
    slice_regions,
)
from theory.relu.polygons import Polygons

PLANE = ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0])


def least(objective: FloatArray, region: Region, rows: list[int]) -> Any:  # noqa: ANN401
    return optimize.linprog(
        objective,
        A_ub=-region.normals[rows] if rows else None,
        b_ub=-region.offsets[rows] if rows else None,
        bounds=list(zip(region.low, region.high, strict=True)),
    )


@pytest.mark.parametrize("seed", range(40))
def test_region_of_a_point(seed: int) -> None:
    """Needed half-spaces and boundedness by one linear programme a row, or a direction."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    net = random_network(rng, n, int(rng.integers(1, 9)), int(rng.integers(1, 7)), 3)
    x = rng.normal(size=n)
    box = None if seed % 3 == 0 else (np.minimum(x, -1.5), 2.0 + np.abs(x))
    region = net.region(x, box)
    assert region.contains(x)
    np.testing.assert_allclose(region.outputs(x), net(x), rtol=1e-12, atol=1e-12)
    center, radius = region.ball
    assert radius > 0
    steps = rng.normal(size=(50, n))
    around = center + 0.999 * radius * steps / np.linalg.norm(steps, axis=1)[:, None]
    assert np.all(net.pattern(around) == region.pattern)
    assert np.all((around >= region.low) & (around <= region.high))
    # A point is in the region, or its pattern differs, or it is outside the box.
    points = x + rng.normal(size=(300, n)) * 0.5
    within = np.all((points >= region.low) & (points <= region.high), axis=1)
    same = np.all(net.pattern(points) == region.pattern, axis=1)
    assert np.array_equal(region.contains(points), same & within)

    needed, everything = [], range(len(region.units))
    for i in everything:
        found = least(region.normals[i], region, [j for j in everything if j != i])
        assert found.status in (0, 3)
        gap = 1e-9 * np.linalg.norm(region.normals[i])
        if found.status == 3 or found.fun < region.offsets[i] - gap:
            needed.append(int(region.units[i]))
    assert region.irredundant().tolist() == needed
    directions = [sign * axis for axis in np.eye(n) for sign in (1.0, -1.0)]
    assert region.bounded == all(
        least(axis, region, list(everything)).status == 0 for axis in directions
    )


def test_equal_facets_are_one() -> None:
    weight = [[1.0, 0.0], [3.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    bias = [1.0, 3.0, -2.0, 1.0, 2.0, 1.0]
    region = ReluNetwork([(weight, bias), (np.ones((1, 6)), [0.0])]).region([0.5, 0.5])
    # The fifth unit's line meets the region in a corner only; the sixth is constant.
    assert region.units.tolist() == [0, 1, 2, 3, 4]
    assert region.irredundant().tolist() == [0, 3]
    assert not region.bounded


def test_region_without_interior() -> None:
    net = ReluNetwork([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    region = net.region([0.0])
    assert region.contains([0.0])
    assert region.ball.radius == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="no interior"):
        region.irredundant()
    constant = ReluNetwork([([[0.0]], [1.0]), ([[1.0]], [0.0])])
    with pytest.raises(ValueError, match="no point has this pattern"):
        Region.of(constant.piece([False]), [False])


def checked(net: ReluNetwork, found: PlanarSlice) -> None:
    """Areas, patterns and outputs of all regions, their labels and boundary."""
    left, right, bottom, top = found.extent
    total = (right - left) * (top - bottom)
    areas = found.polygons.areas
    assert areas.sum() == pytest.approx(total, rel=1e-9)
    assert areas.min() > 0
    assert len(np.unique(found.patterns, axis=0)) == found.n_regions
    scale = 1e-9 * np.abs(net(found.points(found.polygons.vertices))).max()
    for region in found.regions:
        vertices, middle = region.vertices, region.vertices.mean(axis=0)
        # Points well inside, towards each vertex: of small polygons, too, unless of no area.
        inner = found.points(0.9 * vertices + 0.1 * middle)
        if Polygons(vertices, np.array([0, len(vertices)])).areas[0] > 1e-10 * total:
            assert np.all(net.pattern(inner) == region.pattern)
        np.testing.assert_allclose(
            region.outputs(vertices), net(found.points(vertices)), atol=scale
        )
        edges = np.roll(vertices, -1, axis=0) - vertices
        turns = edges[:, 0] * np.roll(edges, -1, axis=0)[:, 1]
        turns -= edges[:, 1] * np.roll(edges, -1, axis=0)[:, 0]
        assert np.all(turns > -1e-9 * total)
    cells = found.label_polygons()
    sizes = np.array([Polygons(c.vertices, np.array([0, len(c.vertices)])).areas[0] for c in cells])
    assert sizes.sum() == pytest.approx(total, rel=1e-9)
    middles = np.array([cell.vertices.mean(axis=0) for cell in cells])
    clear = sizes > 1e-10 * total
    labels = np.array([cell.label for cell in cells])
    assert np.array_equal(net.label(found.points(middles))[clear], labels[clear])
    for ends, (first, second) in found.decision_boundary():
        outputs = net(found.points(np.linspace(ends[0], ends[1], 5)))
        top_two = np.sort(outputs, axis=1)[:, -2:]
        np.testing.assert_allclose(top_two[:, 0], top_two[:, 1], atol=scale)
        np.testing.assert_allclose(outputs[:, [first, second]], top_two, atol=scale)


@pytest.mark.parametrize("seed", range(6))
def test_slices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    widths = [(3, 12, 3), (5, 10, 10, 3), (2, 6, 6, 6, 6, 3)][seed % 3]
    net = random_network(rng, *widths, slope=0.25 * (seed > 2))
    plane = plane_through(*rng.normal(size=(3, widths[0])))
    found = slice_regions(net, plane.origin, plane.u, plane.v, (-2.0, 3.0, -2.5, 2.5))
    checked(net, found)
    points = rng.uniform([-2.0, -2.5], [3.0, 2.5], size=(20_000, 2))
    seen = {pattern.tobytes() for pattern in net.pattern(found.points(points))}
    assert seen <= {pattern.tobytes() for pattern in found.patterns}


def test_slice_crosses_what_a_segment_crosses() -> None:
    """The pieces along a segment are the polygons that it meets, one after another."""
    rng = np.random.default_rng(4)
    net = random_network(rng, 6, 15, 10, 3)
    x, y, z = rng.normal(size=(3, 6))
    plane = plane_through(x, y, z)
    length = float(plane.coordinates[1, 0])
    found = slice_regions(net, plane.origin, plane.u, plane.v, (0, length, -1, 1))
    met = {pattern.tobytes() for pattern in net.crossings(x, y).patterns}
    assert met <= {pattern.tobytes() for pattern in found.patterns}
    on = [r.pattern.tobytes() for r in found.regions if np.ptp(np.sign(r.vertices[:, 1])) == 2]
    assert set(on) == met


@pytest.mark.parametrize("units", [1, 2, 9, 25])
def test_one_layer_in_a_huge_rectangle_has_all_regions(units: int) -> None:
    rng = np.random.default_rng(units)
    net = random_network(rng, 2, units, 3)
    found = slice_regions(net, *PLANE, (-1e5, 1e5, -1e5, 1e5))
    assert found.n_regions == binomial_sum(units, 2)


def test_equal_lines_and_constant_units_on_a_slice() -> None:
    weight = [[1, 0], [-1, 0], [2, 0], [0, 1], [1, 1], [1, -1], [0, 0], [1e-3, 0]]
    net = ReluNetwork([(weight, np.zeros(8)), (np.ones((2, 8)), [0.0, 0.0])])
    found = slice_regions(net, *PLANE, (-1, 1, -1, 1))
    assert np.allclose(found.polygons.areas, 0.5)
    assert found.n_regions == 8
    # Both outputs are equal everywhere: the first is the label, and there is no boundary.
    assert {cell.label for cell in found.label_polygons()} == {0}
    assert found.decision_boundary() == []


def test_decision_boundary_of_a_linear_classifier() -> None:
    """Three classes whose regions meet in the origin, at angles that are known."""
    angles = np.array([0.3, 0.3 + 2 * np.pi / 3, 0.3 + 4 * np.pi / 3])
    net = ReluNetwork([(np.column_stack([np.cos(angles), np.sin(angles)]), np.zeros(3))])
    found = slice_regions(net, *PLANE, (-1, 1, -1, 1))
    assert found.n_regions == 1
    segments = found.decision_boundary()
    assert sorted(segment.labels for segment in segments) == [(0, 1), (0, 2), (1, 2)]
    for ends, (first, second) in segments:
        assert np.hypot(*ends.T).min() < 1e-9
        far = ends[np.hypot(*ends.T).argmax()]
        assert np.abs(far).max() == pytest.approx(1)
        middle = (angles[first] + angles[second]) / 2 + np.pi * (second - first == 2)
        np.testing.assert_allclose(
            far / np.hypot(*far), [np.cos(middle), np.sin(middle)], atol=1e-12
        )


def test_planes_and_extents_that_make_no_sense() -> None:
    net = random_network(np.random.default_rng(0), 2, 3, 3)
    with pytest.raises(ValueError, match="on one line"):
        plane_through([0, 0], [1, 1], [3, 3])
    with pytest.raises(ValueError, match="one shape"):
        plane_through([0, 0], [1, 1], [3, 3, 3])
    with pytest.raises(ValueError, match="extent"):
        slice_regions(net, *PLANE, (0, 0, 0, 1))
    points = np.random.default_rng(1).normal(size=(3, 7))
    plane = plane_through(*points)
    axes = np.array([plane.u, plane.v])
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-14)
    np.testing.assert_allclose(plane.origin + plane.coordinates @ axes, points, atol=1e-13)
