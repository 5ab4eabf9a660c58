"""From claims to the measures that bring their evidence, or the facts that they need."""

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from empirics.checking.efforts import Effort
from empirics.plugins import MEASURES, MeasurePlugin
from empirics.settings import read_settings
from theory.claim import CLAIMS, FOUND, Claim, Quantity, Status
from theory.errors import InputError

ALL = "*"
_SINGLE = frozenset({"data", "teacher", "generator", "classifier", "image_classifier"})
EXAMINED = "examined"
_FACTS = (EXAMINED, "accuracy", "class_masses")
"""What is found out of every model."""
RANDOMISED = "the model is randomised, and what one draw of it does is no property of another"


@dataclass(frozen=True)
class Needs:
    """What is measured, and what is not.

    Attributes
    ----------
    claims : tuple of str
        Ids of the claims that were asked for, those known to be false left out.
    measures : mapping from str to object
        Measures with their settings.
    left_out : mapping from str to str
        Measures that would serve a claim, and why they are not done.
    unmeasured : tuple of str
        Claims of whose quantities no measure brings evidence.
    """

    claims: tuple[str, ...]
    measures: dict[str, Any]
    left_out: dict[str, str]
    unmeasured: tuple[str, ...]

    @property
    def with_generator(self) -> bool:
        """Whether a generator is needed."""
        return any("generator" in plugin.roles for plugin in self.measures.values())


def provided(measure: type[MeasurePlugin]) -> tuple[str, ...]:
    """Return the quantities for whose claims a measure is made, of any norm where none is named."""
    return tuple(getattr(measure, "provides", ()))


def _serves(measure: type[MeasurePlugin], quantities: Iterable[Quantity]) -> bool:
    names = set(provided(measure))
    return any(
        {str(quantity), quantity.symbol} & {*names, *(FOUND + name for name in names)}
        for quantity in quantities
    )


def claims_of(pattern: str) -> list[Claim]:
    """Return the claims of a shell pattern, those known to be false left out.

    Raises
    ------
    InputError
        If there is none.
    """
    found = [
        claim
        for claim in CLAIMS.values()
        if fnmatch.fnmatch(claim.id, pattern) and claim.status is not Status.REFUTED
    ]
    if not found:
        raise InputError(f"no claim matches '{pattern}'; `advbounds list` names them")
    return found


def needs_of(
    pattern: str, effort: Effort, units: int | str, *, deterministic: bool = True
) -> Needs:
    """Return what the claims of a shell pattern need, at an effort.

    Where all claims are asked for, whatever the effort names is measured, pictures included.

    Parameters
    ----------
    pattern : str
        Shell pattern of claim ids.
    effort : Effort
    units : int or str
        Of the piecewise-linear network, or why it is none.
    deterministic : bool
        Whether equal images always get equal logits: of others nothing can be measured.

    Raises
    ------
    InputError
        If no claim matches, or a setting of the effort is wrong.
    """
    claims = claims_of(pattern)
    quantities = [quantity for claim in claims for quantity in claim.quantities]
    chosen, left_out = [], {}
    for name, measure in MEASURES.items():
        serves = _serves(measure, quantities)
        if not (serves or (pattern == ALL and name in effort.measures) or name in _FACTS):
            continue
        reason = _obstacle(name, measure, effort, units)
        if reason is None:
            chosen.append(name)
        elif serves or name in effort.measures:
            left_out[name] = reason
    if not any("generator" in MEASURES[name].roles for name in chosen if name not in _FACTS):
        # No claim looks at generated images: neither do the facts.
        chosen = [name for name in chosen if "generator" not in MEASURES[name].roles]
    if not deterministic:
        left_out |= {name: RANDOMISED for name in chosen if name != EXAMINED}
        chosen = [EXAMINED]
    measures = {
        name: read_settings(
            MEASURES[name], effort.measures.get(name, {}), f"effort {effort.name}: {name}"
        )
        for name in chosen
    }
    unmeasured = tuple(
        claim.id
        for claim in claims
        if not any(_serves(measure, claim.quantities) for measure in MEASURES.values())
    )
    return Needs(tuple(claim.id for claim in claims), measures, left_out, unmeasured)


def _obstacle(
    name: str, measure: type[MeasurePlugin], effort: Effort, units: int | str
) -> str | None:
    if not set(measure.roles) <= _SINGLE:
        return "it compares several classifiers"
    if name in effort.left_out:
        return f"it is left out at effort '{effort.name}'"
    if name in effort.most_units:
        most = effort.most_units[name]
        if isinstance(units, str):
            return f"it needs a piecewise-linear network: {units}"
        if units > most:
            return f"it needs a network of at most {most} units, this one has {units}"
    return None
