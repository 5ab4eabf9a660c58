"""Records of changed pixels that no network was trained for: shaped like real ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from empirics.record import Record, Request
from tests.synthetic import PROVENANCE
from theory.claims.shamir2019 import hamming_in
from theory.evidence import Interval, Radii

K, IMAGES, SHOWN, MOST = 10, 24, 2, 100
EASE = {0.0: 1.0, 1.0: 0.45, 5.0: 0.16, 50.0: 0.08}
"""How many changes a box needs, by its overshoot, in units of those that [0, 1] needs."""
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Net:
    """One network: `scale` is the number of changes that it needs, `solved` that it is exact."""

    label: str
    scale: float = 11.0
    data: str = "mnist"
    overshoots: tuple[float, ...] = (0.0, 1.0)
    linear: bool = True
    solved: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> dict[str, Any]:
        part = {"label": self.label, "name": self.label, "settings": dict(self.settings)}
        return {"data": {"name": self.data}, "image_classifier": part}

    @property
    def side(self) -> int:
        return 28 if self.data == "mnist" else 8

    def asked(self, measure: str) -> Request:
        return Request("measure", measure, {}, self.subject, 0)


DIGITS = Net("mlp", 6.0, "digits", solved=True)
MNIST = (
    Net("mlp-16", 9.0, overshoots=(0.0, 1.0, 5.0), solved=True),
    Net("mlp-64", 11.5, overshoots=(0.0, 1.0, 5.0, 50.0)),
    Net("mlp-256", 11.0, overshoots=(0.0, 1.0, 5.0)),
    Net("mlp-64-32", 10.5, overshoots=(0.0, 1.0, 5.0)),
)
DEPTH = (
    *(Net(f"mlp-{d}x{w}", 11 - 0.4 * d) for w in (16, 64, 256) for d in (1, 2, 4, 8)),
    Net("conv-max", 14.0),
    Net("residual", 10.0),
    *(Net(name, scale, linear=False) for name, scale in (("sigmoid", 18.0), ("tanh", 13.0))),
    *(Net(name, scale) for name, scale in (("median-filter", 28.0), ("median-pool", 15.0))),
)


def _digit(rng: np.random.Generator, side: int) -> Array:
    """Return a stroke of 0s, 1s and a few greys on a black ground."""
    at = np.linspace(-1, 1, side)
    across, down = np.meshgrid(at, at)
    radius, width = rng.uniform(0.35, 0.6), rng.uniform(0.12, 0.2)
    ring = np.abs(np.hypot(across, 0.8 * down) - radius)
    return np.clip(1.6 - ring / width, 0, 1)[None].astype(np.float32)


def _upper(
    net: Net, overshoot: float, labels: Array, index: Array, rng: np.random.Generator
) -> Array:
    # What is hard about an image and a target is so for all networks of a data set.
    hard = np.random.default_rng(7).normal(0, 0.55, (10 * IMAGES, K))[index]
    noise = rng.normal(0, 0.15, hard.shape)
    found = np.ceil(net.scale * EASE[overshoot] * np.exp(hard + noise))
    found[found > MOST] = np.inf
    found[np.arange(len(index)), labels] = np.nan
    return found


def _lower(net: Net, overshoot: float, upper: Array, rng: np.random.Generator) -> Array:
    lower = np.where(np.isnan(upper), np.nan, 1.0)
    if net.solved and overshoot == 0:
        slack = rng.choice([0, 0, 0, 0, 1, 3], upper.shape)
        lower = np.where(np.isinf(upper), 12.0, np.maximum(upper - slack, 1))
    return lower


def hamming_record(net: Net, rng: np.random.Generator, images: int = IMAGES) -> Record:
    """Return the record of the fewest changes of one network."""
    index = np.sort(rng.choice(images + 4, images, replace=False))
    labels = np.random.default_rng(3).integers(0, K, images + 4)[index]
    shown = min(SHOWN, images)
    image = np.stack([_digit(rng, net.side) for _ in range(shown)])
    arrays: dict[str, Any] = {"index": index, "label": labels, "image": image}
    evidence: dict[str, Any] = {}
    for overshoot in net.overshoots:
        space = hamming_in(-overshoot, 1 + overshoot)
        upper = _upper(net, overshoot, labels, index, rng)
        lower = _lower(net, overshoot, upper, rng)
        arrays |= {f"{space}.lower": lower, f"{space}.upper": upper}
        arrays[f"{space}.searched"] = upper + np.random.default_rng(7).integers(0, 2, upper.shape)
        arrays[f"{space}.points"] = _points(image, upper[:shown], overshoot, rng)
        there = ~np.isnan(upper)
        evidence[f"r_targeted[{space}]"] = seen = Radii(lower[there], upper[there])
        evidence[f"label_distance[{space}]"] = Interval(seen.lower.max(), seen.upper.max())
    facts: dict[str, Any] = {"n_classes": K, "piecewise_linear": net.linear, "test_error": 0.02}
    facts |= {"levels": 255, "overshoots": list(net.overshoots), "max_changes": MOST}
    if net.linear:
        facts |= {"n_units": 64, "recession_classes": K if net.scale < 12 else K - 1}
        change = rng.lognormal(2.7, 0.5, (images, K))
        change[rng.random(change.shape) < 0.02] = np.inf
        change[np.arange(images), labels] = np.nan
        arrays["unlimited.change"] = change
        evidence["label_distance[hamming]"] = Interval(1, 1)
    return Record(net.asked("hamming"), evidence, facts, arrays, PROVENANCE)


def _points(image: Array, upper: Array, overshoot: float, rng: np.random.Generator) -> Array:
    """Return images with as many changed pixels as were found, most of them in the middle."""
    points = np.repeat(image[:, None], K, axis=1)
    side = image.shape[-1]
    for i, target in zip(*np.nonzero(np.isfinite(upper)), strict=True):
        room = max(side // 2, int(np.ceil(np.sqrt(upper[i, target]))))
        start = (side - room) // 2
        chosen = rng.choice(room * room, int(upper[i, target]), replace=False)
        rows, columns = start + chosen // room, start + chosen % room
        old = image[i, 0, rows, columns]
        up = rng.uniform(np.minimum(old + 0.2, 1 + overshoot), 1 + overshoot)
        down = rng.uniform(-overshoot, np.maximum(old - 0.2, -overshoot))
        # Most grounds rise and most strokes fall; at an end of the box there is no choice.
        rise = ((old < 0.5) ^ (rng.random(old.size) < 0.15)) & (old < 0.8) | (old < 0.2)
        points[i, target, 0, rows, columns] = np.where(rise, up, down)
    return points


def random_pixels_record(net: Net, rng: np.random.Generator, images: int = IMAGES) -> Record:
    """Return draws of random pixels, and one path with folds."""
    pairs, tries, draws = images * (K - 1), 3, 30
    counts, overshoots = np.array([3, 5, 7, 9, 11, 15]), np.array([1.0, 5.0, 50.0])
    reach = {1.0: 0.02, 5.0: 0.5, 50.0: 1.0}
    success = np.array([[reach[o] * (1 - 0.62**c) for c in counts] for o in overshoots])
    climb = rng.geometric(success[..., None], (*success.shape, pairs))
    path = rng.geometric(np.array([0.23, 0.1, 0.23])[:, None], (3, pairs))
    leads, progress, change = _walk(rng)
    arrays: dict[str, Any] = {
        "climb.counts": counts, "climb.overshoots": overshoots,
        "climb.tries": np.where(climb <= tries, climb, 0),
        "path.counts": np.array([9, 10, 11]), "path.draws": np.where(path <= draws, path, 0),
        "walk.leads": leads, "walk.progress": progress, "walk.change": change,
    }  # fmt: skip
    walk = {"label": 7, "target": 3, "k": 9, "folds": 4, "status": "reached"}
    facts = {"pool": 300, "tries": tries, "draws": draws, "n_classes": K, "walk": walk}
    return Record(net.asked("random_pixels"), {}, facts, arrays, PROVENANCE)


def _walk(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return a path on a segment of outputs that goes back twice."""
    corners = [(0.0, 0.42, 14), (0.42, 0.2, 7), (0.2, 0.66, 13), (0.66, 0.55, 5), (0.55, 1, 12)]
    pieces = [np.linspace(a, b, s, endpoint=False) for a, b, s in corners]
    progress = np.append(np.concatenate(pieces), 1.0)
    start, end = rng.uniform(-9, -2, K - 1), rng.uniform(1, 6, K - 1)
    leads = start + progress[:, None] * (end - start)
    steps = rng.normal(0.1, 0.35, (len(progress) - 1, 9)) + rng.normal(0, 0.25, 9)
    change = np.concatenate([np.zeros((1, 9)), np.cumsum(steps, axis=0)])
    return leads, progress, change


