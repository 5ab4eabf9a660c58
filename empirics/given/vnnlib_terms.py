"""The text of VNN-LIB: s-expressions with their lines, and what they assert as inequalities."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NoReturn, TypeAlias

from theory.errors import InputError

Variable: TypeAlias = tuple[str, int]
"""("X", i) or ("Y", j)."""
_TOKEN: Final = re.compile(r";[^\n]*|\n|[()]|[^\s();]+")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")
_VARIABLE: Final = re.compile(r"([XY])_(0|[1-9]\d{0,8})")
_DEEPEST: Final = 64


@dataclass(frozen=True)
class Form:
    """A word or a list of forms, and the line on which it begins."""

    line: int
    word: str | None
    parts: tuple["Form", ...] = ()

    def refuse(self, reason: str) -> NoReturn:
        """Raise InputError that names the line."""
        raise InputError(f"line {self.line}: {reason}")

    def head(self) -> str:
        """Return the word that a list begins with."""
        if self.word is not None or not self.parts or self.parts[0].word is None:
            self.refuse(f"expected a list that begins with a word, got {self.text()}")
        return self.parts[0].word

    def only(self) -> "Form":
        """Return the one argument of a list."""
        if len(self.parts) != 2:
            self.refuse(f"'{self.head()}' takes one argument, got {len(self.parts) - 1}")
        return self.parts[1]

    def text(self) -> str:
        """Return the form as it might be written, cut short."""
        if self.word is not None:
            return f"'{self.word}'"
        return "'()'" if not self.parts else f"a list '({self.parts[0].word or '('} ...)'"


def statements(text: str) -> Iterator[Form]:
    r"""Yield the lists of a text.

    Examples
    --------
    >>> [form.head() for form in statements("(check-sat) ; the end\n(exit)")]
    ['check-sat', 'exit']
    """
    line = 1
    stack: list[tuple[int, list[Form]]] = []
    for token in _TOKEN.findall(text):
        if token == "\n":
            line += 1
        elif token == "(":
            if len(stack) == _DEEPEST:
                raise InputError(f"line {line}: lists within lists, more than {_DEEPEST} deep")
            stack.append((line, []))
        elif token == ")":
            if not stack:
                raise InputError(f"line {line}: a ')' that closes nothing")
            start, parts = stack.pop()
            form = Form(start, None, tuple(parts))
            if stack:
                stack[-1][1].append(form)
            else:
                yield form
        elif not token.startswith(";"):
            if not stack:
                raise InputError(f"line {line}: expected '(', got '{token}'")
            stack[-1][1].append(Form(line, token))
    if stack:
        raise InputError(f"line {stack[-1][0]}: a '(' that is not closed")


def declared_name(form: Form, before: Mapping[Variable, int]) -> Variable:
    """Return the variable that a declaration names."""
    words = [part.word for part in form.parts[1:]]
    if form.head() == "declare-fun" and len(form.parts) == 4 and not form.parts[2].parts:
        words = [words[0], words[2]]
    if len(words) != 2 or words[0] is None or words[1] != "Real":
        form.refuse(f"expected ({form.head()} X_0 Real)")
    match = _VARIABLE.fullmatch(words[0])
    if match is None:
        form.refuse(f"a variable is called X_0, X_1, ... or Y_0, Y_1, ..., got '{words[0]}'")
    variable = match[1], int(match[2])
    if variable in before:
        form.refuse(f"{words[0]} is declared again, first on line {before[variable]}")
    return variable


@dataclass(frozen=True)
class Atom:
    """The sum of factors times variables and a constant is at most 0."""

    terms: Mapping[Variable, Fraction]
    constant: Fraction
    line: int


Disjunction: TypeAlias = list[list[Atom]]
"""Of conjunctions."""


def conjunctions(form: Form, declared: Mapping[Variable, int], most: int) -> Disjunction:
    """Return what an assertion says, as a disjunction of at most so many conjunctions.

    Raises
    ------
    InputError
        Naming the line.
    """
    head, arguments = form.head(), form.parts[1:]
    if head in ("<=", ">="):
        if len(arguments) != 2:
            form.refuse(f"'{head}' takes two terms, got {len(arguments)}")
        left, right = (_linear(each, declared) for each in arguments)
        if head == ">=":
            left, right = right, left
        terms, constant = _sum(left, right, Fraction(-1))
        return [[Atom({v: f for v, f in terms.items() if f}, constant, form.line)]]
    if head == "and":
        product: Disjunction = [[]]
        for each in arguments:
            part = conjunctions(each, declared, most)
            if len(product) * len(part) > most:
                form.refuse(f"more than {most} cases, all disjunctions multiplied out")
            product = [[*atoms, *more] for atoms in product for more in part]
        return product
    if head == "or":
        if not arguments:
            form.refuse("'or' of nothing")
        found = [atoms for each in arguments for atoms in conjunctions(each, declared, most)]
        if len(found) > most:
            form.refuse(f"more than {most} cases, all disjunctions multiplied out")
        return found
    form.refuse(f"unknown relation '{head}': known are <=, >=, and, or")


_Linear: TypeAlias = tuple[dict[Variable, Fraction], Fraction]


def _sum(first: _Linear, second: _Linear, factor: Fraction) -> _Linear:
    terms = dict(first[0])
    for variable, each in second[0].items():
        terms[variable] = terms.get(variable, Fraction(0)) + factor * each
    return terms, first[1] + factor * second[1]


def _linear(form: Form, declared: Mapping[Variable, int]) -> _Linear:
    if form.word is not None:
        if _NUMBER.fullmatch(form.word):
            if not math.isfinite(float(form.word)):
                form.refuse(f"'{form.word}' is outside the range of doubles")
            return {}, Fraction(form.word)
        match = _VARIABLE.fullmatch(form.word)
        if match is None or (variable := (match[1], int(match[2]))) not in declared:
            form.refuse(f"'{form.word}' is no number and no variable declared before")
        return {variable: Fraction(1)}, Fraction(0)
    head = form.head()
    given = [_linear(each, declared) for each in form.parts[1:]]
    if head not in ("+", "-", "*") or not given:
        form.refuse(f"unknown term '{head}': known are variables, numbers, +, - and *")
    if head == "*":
        return _product(form, given)
    total = given[0]
    if head == "-" and len(given) == 1:
        return _sum(({}, Fraction(0)), total, Fraction(-1))
    for each in given[1:]:
        total = _sum(total, each, Fraction(1 if head == "+" else -1))
    return total


def _product(form: Form, given: list[_Linear]) -> _Linear:
    total = given[0]
    for each in given[1:]:
        if total[0] and each[0]:
            form.refuse("a product of two variables: only linear terms are known here")
        value, number = (total, each[1]) if not each[0] else (each, total[1])
        total = {v: f * number for v, f in value[0].items()}, value[1] * number
    return total
