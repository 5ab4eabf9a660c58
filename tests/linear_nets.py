"""Random networks as modules: linear ones, and small ones with a hidden layer."""

import math

import torch
from torch import nn

from empirics.seeds import torch_stream


def linear(
    seed: int, shape: tuple[int, ...], n_classes: int, dtype: torch.dtype = torch.float32
) -> nn.Sequential:
    stream = torch_stream(seed, "weights")
    layer = nn.Linear(math.prod(shape), n_classes)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=stream))
        layer.bias.copy_(torch.randn(n_classes, generator=stream))
    return nn.Sequential(nn.Flatten(), layer).to(dtype)


def half_space(
    model: nn.Sequential, y: torch.Tensor, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    weight = model[1].weight.detach()
    logits = model(x).detach()
    rows = torch.arange(len(x))
    return weight[y] - weight[1 - y], logits[rows, y] - logits[rows, 1 - y]


def small_net(seed: int, inputs: int = 2, hidden: int = 6, n_classes: int = 3) -> nn.Sequential:
    net = nn.Sequential(
        linear(seed, (inputs,), hidden), nn.ReLU(), linear(seed + 1, (hidden,), n_classes)
    )
    return net.double()
