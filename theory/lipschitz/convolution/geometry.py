"""Where the entries of a kernel fall: sizes, paddings and source positions, one axis at a time."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.intp]
Pair = tuple[int, int]

PADDING_MODES: Final = ("zeros", "circular", "reflect", "replicate")


def per_axis(value: Any, dimensions: int, name: str, least: int) -> tuple[int, ...]:  # noqa: ANN401
    """Return an integer for each axis, of one for all or of one each.

    Raises
    ------
    ValueError
        If there are not so many, or one is not an integer of at least `least`.

    Examples
    --------
    >>> per_axis(2, 3, "stride", 1), per_axis((1, 2), 2, "stride", 1)
    ((2, 2, 2), (1, 2))
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,) * dimensions
    if len(values) != dimensions:
        raise ValueError(f"{name} needs one value for each of {dimensions} axes, got {value!r}")
    if any(not isinstance(v, int | np.integer) or v < least for v in values):
        raise ValueError(f"{name} must be integers of at least {least}, got {value!r}")
    return tuple(int(v) for v in values)


def paddings(
    padding: Any,  # noqa: ANN401
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Pair, ...]:
    """Return how much is put before and behind each axis.

    Parameters
    ----------
    padding : int, "same", "valid", or a sequence of int or of (before, behind), one for each axis
    kernel, stride, dilation : tuple of int

    Raises
    ------
    ValueError
        If it is none of these, negative, or "same" with a stride.

    Examples
    --------
    >>> paddings("same", (4,), (1,), (1,)), paddings([(0, 2)], (4,), (1,), (1,))
    (((1, 2),), ((0, 2),))
    """
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ValueError(f"padding 'same' needs stride 1, got {stride}")
        totals = (d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
        return tuple((total // 2, total - total // 2) for total in totals)
    if isinstance(padding, str):
        raise ValueError(f"padding must be integers, 'same' or 'valid', got {padding!r}")
    if isinstance(padding, Sequence) and any(isinstance(each, Sequence) for each in padding):
        if len(padding) != len(kernel):
            raise ValueError(f"padding needs a pair for each of {len(kernel)} axes: {padding!r}")
        pairs = [per_axis(each, 2, "padding", 0) for each in padding]
        return tuple((before, behind) for before, behind in pairs)
    return tuple((each, each) for each in per_axis(padding, len(kernel), "padding", 0))


def taps(
    side: int, outputs: int, kernel: int, stride: int, before: int, dilation: int, mode: str
) -> Positions:
    """Return the position under each kernel entry at each output, -1 where zeros are.

    Parameters
    ----------
    side, outputs : int
        Positions of the input and of the output along one axis.
    kernel, stride, before, dilation : int
    mode : {"zeros", "circular", "reflect", "replicate"}

    Returns
    -------
    ndarray of int, shape (kernel, outputs)

    Examples
    --------
    >>> taps(3, 3, 3, 1, 1, 1, "zeros")[:, 0].tolist(), taps(3, 3, 3, 1, 1, 1, "circular")[0, 0]
    ([-1, 0, 1], np.int64(2))
    """
    at = stride * np.arange(outputs) + dilation * np.arange(kernel)[:, None] - before
    if mode == "circular":
        return np.asarray(at % side)
    if mode == "reflect":
        bounced = np.abs(at)
        return np.asarray(np.where(bounced < side, bounced, 2 * (side - 1) - bounced))
    if mode == "replicate":
        return np.asarray(np.clip(at, 0, side - 1))
    return np.where((at >= 0) & (at < side), at, -1)


def check_padding(mode: str, pairs: tuple[Pair, ...], spatial: tuple[int, ...]) -> None:
    """Raise a ValueError where a padding mode is not known or takes more than the input has."""
    if mode not in PADDING_MODES:
        raise ValueError(f"padding_mode must be one of {', '.join(PADDING_MODES)}, got {mode!r}")
    spare = {"circular": 0, "reflect": 1}.get(mode)
    for side, pair in zip(spatial, pairs, strict=True):
        if spare is not None and max(pair) > side - spare:
            raise ValueError(f"padding {mode} by {max(pair)} needs more than the {side} positions")


def window_outputs(side: int, kernel: int, stride: int, pair: Pair, dilation: int) -> int:
    """Return how many outputs there are along an axis; 0 or less where the kernel does not fit."""
    return (side + sum(pair) - dilation * (kernel - 1) - 1) // stride + 1
