"""The model that a check is about: where it is, and what it is called; no torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False)
class Subject:
    """A classifier of the images of a data set.

    Attributes
    ----------
    model : nn.Module or str
        Images (n, C, H, W) in [0, 1] to logits (n, K); or how it is named on the command line:
        "net.py:Net", "package.module:attribute", "net.onnx", "program.pt2", "timm:NAME".
    data : str
        Name of the data set.
    weights : Path or None
        For a model that is named.
    train : bool
        Whether a module is trained on the data first, from weights drawn anew. A model that is
        named is trained if it comes without weights.
    name : str
        What tables call it; by default the class or the attribute.

    Examples
    --------
    >>> Subject("nets/small.py:Net", data="digits").label
    'Net'
    >>> Subject("nets/small.py:Net").title
    'small.py:Net'
    """

    model: nn.Module | str
    data: str = "digits"
    weights: Path | str | None = None
    train: bool = False
    name: str = ""

    @property
    def label(self) -> str:
        """What tables call it."""
        if self.name:
            return self.name
        if not isinstance(self.model, str):
            return type(self.model).__name__
        head, _, attribute = self.model.rpartition(":")
        return attribute if head else Path(self.model).stem

    @property
    def title(self) -> str:
        """What records call it: without the folder that it lies in."""
        if not isinstance(self.model, str):
            return type(self.model).__qualname__
        head, colon, attribute = self.model.rpartition(":")
        return f"{Path(head).name}:{attribute}" if colon else Path(self.model).name