def slice_record(net: Net, rng: np.random.Generator, units: int = 40) -> Record:
    """Return a plane cut by random lines, and by the argmax of an affine map in each part."""
    low, high = np.array([-0.6, -0.6]), np.array([1.6, 1.6])
    square = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    centre, turn = rng.uniform(low, high, (units, 2)), rng.normal(size=(units, 2))
    out, bias = rng.normal(size=(3, units)), rng.normal(size=3)
    parts = [square]
    for a, b in zip(turn, np.sum(turn * centre, axis=1), strict=True):
        parts = [piece for part in parts for piece in _cut(part, a, b)]

    def outputs(x: Array) -> Array:
        return out @ np.maximum(turn @ x - np.sum(turn * centre, axis=1), 0) + bias

    polygons: list[Array] = []
    labels: list[int] = []
    boundary: list[Array] = []
    for part in parts:
        values = np.array([outputs(v) for v in part])
        for label in range(3):
            piece = part
            for other in {0, 1, 2} - {label}:
                lead = values[:, label] - values[:, other]
                # Affine on the part: three corners fix it.
                rows = np.column_stack([part, np.ones(len(part))])
                form = np.linalg.lstsq(rows, lead, rcond=None)[0]
                sides = _cut(piece, form[:2], -form[2]) if len(piece) else []
                piece = next(
                    (s for s in sides if s.mean(axis=0) @ form[:2] + form[2] > 0), np.zeros((0, 2))
                )
                edge = piece[np.abs(piece @ form[:2] + form[2]) < 1e-9] if len(piece) else piece
                if len(edge) == 2 and label < other:
                    boundary.append(edge)
            if len(piece):
                polygons.append(piece)
                labels.append((2, 7, 9)[label])
    arrays = {
        "vertices": np.concatenate(polygons),
        "starts": np.cumsum([0, *map(len, polygons)]),
        "labels": np.array(labels),
        "boundary": np.array(boundary).reshape(-1, 2, 2),
        "corners": np.array([[0.0, 0.0], [1.0, 0.0], [0.4, 0.9]]),
        "images": np.stack([_digit(rng, net.side) for _ in range(3)]),
        "extent": np.array([low[0], high[0], low[1], high[1]]),
    }
    facts = {"n_activation_regions": len(parts), "n_label_polygons": len(polygons)}
    return Record(
        net.asked("planar_slice"), {}, {**facts, "image_labels": [2, 7, 9]}, arrays, PROVENANCE
    )


