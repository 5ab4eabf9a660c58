"""CIFAR-10: 60,000 colour images of 32 x 32 pixels (Krizhevsky, 2009), or a subset of them."""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from empirics.data.cifar_batches import parse_batch
from empirics.data.files import OfficialFile, check, read_checked
from empirics.data.source import Dataset, Source, Split, as_labels, dataset
from theory.errors import InputError

FOLDER, TAR = "cifar-10-batches-py", "cifar-10-python.tar.gz"


def parse_npz(content: bytes, where: Path | str) -> tuple[Split, Split]:
    """Return the train and test split in an .npz file of x_train, y_train, x_test, y_test.

    Returns
    -------
    train, test : pair of ndarray
        Images of uint8, (n, 3, 32, 32), from (n, 32, 32, 3) in the file; labels of int64, (n,).

    Raises
    ------
    InputError
        If it is no such file, or holds a pickle.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {key: file[key] for key in ("x_train", "y_train", "x_test", "y_test")}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{where}: {error}") from error

    def split(name: str) -> Split:
        images, labels = arrays[f"x_{name}"], arrays[f"y_{name}"]
        if images.dtype != np.uint8 or images.shape[1:] != (32, 32, 3):
            found = f"{images.dtype} {images.shape}"
            raise InputError(f"{where}: x_{name} is {found}, expected uint8 (n, 32, 32, 3)")
        return images.transpose(0, 3, 1, 2), as_labels(labels, f"{where}: y_{name}", 0, 9)

    return split("train"), split("test")


@dataset("cifar10")
class Cifar10(Source):
    """The Python batches (archive or folder), else the lossless subset, else the JPEG subset.

    The JPEG subset went through lossy compression: no accuracy or radius measured on it may be
    quoted as one of CIFAR-10.
    """

    files = (
        OfficialFile(
            TAR,
            170_498_071,
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            f"https://www.cs.toronto.edu/~kriz/{TAR}",
        ),
    )
    batches: ClassVar[tuple[OfficialFile, ...]] = (
        OfficialFile("data_batch_1", 31_035_704, "c99cafc152244af753f735de768cd75f"),
        OfficialFile("data_batch_2", 31_035_320, "d4bba439e000b95fd0a9bffe97cbabec"),
        OfficialFile("data_batch_3", 31_035_999, "54ebc095f3ab1f0389bbae665268c751"),
        OfficialFile("data_batch_4", 31_035_696, "634d18415352ddfa80567beed471001a"),
        OfficialFile("data_batch_5", 31_035_623, "482c414d41f54cd18b22e5b47cb7c3cb"),
        OfficialFile("test_batch", 31_035_526, "40351d587109b95175f43aff81a1287e"),
    )
    subsets: ClassVar[dict[str, OfficialFile]] = {
        "png-4k-1k": OfficialFile(
            "cifar10_png_4k_1k.npz",
            14_163_860,
            "e48015fd8460684d29ab3dbc926453b35d776cd6dfb7a97b78f8e209f63c9802",
        ),
        "jpeg-10k-2k": OfficialFile(
            "cifar10_jpeg_10k_2k.npz",
            34_190_706,
            "24096b40ce501ac97f0958b704cd2e3f282423f1e4393b50731b8080300a4c5d",
        ),
    }
    class_names = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )

    def locate(self, folder: Path) -> str:
        """Return "python-batches", "png-4k-1k" or "jpeg-10k-2k", the first that is there."""
        if (folder / TAR).is_file() or (folder / FOLDER).is_dir():
            return "python-batches"
        for variant, file in self.subsets.items():
            if (folder / file.name).is_file():
                return variant
        names = ", ".join([TAR, f"{FOLDER}/", *(file.name for file in self.subsets.values())])
        raise InputError(f"none of {names} in {folder}")

    def read(self, folder: Path) -> Dataset:
        """Return the data set, or the subset of it that is there."""
        variant = self.locate(folder)
        if variant == "python-batches":
            train, test = self._read_batches(folder)
        else:
            file = self.subsets[variant]
            train, test = parse_npz(read_checked(folder, file), folder / file.name)
        return self.build(variant, train, test)

    def _read_batches(self, folder: Path) -> tuple[Split, Split]:
        tar = folder / TAR
        contents = self._in_tar(tar) if tar.is_file() else self._in_folder(folder / FOLDER)
        parsed = {file.name: parse_batch(content, where) for file, content, where in contents}
        if missing := [file.name for file in self.batches if file.name not in parsed]:
            raise InputError(f"{tar}: no {FOLDER}/{missing[0]} in it")
        *train, test = (parsed[file.name] for file in self.batches)
        images, labels = zip(*train, strict=True)
        return (np.concatenate(images), np.concatenate(labels)), test

    def _in_folder(self, folder: Path) -> Iterator[tuple[OfficialFile, bytes, Path]]:
        for file in self.batches:
            yield file, read_checked(folder, file), folder / file.name

    def _in_tar(self, tar: Path) -> Iterator[tuple[OfficialFile, bytes, Path]]:
        """Yield the batches in the order of the archive; nothing is written to disk."""
        wanted = {f"{FOLDER}/{file.name}": file for file in self.batches}
        try:
            with tarfile.open(tar, "r|gz") as archive:
                for member in archive:
                    file = wanted.get(member.name)
                    stream = archive.extractfile(member) if file and member.isfile() else None
                    if file and stream:
                        where = tar / member.name
                        yield file, check(stream.read(file.size + 1), file, where), where
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            found = f"{tar.stat().st_size} bytes, expected {self.files[0].size}"
            raise InputError(f"{tar}: damaged archive ({found}): {error}") from error
