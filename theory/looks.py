"""Repeated looks at one claim: what part of alpha each may spend, and a ledger of those spent.

Judging again after more points, another seed or more effort is another chance of an error. The
k-th look at a claim about a subject is made at alpha 6 / (pi k)^2: over any number of looks, at
evidence chosen in any way before it is seen, the parts sum to at most alpha.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from theory.errors import InputError
from theory.outcome import Outcome

SCHEMA = 1
_DECISIVE = (Outcome.HOLDS, Outcome.VIOLATED)


def share_of_look(k: int) -> float:
    """Return the part of alpha that the k-th look may spend, 6 / (pi k)^2.

    Parameters
    ----------
    k : int
        1 for the first look.

    Raises
    ------
    ValueError
        If k < 1.

    References
    ----------
    Spending a fixed total over looks whose number is not fixed: Lan and DeMets, Discrete sequential
    boundaries for clinical trials, Biometrika 70 (1983). The weights 1 / k^2 are a choice.

    Examples
    --------
    >>> [round(0.05 * share_of_look(k), 4) for k in (1, 2, 3)]
    [0.0304, 0.0076, 0.0034]
    """
    if k < 1:
        raise ValueError(f"the first look is number 1, got {k}")
    return 6.0 / (math.pi * k) ** 2


def share_left(k: int) -> float:
    """Return the part of alpha that is left for the looks after the k-th.

    Examples
    --------
    >>> round(share_left(0), 12), round(share_left(1), 4)
    (1.0, 0.3921)
    """
    return max(1.0 - math.fsum(share_of_look(j) for j in range(1, k + 1)), 0.0)


def fingerprint(parts: Sequence[str]) -> str:
    """Return the SHA-256 of what evidence consists of, in any order: ids of records, the test.

    Examples
    --------
    >>> fingerprint(["a", "b"]) == fingerprint(["b", "a"]) != fingerprint(["ab"])
    True
    """
    return sha256(json.dumps(sorted(parts)).encode()).hexdigest()


@dataclass(frozen=True)
class Key:
    """What is looked at: the same truth, whatever the evidence.

    Attributes
    ----------
    subject : str
        Names the subject and not how it was measured.
    claim, quantity : str
    """

    subject: str
    claim: str
    quantity: str


@dataclass(frozen=True)
class Look:
    """One judgement.

    Attributes
    ----------
    fingerprint : str
        Of the evidence: the same evidence again is the same look.
    alpha : float
        What it spent; 0 where nothing is random.
    outcome : str
        "" as long as it is not judged.
    n : int or None
        Number of points.
    effort : str
    seed : int or None
    """

    fingerprint: str
    alpha: float = 0.0
    outcome: str = ""
    n: int | None = None
    effort: str = ""
    seed: int | None = None

    def changes(self, later: "Look") -> str:
        """Return in words what another look had that this one had not.

        Examples
        --------
        >>> Look("a", n=1000, seed=0).changes(Look("b", n=4000, seed=1))
        'n 1,000 -> 4,000, seed 0 -> 1'
        """
        found = []
        if self.n != later.n:
            found.append(f"n {_count(self.n)} -> {_count(later.n)}")
        if self.effort != later.effort:
            found.append(f"effort {self.effort or 'unknown'} -> {later.effort or 'unknown'}")
        if self.seed != later.seed:
            found.append(f"seed {self.seed} -> {later.seed}")
        return ", ".join(found) or "other settings, with the same n, effort and seed"


def _count(n: int | None) -> str:
    return "unknown" if n is None else f"{n:,}"


class Ledger:
    """All looks so far, by what was looked at.

    Parameters
    ----------
    looks : mapping from Key to list of Look, optional

    Examples
    --------
    >>> ledger, key = Ledger(), Key("vae - mlp", "fawzi2018/thm1", "r_in[l2]")
    >>> ledger.look(key, "first"), ledger.look(key, "second"), ledger.look(key, "first")
    (1, 2, 1)
    """

    def __init__(self, looks: dict[Key, list[Look]] | None = None) -> None:
        self._looks = {} if looks is None else {key: list(own) for key, own in looks.items()}

    def __iter__(self) -> Iterator[Key]:
        """Iterate over what was looked at."""
        return iter(self._looks)

    def looks(self, key: Key) -> tuple[Look, ...]:
        """Return the looks at something, in their order."""
        return tuple(self._looks.get(key, ()))

    def look(self, key: Key, seen: str) -> int:
        """Return the number of the look at this evidence; new evidence is entered as a new look.

        It is entered before it is judged: what is begun is spent, whatever becomes of it.
        """
        own = self._looks.setdefault(key, [])
        for k, look in enumerate(own, start=1):
            if look.fingerprint == seen:
                return k
        own.append(Look(seen))
        return len(own)

    def settle(self, key: Key, look: Look) -> None:
        """Enter what became of a look; judged again, it has spent the most that it ever did."""
        k = self.look(key, look.fingerprint)
        before = self._looks[key][k - 1]
        values = asdict(look) | {"alpha": max(before.alpha, look.alpha)}
        self._looks[key][k - 1] = Look(**values)

    def turned(self, key: Key, look: Look) -> tuple[int, Look] | None:
        """Return the last decisive look before this one if it said the contrary, and its number."""
        own = self._looks.get(key, [])
        k = next((k for k, old in enumerate(own) if old.fingerprint == look.fingerprint), len(own))
        if look.outcome not in _DECISIVE:
            return None
        for j in range(k - 1, -1, -1):
            if own[j].outcome in _DECISIVE:
                return None if own[j].outcome == look.outcome else (j + 1, own[j])
        return None

    def to_json(self) -> str:
        """Return the ledger as JSON text, the same for the same looks."""
        cells = [
            asdict(key) | {"looks": [asdict(look) for look in own]}
            for key, own in sorted(
                self._looks.items(), key=lambda item: tuple(asdict(item[0]).values())
            )
        ]
        return json.dumps({"schema": SCHEMA, "cells": cells}, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Ledger":
        """Return the ledger of this JSON text.

        Raises
        ------
        InputError
            If it is none.
        """
        try:
            data: Any = json.loads(text)
            if data["schema"] != SCHEMA:
                raise InputError(f"looks of schema {data['schema']}, expected {SCHEMA}")
            looks = {
                Key(cell["subject"], cell["claim"], cell["quantity"]): [
                    Look(**look) for look in cell["looks"]
                ]
                for cell in data["cells"]
            }
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"no ledger of looks ({error!r})") from error
        return cls(looks)
