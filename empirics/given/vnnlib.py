"""Properties of networks in the format of VNN-LIB: boxes of inputs and what must not come out.

An instance of VNN-COMP asserts what a counterexample is: inputs X_i in a box, or in one of several,
and outputs Y_j that fulfil one of several systems of linear inequalities. The property is that
there is none.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from empirics.given.vnnlib_terms import Atom, Disjunction, conjunctions, declared_name, statements
from theory.arrays import FloatArray
from theory.errors import InputError, nearest

_IGNORED: Final = ("set-logic", "set-option", "set-info", "check-sat", "get-model", "exit")
_KNOWN: Final = ("declare-const", "declare-fun", "assert", *_IGNORED)
_MOST: Final = 2**14
"""Cases of a property, all disjunctions multiplied out."""


class Rows(NamedTuple):
    """Outputs y with weight @ y + shift <= 0, all rows at once.

    Attributes
    ----------
    weight : ndarray, shape (k, m)
    shift : ndarray, shape (k,)

    Examples
    --------
    >>> larger = Rows(np.array([[1.0, -1.0]]), np.zeros(1))  # y_0 <= y_1
    >>> larger.margin(np.array([[3.0, 1.0], [0.0, 1.0]])).tolist()
    [2.0, -1.0]
    """

    weight: FloatArray
    shift: FloatArray

    def margin(self, outputs: FloatArray) -> FloatArray:
        """Return the largest row, shape (...), of outputs (..., m): it is above 0 outside."""
        return np.asarray((outputs @ self.weight.T + self.shift).max(axis=-1))


@dataclass(frozen=True, eq=False)
class Case:
    """A box of inputs, and what must not come out there.

    Attributes
    ----------
    low, high : ndarray, shape (n,)
    unsafe : tuple of Rows
        A counterexample fulfils one of them.
    """

    low: FloatArray
    high: FloatArray
    unsafe: tuple[Rows, ...]

    def contains(self, point: FloatArray) -> bool:
        """Whether a point, shape (n,), is in the box, without any tolerance."""
        return bool(np.all((self.low <= point) & (point <= self.high)))

    def margin(self, outputs: FloatArray) -> FloatArray:
        """Return how far outputs are from what must not be; at most 0 is a counterexample."""
        return np.asarray(np.min([rows.margin(outputs) for rows in self.unsafe], axis=0))


@dataclass(frozen=True, eq=False)
class Property:
    """No input of a case gives outputs that are unsafe there.

    Attributes
    ----------
    name : str
        Stem of the file.
    sha256 : str
        Of its text.
    n_inputs, n_outputs : int
    cases : tuple of Case
        Empty if no input fulfils the assertions.
    """

    name: str
    sha256: str = field(repr=False)
    n_inputs: int
    n_outputs: int
    cases: tuple[Case, ...] = field(repr=False)

    @cached_property
    def n_unsafe(self) -> int:
        """The number of unsafe systems of inequalities, over all cases."""
        return sum(len(case.unsafe) for case in self.cases)

    def margin(self, point: FloatArray, outputs: FloatArray) -> float:
        """Return the least margin of the cases that hold a point, +inf if none does."""
        held = [case for case in self.cases if case.contains(point)]
        return min((float(case.margin(outputs)) for case in held), default=np.inf)

    def in_words(self) -> str:
        """Return what the property says, in one line."""
        free = max((int((case.low < case.high).sum()) for case in self.cases), default=0)
        boxes = "one box" if len(self.cases) == 1 else f"{len(self.cases)} boxes"
        return (
            f"no input of {boxes} ({free} of {self.n_inputs} coordinates free) gives outputs in"
            f" {self.n_unsafe} unsafe set{'s' * (self.n_unsafe != 1)}"
        )


def read_property(path: Path, n_inputs: int, n_outputs: int) -> Property:
    """Return the property of a VNN-LIB file.

    The dialect is that of VNN-COMP 2020 to 2024: `declare-const` of X_i and Y_j, `assert` of `<=`
    and `>=` between linear terms, `and` and `or`, nested. Each number is the double nearest to it.

    Parameters
    ----------
    path : Path
        FILE.vnnlib or FILE.vnnlib.gz.
    n_inputs, n_outputs : int
        Of the network that it is to speak of, flattened.

    Raises
    ------
    InputError
        Naming file and line: if the text is malformed, a constraint relates two inputs or inputs
        and outputs, an input has no bound, or the property speaks of other numbers of inputs and
        outputs than the network has.

    References
    ----------
    Brix, Bak, Liu and Johnson, The Fourth International Verification of Neural Networks Competition
    (VNN-COMP 2023), arXiv:2312.16760, section 2; Demarchi et al., Supporting Standardization of
    Neural Networks Verification with VNNLIB and CoCoNet (FoMLAS 2023).
    """
    text = _text(path)
    found = _Reader(path, text)
    for letter, expected, what in (("X", n_inputs, "inputs"), ("Y", n_outputs, "outputs")):
        declared = sorted(i for kind, i in found.declared if kind == letter)
        if declared != list(range(expected)):
            names = f"{letter}_0 to {letter}_{expected - 1}"
            raise InputError(
                f"{path}: declares {len(declared)} {what}, the network has {expected}: {names}"
            )
    name = path.name.removesuffix(".gz").removesuffix(".vnnlib")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Property(name, digest, n_inputs, n_outputs, found.cases(n_inputs, n_outputs))


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        return data.decode()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text: byte {error.start} is not UTF-8") from error


class _Reader:
    """The declarations of a file, and all its assertions as one disjunction."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.declared: dict[tuple[str, int], int] = {}
        parts: list[Disjunction] = []
        try:
            for form in statements(text):
                head = form.head()
                if head in ("declare-const", "declare-fun"):
                    self.declared[declared_name(form, self.declared)] = form.line
                elif head == "assert":
                    parts.append(conjunctions(form.only(), self.declared, _MOST))
                elif head not in _IGNORED:
                    form.refuse(f"unknown command '{head}': {nearest(head, _KNOWN)}")
        except InputError as error:
            raise InputError(f"{path}, {error}") from None
        if not parts:
            raise InputError(f"{path}: no assertion: a property asserts what a counterexample is")
        self._parts = parts

    def cases(self, n_inputs: int, n_outputs: int) -> tuple[Case, ...]:
        """Return the cases, those of one box together."""
        found: dict[bytes, tuple[FloatArray, FloatArray, list[Rows]]] = {}
        for atoms in self._conjunctions():
            low, high = np.full(n_inputs, -np.inf), np.full(n_inputs, np.inf)
            rows: list[Atom] = []
            for atom in atoms:
                kinds = {kind for kind, _ in atom.terms}
                if kinds == {"X"} and len(atom.terms) == 1:
                    ((_, i), factor) = next(iter(atom.terms.items()))
                    end = float(-atom.constant / factor)
                    if factor > 0:
                        high[i] = min(high[i], end)
                    else:
                        low[i] = max(low[i], end)
                elif kinds == {"Y"}:
                    rows.append(atom)
                else:
                    raise InputError(f"{self.path}, line {atom.line}: {_unknown(kinds)}")
            self._bounded(low, high)
            if not rows:
                raise InputError(f"{self.path}: a case asserts nothing of the outputs")
            if np.all(low <= high):
                key = low.tobytes() + high.tobytes()
                found.setdefault(key, (low, high, []))[2].append(_rows(rows, n_outputs))
        return tuple(Case(low, high, tuple(unsafe)) for low, high, unsafe in found.values())

    def _conjunctions(self) -> Iterator[list[Atom]]:
        """Yield the conjunctions of the disjunction that all assertions are together."""
        product: list[list[Atom]] = [[]]
        for part in self._parts:
            if len(product) * len(part) > _MOST:
                raise InputError(
                    f"{self.path}: more than {_MOST} cases, all disjunctions multiplied out"
                )
            if len(part) == 1:
                for atoms in product:
                    atoms.extend(part[0])
            else:
                product = [[*atoms, *more] for atoms in product for more in part]
        yield from product

    def _bounded(self, low: FloatArray, high: FloatArray) -> None:
        for end, side in ((low, "lower"), (high, "upper")):
            missing = np.flatnonzero(~np.isfinite(end))
            if missing.size:
                i = int(missing[0])
                raise InputError(
                    f"{self.path}, line {self.declared['X', i]}: X_{i} has no finite {side} bound"
                )


def _unknown(kinds: set[str]) -> str:
    if not kinds:
        return "an inequality without variables"
    if kinds == {"X"}:
        return "an inequality of several inputs: only bounds of single inputs are known here"
    return "an inequality of inputs and outputs: only bounds of inputs, and outputs alone are known"


def _rows(atoms: list[Atom], n_outputs: int) -> Rows:
    weight, shift = np.zeros((len(atoms), n_outputs)), np.zeros(len(atoms))
    for k, atom in enumerate(atoms):
        shift[k] = float(atom.constant)
        for (_, j), factor in atom.terms.items():
            weight[k, j] = float(factor)
    return Rows(weight, shift)
