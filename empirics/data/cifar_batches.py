"""The CIFAR-10 batches are pickles: a reader for exactly these, which executes nothing in them."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from empirics.data.source import Split, as_labels
from theory.errors import InputError

PIXELS = (3, 32, 32)
# All that a batch names: how an array of bytes was taken apart.
KNOWN_GLOBALS = {"numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"}
# What the standard reader raises on a stream that is damaged or was never a pickle.
MALFORMED = (
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
    OverflowError,
    MemoryError,
)


class Inert:
    """What every global of the stream becomes: it keeps arguments and state, and does nothing."""

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401  (whatever the stream holds)
        self.arguments = arguments
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class BatchReader(pickle.Unpickler):
    """Builds numbers, strings, containers and `Inert` objects; looks no name up."""

    def __init__(self, content: bytes, where: Path | str) -> None:
        super().__init__(io.BytesIO(content), fix_imports=False, encoding="bytes")
        self.where = where

    def find_class(self, module: str, name: str) -> type[Inert]:
        """Return the stand-in for a known global; InputError for any other."""
        if f"{module}.{name}" not in KNOWN_GLOBALS:
            raise InputError(f"{self.where}: refused: a CIFAR batch never names {module}.{name}")
        return Inert


def parse_batch(content: bytes, where: Path | str) -> Split:
    """Return the images and labels in the bytes of one batch.

    Parameters
    ----------
    content : bytes
        A pickled dictionary: "data", an array of bytes (n, 3072), and "labels", a list of n.
    where : Path or str
        Names the file in error messages.

    Returns
    -------
    images : ndarray of uint8, shape (n, 3, 32, 32)
    labels : ndarray of int64, shape (n,), in 0..9

    Raises
    ------
    InputError
        If the stream is anything else, above all if it names a function or class.
    """
    try:
        batch = BatchReader(content, where).load()
    except InputError:
        raise
    except MALFORMED as error:
        raise InputError(f"{where}: not a CIFAR batch: {type(error).__name__}: {error}") from error
    match batch:
        case {
            b"data": Inert(
                state=(
                    _,
                    (int(n), 3072),
                    Inert(arguments=(b"u1" | b"|u1", *_)),
                    int(fortran),
                    bytes(raw),
                )
            ),
            b"labels": list(labels),
        } if len(raw) == 3072 * n and len(labels) == n and all(type(k) is int for k in labels):
            rows = np.frombuffer(raw, np.uint8).reshape(n, 3072, order="F" if fortran else "C")
            return rows.reshape(n, *PIXELS), as_labels(np.array(labels, int), where, 0, 9)
    raise InputError(
        f"{where}: not a CIFAR batch: expected 'data', bytes (n, 3072), and n 'labels'"
    )
