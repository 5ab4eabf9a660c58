"""The search for a counterexample: structures by Hypothesis, weights by evolution.

What was tried is kept in a journal, a line a structure. A search that was killed reads it, comes
through the same structures again, and goes on behind the last line.
"""

import hashlib
import inspect
import json
import math
import os
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from theory.arrays import FloatArray
from theory.claim import CLAIMS, Claim, OutOfScopeError
from theory.falsify.counterexample import Counterexample
from theory.falsify.drawing import require_hypothesis
from theory.falsify.evolution import descend
from theory.falsify.laboratory import Structure, Trial
from theory.falsify.shrinking import rounded, simplified
from theory.falsify.sides import LEAST, sides

_REJECTED = 20
"""Structures out of scope for each that is to be tried, after which they count as tried."""


@dataclass(frozen=True)
class Effort:
    """How much is tried.

    Attributes
    ----------
    structures : int
        That are drawn, beside those that a counterexample is shrunk to.
    starts, steps : int
        Of the evolution of the weights of each.
    """

    structures: int
    starts: int
    steps: int


EFFORTS = {
    "quick": Effort(20, 3, 40),
    "standard": Effort(80, 6, 120),
    "thorough": Effort(400, 12, 400),
}


@dataclass
class Tally:
    """What a search has looked at.

    Attributes
    ----------
    structures, evaluations : int
    least : float
        The least slack, as a part of the scale; +inf where the claim spoke of nothing.
    tightest : str
        The structure of least slack, in words.
    reason : str
        Why the claim did not speak of the last specimen that it did not speak of.
    """

    structures: int = 0
    evaluations: int = 0
    least: float = math.inf
    tightest: str = ""
    reason: str = ""


