"""The data sets: known facts of the real ones, where they are looked for, what is refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from empirics.data import DATASETS, Dataset, load, locate
from theory.errors import InputError


def refusal(action: Callable[[], object]) -> str:
    """Return the one line with which `action` refuses its input."""
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    return message


# The data set that is always there


def test_digits_are_the_known_ones() -> None:
    digits = load("digits")
    assert digits.train_images.shape == (1437, 1, 8, 8)
    assert digits.test_images.shape == (360, 1, 8, 8)
    assert digits.image_shape == (1, 8, 8)
    assert digits.n_classes == 10
    labels = np.concatenate([digits.train_labels, digits.test_labels])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(digits.test_labels).min() >= 25
    sixteenths = digits.train_images * 16
    assert np.array_equal(sixteenths, np.round(sixteenths))
    assert sixteenths.max() == 16


def test_digits_are_split_the_same_way_everywhere() -> None:
    digits = load("digits")
    assert digits.train_labels[:10].tolist() == [0, 6, 3, 8, 1, 8, 4, 1, 5, 8]
    assert digits.test_labels[:10].tolist() == [6, 2, 4, 2, 4, 1, 9, 3, 0, 5]


def test_reading_digits_imports_neither_torch_nor_sklearn() -> None:
    code = "import sys, empirics.data as d; d.load('digits'); print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert not {"torch", "sklearn", "matplotlib"} & set(result.stdout.split())


def test_every_plug_in_is_found_and_an_unknown_name_is_answered_with_the_nearest() -> None:
    assert {"cifar10", "digits", "fashion_mnist", "mnist", "svhn"} <= set(DATASETS)
    assert "did you mean 'mnist'?" in refusal(lambda: load("mnits"))


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "svhn"])
def test_a_missing_data_set_says_where_it_was_looked_for(name: str, tmp_path: Path) -> None:
    for action in (load, locate):
        message = refusal(lambda action=action: action(name, tmp_path))
        assert str(tmp_path / name) in message
        assert f"`advbounds data fetch {name}`" in message


def test_the_data_root_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADVBOUNDS_DATA", str(tmp_path / "there"))
    assert str(tmp_path / "there" / "mnist") in refusal(lambda: locate("mnist"))
    monkeypatch.delenv("ADVBOUNDS_DATA")
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / "data" / "mnist") in refusal(lambda: locate("mnist"))


# The real files, where they are there


@pytest.mark.data("mnist")
def test_mnist_is_the_known_one() -> None:
    mnist = load("mnist")
    assert mnist.train_images.shape == (60_000, 1, 28, 28)
    assert mnist.test_images.shape == (10_000, 1, 28, 28)
    assert mnist.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test_labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert mnist.train_images.mean(dtype=float) == pytest.approx(0.1307, abs=5e-5)
    assert mnist.train_images.std(dtype=float) == pytest.approx(0.3081, abs=5e-5)


@pytest.mark.data("fashion_mnist")
def test_fashion_mnist_is_the_known_one() -> None:
    fashion = load("fashion_mnist")
    assert np.bincount(fashion.train_labels).tolist() == [6000] * 10
    assert np.bincount(fashion.test_labels).tolist() == [1000] * 10
    assert fashion.class_names[fashion.train_labels[0]] == "Ankle boot"
    assert fashion.train_images.mean(dtype=float) == pytest.approx(0.2860, abs=5e-5)


@pytest.mark.data("cifar10")
def test_cifar10_is_the_known_one_whichever_copy_it_is() -> None:
    cifar = load("cifar10")
    sizes = {
        "python-batches": (50_000, 10_000),
        "png-4k-1k": (4_000, 1_000),
        "jpeg-10k-2k": (10_000, 2_000),
    }
    assert (len(cifar.train_labels), len(cifar.test_labels)) == sizes[cifar.variant]
    assert cifar.variant == locate("cifar10")
    assert cifar.image_shape == (3, 32, 32)
    assert cifar.train_labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    if cifar.variant == "png-4k-1k":
        counts = [396, 366, 420, 384, 422, 393, 414, 385, 407, 413]
        assert np.bincount(cifar.train_labels).tolist() == counts
        means = cifar.train_images.mean(axis=(0, 2, 3), dtype=float)
        assert means == pytest.approx([0.4916, 0.4818, 0.4447], abs=2e-4)
    if cifar.variant != "jpeg-10k-2k":  # the first pixel of the first image, red green blue
        assert (cifar.train_images[0, :, 0, 0] * 255).round().tolist() == [59, 62, 63]


@pytest.mark.data("svhn")
def test_svhn_is_the_known_one() -> None:
    svhn = load("svhn")
    assert svhn.train_images.shape == (73_257, 3, 32, 32)
    assert svhn.test_images.shape == (26_032, 3, 32, 32)
    assert svhn.train_labels[0] == 1
    assert np.bincount(svhn.test_labels)[0] == 1_744


# Dataset


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"train_images": np.full((2, 1, 2, 2), 1.5, np.float32)}, "pixels are in [1.5, 1.5]"),
        ({"train_images": np.full((2, 1, 2, 2), np.nan, np.float32)}, "expected [0, 1]"),
        ({"train_images": np.zeros((2, 1, 2, 2))}, "float64 (2, 1, 2, 2), expected float32"),
        ({"train_images": np.zeros((2, 2, 2), np.float32)}, "expected float32 (n, C, H, W)"),
        ({"test_labels": np.array([0, 2])}, "test: label 2, expected 0..1"),
        ({"test_labels": np.array([0, -1])}, "test: label -1, expected 0..1"),
        ({"test_labels": np.array([0])}, "labels are int64 (1,), expected int64 (2,)"),
        ({"test_images": np.zeros((2, 1, 3, 3), np.float32)}, "differ in shape"),
    ],
)
def test_a_dataset_that_contradicts_itself_is_refused(change: dict, part: str) -> None:
    images, labels = np.zeros((2, 1, 2, 2), np.float32), np.array([0, 1])
    right = {
        "name": "toy",
        "variant": "made",
        "train_images": images,
        "train_labels": labels,
        "test_images": images,
        "test_labels": labels,
        "class_names": ("a", "b"),
    }
    assert Dataset(**right).n_classes == 2
    assert part in refusal(lambda: Dataset(**{**right, **change}))
