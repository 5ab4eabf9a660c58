"""1,797 handwritten digits of 8 x 8 grey pixels (Alpaydin and Kaynak, 1998), in scikit-learn."""

import gzip
import importlib.util
import io
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from empirics.data.files import check_digest, read_bytes
from empirics.data.source import Dataset, Source, as_labels, dataset
from theory.errors import InputError

FILE = "digits.csv.gz"
DIGEST = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"
N_TRAIN = 1_437


def split(n: int) -> NDArray[np.int64]:
    """Return the fixed order of the images, the first `N_TRAIN` of which are for training.

    Sorts the raw output of a bit generator, which numpy promises never to change; of a
    `Generator`'s shuffle it promises no such thing.

    Examples
    --------
    >>> split(5).tolist()
    [3, 2, 1, 0, 4]
    """
    return np.argsort(np.random.PCG64(0).random_raw(n), kind="stable")


@dataset("digits")
class Digits(Source):
    """The only data set that is always there: no download, 1,437 train and 360 test images."""

    class_names = tuple("0123456789")

    def folder(self, root: Path) -> Path:
        """Return scikit-learn's own data folder, found without importing it; `root` is not used."""
        spec = importlib.util.find_spec("sklearn")
        if spec is None or not spec.submodule_search_locations:
            raise InputError("digits: scikit-learn, whose wheel holds them, is not installed")
        return Path(spec.submodule_search_locations[0]) / "datasets" / "data"

    def locate(self, folder: Path) -> str:
        """Return "csv" if the file is there."""
        if not (folder / FILE).is_file():
            raise InputError(f"digits: no {FILE} in {folder}: reinstall scikit-learn")
        return "csv"

    def read(self, folder: Path) -> Dataset:
        """Return the data set; the values 0..16 become multiples of 1/16."""
        variant, path = self.locate(folder), folder / FILE
        try:
            content = gzip.decompress(read_bytes(path))
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: {error}: reinstall scikit-learn") from error
        check_digest(content, DIGEST, path)
        table = np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.uint8)
        images, labels = table[:, :64].reshape(-1, 1, 8, 8), as_labels(table[:, 64], path, 0, 9)
        train, test = np.split(split(len(table)), [N_TRAIN])
        return self.build(
            variant, (images[train], labels[train]), (images[test], labels[test]), white=16
        )
