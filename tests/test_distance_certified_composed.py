"""Certified distances of compositions, and the rounding of a forward pass."""

import dataclasses
from typing import get_args

import numpy as np
import pytest

from tests.distance_samples import curved, other_points
from tests.relu_nets import random_network
from theory.distance.certificates.batch import Method
from theory.distance.certificates.deployment import DeploymentError
from theory.distance.certified import certified_many, compose
from theory.lipschitz.feed_forward import FeedForward
from theory.relu.layer import Layer
from theory.relu.network import ReluNetwork

NORMS = (1, 2, np.inf)
METHODS: tuple[Method, ...] = get_args(Method)


def test_compositions_are_certified_as_one_network() -> None:
    rng = np.random.default_rng(4)
    first, second = random_network((2, 6, 5), rng), random_network((5, 6, 3), rng)
    whole = compose(first, second)
    assert isinstance(whole, ReluNetwork)
    points = rng.normal(size=(4, 2))
    np.testing.assert_array_equal(whole(points), second(first(points)))
    mixed = compose(curved(first), second)
    assert isinstance(mixed, FeedForward)
    np.testing.assert_array_equal(mixed(points), second(curved(first)(points)))
    for network in (whole, mixed):
        upper = np.array([other_points(network, z, 2, rng) for z in points])
        for method in METHODS:
            assert np.all(certified_many(network, points, p=2, method=method) <= upper)
    # The affine maps that meet, merged by hand: all but rounding is the same.
    meet, after = first.layers[-1], second.layers[0]
    weight = np.asarray(after.weight) @ np.asarray(meet.weight)
    bias = np.asarray(after.weight) @ meet.bias + after.bias
    merged = ReluNetwork([first.layers[0], Layer(weight, bias, after.slope), *second.layers[1:]])
    for method in ("semidefinite", "local", "linear"):
        one, two = (certified_many(n, points, p=2, method=method) for n in (whole, merged))
        np.testing.assert_allclose(one, two, rtol=5e-3, err_msg=method)
    with pytest.raises(ValueError, match=r"takes 5 values, but the first gives 3"):
        compose(second, second)


@pytest.mark.parametrize("smooth", [False, True])
def test_rounding_of_a_forward_pass_is_bounded(smooth: bool) -> None:
    rng = np.random.default_rng(6)
    plain = random_network((20, 30, 30, 5), rng)
    network = curved(plain, last=True) if smooth else FeedForward.of(plain)
    points = rng.normal(size=(200, 20)).astype(np.float32)
    state = points
    for stage in network.stages:
        weight, bias = (np.asarray(e, dtype=np.float32) for e in (stage.weight, stage.bias))
        state = np.asarray(stage.activation(state @ weight.T + bias), dtype=np.float32)
    rounded = FeedForward(
        tuple(
            dataclasses.replace(
                each,
                weight=np.asarray(each.weight, dtype=np.float32).astype(float),
                bias=each.bias.astype(np.float32).astype(float),
            )
            for each in network.stages
        )
    )
    off = np.linalg.norm(state - rounded(points.astype(float)), axis=1)
    bound = DeploymentError(rounded, "float32")(np.linalg.norm(points.astype(float), axis=1))
    assert np.all(off <= bound)
    assert np.all(bound < 0.1)
