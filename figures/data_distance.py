"""What was measured of the Wasserstein distance of a generator's law from the data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from figures import style
from figures.measured import count_words
from figures.moduli import Facts, label_decades
from figures.wording import number

_SIGNS: dict[str, tuple[str, dict[str, Any]]] = {
    "limit": ("limit on $W_1$", {"marker": "|", "color": style.INK, "ms": 8, "mew": 1.6}),
    "of_samples_mean": ("samples, exact", {"marker": "o", "color": "#0072B2", "ms": 4}),
    "less_baselines": (
        "less baselines",
        {"marker": "o", "color": "#0072B2", "ms": 4, "mfc": "white"},
    ),
    "real_and_real": ("real and real", {"marker": "P", "color": "#009E73", "ms": 4}),
    "generated_and_generated": ("generated twice", {"marker": "X", "color": "#E69F00", "ms": 4}),
    "sliced_max": ("sliced, largest", {"marker": ">", "color": "#D55E00", "ms": 4}),
    "sliced_mean": (
        "sliced, mean",
        {"marker": ">", "color": "#D55E00", "ms": 4, "mfc": "white"},
    ),
}
"""What each number is called, and how it is drawn."""


def data_distances(facts: Facts) -> dict[str, float]:
    """Return what is known of one generator: "limit" is proved, all else an estimate or a baseline.

    Examples
    --------
    >>> data_distances({"wasserstein": {"sliced_max": 0.5, "n": 300}, "wasserstein_1": 2.0})
    {'limit': 2.0, 'sliced_max': 0.5}
    """
    seen = facts.get("wasserstein", {})
    found = {key: float(seen[key]) for key in _SIGNS if key in seen}
    limit = facts.get("wasserstein_1")
    return found if limit is None else {"limit": float(limit), **found}


def draw_data_distances(axes: Axes, known: Mapping[str, Facts]) -> None:
    """Draw a line a generator, by name; those of which nothing was measured are left out."""
    lines = {name: found for name, facts in known.items() if (found := data_distances(facts))}
    if not lines:
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    for y, found in enumerate(lines.values()):
        for key, value in found.items():
            axes.plot(value, y, ls="none", **_SIGNS[key][1])
    axes.set_yticks(range(len(lines)), list(lines))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    scale_distances(axes, "$W_1$ to the data, $\\ell_2$ distance")


def scale_distances(axes: Axes, label: str) -> None:
    """Give an axis of distances its scale, from what is drawn on it and is positive."""
    drawn = np.concatenate([np.asarray(line.get_xdata(), dtype=float) for line in axes.lines])
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    low, high = (drawn.min() / 1.4, drawn.max() * 1.4) if drawn.size else (0.1, 1.0)
    axes.set(xscale="log", xlim=(low, high))
    label_decades(axes.xaxis, low, high)
    axes.set_xlabel(label)


def data_distance_legend() -> list[Line2D]:
    """Return a legend entry a number."""
    return [Line2D([], [], ls="none", label=words, **sign) for words, sign in _SIGNS.values()]


def data_distance_words(known: Mapping[str, Facts]) -> str:
    """Return what a caption says of the numbers and their bias; "" where nothing was measured."""
    seen = [facts["wasserstein"] for facts in known.values() if "wasserstein" in facts]
    if not seen:
        return ""
    sizes = count_words(int(some["n"]) for some in seen)
    level = number(max(float(some["level"]) for some in seen))
    return (
        f"The exact distance of samples of {sizes} images is biased upwards: in many dimensions two"
        " samples of one law are far apart too (plus and cross), and the mean of both is taken off"
        " in the estimate, which may be biased either way; the limit adds what its concentration"
        f" needs and is wrong with probability {level} at most. Sliced distances are lower"
        " estimates: projections bring no two points apart."
    )
