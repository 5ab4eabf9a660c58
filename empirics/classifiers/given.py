"""A classifier from outside: a file, a program or a module that its owner names."""

import copy
from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn

from empirics.plugins import Context, ImageShape, classifier
from empirics.train import Batches, Training
from theory.errors import InputError

_MODULES: dict[str, nn.Module] = {}


def remember(sha256: str, module: nn.Module) -> None:
    """Keep for this process the module of a digest, in eval mode and on the CPU."""
    _MODULES[sha256] = module


def sequential(module: nn.Module) -> nn.Sequential:
    """Return a module as what every measure takes, itself where it is one already."""
    return module if isinstance(module, nn.Sequential) else nn.Sequential(module)


@classifier("given")
@dataclass(frozen=True)
class Given(Training):
    """A model from outside, known by the digest of its code and weights, wherever it lies.

    The settings of a training count where it came without weights.

    Attributes
    ----------
    model : str
        What it is called: "net.py:Net", "net.onnx", "timm:NAME", the class of a module.
    sha256 : str
        Digest of its name, its code, and the weights it came with.

    Raises
    ------
    InputError
        If the digest is none.
    """

    revision: ClassVar[int] = 1
    model: str = field(kw_only=True)
    sha256: str = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise InputError(f"given: sha256 must have 64 hexadecimal digits, got '{self.sha256}'")

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return a copy of the module as it was read, in eval mode.

        Raises
        ------
        InputError
            If this process did not read it.
        """
        if self.sha256 not in _MODULES:
            raise InputError(
                f"given: '{self.model}' was not read here; `advbounds check --model` reads it"
            )
        return sequential(copy.deepcopy(_MODULES[self.sha256]))

    def prepare(self, module: nn.Sequential, batches: Batches, context: Context) -> None:
        """Make it trainable: it came as others look at it."""
        module.train().requires_grad_(True)
