"""IDX and MATLAB files made here, right ones and ones that are wrong in every way."""

import gzip
import hashlib
import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from empirics.data import DATASETS, load
from empirics.data.files import OfficialFile
from empirics.data.idx import IdxFile, IdxSource, parse_idx
from empirics.data.svhn import Svhn, parse_mat
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


def idx_bytes(array: np.ndarray) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


# IDX


def tiny_idx(folder: Path, top_label: int = 9, suffix: str = ".gz") -> IdxSource:
    """Write a data set of 3 + 2 images of 2 x 2 pixels, and return its source."""
    parts = []
    for stem, n in (("train", 3), ("t10k", 2)):
        images = np.arange(4 * n, dtype=np.uint8).reshape(n, 2, 2) * 20
        for kind, array in (("images", images), ("labels", np.full(n, top_label, np.uint8))):
            content = idx_bytes(array)
            packed = gzip.compress(content, mtime=0)
            name = f"{stem}-{kind}"
            (folder / f"{name}{suffix}").write_bytes(packed if suffix else content)
            digest = hashlib.sha256(content).hexdigest()
            parts.append(IdxFile(official(f"{name}.gz", packed), array.shape, digest))
    source = IdxSource("tiny")
    source.parts, source.class_names = tuple(parts), tuple("0123456789")
    return source


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_idx_files_are_read_compressed_or_not(tmp_path: Path, suffix: str) -> None:
    source = tiny_idx(tmp_path, suffix=suffix)
    assert source.locate(tmp_path) == "idx"
    data = source.read(tmp_path)
    assert data.train_images.shape == (3, 1, 2, 2)
    assert data.test_labels.tolist() == [9, 9]
    assert data.train_images[1, 0, 0, 1] == np.float32(100 / 255)


def test_a_label_out_of_range_names_its_file(tmp_path: Path) -> None:
    source = tiny_idx(tmp_path, top_label=10)
    message = refusal(lambda: source.read(tmp_path))
    assert message == f"{tmp_path / 'train-labels.gz'}: label 10, expected 0..9"


def test_a_truncated_gzip_says_how_long_it_should_be(tmp_path: Path) -> None:
    source = tiny_idx(tmp_path)
    path = tmp_path / "t10k-images.gz"
    packed = path.read_bytes()
    path.write_bytes(packed[:-12])
    message = refusal(lambda: source.read(tmp_path))
    found = f"{len(packed) - 12} bytes, expected {len(packed)}"
    assert message == f"{path}: {found}: truncated"


def test_an_altered_file_of_the_right_length_fails_its_checksum(tmp_path: Path) -> None:
    source = tiny_idx(tmp_path)
    path = tmp_path / "train-images.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(content))
    assert f"{path}: sha256" in refusal(lambda: source.read(tmp_path))


def test_a_file_that_is_no_gzip_or_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    source = tiny_idx(tmp_path)
    path = tmp_path / "train-labels.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(3, np.uint8)) + bytes(1 << 20)))
    assert f"{path}: 12 bytes, expected 11: too long" in refusal(lambda: source.read(tmp_path))
    path.write_bytes(b"<html>not found</html>")
    assert f"{path}: Not a gzipped file" in refusal(lambda: source.read(tmp_path))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "IDX magic number , expected 00 00 08 01"),
        (
            bytes([0, 0, 9, 1, 0, 0, 0, 2, 1, 2]),
            "IDX magic number 00 00 09 01, expected 00 00 08 01",
        ),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3]), "IDX sizes (3,), expected (2,)"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 2, 1]), "9 bytes, expected 10: truncated"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 2, 1, 2, 3]), "11 bytes, expected 10: too long"),
    ],
)
def test_idx_bytes_that_are_wrong_are_refused(content: bytes, part: str) -> None:
    assert refusal(lambda: parse_idx(content, (2,), "file")) == f"file: {part}"


def test_an_official_name_with_wrong_content_gets_the_command_that_repairs_it(
    tmp_path: Path,
) -> None:
    tiny = tmp_path / "mnist"
    tiny.mkdir()
    for part in DATASETS["mnist"].files:
        (tiny / part.name).write_bytes(gzip.compress(bytes(16)))
    message = refusal(lambda: load("mnist", tmp_path))
    assert message.endswith("; `advbounds data fetch mnist` downloads it")


# SVHN


def mat_bytes(pixels: np.ndarray, labels: list[int]) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {"X": pixels, "y": np.array(labels, np.uint8)[:, None]})
    return buffer.getvalue()


def test_svhn_files_become_channels_first_and_ten_becomes_zero(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3, 2), np.uint8)
    pixels[5, 6, :, 1] = [1, 2, 3]
    source, content = Svhn("svhn"), mat_bytes(pixels, [10, 9])
    source.files = tuple(official(file.name, content) for file in Svhn.files)
    for file in source.files:
        (tmp_path / file.name).write_bytes(content)
    data = source.read(tmp_path)
    assert data.train_labels.tolist() == [0, 9]
    assert (data.test_images[1, :, 5, 6] * 255).round().tolist() == [1, 2, 3]
    (tmp_path / "test_32x32.mat").write_bytes(content[:-1])
    assert "test_32x32.mat: " in refusal(lambda: source.read(tmp_path))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (mat_bytes(np.zeros((32, 32, 3, 2), np.uint8), [0, 9]), "label 0, expected 1..10"),
        (mat_bytes(np.zeros((32, 32, 3, 2), np.uint8), [1]), "y has shape (1, 1), expected (2, 1)"),
        (mat_bytes(np.zeros((2, 3, 32, 32), np.uint8), [1, 2]), "X is uint8 (2, 3, 32, 32)"),
        (mat_bytes(np.zeros((32, 32, 3, 2)), [1, 2]), "X is float64"),
        (mat_bytes(np.zeros((32, 32, 3, 2), np.uint8), [1, 2])[:300], "not a MATLAB file"),
        (b"", "not a MATLAB file"),
        (b"<html>" * 50, "not a MATLAB file"),
    ],
)
def test_a_matlab_file_that_is_wrong_is_refused(content: bytes, part: str) -> None:
    assert part in refusal(lambda: parse_mat(content, "file"))