@dataclass
class Search:
    """A search on one trial.

    Attributes
    ----------
    trial : Trial
    seed : int
    effort : Effort
    journal : Path or None
        Where what was tried is kept.
    progress : callable
        Called with the tally after each structure.
    found : callable
        Called with each verified counterexample, before it is shrunk.
    """

    trial: Trial
    seed: int
    effort: Effort
    journal: Path | None = None
    progress: Callable[[Tally], None] = lambda tally: None
    found: Callable[[Counterexample], None] = lambda counterexample: None
    tally: Tally = field(default_factory=Tally)
    _known: dict[str, "_Line"] = field(default_factory=dict)
    _rejected: int = 0

    def run(self) -> Counterexample | None:
        """Return a counterexample of a structure that shrinks no further, or None.

        Raises
        ------
        InputError
            If Hypothesis is not there.
        """
        require_hypothesis()
        import hypothesis
        from hypothesis.errors import NoSuchExample, Unsatisfiable

        self._open()
        settings = hypothesis.settings(
            max_examples=self.effort.structures,
            deadline=None,
            database=None,
            derandomize=True,
            phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        )
        drawn = self.trial.laboratory.structures(self.trial.needs)
        try:
            structure = hypothesis.find(
                drawn, self._violates, settings=settings, random=random.Random(self.seed)
            )
        except (NoSuchExample, Unsatisfiable):
            return None
        structure = self._shrunk(structure)
        weights = self._known[_key(structure)].weights
        assert weights is not None
        specimen = self.trial.laboratory.specimen(structure, weights)
        return simplified(self.trial, specimen)

    def _shrunk(self, structure: Structure) -> Structure:
        """Return a structure none of whose smaller neighbours violates the claim."""
        while True:
            for other in self.trial.laboratory.smaller(structure):
                if self._line(other).weights is not None:
                    structure = other
                    break
            else:
                return structure

    def _violates(self, structure: Structure) -> bool:
        import hypothesis

        line = self._line(structure)
        self._rejected += line.out_of_scope
        if line.out_of_scope and self._rejected <= _REJECTED * self.effort.structures:
            # Hypothesis draws another one in its place.
            hypothesis.reject()
        return line.weights is not None

    def _line(self, structure: Structure) -> "_Line":
        """Return what becomes of a structure, or what became of it."""
        key = _key(structure)
        if key not in self._known:
            line = self._searched(structure)
            self._known[key] = line
            self._write(line)
            self._count(line)
            self.progress(self.tally)
        return self._known[key]

    def _searched(self, structure: Structure) -> "_Line":
        """Return the weights that violate the claim, verified, or the least slack."""
        laboratory = self.trial.laboratory
        stream = hashlib.sha256(f"{self.seed} {_key(structure)}".encode()).digest()
        rng = np.random.default_rng(np.frombuffer(stream, dtype=np.uint32))
        line = _Line(asdict(structure), math.inf, 0, "", "", None)

        def slack(weights: FloatArray) -> float:
            line.evaluations += 1
            try:
                specimen = laboratory.specimen(structure, weights)
                line.words = line.words or specimen.words
                value = sides(self.trial, specimen).slack
            except OutOfScopeError as reason:
                line.reason = str(reason)
                return math.inf
            except (ValueError, RuntimeError):
                # No specimen has these weights, or a solver has no answer for them.
                return math.inf
            line.slack = min(line.slack, value)
            return value

        n = laboratory.n_weights(structure)
        for i in range(self.effort.starts if n else 1):
            start = _start(i, n, rng)
            if math.isinf(slack(start)):
                # Out of scope is a matter of the structure, as a rule; no specimen one of luck.
                if line.reason and i:
                    break
                continue
            weights, least = descend(slack, start, rng, steps=self.effort.steps, below=-LEAST)
            if least < -LEAST:
                seen = rounded(self.trial, laboratory.specimen(structure, weights))
                if seen is not None:
                    self.found(seen)
                    line.weights = seen.specimen.weights
                    break
        return line

    def _count(self, line: "_Line") -> None:
        self.tally.structures += not line.out_of_scope
        self.tally.evaluations += line.evaluations
        self.tally.reason = line.reason or self.tally.reason
        if line.slack < self.tally.least:
            self.tally.least, self.tally.tightest = line.slack, line.words

    def _header(self) -> dict[str, Any]:
        return {
            "search": self.trial.claim.id,
            "source": source_sha256(self.trial.claim),
            "quantities": [str(quantity) for quantity in self.trial.quantities],
            "laboratory": self.trial.laboratory.name,
            "seed": self.seed,
            "effort": asdict(self.effort),
        }

    def _open(self) -> None:
        """Read the journal, and cut off what a kill left half-written; begin one if it is new."""
        if self.journal is None:
            return
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        head = json.dumps(self._header()) + "\n"
        text = self.journal.read_text() if self.journal.exists() else ""
        lines = text.splitlines(keepends=True)
        if not lines or lines[0] != head:
            self.journal.write_text(head)
            return
        kept = [line for line in lines[1:] if line.endswith("\n")]
        for each in kept:
            line = _Line.read(json.loads(each))
            self._known[json.dumps(line.structure, sort_keys=True)] = line
            self._count(line)
        self.journal.write_text(head + "".join(kept))

    def _write(self, line: "_Line") -> None:
        if self.journal is None:
            return
        with self.journal.open("a") as file:
            file.write(json.dumps(line.to_dict()) + "\n")
            file.flush()
            os.fsync(file.fileno())


@dataclass
class _Line:
    """What became of one structure."""

    structure: dict[str, Any]
    slack: float
    evaluations: int
    words: str
    reason: str
    weights: FloatArray | None

    @property
    def out_of_scope(self) -> bool:
        """Whether the claim speaks of no weights that were tried."""
        return bool(self.reason) and math.isinf(self.slack)

    def to_dict(self) -> dict[str, Any]:
        weights = None if self.weights is None else [w.hex() for w in self.weights.tolist()]
        return {**vars(self), "slack": self.slack.hex(), "weights": weights}

    @classmethod
    def read(cls, given: dict[str, Any]) -> "_Line":
        weights = given["weights"]
        found = None if weights is None else np.array([float.fromhex(w) for w in weights])
        return cls(**{**given, "slack": float.fromhex(given["slack"]), "weights": found})


def source_sha256(claim: Claim) -> str:
    """Return the SHA-256 of the file that a claim is written in, "" where there is none."""
    # The claim as registered: a trial may evaluate its formula in another way.
    path = inspect.getsourcefile(CLAIMS[claim.id].evaluate)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""


def _key(structure: Structure) -> str:
    return json.dumps(asdict(structure), sort_keys=True)


def _start(i: int, n: int, rng: np.random.Generator) -> FloatArray:
    """Return first weights: normal ones, and small whole numbers, which make what is special."""
    if i % 2:
        return rng.integers(-2, 3, size=n).astype(np.float64)
    return rng.standard_normal(n)
