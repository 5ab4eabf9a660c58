"""Weights of a network from outside: safetensors, or a checkpoint of plain tensors."""

import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from empirics.operators.tracing import first_line
from empirics.weights import load_weights
from theory.errors import InputError

_NESTS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before names."""
_SHOWN = 3


def filled(module: nn.Module, path: Path) -> tuple[str, ...]:
    """Fill a module with the weights of a file, names and shapes checked.

    Parameters
    ----------
    module : nn.Module
    path : Path
        A .safetensors file, or a state dict that torch.save wrote (.pt, .pth), of which nothing
        but tensors and plain containers is read.

    Returns
    -------
    tuple of str
        What was done besides, in words.

    Raises
    ------
    InputError
        If the file cannot be read, is of another kind, or is of another architecture: the first
        tensors that differ are named.
    """
    if path.suffix not in (".pt", ".pth"):
        load_weights(module, path)
        return ()
    state, notes = _plain(path)
    wanted = module.state_dict()
    wrong = [f"'{name}' is missing from the file" for name in wanted if name not in state]
    wrong += [f"'{name}' is not in the architecture" for name in state if name not in wanted]
    for name in wanted:
        if name in state and state[name].shape != wanted[name].shape:
            found, needed = tuple(state[name].shape), tuple(wanted[name].shape)
            wrong.append(f"'{name}' has shape {found}, the architecture needs {needed}")
    wrong += [
        f"'{name}' has a value that is not finite"
        for name, tensor in state.items()
        if not torch.isfinite(tensor).all()
    ]
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise InputError(f"{path}: weight {'; '.join(wrong[:_SHOWN])}{more}")
    module.load_state_dict(state)
    return notes


def _plain(path: Path) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an odd protocol: what it holds is checked below
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: weights cannot be read ({error.strerror})") from error
    except UnpicklingError as error:
        raise InputError(
            f"{path}: holds more than tensors, which is never unpickled; save"
            " module.state_dict(), best with safetensors"
        ) from error
    except (EOFError, KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not a whole checkpoint ({first_line(error)})") from error
    notes: tuple[str, ...] = ()
    if isinstance(content, dict):
        for nest in _NESTS:
            if isinstance(content.get(nest), dict):
                content, notes = content[nest], (f"weights: '{nest}' of {path.name}",)
                break
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: holds a {type(content).__name__}, expected a state dict")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise InputError(f"{path}: '{name}' is a {type(value).__name__}, expected a tensor")
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in content):
            content = {name.removeprefix(prefix): value for name, value in content.items()}
            notes += (f"weights: '{prefix}' taken off their names",)
    return content, notes
