"""How a user names a network from outside, and the network in the form that everything takes."""

import hashlib
import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from empirics.given.checkpoint import filled
from empirics.given.conforming import conforming
from empirics.given.exported import exported_module
from empirics.given.onnx_modules import onnx_model
from empirics.given.users_code import attribute, built, executed, imported
from theory.errors import InputError, nearest

FORMS = "FILE.py:NAME, package.module:NAME, timm:NAME, FILE.pt2 or FILE.onnx"


@dataclass(frozen=True)
class Given:
    """A network from outside.

    Attributes
    ----------
    module : nn.Module
        Images float32 (n, C, H, W) in [0, 1] to logits (n, K); in eval mode, without gradients of
        weights, on the CPU.
    source : str
        What the user wrote.
    form : str
        "file" (Python), "attribute" (of a package), "export", "onnx" or "timm".
    sha256 : str
        Of the file of code or of the program, and of the weights: what the user named, and not
        what that imports.
    has_weights : bool
        Whether its weights are its own, or drawn at random and to be trained.
    notes : tuple of str
        What was handled, in words.
    """

    module: nn.Module
    source: str
    form: str
    sha256: str
    has_weights: bool
    notes: tuple[str, ...]


def load_model(
    spec: str, weights: Path | None = None, *, image_shape: tuple[int, ...], n_classes: int
) -> Given:
    """Return the network that a user names; only what they name is executed, nothing unpickled.

    Parameters
    ----------
    spec : str
        "my_net.py:Net" (a class or function that gives an nn.Module, or one; called without
        arguments, but for those of image_shape, in_channels, in_chans, n_classes and num_classes
        that its signature names), "package.module:name", "timm:name", or a torch.export program
        (.pt2) or ONNX file.
    weights : Path, optional
        safetensors, or a state dict of plain tensors (.pt, .pth).
    image_shape : tuple of int
        Of one image, (C, H, W).
    n_classes : int

    Raises
    ------
    InputError
        If it cannot be loaded, or takes or gives something else.

    Examples
    --------
    >>> given = load_model("torch.nn:Flatten", image_shape=(1, 1, 3), n_classes=3)
    >>> given.form, given.has_weights, given.module(torch.zeros(2, 1, 1, 3)).shape
    ('attribute', True, torch.Size([2, 3]))
    """
    facts = {
        "image_shape": tuple(image_shape),
        "n_classes": n_classes,
        "num_classes": n_classes,
        "in_channels": image_shape[0],
        "in_chans": image_shape[0],
    }
    shape = tuple(image_shape)
    if spec.endswith((".pt2", ".onnx")):
        if weights is not None:
            raise InputError(f"{spec} holds its own weights: leave out {weights}")
        return _program(Path(spec), shape, n_classes)
    module, form, content, own = _named(spec, facts)
    notes: tuple[str, ...] = ()
    digest = hashlib.sha256(content)
    if weights is not None:
        notes = filled(module, weights)
        digest.update(weights.read_bytes())
    made, handled = conforming(module, shape, n_classes, spec)
    has_weights = own or weights is not None
    return Given(made, spec, form, digest.hexdigest(), has_weights, notes + handled)


def _program(path: Path, shape: tuple[int, ...], n_classes: int) -> Given:
    """Return the network of a file that holds operators and weights."""
    digest = hashlib.sha256(_read(path)).hexdigest()
    input_shape = None
    if path.suffix == ".onnx":
        form, read = "onnx", onnx_model(path)
        module, input_shape = read.module, read.input_shape
    else:
        form, module = "export", exported_module(path)
    made, notes = conforming(module, shape, n_classes, str(path), input_shape)
    return Given(made, str(path), form, digest, True, notes)


def _named(spec: str, facts: Mapping[str, Any]) -> tuple[nn.Module, str, bytes, bool]:
    """Return a network as named, its form, what its name stands for, whether it is trained."""
    suffix = Path(spec).suffix
    where, _, name = spec.rpartition(":")
    if spec.startswith("timm:"):
        return _timm(name, facts), "timm", spec.encode(), False
    if suffix in (".pt", ".pth", ".safetensors"):
        raise InputError(
            f"{spec} holds weights and no network: name its code, as my_net.py:Net, and give the"
            " file as weights"
        )
    if not where or not name:
        raise InputError(f"'{spec}' names no network; expected {FORMS}")
    if where.endswith(".py"):
        path = Path(where)
        content = _read(path)
        module, own = built(attribute(executed(path, content), name, where), spec, facts)
        return module, "file", content, own
    package = imported(where)
    module, own = built(attribute(package, name, where), spec, facts)
    file = inspect.getsourcefile(package) if hasattr(package, "__file__") else None
    return module, "attribute", spec.encode() + (Path(file).read_bytes() if file else b""), own


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _timm(name: str, facts: Mapping[str, Any]) -> nn.Module:
    if importlib.util.find_spec("timm") is None:
        raise InputError(f"timm:{name} needs timm, which is not installed: pip install timm")
    timm = importlib.import_module("timm")
    if name not in timm.list_models():
        raise InputError(f"timm has no model '{name}': {nearest(name, timm.list_models())}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module: nn.Module = timm.create_model(
            name, num_classes=facts["num_classes"], in_chans=facts["in_chans"]
        )
    return module
