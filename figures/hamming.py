"""Records of changed pixels as figures see them: networks, boxes, pairs, rates of success."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from empirics.record import Record
from figures.view import QUANTILE_ALPHA, NothingToDraw, View
from theory.arrays import FloatArray
from theory.claims.shamir2019 import hamming_in
from theory.evidence import Radii
from theory.statistics import clopper_pearson

_MAIN_DATA, _MAIN_LABELS = "mnist", ("mlp-64", "mlp-1x64")
_BY_DEPTH = ("conv-max", "residual", "relu", "sigmoid", "tanh", "median-filter", "median-pool")


@dataclass(frozen=True, order=True)
class Box:
    """Pixel values that a change may take: [-overshoot, 1 + overshoot]."""

    overshoot: float

    @property
    def ends(self) -> tuple[float, float]:
        """Lower and upper end."""
        return 0.0 - self.overshoot, 1 + self.overshoot

    @property
    def space(self) -> str:
        """What records call it: "hamming in -1..2"."""
        return hamming_in(*self.ends)

    @property
    def name(self) -> str:
        """What readers see: "[-1, 2]"."""
        low, high = self.ends
        return f"[{low:g}, {high:g}]"

    @property
    def math(self) -> str:
        """The same with a minus sign, as LaTeX text."""
        return f"${self.name}$"


@dataclass(frozen=True)
class Rate:
    """How many of all pairs, with exact limits on the probability if they were independent."""

    count: int
    trials: int

    @property
    def share(self) -> float:
        """The part of all."""
        return self.count / self.trials

    @cached_property
    def limits(self) -> tuple[float, float]:
        """Two-sided limits of Clopper and Pearson, each rate by itself."""
        low, high = clopper_pearson(self.count, self.trials, QUANTILE_ALPHA)
        return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Network:
    """One classifier of images whose least numbers of changes were measured."""

    record: Record

    @property
    def data(self) -> str:
        """The name of its data set."""
        return data_and_label(self.record)[0]

    @property
    def label(self) -> str:
        """Its label in the preset."""
        return data_and_label(self.record)[1]

    @property
    def n_classes(self) -> int:
        """K."""
        return int(self.record.facts["n_classes"])

    @property
    def piecewise_linear(self) -> bool:
        """Whether regions and rays are known, or only tangents."""
        return bool(self.record.facts.get("piecewise_linear", False))

    @cached_property
    def boxes(self) -> list[Box]:
        """Boxes with a pair, the narrowest first."""
        known = sorted(Box(float(r)) for r in self.record.facts.get("overshoots", ()))
        return [box for box in known if self._has_pairs(box)]

    def _has_pairs(self, box: Box) -> bool:
        names = [f"{box.space}.{end}" for end in ("lower", "upper")]
        arrays = self.record.arrays
        return all(n in arrays for n in names) and not bool(np.isnan(arrays[names[1]]).all())

    def ends(self, box: Box) -> tuple[FloatArray, FloatArray]:
        """Return certified lower ends and the changes found, shape (n, K): NaN at the label."""
        lower, upper = (
            np.asarray(self.record.arrays[f"{box.space}.{end}"], dtype=np.float64)
            for end in ("lower", "upper")
        )
        return lower, upper

    def pairs(self, box: Box) -> Radii:
        """Return the intervals of all images and targets."""
        lower, upper = self.ends(box)
        there = ~np.isnan(upper)
        return Radii(lower[there], upper[there])

    def searched(self, box: Box) -> FloatArray:
        """Return what the search found for each pair, before any programme was solved."""
        found = np.asarray(self.record.arrays[f"{box.space}.searched"], dtype=np.float64)
        return found[~np.isnan(found)]

    def by_pair(self, box: Box) -> dict[tuple[int, int], float]:
        """Return the changes found, by index of the image in the test set, and target."""
        _, upper = self.ends(box)
        index = self.record.arrays["index"]
        return {
            (int(index[i]), int(target)): float(upper[i, target])
            for i, target in zip(*np.nonzero(~np.isnan(upper)), strict=True)
        }

    @property
    def is_of_depth_study(self) -> bool:
        """Whether it is one of the networks that are compared with one another in pairs."""
        return self.label in _BY_DEPTH or shape_of(self.label) is not None


def data_and_label(record: Record) -> tuple[str, str]:
    """Return the data set and the label of a record's classifier of images."""
    subject = record.request.subject
    return str(subject["data"]["name"]), str(subject["image_classifier"]["label"])


