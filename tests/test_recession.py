"""Labels far away: rational arithmetic on small networks, real ones, and what rounding may hide."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from empirics.data import load
from theory.arrays import FloatArray
from theory.hamming.recession import NO_LABEL, escape_range, recession_labels
from theory.proofs.shamir2019.rays import (
    ExactLayer,
    exact_escape,
    exact_label,
    exact_outputs,
    moved,
    without_biases,
)
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork


def random_network(rng: np.random.Generator, n: int, n_classes: int, depth: int) -> ReluNetwork:
    """Return a network of dyadic weights, whose values are exact in small cases."""
    widths = [n, *(int(w) for w in rng.integers(2, 7, depth)), n_classes]
    slope = float(rng.choice([0.0, 0.0, 0.25, -0.5]))
    layers = []
    for i, (inner, outer) in enumerate(pairwise(widths)):
        weight = rng.integers(-8, 9, (outer, inner)) / 8
        slopes = np.full(outer, 1.0 if i == depth else slope)
        layers.append(Layer(weight, rng.integers(-8, 9, outer) / 4, slopes))
    return ReluNetwork(layers)


def exactly(network: ReluNetwork) -> list[ExactLayer]:
    found = []
    for layer in network.layers:
        weight = [[Fraction(w) for w in row] for row in np.asarray(layer.weight).tolist()]
        bias = [Fraction(b) for b in layer.bias.tolist()]
        found.append(ExactLayer(weight, bias, Fraction(float(layer.slope[0]))))
    return found


def unit(n: int, j: int, sign: int) -> list[Fraction]:
    return [Fraction(sign * (i == j)) for i in range(n)]


def test_exact_networks_are_the_networks() -> None:
    rng = np.random.default_rng(0)
    for depth in (0, 1, 2, 3):
        network, x = random_network(rng, 3, 4, depth), rng.normal(size=3)
        outputs = exact_outputs(exactly(network), [Fraction(z) for z in x.tolist()])
        np.testing.assert_allclose(network(x), [float(v) for v in outputs], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_labels_and_ranges_are_those_of_rational_arithmetic(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, n_classes, depth = int(rng.integers(1, 6)), int(rng.integers(2, 6)), seed % 4
    network = random_network(rng, n, n_classes, depth)
    layers, x = exactly(network), rng.integers(-16, 17, n) / 8
    start = [Fraction(z) for z in x.tolist()]
    found = recession_labels(network)
    assert found.labels.shape == found.leads.shape == (2, n)
    for j in range(n):
        for row, sign in enumerate((1, -1)):
            d = unit(n, j, sign)
            label = exact_label(without_biases(layers), d)
            assert found.labels[row, j] == (NO_LABEL if label is None else label)
            if label is None:
                assert found.leads[row, j] == 0
                continue
            ends = sorted(exact_outputs(without_biases(layers), d))
            assert 0 < Fraction(found.leads[row, j]) <= ends[-1] - ends[-2]
            assert found.leads[row, j] == pytest.approx(float(ends[-1] - ends[-2]), rel=1e-9)
            last = exact_escape(layers, start, d, label)
            assert last is not None
            tau = escape_range(network, x, j, sign, label)
            assert tau == pytest.approx(float(last), rel=1e-9, abs=1e-9)
            for beyond in (1e-6, 1.0, 1e3):
                at = moved(start, d, last + Fraction(beyond))
                assert exact_label(layers, at) == label
            if last > 0:
                assert exact_label(layers, moved(start, d, last)) != label


def test_directions_and_their_order() -> None:
    rng = np.random.default_rng(3)
    network = random_network(rng, 4, 3, 2)
    directions = rng.integers(-4, 5, (3, 5, 4)) / 4
    found, layers = recession_labels(network, directions), exactly(network)
    for index in np.ndindex(3, 5):
        d = [Fraction(z) for z in directions[index].tolist()]
        label = exact_label(without_biases(layers), d)
        assert found.labels[index] == (NO_LABEL if label is None else label)
    for t in range(3):
        reaching = found.reaching(t)
        assert sorted(reaching) == [tuple(i) for i in np.argwhere(found.labels == t).tolist()]
        leads = [found.leads[index] for index in reaching]
        assert leads == sorted(leads, reverse=True)
    assert found.classes == tuple(t for t in range(3) if found.reaching(t))
    # Classes that no single coordinate reaches, but two do: 3/2 max(u, v) against u + v, u, v > 0.
    hidden = ([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]], [0.5, -1.0, 2.0])
    network = ReluNetwork([hidden, ([[0.0, 1.5, 1.5], [1.0, 1.0, 0.0]], [0.0, -7.0])])
    assert recession_labels(network).classes == (0,)
    assert recession_labels(network, [[1.0, 1.0], [1.0, 0.0]]).labels.tolist() == [1, 0]


def trained_on_digits() -> tuple[ReluNetwork, FloatArray]:
    """Return a network with random hidden layers whose last one was fitted to digits."""
    data, rng = load("digits"), np.random.default_rng(0)
    images = data.train_images.reshape(len(data.train_images), -1).astype(np.float64)
    layers, state = [], images
    for width in (60, 40):
        weight = rng.normal(size=(width, state.shape[1])) * np.sqrt(2 / state.shape[1])
        bias = 0.3 * rng.normal(size=width)
        layers.append((weight, bias))
        state = np.maximum(state @ weight.T + bias, 0.0)
    features = np.hstack([state, np.ones((len(state), 1))])
    targets = np.eye(10)[data.train_labels] - 0.1
    last = np.linalg.solve(
        features.T @ features + 1e-3 * len(state) * np.eye(41), features.T @ targets
    )
    network = ReluNetwork([*layers, (last[:-1].T, last[-1])])
    assert np.mean(network.label(images) == data.train_labels) > 0.85
    return network, images


def test_one_pixel_of_unlimited_range_changes_a_digit_into_any_other() -> None:
    network, images = trained_on_digits()
    found = recession_labels(network)
    assert found.classes == tuple(range(10))
    for x in images[:4]:
        for t in range(10):
            for row, j in found.reaching(t)[:3]:
                sign = 1 - 2 * row
                tau, strict = (escape_range(network, x, j, sign, t, m) for m in (0.0, 1e-3))
                assert tau <= strict < np.inf
                steps = sign * np.array([tau * (1 + 1e-9) + 1e-9, 2 * tau + 1, 1e3 * tau + 1e4])
                points = np.repeat(x[None], 3, axis=0)
                points[:, j] += steps
                assert np.all(network.label(points) == t)
                if tau > 0:
                    points[0, j] = x[j] + sign * tau
                    outputs = network(points[0])
                    lead = outputs[t] - np.delete(outputs, t).max()
                    assert lead == pytest.approx(0.0, abs=1e-8)


def test_leads_that_rounding_may_have_made_do_not_count() -> None:
    # The second term of a difference is the rounded first: its true sign is left to rounding,
    # and counts only where it is certain.
    rng = np.random.default_rng(1)
    for _ in range(200):
        inner = rng.normal(size=(6, 1))
        row = rng.normal(size=6)
        shift = float(row[:5] @ np.maximum(inner[:5, 0], 0))
        row[5], inner[5, 0] = -shift, 1.0
        network = ReluNetwork([(inner, np.ones(6)), ([row, np.zeros(6)], [0.0, 0.0])])
        found = recession_labels(network, [[1.0]])
        label = exact_label(without_biases(exactly(network)), [Fraction(1)])
        assert found.labels[0] in (NO_LABEL, label)
    ties = ReluNetwork([([[1.0, 2.0], [1.0, 1.0]], [0.0, 9.0])])
    assert recession_labels(ties).labels.tolist() == [[NO_LABEL, 0], [NO_LABEL, 1]]
    zero = ReluNetwork([([[1.0], [1.0]], [0.0, 0.0]), ([[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0])])
    assert recession_labels(zero).labels.tolist() == [[NO_LABEL], [NO_LABEL]]
    huge = ReluNetwork([([[1e200]], [0.0]), ([[1e200], [-1e200]], [0.0, 0.0])])
    assert recession_labels(huge).labels.tolist() == [[NO_LABEL], [NO_LABEL]]


def test_sparse_weights_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(np.random.default_rng(4), 7, 4, 2)
    thin = ReluNetwork([Layer(sparse.csr_array(e.weight), e.bias, e.slope) for e in network.layers])
    x, whole = np.linspace(-1, 1, 7), recession_labels(network)
    monkeypatch.setattr("theory.hamming.recession._BATCH", 14)
    for other in (thin, network):
        found = recession_labels(other)
        assert found.labels.tolist() == whole.labels.tolist()
        np.testing.assert_allclose(found.leads, whole.leads, rtol=1e-12)
    for (row, j), t in np.ndenumerate(whole.labels):
        if t != NO_LABEL:
            ends = [escape_range(each, x, j, 1 - 2 * row, int(t)) for each in (network, thin)]
            assert ends[0] == pytest.approx(ends[1], rel=1e-12)


def test_bad_input_is_named() -> None:
    network = ReluNetwork([([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])])
    x: Any = [0.0, 0.0]
    cases: list[tuple[tuple[Any, ...], str]] = [
        ((x, 2, 1, 0), "coordinate 2 is out of range"),
        ((x, -1, 1, 0), "coordinate -1 is out of range"),
        ((x, 0, 2, 0), "sign must be 1 or -1"),
        ((x, 0, 1, 2), "target must be a class, 0 to 1"),
        ((x, 0, 1, 1), "coordinate 0 with sign 1 does not lead to class 1"),
        ((x, 0, 1, 0, -1.0), "margin must be"),
        ((x, 0, 1, 0, np.nan), "margin must be"),
        (([0.0], 0, 1, 0), "a point has 2 coordinates"),
        (([[0.0, 0.0]], 0, 1, 0), "one point is needed"),
        (([0.0, np.inf], 0, 1, 0), "must be finite"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            escape_range(network, *arguments)
    with pytest.raises(ValueError, match="a point has 2 coordinates"):
        recession_labels(network, [[1.0]])
    with pytest.raises(ValueError, match="at least two outputs"):
        recession_labels(ReluNetwork([([[1.0]], [0.0])]))
    assert recession_labels(network, np.zeros((0, 2))).labels.shape == (0,)
