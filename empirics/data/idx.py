"""The IDX format of MNIST and of the data sets made to replace it."""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from empirics.data.files import OfficialFile, check_digest
from empirics.data.source import Dataset, Source, Split, as_labels
from theory.errors import InputError

SHAPES: dict[str, tuple[int, ...]] = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}


def parse_idx(content: bytes, shape: tuple[int, ...], where: Path | str) -> NDArray[np.uint8]:
    """Return the array in the bytes of an IDX file.

    Parameters
    ----------
    content : bytes
        Magic number 00 00 08 ND, ND big-endian sizes of 32 bits, then the array, row by row.
    shape : tuple of int
        The shape it must have.
    where : Path or str
        Names the file in error messages.

    Raises
    ------
    InputError
        If magic number, sizes or length are others.

    Examples
    --------
    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]), (3,), "labels")
    array([5, 0, 4], dtype=uint8)
    """
    magic, start = bytes([0, 0, 8, len(shape)]), 4 + 4 * len(shape)
    if content[:4] != magic:
        found = content[:4].hex(" ")
        raise InputError(f"{where}: IDX magic number {found}, expected {magic.hex(' ')}")
    sizes = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    if sizes != shape:
        raise InputError(f"{where}: IDX sizes {sizes}, expected {shape}")
    length = start + math.prod(shape)
    if len(content) != length:
        fault = "truncated" if len(content) < length else "too long"
        raise InputError(f"{where}: {len(content)} bytes, expected {length}: {fault}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


@dataclass(frozen=True)
class IdxFile:
    """One IDX file, compressed as published or not.

    Attributes
    ----------
    gz : OfficialFile
        The published file; its name without ".gz" is that of the uncompressed one.
    shape : tuple of int
        The shape of its array.
    digest : str
        SHA-256 of the uncompressed content: how it was compressed does not matter.
    """

    gz: OfficialFile
    shape: tuple[int, ...]
    digest: str

    def find(self, folder: Path) -> Path:
        """Return the path of the file, the compressed one first; InputError if there is none."""
        for path in (folder / self.gz.name, folder / self.gz.name.removesuffix(".gz")):
            if path.is_file():
                return path
        raise InputError(f"no {self.gz.name}, compressed or not, in {folder}")

    def read(self, folder: Path) -> NDArray[np.uint8]:
        """Return its array; InputError if it is missing or not as published."""
        path = self.find(folder)
        # One byte more than expected shows that a file is too long, however much it unpacks to.
        limit = 4 + 4 * len(self.shape) + math.prod(self.shape) + 1
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
                content = stream.read(limit)
        except EOFError as error:
            found = f"{path.stat().st_size} bytes, expected {self.gz.size}"
            raise InputError(f"{path}: {found}: truncated") from error
        except (OSError, zlib.error) as error:
            raise InputError(f"{path}: {error}") from error
        array = parse_idx(content, self.shape, path)
        check_digest(content, self.digest, path)
        return array


def idx_files(base: str, table: dict[str, tuple[int, str, str]]) -> tuple[IdxFile, ...]:
    """Return the four files of a data set shaped like MNIST.

    Parameters
    ----------
    base : str
        The address they are downloaded from, up to the file names.
    table : dict
        For each name in `SHAPES`, in its order: bytes and SHA-256 as published (.gz), and SHA-256
        of the content.
    """
    return tuple(
        IdxFile(OfficialFile(f"{stem}.gz", size, packed, f"{base}{stem}.gz"), SHAPES[stem], digest)
        for stem, (size, packed, digest) in table.items()
    )


class IdxSource(Source):
    """Images and labels of train, then of test, as four IDX files.

    Attributes
    ----------
    parts : tuple of IdxFile
        Train images, train labels, test images, test labels.
    """

    parts: ClassVar[tuple[IdxFile, ...]]

    def locate(self, folder: Path) -> str:
        """Return "idx" if all four files are there."""
        for part in self.parts:
            part.find(folder)
        return "idx"

    def read(self, folder: Path) -> Dataset:
        """Return the data set with images of one channel."""
        train_images, train_labels, test_images, test_labels = self.parts

        def split(images: IdxFile, labels: IdxFile) -> Split:
            where, last = labels.find(folder), len(self.class_names) - 1
            return images.read(folder)[:, None], as_labels(labels.read(folder), where, 0, last)

        return self.build("idx", split(train_images, train_labels), split(test_images, test_labels))