def shape_of(label: str) -> tuple[int, int] | None:
    """Return depth and width of a network with a label like "mlp-4x64".

    Examples
    --------
    >>> shape_of("mlp-4x64"), shape_of("mlp-64-32")
    ((4, 64), None)
    """
    depth, cross, width = label.removeprefix("mlp-").partition("x")
    if label.startswith("mlp-") and cross and depth.isdigit() and width.isdigit():
        return int(depth), int(width)
    return None


def networks(view: View) -> list[Network]:
    """Return the networks whose changes were counted, in the order of the plan.

    Raises
    ------
    NothingToDraw
        If there are none.
    """
    found = [Network(record) for record in view.measured("hamming")]
    found = [network for network in found if network.boxes]
    if not found:
        raise NothingToDraw("no number of changed pixels of any network")
    return found


def main_of(subjects: Sequence[Record]) -> Record:
    """Return the record of the network that is shown where there is room for one.

    A network of 64 units on MNIST, else the first one on MNIST, else the first one.
    """
    here = [record for record in subjects if data_and_label(record)[0] == _MAIN_DATA] or subjects
    for label in _MAIN_LABELS:
        for record in here:
            if data_and_label(record)[1] == label:
                return record
    return here[0]


def main_network(known: Sequence[Network]) -> Network:
    """Return the network whose record is that of `main_of`."""
    record = main_of([network.record for network in known])
    return next(network for network in known if network.record is record)


def names_of(known: Iterable[Network]) -> dict[Network, str]:
    """Return what each network is called: its label, with its data set where there are several."""
    listed = list(known)
    several = len({network.data for network in listed}) > 1
    return {n: f"{n.label} ({n.data})" if several else n.label for n in listed}


def same_subject(view: View, measure: str, network: Network) -> Record | None:
    """Return the record of another measure of the same network, or None."""
    key = network.data, network.label
    found = [r for r in view.measured(measure) if data_and_label(r) == key]
    return found[0] if found else None


def within(ends: FloatArray, k: int) -> Rate:
    """Return how many ends are at most k.

    Examples
    --------
    >>> within(np.array([1.0, 3.0, np.inf]), 3).share.__round__(3)
    0.667
    """
    return Rate(int(np.sum(ends <= k)), ends.size)


def middle(ends: FloatArray) -> float:
    """Return the lower median: half of all are at most that.

    Examples
    --------
    >>> middle(np.array([5.0, 2.0, np.inf, 3.0]))
    3.0
    """
    return float(np.sort(ends)[(ends.size - 1) // 2])


def steps(ends: FloatArray, most: int) -> npt.NDArray[np.float64]:
    """Return the part of the ends that is at most 0, 1, ..., most."""
    counts = np.arange(most + 1)
    return np.asarray(np.searchsorted(np.sort(ends), counts, side="right") / ends.size)


def percent(share: float) -> str:
    """Return a part of all in percent, with 0 and 100 for none and all alone.

    Examples
    --------
    >>> percent(0.5), percent(1.0), percent(0.9999), percent(0.0001), percent(0.0)
    ('50.0', '100', '99.9', '0.1', '0')
    """
    if share in (0, 1):
        return f"{100 * share:.0f}"
    return f"{min(max(100 * share, 0.1), 99.9):.1f}"


def whole(value: float) -> str:
    """Return a number of changes as text; infinity for what was not found."""
    return f"{value:.0f}" if np.isfinite(value) else r"$\infty$"


def rate_row(head: Mapping[str, Any], k: int, rate: Rate) -> dict[str, Any]:
    """Return the line of a .csv file that tells a rate of success."""
    low, high = rate.limits
    found = {"k": k, "count": rate.count, "pairs": rate.trials, "share": rate.share}
    return {**head, **found, "low": low, "high": high}
