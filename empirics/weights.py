"""Weights on disk: safetensors only; nothing is ever unpickled."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from empirics.store import write_safely
from theory.errors import InputError

_PICKLES = (b"\x80", b"PK\x03\x04")
"""How a pickle and a torch zip archive (which holds one) begin."""


def save_weights(module: nn.Module, path: Path) -> None:
    """Write the parameters and buffers of a module."""
    state = {name: t.detach().cpu().contiguous() for name, t in module.state_dict().items()}
    write_safely(path, save(state))


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill a module with the weights of a file.

    Raises
    ------
    InputError
        If the file is missing, a pickle, cut short, has other names or shapes, or holds a value
        that is not finite.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: weights cannot be read ({error.strerror})") from error
    # The length of a safetensors header may begin like a pickle; the header itself is a list.
    if content.startswith(_PICKLES) and content[8:9] != b"{":
        raise InputError(
            f"{path}: a pickle, which is never loaded; save the weights with safetensors"
        )
    try:
        state = load(content)
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from error
    wanted = module.state_dict()
    if state.keys() != wanted.keys():
        odd = sorted(state.keys() ^ wanted.keys())[0]
        side = "missing from the file" if odd in wanted else "not in the architecture"
        raise InputError(f"{path}: weight '{odd}' is {side}")
    for name in wanted:
        tensor = state[name]
        if tensor.shape != wanted[name].shape:
            raise InputError(
                f"{path}: weight '{name}' has shape {tuple(tensor.shape)}, the architecture needs"
                f" {tuple(wanted[name].shape)}"
            )
        if not torch.isfinite(tensor).all():
            raise InputError(f"{path}: weight '{name}' has a value that is not finite")
    module.load_state_dict(state)
