"""Small ReLU networks: random ones, and one trained on the embedded digits."""

import functools
import itertools
from typing import Any

import numpy as np

from empirics.data import load
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork

Array = np.ndarray[Any, Any]


def random_network(widths: tuple[int, ...], rng: np.random.Generator) -> ReluNetwork:
    """Return a network with Gaussian weights and biases, the last layer linear."""
    sizes = list(itertools.pairwise(widths))
    return ReluNetwork([(rng.normal(size=(m, n)), rng.normal(size=m)) for n, m in sizes])


def leaky_network(d: int, depth: int, rng: np.random.Generator) -> ReluNetwork:
    """Return a homeomorphism of R^d: square layers with slopes above 0."""
    layers = []
    for i in range(depth):
        slope = np.ones(d) if i == depth - 1 else rng.uniform(0.1, 3.0, d)
        layers.append(Layer(rng.normal(size=(d, d)) + 2 * np.eye(d), rng.normal(size=d), slope))
    return ReluNetwork(layers)


@functools.cache
def digits_network(width: int = 24) -> tuple[ReluNetwork, Array, Array]:
    """Return a network trained on the digits, and correctly classified test images."""
    data, rng = load("digits"), np.random.default_rng(0)
    images = data.train_images.reshape(len(data.train_images), -1).astype(float)
    labels = np.eye(10)[data.train_labels]
    weights = [rng.normal(size=(width, 64)) / 8, np.zeros(width)]
    weights += [rng.normal(size=(10, width)) / np.sqrt(width), np.zeros(10)]
    mean, square = ([np.zeros_like(w) for w in weights] for _ in range(2))
    for step in range(1, 301):
        chosen = rng.integers(len(images), size=128)
        hidden = np.maximum(images[chosen] @ weights[0].T + weights[1], 0)
        scores = hidden @ weights[2].T + weights[3]
        share = np.exp(scores - scores.max(axis=1, keepdims=True))
        error = (share / share.sum(axis=1, keepdims=True) - labels[chosen]) / 128
        back = (error @ weights[2]) * (hidden > 0)
        gradients = [back.T @ images[chosen], back.sum(axis=0), error.T @ hidden, error.sum(axis=0)]
        for i, gradient in enumerate(gradients):
            mean[i] = 0.9 * mean[i] + 0.1 * gradient
            square[i] = 0.99 * square[i] + 0.01 * gradient**2
            size = np.sqrt(square[i] / (1 - 0.99**step)) + 1e-8
            weights[i] = weights[i] - 0.02 * mean[i] / (1 - 0.9**step) / size
    network = ReluNetwork([(weights[0], weights[1]), (weights[2], weights[3])])
    test = data.test_images.reshape(len(data.test_images), -1).astype(float)
    right = network.label(test) == data.test_labels
    assert right.mean() > 0.9
    return network, test[right], data.test_labels[right]
