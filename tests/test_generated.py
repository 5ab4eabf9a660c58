"""A generator whose images no classifier of the data set can take is refused in one line."""

import pytest
import torch
from torch import nn

from empirics.generated import require_images
from theory.errors import InputError

SHAPE = (1, 8, 8)


class Scaled(nn.Module):
    def __init__(self, factor: float, offset: float) -> None:
        super().__init__()
        self.factor, self.offset = factor, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x + self.offset


def generator(last: nn.Module, side: int = 8) -> nn.Sequential:
    affine = nn.Linear(4, side * side)
    nn.init.normal_(affine.weight, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(affine.bias)
    return nn.Sequential(affine, last, nn.Unflatten(1, (1, side, side)))


def test_images_of_the_data_set_pass() -> None:
    require_images(generator(nn.Sigmoid()), 4, SHAPE, "g")
    linear = nn.Sequential(nn.Sigmoid(), Scaled(1.6, -0.3))
    require_images(generator(linear), 4, SHAPE, "g")


@pytest.mark.parametrize(
    ("last", "side", "message"),
    [
        (nn.Sigmoid(), 7, r"g makes images of shape \(1, 7, 7\); the classifiers take \(1, 8, 8\)"),
        (nn.Tanh(), 8, r"g makes pixels from -1 to 1; .*: scale its output"),
        (nn.Sequential(nn.Sigmoid(), Scaled(255, 0)), 8, r"g makes pixels from .* to 2\d\d; "),
        (Scaled(float("nan"), 0), 8, "g makes pixels that are not finite"),
    ],
)
def test_others_are_refused_by_name(last: nn.Module, side: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        require_images(generator(last, side), 4, SHAPE, "g")
