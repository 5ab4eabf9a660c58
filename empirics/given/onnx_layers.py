"""Modules for operators of ONNX that torch.nn has none for; `torch.fx` traces through them."""

from collections.abc import Sequence
from types import EllipsisType
from typing import TypeAlias

import torch
from torch import nn

Index: TypeAlias = "slice | list[int] | int | EllipsisType | None"


class _WithConstant(nn.Module):
    constant: torch.Tensor

    def __init__(self, constant: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("constant", constant)


class Add(_WithConstant):
    """x + constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        return x + self.constant


class Subtract(_WithConstant):
    """x - constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the difference."""
        return x - self.constant


class SubtractFrom(_WithConstant):
    """constant - x."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the difference."""
        return self.constant - x


class Multiply(_WithConstant):
    """x * constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product."""
        return x * self.constant


class Divide(_WithConstant):
    """x / constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the quotient."""
        return x / self.constant


class DivideInto(_WithConstant):
    """constant / x."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the quotient."""
        return self.constant / x


class Maximum(_WithConstant):
    """The larger one of x and a constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maximum."""
        return torch.maximum(x, self.constant)


class Minimum(_WithConstant):
    """The smaller one of x and a constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the minimum."""
        return torch.minimum(x, self.constant)


class TimesMatrix(_WithConstant):
    """x @ constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product."""
        return torch.matmul(x, self.constant)


class MatrixTimes(_WithConstant):
    """constant @ x."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product."""
        return torch.matmul(self.constant, x)


class Permute(nn.Module):
    """The axes in another order."""

    def __init__(self, axes: Sequence[int]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tensor with its axes moved."""
        return x.permute(self.axes)


class Pick(nn.Module):
    """Entries at an index, as x[index]."""

    def __init__(self, index: Sequence[Index]) -> None:
        super().__init__()
        self.index = tuple(index)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the entries."""
        return x[self.index]


class Clamp(nn.Module):
    """Entries between two limits, each a number or None."""

    def __init__(self, least: float | None, most: float | None) -> None:
        super().__init__()
        self.least, self.most = least, most

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the clamped entries."""
        return torch.clamp(x, min=self.least, max=self.most)


class Reduce(nn.Module):
    """Mean or sum over some axes."""

    def __init__(self, kind: str, axes: Sequence[int], keep: bool) -> None:
        super().__init__()
        self.kind, self.axes, self.keep = kind, tuple(axes), keep

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the reduced tensor."""
        if self.kind == "mean":
            return x.mean(dim=self.axes, keepdim=self.keep)
        return x.sum(dim=self.axes, keepdim=self.keep)


class Elementwise(nn.Module):
    """A function of torch by its name, entry by entry."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the values."""
        made: torch.Tensor = getattr(torch, self.name)(x)
        return made
