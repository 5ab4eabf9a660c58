"""Certified distances are never above that of a sampled point."""

from typing import get_args

import numpy as np
import pytest

from tests.distance_samples import curved, other_points
from tests.relu_nets import random_network
from theory.distance.certificates.batch import Method
from theory.distance.certified import MarginCertifier
from theory.lipschitz.feed_forward import FeedForward
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork

NORMS = (1, 2, np.inf)
METHODS: tuple[Method, ...] = get_args(Method)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("kind", ["relu", "tanh", "sigmoid head", "leaky"])
def test_never_above_a_sampled_point(kind: str, p: float) -> None:
    rng = np.random.default_rng(3)
    plain = random_network((3, 6, 5, 3), rng)
    points = rng.normal(size=(3, 3))
    if kind == "leaky":
        slopes = (rng.uniform(-0.5, 2.0, 6), rng.uniform(0.0, 1.0, 5), np.ones(3))
        plain = ReluNetwork(
            [Layer(e.weight, e.bias, s) for e, s in zip(plain.layers, slopes, strict=True)]
        )
    # Scores that are level on the whole, so that labels change nearby.
    smooth = curved(plain) if kind in ("tanh", "sigmoid head") else plain
    last = plain.layers[-1]
    level = last.bias - smooth(rng.normal(size=(200, 3))).mean(axis=0)
    plain = ReluNetwork([*plain.layers[:-1], Layer(last.weight, level, last.slope)])
    network = curved(plain, kind != "tanh") if isinstance(smooth, FeedForward) else plain
    upper = np.array([other_points(network, x, p, rng) for x in points])
    assert np.all(np.isfinite(upper))
    certifier = MarginCertifier(network)
    for method in METHODS:
        found = certifier.radii(points, p=p, method=method)
        assert np.all(found > 0), method
        assert np.all(found <= upper), method
        if method in ("interval", "linear"):
            again = certifier.radii(points, p=p, method=method, box=(-9.0, 9.0))
            assert np.all(again <= upper), method
