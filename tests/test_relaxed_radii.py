"""Certified radii of generated points: above the products of norms, below the exact distances."""

import numpy as np
import pytest
import torch
from torch import nn

from empirics.measures.radii import Radii2
from empirics.plugins import Context, Subject
from empirics.relaxed import relaxed_on_range
from empirics.seeds import torch_stream
from empirics.trace import affine_layers, relu_network
from empirics.train import initialise
from theory.arrays import FloatArray
from theory.distance import compose, exact
from theory.evidence import Radii
from theory.lipschitz.product import AffineLayer
from theory.relu import ReluNetwork

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
LATENT, PIXELS, N = 3, 6, 10
QUANTITIES = ("r_latent[l2]", "r_in[l2]", "r_unc[l2]")


def module(*layers: nn.Module, name: str) -> nn.Sequential:
    net = nn.Sequential(*layers)
    initialise(net, torch_stream(0, name))
    return net.eval().requires_grad_(False)


AFFINE = module(nn.Linear(LATENT, PIXELS), name="affine")
DECODER = module(nn.Linear(LATENT, 5), nn.ReLU(), nn.Linear(5, PIXELS), name="decoder")
LINEAR = module(nn.Linear(PIXELS, 4), name="linear")
PERCEPTRON = module(nn.Linear(PIXELS, 8), nn.ReLU(), nn.Linear(8, 4), name="perceptron")


def measured(
    generator: nn.Sequential, classifier: nn.Sequential, **settings: int
) -> dict[str, Radii]:
    subject = Subject(
        data=None,
        generator=generator,
        latent_dimension=LATENT,
        image_shape=(PIXELS,),
        classifier=classifier,
        n_classes=4,
    )
    quick = Radii2(n=N, batch=4, restarts=1, steps=10, polish_steps=10, **settings)
    found = quick.measure(subject, CONTEXT).evidence
    kept = {name: seen for name, seen in found.items() if isinstance(seen, Radii)}
    assert tuple(kept) == QUANTITIES
    return kept


def latents() -> FloatArray:
    return np.asarray(CONTEXT.normal(N, LATENT, "latents").double().numpy())


def distances(network: ReluNetwork, points: FloatArray) -> FloatArray:
    found = [exact(network, point, p=2, time_limit=60) for point in points]
    assert all(each.proved for each in found)
    return np.array([each.upper for each in found])


@pytest.mark.parametrize("generator", [AFFINE, DECODER])
def test_relaxed_radii_are_between_products_of_norms_and_exact_distances(
    generator: nn.Sequential,
) -> None:
    coarse = measured(generator, PERCEPTRON, relaxed=0, relaxed_units=0)
    fine = measured(generator, PERCEPTRON, relaxed=0, relaxed_units=13)
    z, g = latents(), relu_network(generator, (LATENT,))
    f = relu_network(PERCEPTRON, (PIXELS,))
    true = {"r_latent[l2]": distances(compose(g, f), z), "r_unc[l2]": distances(f, g(z))}
    if generator is AFFINE:
        (layer,) = affine_layers(generator, (LATENT,))
        basis, upper = np.linalg.qr(layer.weight)
        first, *rest = ((np.asarray(each.weight), each.bias) for each in f.layers)
        on_range = first[0] @ basis, first[0] @ layer.bias + first[1]
        true["r_in[l2]"] = distances(ReluNetwork([on_range, *rest]), z @ upper.T)
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(fine[quantity].upper, coarse[quantity].upper)
        assert (fine[quantity].lower >= coarse[quantity].lower).all()
        assert (fine[quantity].lower > 1.05 * coarse[quantity].lower).sum() >= N // 2
    for quantity, distance in true.items():
        assert (fine[quantity].lower <= distance).all()
        assert np.median(fine[quantity].lower / distance) > 0.5
    assert (fine["r_in[l2]"].lower >= fine["r_unc[l2]"].lower).all()


def test_the_first_points_are_relaxed_in_larger_networks() -> None:
    known = [
        measured(DECODER, PERCEPTRON, relaxed=count, relaxed_units=units)
        for count, units in ((0, 0), (6, 8), (N, 0))
    ]
    none, first, everywhere = known
    # The classifier has 8 units, and 13 with the decoder in front of it.
    for quantity, count in (("r_latent[l2]", 6), ("r_unc[l2]", N)):
        expected = np.where(np.arange(N) < count, everywhere[quantity].lower, none[quantity].lower)
        np.testing.assert_allclose(first[quantity].lower, expected, rtol=1e-9)
        assert (everywhere[quantity].lower > none[quantity].lower).any()


def test_without_units_the_certificates_are_exact_as_they_are() -> None:
    fine = measured(AFFINE, LINEAR, relaxed=N, relaxed_units=100)
    coarse = measured(AFFINE, LINEAR, relaxed=0, relaxed_units=0)
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(fine[quantity].lower, coarse[quantity].lower)
    z, g, f = latents(), relu_network(AFFINE, (LATENT,)), relu_network(LINEAR, (PIXELS,))
    for quantity, network, points in (
        ("r_latent[l2]", compose(g, f), z),
        ("r_unc[l2]", f, g(z)),
    ):
        np.testing.assert_allclose(fine[quantity].lower, distances(network, points), rtol=1e-3)


def test_a_label_that_the_network_does_not_give_has_no_radius() -> None:
    (layer,) = affine_layers(AFFINE, (LATENT,))
    f = relu_network(PERCEPTRON, (PIXELS,))
    on_range = relaxed_on_range([layer], f)
    assert on_range is not None
    images = latents() @ layer.weight.T + layer.bias
    labels = f(images).argmax(axis=1)
    right = on_range.radii(images, labels, np.zeros(N))
    assert (right > 0).any()
    assert (on_range.radii(images, (labels + 1) % 4, np.zeros(N)) == 0).all()
    # Points that may be elsewhere have as much less, and none if they may be anywhere.
    blurred = on_range.radii(images, labels, np.full(N, 1e-7))
    np.testing.assert_allclose(blurred, np.maximum(right - 1e-7 * 2**20, 0), atol=1e-6)


@pytest.mark.parametrize(
    "layers",
    [
        [AffineLayer(np.eye(PIXELS), np.zeros(PIXELS))],
        [AffineLayer(np.ones((PIXELS, 2)), np.zeros(PIXELS))],
        affine_layers(DECODER, (LATENT,)),
    ],
    ids=["whole space", "dependent columns", "not affine"],
)
def test_ranges_without_a_basis_are_left_alone(layers: list[AffineLayer]) -> None:
    assert relaxed_on_range(layers, relu_network(PERCEPTRON, (PIXELS,))) is None
