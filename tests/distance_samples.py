"""Networks with curved activations, and near points of another label by sampling."""

import dataclasses
from typing import get_args

import numpy as np

from theory.arrays import FloatArray
from theory.distance.certificates.batch import Method
from theory.lipschitz.activations.curved import Sigmoid, Tanh
from theory.lipschitz.feed_forward import FeedForward
from theory.relu.network import ReluNetwork

NORMS = (1, 2, np.inf)
METHODS: tuple[Method, ...] = get_args(Method)


def curved(network: ReluNetwork, last: bool = False) -> FeedForward:
    """Return the network with tanh between its layers, and perhaps a sigmoid at its end."""
    stages = FeedForward.of(network).stages
    inner = [dataclasses.replace(each, activation=Tanh()) for each in stages[:-1]]
    end = dataclasses.replace(stages[-1], activation=Sigmoid()) if last else stages[-1]
    return FeedForward((*inner, end))


def other_points(
    network: ReluNetwork | FeedForward,
    x: FloatArray,
    p: float,
    rng: np.random.Generator,
    n: int = 2000,
) -> float:
    """Return the distance of the nearest of many points with another label, on rays through x."""
    label = int(network(x).argmax())
    steps = rng.standard_normal((n, len(x)))
    steps[: 2 * len(x)] = np.vstack([np.eye(len(x)), -np.eye(len(x))])[:n]
    steps[n // 2 :] = np.sign(steps[n // 2 :])
    steps /= np.linalg.norm(steps, p, axis=1, keepdims=True)
    nearest = np.inf
    for t in np.geomspace(1e-3, 30, 60):
        changed = network(x + t * steps).argmax(axis=1) != label
        if not changed.any():
            continue
        low, high = np.zeros(changed.sum()), np.full(changed.sum(), t)
        for _ in range(30):
            middle = low / 2 + high / 2
            other = network(x + middle[:, None] * steps[changed]).argmax(axis=1) != label
            low, high = np.where(other, low, middle), np.where(other, middle, high)
        nearest = min(nearest, float(high.min()))
        break
    return nearest
