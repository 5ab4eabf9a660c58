"""What a module in memory is known by: its structure, its code and its weights."""

import hashlib
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType

import torch
from torch import nn

_SIMPLE = (bool, int, float, str)
_DRAWN = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
"""Layers whose weights a training draws anew; see `empirics.train.initialise`."""


def module_digest(module: nn.Module, *, trained: bool) -> str:
    """Return a SHA-256 of a module's layers, the code of its classes, and its weights.

    Parameters
    ----------
    module : nn.Module
    trained : bool
        Whether it is trained first: the weights that a training draws anew are left out.

    Examples
    --------
    >>> one, two = nn.Linear(2, 2), nn.Linear(2, 2)
    >>> module_digest(one, trained=False) == module_digest(two, trained=False)
    False
    >>> module_digest(one, trained=True) == module_digest(two, trained=True)
    True
    """
    digest = hashlib.sha256(repr(module).encode())
    kinds = {type(part) for part in module.modules()}
    for kind in sorted(kinds, key=lambda kind: (kind.__module__, kind.__qualname__)):
        digest.update(f"\0{kind.__qualname__}\0".encode() + _code(kind))
    drawn: set[int] = set()
    for name, part in module.named_modules():
        own = {k: v for k, v in vars(part).items() if _is_simple(v) and k != "training"}
        digest.update(f"\0{name} {sorted(own.items())!r}\0".encode())
        if trained and isinstance(part, _DRAWN):
            drawn |= {id(part.weight), id(part.bias)}
    for name, tensor in sorted(module.state_dict(keep_vars=True).items()):
        digest.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        if id(tensor) not in drawn and tensor.numel():
            flat = tensor.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _is_simple(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_simple, value))
    return isinstance(value, _SIMPLE)


def _code(kind: type) -> bytes:
    """Return the code of a class, of one of torch its name alone: the version is elsewhere."""
    if kind.__module__.partition(".")[0] == "torch":
        return kind.__module__.encode()
    try:
        return inspect.getsource(kind).encode()
    except (OSError, TypeError):
        # Made by hand in a session or by a program: what it does is in its functions.
        functions = [value for value in vars(kind).values() if isinstance(value, FunctionType)]
        return b"\0".join(part for function in functions for part in _bytecode(function.__code__))


def _bytecode(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr(code.co_names).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _bytecode(constant)
        else:
            yield repr(constant).encode()
