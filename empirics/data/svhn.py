"""SVHN, cropped digits: 99,289 house numbers of 32 x 32 colour pixels (Netzer et al., 2011)."""

import io
import zlib
from pathlib import Path

import numpy as np

from empirics.data.files import OfficialFile, read_checked
from empirics.data.source import Dataset, Source, Split, as_labels, dataset
from theory.errors import InputError

BASE = "http://ufldl.stanford.edu/housenumbers/"


def parse_mat(content: bytes, where: Path | str) -> Split:
    """Return the images and labels in the bytes of one MATLAB file.

    Parameters
    ----------
    content : bytes
        Variables X, uint8 (32, 32, 3, n), and y, (n, 1) in 1..10, where 10 stands for the digit 0.
    where : Path or str
        Names the file in error messages.

    Returns
    -------
    images : ndarray of uint8, shape (n, 3, 32, 32)
    labels : ndarray of int64, shape (n,), in 0..9

    Raises
    ------
    InputError
        If it is no such file.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    # What scipy raises on a file that is damaged, or was never one of MATLAB's.
    malformed = (MatReadError, ValueError, TypeError, LookupError, EOFError, OSError, zlib.error)
    try:
        stream = io.BytesIO(content)
        variables = loadmat(stream, variable_names=["X", "y"])  # type: ignore[arg-type]
        images, labels = np.asarray(variables["X"]), np.asarray(variables["y"])
    except (*malformed, NotImplementedError) as error:
        raise InputError(f"{where}: not a MATLAB file of X and y: {error}") from error
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != (32, 32, 3):
        found = f"{images.dtype} {images.shape}"
        raise InputError(f"{where}: X is {found}, expected uint8 (32, 32, 3, n)")
    if labels.shape != (images.shape[3], 1):
        raise InputError(f"{where}: y has shape {labels.shape}, expected {(images.shape[3], 1)}")
    return images.transpose(3, 2, 0, 1), as_labels(labels[:, 0], where, 1, 10) % 10


@dataset("svhn")
class Svhn(Source):
    """The two MATLAB files of cropped digits; 73,257 train, 26,032 test, not balanced."""

    class_names = tuple("0123456789")

    files = (
        OfficialFile(
            "train_32x32.mat",
            182_040_794,
            "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            f"{BASE}train_32x32.mat",
        ),
        OfficialFile(
            "test_32x32.mat",
            64_275_384,
            "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            f"{BASE}test_32x32.mat",
        ),
    )

    def locate(self, folder: Path) -> str:
        """Return "mat" if both files are there."""
        for file in self.files:
            if not (folder / file.name).is_file():
                raise InputError(f"no {file.name} in {folder}")
        return "mat"

    def read(self, folder: Path) -> Dataset:
        """Return the data set, channels first, labels equal to digits."""
        variant = self.locate(folder)
        train, test = (parse_mat(read_checked(folder, f), folder / f.name) for f in self.files)
        return self.build(variant, train, test)
