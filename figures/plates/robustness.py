"""The papers' table: error rates, and the 25th percentile of each radius beside its bound."""

from typing import Any

import numpy as np

from figures.registry import Row, Section, Table, Value, table
from figures.view import CERTIFIED, QUARTILE, SAMPLED, Pair, View, quantile_limits
from figures.wording import escape, interval, symbol

_ERRORS = (("error_generated", "error, generated"), ("error_real", "error, real"))


@table(
    "robustness",
    title="Error rates and the 25th percentile of robustness",
    needs=("radii", "class_masses", "modulus"),
    also=("accuracy",),
)
def robustness(view: View) -> Table:
    """A section a generator, a column a classifier, the columns of the bounds last."""
    rows: list[Row] = []
    numbers: dict[str, Value] = {"quantile": QUARTILE}
    sections = []
    for generator, pairs in view.by_generator().items():
        body = [_error_line(pairs, fact, words, rows) for fact, words in _ERRORS]
        for quantity in dict.fromkeys(q for pair in pairs for q in pair.quantities):
            body.append(_radius_line(view, pairs, quantity, rows))
        names = [escape(pair.classifier) for pair in pairs]
        columns = ["", *names, "bound", "bound, sampled*"]
        sections.append(Section(escape(generator), columns, body))
    for row in rows:
        stem = f"{row['generator']}.{row['classifier']}.{row['row']}"
        numbers |= {
            f"{stem}.{key}" if key != "value" else stem: row[key]
            for key in ("value", "lower", "upper", "bound", "bound_sampled")
            if row.get(key) is not None
        }
    numbers |= _summary(rows)
    return Table(sections, rows, numbers, _CAPTION)


def _error_line(pairs: list[Pair], fact: str, words: str, rows: list[Row]) -> list[str]:
    cells = [words]
    for pair in pairs:
        value = pair.facts.get(fact)
        cells.append("--" if value is None else rf"{100 * value:.1f}\%")
        if value is not None:
            head: dict[str, Any] = {
                "generator": pair.generator,
                "classifier": pair.classifier,
                "row": fact,
            }
            rows.append({**head, "value": float(value)})
    return [*cells, "", ""]


def _radius_line(view: View, pairs: list[Pair], quantity: str, rows: list[Row]) -> list[str]:
    cells: list[str] = []
    bounds: dict[str, list[float]] = {CERTIFIED: [], SAMPLED: []}
    latent = quantity.startswith("r_latent")
    for pair in pairs:
        scale = pair.scale(quantity) or float("nan")
        radii = pair.radii(quantity)
        lower, upper = (end / scale for end in quantile_limits(radii))
        cells.append(interval(lower, upper) if np.isfinite(scale) else "--")
        row: dict[str, Value] = {
            "generator": pair.generator,
            "classifier": pair.classifier,
            "row": quantity.partition("[")[0],
            "quantity": quantity,
            "lower": lower,
            "upper": upper,
            "n": radii.n,
            "scale": scale,
        }
        for claim, key in ((CERTIFIED, "bound"), (SAMPLED, "bound_sampled")):
            bound = view.bound(claim, pair, quantity)
            if bound is not None:
                row[key] = bound.quantile(QUARTILE) / scale
                bounds[claim].append(float(row[key] or 0.0))
        rows.append(row)
    unit = r"\mathbf{E}\|z\|" if latent else r"\mathbf{E}\|g(z)\|"
    ends = [f"{max(found):.4f}" if found else "--" for found in bounds.values()]
    return [f"${symbol(quantity)}/{unit}$", *cells, *ends]


def _summary(rows: list[Row]) -> dict[str, Value]:
    """Return, over all pairs, how far the measured percentiles lie below their bounds."""
    found: dict[str, Value] = {}
    for name in dict.fromkeys(str(row["row"]) for row in rows if "quantity" in row):
        for key in ("bound", "bound_sampled"):
            factors = [
                float(row[key] or 0) / float(row["upper"] or 0)
                for row in rows
                if row["row"] == name and row.get(key) is not None and row["upper"]
            ]
            if factors:
                found[f"all.{name}.{key}_over_upper_min"] = min(factors)
                found[f"all.{name}.{key}_over_upper_max"] = max(factors)
    for fact, _ in _ERRORS:
        values = [float(row["value"] or 0) for row in rows if row["row"] == fact]
        if values:
            found[f"all.{fact}_percent_min"] = 100 * min(values)
            found[f"all.{fact}_percent_max"] = 100 * max(values)
    return found


_CAPTION = (
    "Error rates of each classifier on generated images (labelled by the teacher) and on the real"
    " test set; 25th percentile of the three radii in units of the typical length of a latent"
    " vector or an image. Each entry is an interval that holds the percentile with 95% confidence:"
    " its lower end comes from certificates, its upper end from verified adversarial points. The"
    " bounds are upper bounds on the same percentile, each the largest over the classifiers (their"
    " class masses differ); *the sampled modulus underestimates the true one, so this column is not"
    " rigorous."
)
