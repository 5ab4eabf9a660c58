"""The architectures: what they compute, that they learn, and that they can be traced."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from empirics.data import load
from empirics.median import MedianFilter, MedianPool, window_medians
from empirics.plugins import CLASSIFIERS, Context
from empirics.seeds import torch_stream
from empirics.settings import ConfigError, read_settings
from empirics.trace import affine_layers, relu_network, traced_layers
from empirics.train import fit_classifier, initialise
from theory.errors import InputError


def built(name: str, shape: tuple[int, ...] = (1, 8, 8), **settings: object) -> nn.Sequential:
    module = CLASSIFIERS[name](**settings).build(shape, 10)
    initialise(module, torch_stream(0, name))
    return module.eval()


def images(n: int, *shape: int) -> torch.Tensor:
    return torch.rand(n, *shape, generator=torch_stream(0, "images"))


@pytest.mark.parametrize("window", [1, 3, 5])
def test_a_median_filter_is_that_of_scipy(window: int) -> None:
    given = images(3, 2, 7, 6)
    expected = ndimage.median_filter(given.numpy(), size=(1, 1, window, window), mode="nearest")
    np.testing.assert_array_equal(MedianFilter(window)(given).numpy(), expected)


@pytest.mark.parametrize("window", [1, 2, 3, 4])
def test_median_pooling_is_the_median_of_each_window(window: int) -> None:
    given = images(2, 3, 9, 7)
    found = MedianPool(window)(given).numpy()
    assert found.shape == (2, 3, 9 // window, 7 // window)
    for i, j in np.ndindex(found.shape[2:]):
        rows, columns = (slice(k * window, (k + 1) * window) for k in (i, j))
        expected = np.median(given[:, :, rows, columns].numpy(), axis=(2, 3))
        np.testing.assert_allclose(found[:, :, i, j], expected, rtol=1e-6)


def test_an_outlier_does_not_pass_a_median() -> None:
    given = torch.zeros(1, 1, 9, 9)
    given[0, 0, 4, 4] = given[0, 0, 7, 1] = 1e6
    assert MedianFilter(3)(given).abs().max() == 0
    assert MedianPool(3)(given).abs().max() == 0


def test_a_median_has_the_gradient_of_the_value_it_picks() -> None:
    given = torch.tensor([[[3.0, 1.0, 5.0], [2.0, 9.0, 4.0], [7.0, 8.0, 6.0]]], requires_grad=True)
    window_medians(given, 3, 1).sum().backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    assert given.grad.nonzero().tolist() == [[0, 0, 2]]


def test_the_default_perceptron_is_what_it_was() -> None:
    kinds = [type(layer) for layer in built("mlp")]
    assert kinds == [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear]
    assert built("mlp", width=7)[1].weight.shape == (7, 64)


@pytest.mark.parametrize("hidden", [(16,), (64, 32), (5,) * 8])
def test_hidden_layers_of_a_perceptron(hidden: tuple[int, ...]) -> None:
    module = built("mlp", hidden=hidden)
    widths = [layer.out_features for layer in module if isinstance(layer, nn.Linear)]
    assert widths == [*hidden, 10]
    network = relu_network(module, (1, 8, 8))
    assert [len(layer.hinges) for layer in network.layers] == [*hidden, 0]
    assert len(affine_layers(module, (1, 8, 8))) == len(hidden) + 1


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        ("relu", torch.relu),
        ("leaky_relu", nn.functional.leaky_relu),
        ("sigmoid", torch.sigmoid),
        ("tanh", torch.tanh),
        ("hardtanh", nn.functional.hardtanh),
    ],
)
def test_activations_of_a_perceptron(activation: str, kind: object) -> None:
    module = built("mlp", width=9, activation=activation)
    assert callable(kind)
    x = 3 * images(4, 1, 8, 8)
    expected = module[3](kind(module[1](x.flatten(1))))
    torch.testing.assert_close(module(x), expected)
    if activation in ("sigmoid", "tanh"):
        with pytest.raises(InputError, match=rf"(?i)layer '2' \({activation}\)"):
            relu_network(module, (1, 8, 8))
    else:
        hinges = len(relu_network(module, (1, 8, 8)).layers[0].hinges)
        assert hinges == (18 if activation == "hardtanh" else 9)


def test_a_perceptron_behind_a_median_filter() -> None:
    module = built("mlp", median_filter=3)
    x = images(4, 1, 8, 8)
    torch.testing.assert_close(module(x), module[1:](MedianFilter(3)(x)))
    with pytest.raises(InputError, match="MedianFilter"):
        relu_network(module, (1, 8, 8))
    assert traced_layers(module, (1, 8, 8)) == ()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 17, 20), (1, 28, 28)])
@pytest.mark.parametrize("pooling", ["stride", "max", "median"])
def test_convolutions_halve_alike(shape: tuple[int, ...], pooling: str) -> None:
    module = built("conv", shape, pooling=pooling, channels=(3, 4))
    assert module(images(2, *shape)).shape == (2, 10)
    size = module[-1].in_features // 4
    halvings = 2 if shape[1] >= 16 else 1
    ends = [[side] for side in shape[1:]]
    for _ in range(halvings):
        ends = [[-(-e[0] // 2) if pooling == "stride" else e[0] // 2] for e in ends]
    assert size == ends[0][0] * ends[1][0]


def test_the_default_convolution_is_what_it_was() -> None:
    module = built("conv", (1, 28, 28))
    strides = [layer.stride for layer in module if isinstance(layer, nn.Conv2d)]
    assert strides == [(2, 2), (2, 2)]
    strides = [layer.stride for layer in built("conv") if isinstance(layer, nn.Conv2d)]
    assert strides == [(1, 1), (2, 2)]


def test_max_pooling_and_residual_blocks_are_traced() -> None:
    pooled = relu_network(built("conv", pooling="max", channels=(2, 3)), (1, 8, 8))
    # Two convolutions, then 3 comparisons for each of the 4 x 4 windows of 3 channels.
    assert pooled.n_units == 2 * 64 + 3 * 64 + 3 * 3 * 16
    residual = relu_network(built("residual", channels=(2, 3)), (1, 8, 8))
    assert residual.n_units == 2 * 64 + (2 + 2) * 64 + (3 + 3) * 16
    assert len(residual.layers) == 6


def test_a_residual_block_adds_its_input() -> None:
    module = built("residual", channels=(3, 3))
    block, halving = module[2], module[3]
    x = images(2, 3, 6, 6)
    for convolution in (*block.branch, *halving.branch):
        if isinstance(convolution, nn.Conv2d):
            nn.init.zeros_(convolution.weight)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)
    torch.testing.assert_close(block(x), x)
    torch.testing.assert_close(halving(x), torch.relu(halving.shortcut(x)))
    assert halving(x).shape == (2, 3, 3, 3)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("mlp", {"activation": "rleu"}, "did you mean 'relu'"),
        ("mlp", {"activation": "swish"}, "activation 'swish'"),
        ("mlp", {"median_filter": 2}, "odd"),
        ("conv", {"pooling": "mean"}, "pooling 'mean'"),
        ("lenet", {"adversarial_norm": "l_inf"}, "did you mean 'linf'"),
        ("lenet", {"optimiser": "sdg"}, "did you mean 'sgd'"),
        ("lenet", {"half": "third"}, "half 'third'"),
        ("lenet", {"trades": 6.0}, "adversarial_radius"),
        ("vgg", {"depth": 12}, "11, 13, 16, 19"),
        ("resnet", {"depth": 20}, "18, 34, 50, 101, 152"),
        ("wide_resnet", {"depth": 27}, "6 n [+] 4"),
    ],
)
def test_settings_that_are_not_known(name: str, settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_settings(CLASSIFIERS[name], settings, "here")


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="hidden"):
        read_settings(CLASSIFIERS["mlp"], {"hidden": [3, 0]}, "here")
    for name, settings in (
        ("mlp", {"median_filter": 3}),
        ("conv", {}),
        ("residual", {}),
        ("lenet", {}),
        ("vgg", {}),
        ("resnet", {}),
        ("wide_resnet", {}),
    ):
        with pytest.raises(InputError, match="images"):
            CLASSIFIERS[name](**settings).build((7,), 2)
    with pytest.raises(InputError, match="two channel counts"):
        CLASSIFIERS["residual"](channels=(1, 2, 3)).build((1, 8, 8), 2)
    with pytest.raises(InputError, match="odd"):
        MedianFilter(4)


LEARNERS: list[tuple[str, dict[str, object], float]] = [
    ("mlp", {"hidden": (32, 16), "activation": "leaky_relu"}, 0.9),
    ("mlp", {"width": 32, "activation": "tanh"}, 0.9),
    ("mlp", {"width": 32, "median_filter": 3}, 0.75),
    ("conv", {"pooling": "max", "channels": (6, 8)}, 0.85),
    ("conv", {"pooling": "median", "channels": (6, 8)}, 0.85),
    ("residual", {"channels": (8, 12)}, 0.75),
    ("lenet", {"channels": (6, 8), "hidden": 32}, 0.85),
    ("vgg", {"depth": 11, "width": 6}, 0.85),
    ("resnet", {"depth": 18, "width": 4}, 0.85),
    ("wide_resnet", {"depth": 10, "widening": 1}, 0.85),
]


@pytest.mark.parametrize(("name", "settings", "least"), LEARNERS)
def test_they_learn(name: str, settings: dict[str, object], least: float) -> None:
    data = load("digits")
    plugin = CLASSIFIERS[name](steps=150, batch=64, learning_rate=1e-2, **settings)
    context = Context(torch.device("cpu"), 0, "test")
    module = plugin.build(data.image_shape, data.n_classes)
    initialise(module, context.stream("weights"))
    train, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)

    def batches(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(train), (size,), generator=stream)
        return train[chosen], labels[chosen]

    fit_classifier(module, batches, plugin, context)
    found = module(torch.from_numpy(data.test_images)).argmax(dim=1).numpy()
    assert (found == data.test_labels).mean() > least


COUNTS = [
    # He et al., section 4.2 and table 1; Zagoruyko and Komodakis, tables 1 and 4: in millions
    ("resnet", {"depth": 18}, (3, 32, 32), 11.17),
    ("resnet", {"depth": 101}, (3, 32, 32), 42.51),
    ("wide_resnet", {"depth": 28, "widening": 10}, (3, 32, 32), 36.5),
    ("wide_resnet", {"depth": 16, "widening": 8}, (3, 32, 32), 11.0),
    ("vgg", {"depth": 16}, (3, 32, 32), 14.72),
]


@pytest.mark.parametrize(("name", "settings", "shape", "millions"), COUNTS)
def test_large_networks_have_the_known_numbers_of_weights(
    name: str, settings: dict[str, object], shape: tuple[int, ...], millions: float
) -> None:
    with torch.device("meta"):
        module = CLASSIFIERS[name](**settings).build(shape, 10)
    count = sum(parameter.numel() for parameter in module.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28)])
@pytest.mark.parametrize(
    ("name", "settings"),
    [("vgg", {"width": 1}), ("resnet", {"width": 1}), ("wide_resnet", {"widening": 1})],
)
def test_large_networks_take_images_of_every_size(
    name: str, settings: dict[str, object], shape: tuple[int, ...]
) -> None:
    module = CLASSIFIERS[name](**settings).build(shape, 7).eval()
    assert module(torch.rand(2, *shape)).shape == (2, 7)
