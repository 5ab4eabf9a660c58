"""CIFAR-10 batches and subsets made here: read in order, and no pickle is ever executed."""

import hashlib
import io
import os
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from empirics.data.cifar10 import Cifar10, parse_npz
from empirics.data.cifar_batches import parse_batch
from empirics.data.files import OfficialFile
from theory.errors import InputError


def refusal(action: Callable[[], object]) -> str:
    """Return the one line with which `action` refuses its input."""
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    return message


def official(name: str, content: bytes, hash_name: str = "sha256") -> OfficialFile:
    return OfficialFile(
        name, len(content), hashlib.new(hash_name, content).hexdigest(), "http://x/"
    )


def cifar_bytes(
    rows: np.ndarray, labels: list[int], module: str = "numpy.core.multiarray"
) -> bytes:
    """Return a batch as the Python 2 pickler wrote it: byte strings, protocol 2."""

    def text(word: bytes) -> bytes:
        return b"U" + bytes([len(word)]) + word

    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = f"c{module}\n_reconstruct\n".encode() + b"cnumpy\nndarray\nK\x00\x85" + text(b"b")
    array += b"\x87R(K\x01" + b"M" + struct.pack("<H", len(rows)) + b"M\x00\x0c\x86" + dtype
    array += b"\x89T" + struct.pack("<I", rows.size) + rows.tobytes() + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"labels") + numbers + text(b"data") + array + b"u."


def cifar_rows(n: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), dtype=np.uint8)


def tiny_cifar(folder: Path, *, tar: bool) -> tuple[Cifar10, np.ndarray]:
    """Write six batches of 2 images, loose or in an archive; return the source and all rows."""
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    rows = [cifar_rows(2, seed) for seed in range(6)]
    contents = [cifar_bytes(r, [i, 9]) for i, r in enumerate(rows)]
    source = Cifar10("cifar10")
    source.batches = tuple(map(official, names, contents, ["md5"] * 6))
    if tar:
        with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
            for name, content in reversed(list(zip(names, contents, strict=True))):
                member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    else:
        (folder / "cifar-10-batches-py").mkdir()
        for name, content in zip(names, contents, strict=True):
            (folder / "cifar-10-batches-py" / name).write_bytes(content)
    return source, np.stack(rows)


