"""Certified distances of trained networks: which method is best, norms, floating point."""

from typing import get_args

import numpy as np

from tests.relu_nets import digits_network
from theory.distance.certificates.batch import Method
from theory.distance.certified import MarginCertifier, certified, certified_many
from theory.relu.network import ReluNetwork

NORMS = (1, 2, np.inf)
METHODS: tuple[Method, ...] = get_args(Method)


def test_best_is_the_largest_and_strong_on_trained_digits() -> None:
    network, images, labels = digits_network()
    points = images[:6]
    certifier = MarginCertifier(network)
    found = {m: certifier.radii(points, p=2, method=m, labels=labels[:6]) for m in METHODS}
    for method in METHODS:
        assert np.all(found["best"] >= found[method] * (1 - 5e-3)), method
    assert np.median(found["semidefinite"] / found["product"]) > 1.2
    assert np.all(found["linear"] > 1.5 * found["interval"])
    plain = MarginCertifier(network, steps=0).radii(points, p=2, method="linear")
    assert np.all(found["linear"] >= plain * (1 - 2e-3))


def test_norms_are_ordered() -> None:
    network, images, _ = digits_network()
    one, two, most = (certified_many(network, images[:4], p=p, method="linear") for p in NORMS)
    assert np.all(most <= two * 1.002)
    assert np.all(two <= one * 1.002)


def test_deployment_in_floating_point() -> None:
    network, images, _ = digits_network()
    points = images[:2]
    methods: tuple[Method, ...] = ("product", "local", "linear", "best")
    for method in methods:
        found = {
            kind: MarginCertifier(network, deployment=kind).radii(points, p=2, method=method)
            for kind in ("exact", "float64", "float32")
        }
        assert np.all(found["float32"] < found["exact"]), method
        assert np.all(found["float64"] <= found["exact"]), method
        assert np.all(found["float32"] > 0.99 * found["exact"]), method
    assert certified(ReluNetwork([(np.eye(2), [9, 0])]), [0, 0], p=2, deployment="float32") > 6.3
