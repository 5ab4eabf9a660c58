"""Products of layer norms: bounds on slopes, rounding and certified radii, tried by search."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from theory.lipschitz.product import (
    AffineLayer,
    compose,
    forward_error,
    lipschitz_upper,
    margin_radii,
)

Layers = tuple[AffineLayer, ...]


def network(rng: np.random.Generator, *widths: int, scale: float = 1.0) -> Layers:
    return tuple(
        AffineLayer(
            scale * rng.standard_normal((m, n)).astype(np.float32).astype(np.float64),
            rng.standard_normal(m).astype(np.float32).astype(np.float64),
        )
        for n, m in itertools.pairwise(widths)
    )


def outputs(layers: Layers, x: np.ndarray) -> np.ndarray:
    for i, layer in enumerate(layers):
        x = (np.maximum(x, 0) if i else x) @ layer.weight.T + layer.bias
    return x


def exact_outputs(layers: Layers, x: np.ndarray) -> list[Fraction]:
    """One point in rational arithmetic."""
    values = [Fraction(float(value)) for value in x]
    for i, layer in enumerate(layers):
        values = [max(value, Fraction(0)) for value in values] if i else values
        values = [
            Fraction(float(b))
            + sum((Fraction(float(w)) * v for w, v in zip(row, values, strict=True)), Fraction(0))
            for row, b in zip(layer.weight, layer.bias, strict=True)
        ]
    return values


def one_by_one(layers: Layers, x: np.ndarray, precision: str) -> np.ndarray:
    """One point in the given arithmetic, each row summed in a random order."""
    rng = np.random.default_rng(0)
    values = x.astype(precision)
    for i, layer in enumerate(layers):
        values = np.maximum(values, 0) if i else values
        rows = layer.weight.astype(precision) * values
        terms = np.column_stack([rows, layer.bias.astype(precision)])
        terms = rng.permuted(terms, axis=1)
        values = np.add.accumulate(terms, axis=1)[:, -1]
        assert values.dtype == precision
    return values


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(6))
def test_forward_error_bounds_the_rounding(precision: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = network(rng, 5, 12, 9, 3)
    ratios = []
    for _ in range(8):
        x = rng.standard_normal(5).astype(np.float32)
        exact = exact_outputs(layers, x)
        seen = one_by_one(layers, x, precision)
        squares = sum((Fraction(float(s)) - e) ** 2 for s, e in zip(seen, exact, strict=True))
        error = math.sqrt(squares)
        allowed = float(forward_error(layers, np.linalg.norm(x) * (1 + 1e-12), precision))
        ratios.append(error / allowed)
    assert 0 < max(ratios) <= 1
    # A bound in norms for any order is loose, by far less than would hide a lost unit roundoff.
    assert max(ratios) > 1e-5


def test_forward_error_of_an_early_layer_is_carried_on() -> None:
    x = np.full(3000, 0.1, dtype=np.float32)
    first = AffineLayer(np.ones((1, 3000)), np.zeros(1))
    layers = (first, AffineLayer(np.array([[-7.0]]), np.zeros(1)))
    total = np.add.accumulate(x)[-1]
    error = abs(-7.0 * float(total) + 7.0 * float(np.float64(x).sum()))
    size = float(np.linalg.norm(np.float64(x)))
    assert error > 100 * forward_error(layers[1:], float(total), "float32")
    assert error <= forward_error(layers, size, "float32")


def test_forward_error_grows_with_the_input_and_shrinks_with_the_precision() -> None:
    layers = network(np.random.default_rng(1), 4, 6, 2)
    single, double = (forward_error(layers, [0.0, 1.0, 9.0], p) for p in ("float32", "float64"))
    assert single.shape == (3,)
    assert np.all(np.diff(single) > 0)
    np.testing.assert_allclose(single / double, 2.0**29, rtol=1e-4)


def test_fan_in_counts_the_weights_that_are_there() -> None:
    assert AffineLayer(np.array([[1.0, 0, 2.0], [0, 0, 3.0]]), np.zeros(2)).fan_in == 3
    assert AffineLayer(np.zeros((2, 0)), np.zeros(2)).fan_in == 1


@pytest.mark.parametrize("seed", range(5))
def test_lipschitz_constant_is_above_all_slopes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = network(rng, 3, 8, 8, 2)
    bound = lipschitz_upper(layers)
    x, step = rng.standard_normal((4000, 3)), 1e-3 * rng.standard_normal((4000, 3))
    change = np.linalg.norm(outputs(layers, x + step) - outputs(layers, x), axis=1)
    slopes = change / np.linalg.norm(step, axis=1)
    assert slopes.max() <= bound
    product = np.prod([np.linalg.norm(layer.weight, 2) for layer in layers])
    assert 0 <= bound / product - 1 < 1e-8
    single = layers[:1]
    top = np.linalg.svd(single[0].weight)[2][0]
    gain = np.linalg.norm(single[0].weight @ top)
    assert lipschitz_upper(single) == pytest.approx(gain, rel=1e-9)


def exactly(matrix: np.ndarray) -> list[list[Fraction]]:
    return [[Fraction(float(value)) for value in row] for row in matrix]


@pytest.mark.parametrize("seed", range(5))
def test_composition_holds_its_own_rounding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = network(rng, 4, 30, scale=1e3)[0], network(rng, 30, 5)[0]
    merged = second.after(first)
    x = rng.standard_normal((3, 4))
    np.testing.assert_allclose(
        outputs((merged,), x),
        second.weight @ first.bias
        + second.bias
        + outputs((AffineLayer(second.weight, np.zeros(5)),), x @ first.weight.T),
        rtol=1e-9,
    )
    a, b, c = exactly(second.weight), exactly(first.weight), exactly(merged.weight)
    off = sum(
        (sum((a[i][k] * b[k][j] for k in range(30)), Fraction(0)) - c[i][j]) ** 2
        for i in range(5)
        for j in range(4)
    )
    assert 0 < math.sqrt(off) <= merged.error < 1e-11 * first.norm * second.norm
    # Errors that the factors bring along, pointed where they are magnified most.
    own, others = np.linalg.svd(second.weight)[2][0], np.linalg.svd(first.weight)[0][:, 0]
    for d, e in ((0.1, 0.0), (0.0, 10.0), (0.1, 10.0)):
        vague = AffineLayer(second.weight, second.bias, d).after(
            AffineLayer(first.weight, first.bias, e)
        )
        more = first.weight + e * np.outer(own, np.eye(4)[0])
        change = (second.weight + d * np.outer(np.eye(5)[0], others)) @ more - vague.weight
        assert 0.01 * vague.error < np.linalg.norm(change, 2) <= vague.error


def test_compose_merges_where_the_two_meet() -> None:
    rng = np.random.default_rng(2)
    generator, classifier = network(rng, 2, 7, 6), network(rng, 6, 5, 3)
    whole, z = compose(generator, classifier), rng.standard_normal((50, 2))
    assert len(whole) == 3
    np.testing.assert_allclose(
        outputs(whole, z), outputs(classifier, outputs(generator, z)), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize(("inner", "outer"), [(2, 9), (5, 6), (1, 4), (7, 7), (9, 4)])
def test_norm_on_a_range_bounds_every_ratio_there(inner: int, outer: int) -> None:
    rng = np.random.default_rng(inner)
    first, second = network(rng, inner, outer)[0], network(rng, outer, 5)[0]
    restricted = second.restricted_to_range_of(first)
    directions = rng.standard_normal((3000, inner)) @ first.weight.T
    ratios = np.linalg.norm(directions @ second.weight.T, axis=1)
    ratios /= np.linalg.norm(directions, axis=1)
    assert ratios.max() <= restricted.norm <= second.norm * (1 + 1e-9)
    if inner < outer:
        basis = np.linalg.svd(first.weight, full_matrices=False)[0]
        assert restricted.norm == pytest.approx(np.linalg.norm(second.weight @ basis, 2), rel=1e-8)
        assert restricted.norm < 0.999 * second.norm
    else:
        assert restricted is second


def test_range_of_dependent_columns_is_refused() -> None:
    column = np.arange(1.0, 6.0)[:, None]
    flat = AffineLayer(np.hstack([column, 2 * column]), np.zeros(5))
    with pytest.raises(ArithmeticError, match="dependent columns"):
        AffineLayer(np.eye(5), np.zeros(5)).restricted_to_range_of(flat)


def test_one_layer_has_exact_radii() -> None:
    rng = np.random.default_rng(8)
    layers, x = network(rng, 4, 6), rng.standard_normal((40, 4))
    logits, weight = outputs(layers, x), layers[0].weight
    radii = margin_radii(layers, logits)
    for i, row in enumerate(logits):
        c = int(row.argmax())
        rivals = [j for j in range(6) if j != c]
        exact = min((row[c] - row[j]) / np.linalg.norm(weight[c] - weight[j]) for j in rivals)
        assert exact * (1 - 1e-9) <= radii[i] <= exact


@pytest.mark.parametrize("seed", range(8))
def test_no_other_label_is_found_within_a_radius(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = network(rng, 2, 6, 5, 3)
    x = 2 * rng.standard_normal((30, 2))
    logits = outputs(layers, x)
    radii = margin_radii(layers, logits)
    assert np.all(radii > 0)
    grid = np.stack(np.meshgrid(*[np.linspace(-6, 6, 301)] * 2), axis=-1).reshape(-1, 2)
    labels, own = outputs(layers, grid).argmax(axis=1), logits.argmax(axis=1)
    for point, label, radius in zip(x, own, radii, strict=True):
        around = np.concatenate([grid, point + radius * rng.standard_normal((2000, 2))])
        seen = np.concatenate([labels, outputs(layers, around[len(grid) :]).argmax(axis=1)])
        apart = np.linalg.norm(around - point, axis=1)[seen != label]
        assert not apart.size or radius <= apart.min()


def test_errors_of_the_logits_are_taken_off() -> None:
    # Labels of outputs that are off by a vector of that length are still right at the radius.
    layers = (AffineLayer(np.array([[3.0, 0], [0, 4.0]]), np.zeros(2)),)
    logits = np.array([[2.0, 1.0], [2.0, 1.9]])
    error = np.array([0.1, 0.2])
    plain, less = margin_radii(layers, logits), margin_radii(layers, logits, (error, error))
    np.testing.assert_allclose(plain, [0.2, 0.02], rtol=1e-9)
    assert less[1] == 0
    # Two outputs together are off by at most sqrt 2 of the vector's length, for each of the two.
    assert less[0] == pytest.approx(plain[0] - 2 * np.sqrt(2) * 0.1 / 5, rel=1e-9)
    vague = (AffineLayer(layers[0].weight, layers[0].bias, 0.5),)
    assert margin_radii(vague, logits)[0] == pytest.approx(1 / (5 + np.sqrt(2) * 0.5), rel=1e-9)


def test_ties_and_constant_outputs() -> None:
    layers = (AffineLayer(np.array([[1.0, 0], [0, 1.0], [1.0, 0]]), np.zeros(3)),)
    np.testing.assert_array_equal(
        margin_radii(layers, np.array([[2.0, 2.0, 1.0], [3.0, 1.0, 3.0]])), [0.0, 0.0]
    )
    # The third output differs from the first by a constant and is never reached.
    never = margin_radii((AffineLayer(np.ones((2, 2)), np.zeros(2)),), np.array([[1.0, 0.0]]))
    np.testing.assert_array_equal(never, np.inf)
    single = (AffineLayer(np.ones((1, 2)), np.zeros(1)),)
    np.testing.assert_array_equal(margin_radii(single, np.array([[0.3], [-1.0]])), np.inf)


@pytest.mark.parametrize("size", [1e-170, 1e170])
def test_certificates_do_not_grow_by_underflow(size: float) -> None:
    rng = np.random.default_rng(3)
    weight = size * rng.standard_normal((3, 4))
    points = rng.standard_normal((5, 4))
    logits = points @ weight.T
    radii = margin_radii([AffineLayer(weight, np.zeros(3))], logits)
    plain = margin_radii([AffineLayer(weight / size, np.zeros(3))], logits / size)
    np.testing.assert_allclose(radii, plain, rtol=1e-9)