@pytest.mark.parametrize("tar", [True, False])
def test_cifar_batches_are_read_in_their_order(tmp_path: Path, tar: bool) -> None:
    source, rows = tiny_cifar(tmp_path, tar=tar)
    before = sorted(tmp_path.rglob("*"))
    data = source.read(tmp_path)
    assert data.variant == source.locate(tmp_path) == "python-batches"
    assert data.train_labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    expected = rows[:5].reshape(10, 3, 32, 32) / np.float32(255)
    assert np.array_equal(data.train_images, expected)
    assert np.array_equal(data.test_images, rows[5].reshape(2, 3, 32, 32) / np.float32(255))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_batch_or_archive_is_refused(tmp_path: Path) -> None:
    source, _ = tiny_cifar(tmp_path, tar=False)
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    content = batch.read_bytes()
    batch.write_bytes(content[:-1] + b"!")
    assert f"{batch}: md5" in refusal(lambda: source.read(tmp_path))
    batch.write_bytes(content[:-1])
    assert f"{batch}: {len(content) - 1} bytes, expected {len(content)}: truncated" in refusal(
        lambda: source.read(tmp_path)
    )
    batch.unlink()
    assert f"{batch}: No such file" in refusal(lambda: source.read(tmp_path))
    source, _ = tiny_cifar(tmp_path, tar=True)
    tar = tmp_path / "cifar-10-python.tar.gz"
    packed = tar.read_bytes()
    tar.write_bytes(packed[: len(packed) // 2])
    assert f"{tar}: damaged archive" in refusal(lambda: source.read(tmp_path))


def test_an_archive_without_a_batch_is_refused(tmp_path: Path) -> None:
    source, _ = tiny_cifar(tmp_path, tar=True)
    source.batches = (*source.batches, official("data_batch_6", b""))
    assert "no cifar-10-batches-py/data_batch_6" in refusal(lambda: source.read(tmp_path))


class Attack:
    """Unpickles to a call of `os.mkdir`."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_calls_something_is_refused_and_nothing_is_called(
    tmp_path: Path, protocol: int
) -> None:
    trap = tmp_path / "trap"
    content = pickle.dumps({"data": Attack(trap), "labels": []}, protocol)
    message = refusal(lambda: parse_batch(content, "data_batch_1"))
    assert message == f"data_batch_1: refused: a CIFAR batch never names {os.name}.mkdir"
    assert not trap.exists()


def test_the_names_that_a_batch_may_hold_are_stand_ins_that_do_nothing() -> None:
    rows = cifar_rows(2)
    images, labels = parse_batch(cifar_bytes(rows, [3, 0]), "batch")
    assert np.array_equal(images.reshape(2, 3072), rows)
    assert labels.tolist() == [3, 0]
    other = cifar_bytes(rows, [3, 0], module="numpy.lib")
    assert "never names numpy.lib._reconstruct" in refusal(lambda: parse_batch(other, "batch"))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "not a CIFAR batch: EOFError"),
        (b"\x80\x02}(", "not a CIFAR batch"),
        (b"no pickle at all", "not a CIFAR batch"),
        (pickle.dumps([1, 2]), "expected 'data', bytes (n, 3072)"),
        (cifar_bytes(cifar_rows(2), [3, 10]), "batch: label 10, expected 0..9"),
        (cifar_bytes(cifar_rows(2), [3]), "and n 'labels'"),
        (cifar_bytes(cifar_rows(2)[:, :3000], [3, 1]), "expected 'data'"),
        (cifar_bytes(cifar_rows(2), [3, 1])[:-30], "not a CIFAR batch"),
    ],
)
def test_bytes_that_are_no_batch_are_refused(content: bytes, part: str) -> None:
    assert part in refusal(lambda: parse_batch(content, "batch"))


def npz_bytes(**change: np.ndarray) -> bytes:
    pixels = np.zeros((2, 32, 32, 3), np.uint8)
    pixels[0, 1, 2] = [10, 20, 30]
    labels = np.array([4, 9], np.uint8)
    arrays = {"x_train": pixels, "y_train": labels, "x_test": pixels, "y_test": labels}
    buffer = io.BytesIO()
    np.savez(buffer, **{**arrays, **change})
    return buffer.getvalue()


def test_a_subset_becomes_channels_first_and_the_lossless_one_is_preferred(tmp_path: Path) -> None:
    source = Cifar10("cifar10")
    content = npz_bytes()
    source.subsets = {name: official(f.name, content) for name, f in Cifar10.subsets.items()}
    (tmp_path / "cifar10_jpeg_10k_2k.npz").write_bytes(content)
    assert source.locate(tmp_path) == "jpeg-10k-2k"
    (tmp_path / "cifar10_png_4k_1k.npz").write_bytes(content)
    data = source.read(tmp_path)
    assert data.variant == "png-4k-1k"
    assert data.train_images.flags.c_contiguous
    assert (data.train_images[0, :, 1, 2] * 255).round().tolist() == [10, 20, 30]
    (tmp_path / "cifar10_png_4k_1k.npz").write_bytes(npz_bytes(y_test=np.array([1, 2], np.uint8)))
    assert "cifar10_png_4k_1k.npz: sha256" in refusal(lambda: source.read(tmp_path))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (npz_bytes(y_test=np.array([1, 12], np.uint8)), "y_test: label 12, expected 0..9"),
        (npz_bytes(y_test=np.array([0.5, 1])), "y_test: labels are float64"),
        (npz_bytes(x_train=np.zeros((2, 3, 32, 32), np.uint8)), "x_train is uint8 (2, 3, 32, 32)"),
        (npz_bytes(x_train=np.array([{}], object)), "allow_pickle=False"),
        (npz_bytes()[:-40], "file: "),
        (b"", "file: "),
    ],
)
def test_a_subset_that_is_wrong_is_refused(content: bytes, part: str) -> None:
    assert part in refusal(lambda: parse_npz(content, "file"))
