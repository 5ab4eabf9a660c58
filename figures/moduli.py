"""What records say of how far a generator moves images, method by method."""

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from figures import style
from figures.view import View
from theory.modulus import LipschitzModulus, Modulus, SampledModulus
from theory.modulus.expansion import ExpansionTable

Facts = Mapping[str, Any]
METHODS = ("product", "semidefinite")
"""The certified constants that are told apart, the loosest first."""
CERTIFIED_WORDS = {
    "product": "product of layer norms",
    "semidefinite": "semidefinite",
    "certified": "certified",
}
STROKES: dict[str, dict[str, Any]] = {
    "product": style.BOUND,
    "semidefinite": {"color": "#009E73", "lw": 1.7},
    "certified": style.BOUND,
    "probabilistic": {"color": "#0072B2", "lw": 1.2, "ls": (0, (4, 1.4))},
    "sampled": style.SAMPLED,
}
_TRUE_LOWER_ENDS = ("sampled", "exact")
"""Methods whose lower ends are attained by the generator; others' belong to relaxations."""

_STEPS = (
    (1.0,),
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    tuple(0.5 * i for i in range(2, 20)),
)
"""Labels of a decade that read evenly, the fewest first."""


def trained_generators(view: View) -> dict[str, dict[str, Any]]:
    """Return all that is known of each trained generator whose modulus was measured, by label."""
    return {
        record.request.subject["generator"]["label"]: view.facts(record)
        for record in view.measured("modulus")
        if "data" in record.request.subject
    }


def certified_moduli(facts: Facts) -> dict[str, Modulus]:
    """Return the certified moduli from l2 to l2 by method.

    Those of `METHODS` that were measured; if none was, the first certified one as "certified".

    Examples
    --------
    >>> found = {"method": "product", "lower": None, "upper": 2.0}
    >>> certified_moduli({"constants[l2->l2]": [found]})
    {'product': LipschitzModulus(constant=2.0, certified=True)}
    """
    uppers = {found["method"]: found["upper"] for found in facts.get("constants[l2->l2]", ())}
    known: dict[str, Modulus] = {
        method: LipschitzModulus(uppers[method])
        for method in METHODS
        if uppers.get(method) is not None
    }
    if known:
        return known
    moduli: list[Modulus] = [m for m in facts.get("moduli[l2->l2]", ()) if m.certified]
    return {"certified": moduli[0]} if moduli else {}


def sampled_modulus(facts: Facts) -> SampledModulus | None:
    """Return the sampled modulus from l2 to l2, if there is one."""
    for modulus in facts.get("moduli[l2->l2]", ()):
        if isinstance(modulus, SampledModulus):
            return modulus
    return None


def largest_rate_seen(facts: Facts) -> float | None:
    """Return the largest expansion rate that any sampling has found, or None.

    Examples
    --------
    >>> seen = {"method": "sampled", "lower": 2.5, "upper": None}
    >>> relaxed = {"method": "free pattern", "lower": 4.0, "upper": None}
    >>> facts = {"constants[l2->l2]": [seen, relaxed]}
    >>> largest_rate_seen(facts | {"moduli[l2->l2]": [SampledModulus((1.0, 2.0), (2.0, 6.0))]})
    3.0
    """
    rates = [
        found["lower"]
        for found in facts.get("constants[l2->l2]", ())
        if found["method"] in _TRUE_LOWER_ENDS and found["lower"] is not None
    ]
    modulus = sampled_modulus(facts)
    if modulus is not None:
        rates += [v / t for t, v in zip(modulus.distances, modulus.values, strict=True)]
    return max(rates) if rates else None


def expansions(facts: Facts) -> ExpansionTable | None:
    """Return the table of certified local expansions from l2 to l2, if there is one."""
    table = facts.get("expansions[l2->l2]")
    return None if table is None else ExpansionTable.from_dict(table)


def columns_of(n: int) -> int:
    """Return how many columns n panels of equal weight get: no row is nearly empty.

    Examples
    --------
    >>> [columns_of(n) for n in range(1, 10)]
    [1, 2, 3, 2, 3, 3, 4, 4, 3]
    """
    return {4: 2, 7: 4, 8: 4}.get(n, min(n, 3))


def label_decades(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis by plain numbers: as few a decade as still make three."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in _STEPS:
        ticks = [step * 10.0**power for power in powers for step in steps]
        ticks = [at for at in ticks if low <= at <= high]
        if len(ticks) > 2:
            break
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
