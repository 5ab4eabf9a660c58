"""What was run: data, models, sizes, versions, device."""

from typing import Any

from figures.registry import Row, Section, Table, Value, table
from figures.view import View
from figures.wording import escape, number


def _labels(view: View, role: str) -> list[str]:
    subjects = [record.request.subject for record in view.records]
    return list(dict.fromkeys(s[role]["label"] for s in subjects if "label" in s.get(role, {})))


def _joined(values: list[Any]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values))


@table("run", title="What was run", needs=())
def run(view: View) -> Table:
    """One line a property of the run."""
    subjects = [record.request.subject for record in view.records]
    data = [s["data"] for s in subjects if s.get("data")]
    dimensions = {
        record.request.subject["generator"]["label"]: record.facts["latent_dimension"]
        for record in view.measured("modulus")
        if "latent_dimension" in record.facts
    }
    points = [pair.record.facts["n"] for pair in view.all_pairs if "n" in pair.record.facts]
    pixels = [
        record.facts["image_shape"]
        for record in view.measured("modulus")
        if "image_shape" in record.facts and record.request.subject.get("data")
    ]
    found: dict[str, Value] = {
        "preset": view.preset,
        "records": view.source,
        "data": _joined([d["name"] for d in data]),
        "variant": _joined([d["variant"] for d in data if d.get("variant")]),
        "image": _joined([" \N{MULTIPLICATION SIGN} ".join(map(str, shape)) for shape in pixels]),
        "generators": _joined(_labels(view, "generator")),
        "classifiers": _joined(_labels(view, "classifier")),
        "image classifiers": _joined(_labels(view, "image_classifier")),
        "latent dimension": _joined(list(dimensions.values())),
        "points a pair": max(points, default=0),
        "level": view.alpha,
        "seed": _joined([record.request.seed for record in view.records]),
    }
    for name in ("device", "threads", "platform", "python", "numpy", "torch", "advbounds"):
        values = [r.provenance[name] for r in view.records if name in r.provenance]
        found[name] = _joined(values)
    found = {name: value for name, value in found.items() if value != ""}
    rows: list[Row] = [{"property": name, "value": value} for name, value in found.items()]
    body = [
        [escape(name), number(v) if isinstance(v, int | float) else escape(str(v))]
        for name, v in found.items()
    ]
    numbers = {name.replace(" ", "_"): value for name, value in found.items()}
    numbers["alpha_percent"] = round(100 * view.alpha, 9)
    numbers["confidence_percent"] = round(100 * (1 - view.alpha), 9)
    numbers["pairs"] = len(view.pairs)
    classified = [pair.generator for pair in view.all_pairs]
    numbers["pairs_generators"] = _joined(classified)
    known = [dimensions[label] for label in classified if label in dimensions]
    numbers["pairs_latent_dimension"] = _joined(known)
    subjects = [pair.record.request.subject for pair in view.pairs]
    numbers["pairs_data"] = _joined([s["data"]["name"] for s in subjects if "data" in s])
    numbers["families"] = len(view.families)
    return Table(
        [Section("", ["property", "value"], body)], rows, numbers, "What was run, and on what."
    )
