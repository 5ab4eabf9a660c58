r"""Proofs in machine-checked steps: what is identity, sign or limit is checked, and named as such.

A proof says how each step was checked: symbolically, by interval arithmetic on a covering of the
range, or only on samples. A step that rests on a published theorem names it as an assumption. For
a refuted claim the steps check its counterexample.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import sympy as sp

from theory.claim import CLAIMS, Claim, Status
from theory.registry import Registry
from theory.symbolic import Form, latex


class Method(StrEnum):
    """How a step is known."""

    SYMBOLIC = "proved symbolically"
    INTERVAL = "checked by interval arithmetic"
    SAMPLED = "only sampled"
    ASSUMED = "taken from the literature"


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes
    ----------
    says : str
        What it shows, in LaTeX text.
    method : Method
    holds : callable
        Runs the check; a step taken from the literature has nothing to run, and returns True.
    """

    says: str
    method: Method
    holds: Callable[[], bool]


@dataclass(frozen=True)
class Proof:
    """The sympy form of a claim and the steps that prove it, in order."""

    form: Form
    steps: tuple[Step, ...]


PROOFS: Registry[Callable[[], Proof]] = Registry("proof", ("theory.proofs",), "advbounds.proofs")


def proof(claim: str) -> Callable[[Callable[[], Proof]], Callable[[], Proof]]:
    """Return a decorator that registers the proof of a claim, made when first asked for."""

    def decorate(make: Callable[[], Proof]) -> Callable[[], Proof]:
        PROOFS.register(claim, cache(make))
        return make

    return decorate


def symbolic(says: str, *checks: Callable[[], bool]) -> Step:
    """Return a step whose checks are made by computer algebra; all must hold."""
    return Step(says, Method.SYMBOLIC, lambda: all(check() for check in checks))


def by_intervals(says: str, *checks: Callable[[], bool]) -> Step:
    """Return a step that is checked on a covering of its range."""
    return Step(says, Method.INTERVAL, lambda: all(check() for check in checks))


def sampled(says: str, *checks: Callable[[], bool]) -> Step:
    """Return a step that is only tried on random values."""
    return Step(says, Method.SAMPLED, lambda: all(check() for check in checks))


def assumed(says: str) -> Step:
    """Return a step that a published theorem is trusted for; it names the theorem."""
    return Step(says, Method.ASSUMED, lambda: True)


def is_zero(expression: Any) -> bool:  # noqa: ANN401
    """Whether an expression simplifies to 0, normal tails written as error functions.

    Examples
    --------
    >>> from theory.symbolic import Phi, Survival, a
    >>> is_zero(Phi(a) + Survival(a) - 1), is_zero(Phi(a) - Survival(a))
    (True, False)
    """
    return bool(sp.simplify(sp.expand_func(sp.sympify(expression).rewrite(sp.erf))) == 0)


def tends_to(expression: Any, symbol: Any, to: Any, value: Any, side: str = "+") -> bool:  # noqa: ANN401
    """Whether an expression has this limit.

    Examples
    --------
    >>> from theory.symbolic import Phi, t
    >>> tends_to(Phi(t), t, sp.oo, 1)
    True
    """
    found = sp.limit(sp.sympify(expression).rewrite(sp.erf), symbol, to, side)
    return is_zero(found - value)


def statement(claim: Claim) -> str:
    r"""Return a claim in LaTeX: what is given, what is assumed, and the inequality.

    The inequality comes from the claim's sympy form; a claim without one says what its function's
    docstring says.

    Parameters
    ----------
    claim : Claim

    Examples
    --------
    >>> from theory.claim import CLAIMS
    >>> r"Then \[ \Pr(r \le \eta) \ge" in statement(CLAIMS["fawzi2018/thm1"])
    True
    """
    assumed = f" Assume that {listed(claim.hypotheses)}." if claim.hypotheses else ""
    head = f"{claim.setting}.{assumed}"
    if claim.id not in PROOFS:
        return f"{head} {claim.summary}"
    then = "It is not true that always" if claim.status is Status.REFUTED else "Then"
    return f"{head} {then} \\[ {inequality(claim)} \\]"


def inequality(claim: Claim) -> str:
    """Return the inequality of a claim that has a proof, in LaTeX without delimiters."""
    form = PROOFS[claim.id]().form
    relation = {">=": r"\ge", "<=": r"\le"}[str(form.relation or claim.relation)]
    where = "".join(
        rf", \quad {latex(symbol)} = {meaning if isinstance(meaning, str) else latex(meaning)}"
        for symbol, meaning in form.where
    )
    return f"{form.left} {relation} {latex(form.right)}{where}."


def listed(items: tuple[str, ...]) -> str:
    """Return clauses as one phrase.

    Examples
    --------
    >>> listed(("a", "b", "c"))
    'a, b and c'
    """
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def prove(claim: str) -> list[tuple[Step, bool]]:
    """Run every step of a claim's proof and return whether each holds.

    Raises
    ------
    InputError
        If the claim is unknown or has no proof.
    """
    return [(step, bool(step.holds())) for step in PROOFS[CLAIMS[claim].id]().steps]
