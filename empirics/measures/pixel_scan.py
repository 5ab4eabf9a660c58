"""Every pixel and every value: which single changes alter an image's label, and where they lie."""

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from empirics.correct_images import active_pixels, correct_images
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.record import Evidence
from empirics.settings import setting
from empirics.single_changes import SingleChanges
from theory.arrays import FloatArray
from theory.conjectures.pixels import scanned
from theory.errors import InputError
from theory.evidence import Interval, Radii
from theory.relu.layer import BoolArray

_SIDES = tuple(step for step in itertools.product((-1, 0, 1), repeat=2) if step != (0, 0))
"""From a pixel to its eight neighbours."""


@measure("pixel_scan")
@dataclass(frozen=True)
class PixelScan:
    """All changes of one pixel of correctly classified test images to one of a few values.

    The network itself is asked about each, in its own precision, so that of these changes it is
    known exactly which of them alter the label. A pixel takes the values in all its channels, each
    combination of them; a value that it has already alters nothing.

    Of an image with successful changes, t is the mean over them of the share of the eight
    neighbours, as far as they lie in the image, at which the same value succeeds too, and s the
    same of all other pixels. Stored is s / (s + t), 1/2 where both are 0.

    Attributes
    ----------
    images : int
        The first test images that the network classifies correctly.
    slow_images : int
        As many of them at most, where each change takes a pass through the whole network: where it
        begins with neither a dense layer nor convolutions.
    overshoots : tuple of float
        Boxes [-r, 1 + r] of the values.
    values : int
        Values of a channel, evenly spaced, the ends of the box among them; 256 are all that eight
        bits have.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = ("resisting_share", "elsewhere", "elsewhere_varying")
    images: int = setting(300, at_least=1)
    slow_images: int = setting(30, at_least=1)
    overshoots: tuple[float, ...] = setting((0.0, 1.0, 5.0), at_least=0)
    values: int = setting(2, at_least=2)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return which images resist, and how successes lie, as evidence by box.

        Raises
        ------
        InputError
            If these are not images.
        """
        if len(subject.image_shape) != 3:
            raise InputError(
                f"pixel_scan needs images (channels, height, width), got shape"
                f" {tuple(subject.image_shape)}"
            )
        images = correct_images(subject, self.images)
        changes = SingleChanges(images)
        n = len(images.flat) if changes.quick else min(len(images.flat), self.slow_images)
        channels, height, width = subject.image_shape
        varying = np.zeros((channels, height * width), dtype=bool)
        varying.reshape(-1)[active_pixels(subject)] = True
        inside = varying.any(axis=0).reshape(height, width)
        evidence: dict[str, Evidence] = {}
        arrays: dict[str, npt.NDArray[np.generic]] = {"index": images.index[:n]}
        for overshoot in self.overshoots:
            space = scanned(-overshoot, 1 + overshoot, self.values)
            ends = np.linspace(-overshoot, 1 + overshoot, self.values)
            colours = np.array(list(itertools.product(ends, repeat=channels)), dtype=np.float32)
            found = _Found.none(n, height, width)
            for i in progress(range(n), f"{context.title} {space}"):
                success = np.stack([changes.altered(i, colour) for colour in colours], axis=1)
                found.add(i, success.reshape(height, width, -1), inside)
            resisting = float((found.counts == 0).mean())
            evidence[f"resisting_share[{space}]"] = Interval(resisting, resisting)
            for symbol, shares in (
                ("elsewhere", found.elsewhere),
                ("elsewhere_varying", found.elsewhere_varying),
            ):
                known = shares[~np.isnan(shares)]
                if known.size:
                    evidence[f"{symbol}[{space}]"] = Radii(known, known)
            arrays |= {
                f"{space}.counts": found.counts,
                f"{space}.by_pixel": found.by_pixel,
                f"{space}.neighbours": found.neighbours,
                f"{space}.others": found.others,
            }
        facts: dict[str, Any] = {
            "test_error": images.test_error,
            "varying_pixels": int(inside.sum()),
        }
        return Outcome(evidence, facts, arrays)


@dataclass
class _Found:
    """What the scan of each image found.

    Attributes
    ----------
    counts : ndarray of int, shape (n,)
        Successful changes.
    by_pixel : ndarray of int, shape (height, width)
        Images that some change of the pixel alters.
    neighbours, others : ndarray, shape (n,)
        t and s; NaN without a success.
    elsewhere, elsewhere_varying : ndarray, shape (n,)
        s / (s + t), of all pixels and of those that vary; NaN without a success among these.
    """

    counts: npt.NDArray[np.int64]
    by_pixel: npt.NDArray[np.int64]
    neighbours: FloatArray
    others: FloatArray
    elsewhere: FloatArray
    elsewhere_varying: FloatArray

    @classmethod
    def none(cls, n: int, height: int, width: int) -> "_Found":
        empty = np.full((4, n), np.nan)
        return cls(np.zeros(n, np.int64), np.zeros((height, width), np.int64), *empty)

    def add(self, i: int, success: BoolArray, varying: BoolArray) -> None:
        """Note the successes of an image, shape (height, width, colours)."""
        self.counts[i] = success.sum()
        self.by_pixel += success.any(axis=2)
        shares = success_shares(success, np.ones_like(varying))
        if shares is not None:
            self.neighbours[i], self.others[i] = shares
            self.elsewhere[i] = _part_elsewhere(*shares)
        shares = success_shares(success, varying)
        if shares is not None:
            self.elsewhere_varying[i] = _part_elsewhere(*shares)


def _part_elsewhere(neighbours: float, others: float) -> float:
    total = neighbours + others
    return others / total if total else 0.5


def success_shares(success: BoolArray, among: BoolArray) -> tuple[float, float] | None:
    """Return how often a successful change succeeds at a neighbour, and at any other pixel.

    Parameters
    ----------
    success : ndarray of bool, shape (height, width, m)
        Which of m changes succeed at each pixel.
    among : ndarray of bool, shape (height, width)
        The pixels that are looked at; all others are left out.

    Returns
    -------
    neighbours, others : float
        Means over the successes of the share of the up to eight neighbours, and of all other
        pixels, at which the same change succeeds. None without a success that has both.

    Examples
    --------
    >>> corner = np.zeros((3, 3, 1), dtype=bool)
    >>> corner[0, :2] = True
    >>> success_shares(corner, np.ones((3, 3), dtype=bool))
    (0.26666666666666666, 0.125)
    """
    height, width = among.shape
    seen = success & among[:, :, None]
    padded = np.pad(seen, ((1, 1), (1, 1), (0, 0))).astype(np.int64)
    there = np.pad(among, 1).astype(np.int64)
    near, near_seen = np.zeros((height, width), np.int64), np.zeros(seen.shape, np.int64)
    for down, right in _SIDES:
        rows = slice(1 + down, 1 + down + height)
        columns = slice(1 + right, 1 + right + width)
        near += there[rows, columns]
        near_seen += padded[rows, columns]
    total = int(among.sum())
    counted = seen & (near > 0)[:, :, None]
    if not counted.any() or total < 2:
        return None
    neighbours = (near_seen / np.maximum(near, 1)[:, :, None])[counted]
    others = np.broadcast_to((seen.sum(axis=(0, 1)) - 1) / (total - 1), seen.shape)[counted]
    return float(neighbours.mean()), float(others.mean())
