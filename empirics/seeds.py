"""Named random streams from one seed; the global random state is never used."""

import hashlib

import numpy as np
import torch


def _entropy(seed: int, names: tuple[str, ...]) -> int:
    text = "\x1f".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_stream(seed: int, *names: str) -> np.random.Generator:
    """Return the NumPy generator of this name; equal names give equal streams."""
    return np.random.default_rng(_entropy(seed, names))


def torch_stream(seed: int, *names: str) -> torch.Generator:
    """Return the torch generator of this name, on the CPU so that every device draws alike."""
    return torch.Generator().manual_seed(_entropy(seed, names))