def _cut(polygon: Array, a: Array, b: float) -> list[Array]:
    """Return the parts of a convex polygon on both sides of a line a . z = b."""
    height = polygon @ a - b
    found = []
    for side in (height, -height):
        kept = []
        for i, here in enumerate(side):
            before = side[i - 1]
            if before * here < 0:
                kept.append(
                    polygon[i - 1] + (polygon[i] - polygon[i - 1]) * before / (before - here)
                )
            if here >= 0:
                kept.append(polygon[i])
        if len(kept) > 2:
            found.append(np.array(kept))
    return found


def one_pixel_record(net: Net, rng: np.random.Generator, rate: float, images: int = 60) -> Record:
    """Return the images that one pixel changes."""
    arrays: dict[str, Any] = {"index": np.arange(images)}
    for overshoot, share in ((0.0, rate), (1.0, min(3 * rate, 1))):
        space = hamming_in(-overshoot, 1 + overshoot)
        arrays[f"{space}.changed"] = rng.random(images) < share
    facts = {"population": 400, "iterations": 100, "scale": 0.5}
    return Record(net.asked("one_pixel"), {}, facts, arrays, PROVENANCE)


def small_hamming_records(seed: int = 0, net: Net = DIGITS) -> list[Record]:
    """Return what the smallest preset has: one network, all measures but one pixel."""
    rng = np.random.default_rng(seed)
    return [hamming_record(net, rng), random_pixels_record(net, rng), slice_record(net, rng)]


def hamming_records(
    seed: int = 0, nets: Sequence[Net] = (DIGITS, *MNIST, *DEPTH), images: int = IMAGES
) -> list[Record]:
    """Return the records of all networks, in the order of the plans."""
    rng = np.random.default_rng(seed)
    return list(_of(nets, rng, images))


def _of(nets: Sequence[Net], rng: np.random.Generator, images: int) -> Iterator[Record]:
    rates = {"mlp-1x64": 0.3, "sigmoid": 0.05}
    for net in nets:
        yield hamming_record(net, rng, images)
        if net.label in rates:
            yield one_pixel_record(net, rng, rates[net.label])
        if net.label in ("mlp", "mlp-64"):
            yield random_pixels_record(net, rng, images)
        if net.label in ("mlp", "mlp-64", "mlp-64-32"):
            yield slice_record(net, rng)
