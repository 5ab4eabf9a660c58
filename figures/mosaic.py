"""Images side by side, as one array that is drawn once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

Images = npt.NDArray[Any]


def mosaic(rows: Sequence[Images], gap: int = 1) -> Images:
    """Return rows of images in one array, with white gaps between them.

    Parameters
    ----------
    rows : sequence of ndarray, shape (k, C, H, W)
        Pixels in [0, 1] (others are clipped); C is 1 or 3; rows may differ in length.
    gap : int
        Pixels between images.

    Returns
    -------
    ndarray, shape (height, width, 3)

    Examples
    --------
    >>> mosaic([np.zeros((3, 1, 8, 8)), np.zeros((2, 1, 8, 8))]).shape
    (17, 26, 3)
    """
    height, width = rows[0].shape[-2:]
    most = max(len(row) for row in rows)
    canvas = np.ones((len(rows) * (height + gap) - gap, most * (width + gap) - gap, 3))
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            pixels = np.moveaxis(np.clip(np.asarray(image, dtype=np.float64), 0, 1), 0, -1)
            top, left = i * (height + gap), j * (width + gap)
            canvas[top : top + height, left : left + width] = pixels
    return canvas


def show(axes: Axes, picture: Images) -> None:
    """Show a mosaic with square pixels and no frame."""
    axes.imshow(picture, interpolation="nearest", aspect="equal")
    axes.set_axis_off()
