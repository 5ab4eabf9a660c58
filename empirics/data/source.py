"""A data set in memory, where it is read from, and how its plug-in is registered."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from empirics.data.files import OfficialFile
from theory.errors import InputError
from theory.registry import Registry

ROOT_VARIABLE = "ADVBOUNDS_DATA"
Split = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images (n, C, H, W), labels (n,)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images, split into train and test as their authors did.

    Attributes
    ----------
    name, variant : str
        Which data set, and which copy of it ("idx", "png-4k-1k"): results are kept apart by both.
    train_images, test_images : ndarray of float32, shape (n, C, H, W), in [0, 1]
        The pixels, channels first.
    train_labels, test_labels : ndarray of int64, shape (n,), in 0..n_classes - 1
        The class of each image.
    class_names : tuple of str
        What each label means.

    Raises
    ------
    InputError
        If a shape, type or value is not as above.
    """

    name: str
    variant: str
    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            where = f"{self.name} ({self.variant}), {split}"
            if images.dtype != np.float32 or images.ndim != 4 or images.size == 0:
                found = f"{images.dtype} {images.shape}"
                raise InputError(f"{where}: images are {found}, expected float32 (n, C, H, W)")
            if not (images.min() >= 0 and images.max() <= 1):
                found = f"[{images.min():g}, {images.max():g}]"
                raise InputError(f"{where}: pixels are in {found}, expected [0, 1]")
            if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
                found = f"{labels.dtype} {labels.shape}"
                raise InputError(f"{where}: labels are {found}, expected int64 ({len(images)},)")
            as_labels(labels, where, 0, self.n_classes - 1)
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            shapes = f"{self.train_images.shape[1:]} and {self.test_images.shape[1:]}"
            raise InputError(f"{self.name}: train and test images differ in shape: {shapes}")

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


class Source(ABC):
    """What a plug-in provides: the published files, what is found of them, and the data set.

    Attributes
    ----------
    name : str
        The name of the data set, and of its folder under the data root.
    files : tuple of OfficialFile
        What `advbounds data fetch` downloads; empty where nothing needs to be.
    class_names : tuple of str
        What each label means.
    """

    files: tuple[OfficialFile, ...] = ()
    class_names: tuple[str, ...]

    def __init__(self, name: str) -> None:
        self.name = name

    def folder(self, root: Path) -> Path:
        """Return the folder of this data set under the data root."""
        return root / self.name

    @abstractmethod
    def locate(self, folder: Path) -> str:
        """Return which variant `read` would load, without reading it; InputError if none."""

    @abstractmethod
    def read(self, folder: Path) -> Dataset:
        """Return the data set; InputError if a file is missing or not as published."""

    def build(self, variant: str, train: Split, test: Split, white: int = 255) -> Dataset:
        """Return the data set of two splits as they were stored, in bytes 0..`white`."""

        def scaled(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.divide(raw, np.float32(white), dtype=np.float32, order="C")

        arrays = scaled(train[0]), train[1], scaled(test[0]), test[1]
        return Dataset(self.name, variant, *arrays, self.class_names)


DATASETS: Registry[Source] = Registry("data set", ("empirics.data",), "advbounds.datasets")
S = TypeVar("S", bound=Source)


def dataset(name: str) -> Callable[[type[S]], type[S]]:
    """Return the decorator that registers a `Source` under `name`."""

    def register(source: type[S]) -> type[S]:
        DATASETS.register(name, source(name))
        return source

    return register


def data_root(root: Path | None = None) -> Path:
    """Return the folder of all data sets: the argument, else $ADVBOUNDS_DATA, else `data`."""
    return (root or Path(os.environ.get(ROOT_VARIABLE) or "data")).expanduser().absolute()


def load(name: str, root: Path | None = None) -> Dataset:
    """Return a data set, every file of it checked against its published checksum.

    Parameters
    ----------
    name : str
        One of `DATASETS`.
    root : Path, optional
        The folder of all data sets; by default $ADVBOUNDS_DATA, else `data`.

    Raises
    ------
    InputError
        If the name is unknown, or a file is missing or not as published.
    """
    source = DATASETS[name]
    with _fetch_hint(source):
        return source.read(source.folder(data_root(root)))


def locate(name: str, root: Path | None = None) -> str:
    """Return which variant `load` would read, without reading it; errors as there."""
    source = DATASETS[name]
    with _fetch_hint(source):
        return source.locate(source.folder(data_root(root)))


@contextmanager
def _fetch_hint(source: Source) -> Iterator[None]:
    """End every error message with the command that repairs it, where there is one."""
    try:
        yield
    except InputError as error:
        if not source.files:
            raise
        raise InputError(f"{error}; `advbounds data fetch {source.name}` downloads it") from error


def as_labels(raw: NDArray[Any], where: Path | str, low: int, high: int) -> NDArray[np.int64]:
    """Return integers of shape (n,) as int64 labels.

    Raises
    ------
    InputError
        If one is not in low..high; `where` names the file in the message.

    Examples
    --------
    >>> as_labels(np.array([3, 0], dtype=np.uint8), "labels", 0, 9)
    array([3, 0])
    """
    if raw.ndim != 1 or raw.dtype.kind not in "iu":
        raise InputError(f"{where}: labels are {raw.dtype} {raw.shape}, expected integers (n,)")
    wrong = raw[(raw < low) | (raw > high)]
    if wrong.size:
        raise InputError(f"{where}: label {wrong[0]}, expected {low}..{high}")
    return raw.astype(np.int64)
