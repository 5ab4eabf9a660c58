"""Whether a network has a property: proved, refuted by a counterexample, or not decided."""

import copy
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.given.property_search import (
    EFFORTS,
    PHASES,
    RELAXATION,
    SPLITS,
    Effort,
    attacked,
    branched,
    relaxed,
)
from empirics.given.property_trace import traced
from empirics.given.property_witness import Judge, Witness
from empirics.given.vnnlib import Property
from theory.errors import InputError, nearest
from theory.evidence import Interval

Outcome: TypeAlias = Literal["holds", "violated", "undecided"]
_LITTLE: Final = 0.01
"""Part of the margin in the middle up to which rounding is taken off before a proof is looked for.
"""


@dataclass(frozen=True, eq=False)
class Decision:
    """What is known of a property of a network.

    Attributes
    ----------
    outcome : {"holds", "violated", "undecided"}
        "holds" and "violated" are about the network in exact arithmetic, with its weights as they
        are (affine operators that follow each other are merged in double precision first); a
        counterexample is one of the deployed network too.
    margin : Interval
        That holds the least margin of the inputs: at most 0 where there is a counterexample.
    method : str
        What decided, or what was tried last.
    reason : str
        One sentence: what was shown, or what is missing.
    witness : Witness or None
    nodes : int
        Boxes and nodes that were bounded.
    form : str
        "piecewise linear", "smooth" or "not traced".
    deployed : bool or None
        Where it holds: whether it was shown of the forward pass in single precision too, in any
        order of its sums, at all inputs of the box that are numbers of single precision. That is
        asked of sequences in which activations lie between affine layers.
    """

    outcome: Outcome
    margin: Interval
    method: str
    reason: str
    witness: Witness | None
    nodes: int
    form: str
    deployed: bool | None

    def lines(self) -> list[str]:
        """Return the decision as text."""
        head = f"{self.outcome}: {self.reason}"
        ends = f"margin in [{self.margin.lower:.6g}, {self.margin.upper:.6g}]"
        return [head, f"{ends}; network {self.form}; {self.method}, {self.nodes} nodes"]

    def facts(self) -> dict[str, Any]:
        """Return the decision as JSON values."""
        return {
            "outcome": self.outcome,
            "method": self.method,
            "reason": self.reason,
            "nodes": self.nodes,
            "form": self.form,
            "holds_as_deployed": self.deployed,
        }


def decide(
    module: nn.Module,
    prop: Property,
    *,
    input_shape: tuple[int, ...],
    effort: str = "standard",
    time_limit: float | None = None,
    device: torch.device | None = None,
    seed: int = 0,
) -> Decision:
    """Decide whether a network has a property.

    Attacks look for a counterexample first; it counts where it is in the box exactly, the margin is
    at most 0 with all rounding of computing it, and so it is for the outputs of the network as it
    is deployed. Then bounds on the whole box are computed, by linear relaxation, and raised by
    splitting the box and by branching over the phases of units. They hold in exact arithmetic.

    Parameters
    ----------
    module : nn.Module
        In eval mode; inputs (n, *input_shape) to outputs (n, ...). It is not changed.
    prop : Property
    input_shape : tuple of int
        Without the batch axis.
    effort : {"quick", "standard", "thorough"}
    time_limit : float, optional
        Seconds in all, by default those of the effort. Without an end by time, the decision is the
        same on each call.
    device : torch.device, optional
        Where the network is attacked and deployed, by default the CPU.
    seed : int
        Of the attacks' starts.

    Raises
    ------
    InputError
        If an argument is not as above, or the shapes do not fit.
    ArithmeticError
        If a certificate and a point contradict each other: one of them is wrong.

    References
    ----------
    Katz et al., Reluplex (CAV 2017), for properties of this kind; Wang et al., Formal Security
    Analysis of Neural Networks using Symbolic Intervals (USENIX Security 2018), for splitting
    boxes; Bunel et al., Branch and Bound for Piecewise Linear Neural Network Verification (JMLR
    2020), for both ways to branch.
    """
    limits = _checked(prop, input_shape, effort, time_limit)
    for name, weight in module.named_parameters():
        if weight.dtype != torch.float32:
            raise InputError(
                f"weights '{name}' have the type {weight.dtype}: only float32 is known"
            )
    where = torch.device("cpu") if device is None else device
    deployed = copy.deepcopy(module).to(where).eval().requires_grad_(False)
    network = traced(deployed, input_shape)
    judge = Judge(deployed, network, prop, input_shape, where)
    return _Decider(judge, limits, effort, seed).decided()


def _checked(
    prop: Property, input_shape: tuple[int, ...], effort: str, time_limit: float | None
) -> Effort:
    if effort not in EFFORTS:
        raise InputError(f"effort: '{effort}'; {nearest(effort, EFFORTS)}")
    if time_limit is not None and not time_limit > 0:
        raise InputError(f"time_limit: {time_limit}; expected seconds above 0")
    size = int(np.prod(input_shape))
    if size != prop.n_inputs:
        raise InputError(
            f"property '{prop.name}': {prop.n_inputs} inputs; the network takes {size}"
        )
    found = EFFORTS[effort]
    return found if time_limit is None else found._replace(seconds=time_limit)


class _Decider:
    """The course of a decision."""

    def __init__(self, judge: Judge, limits: Effort, effort: str, seed: int) -> None:
        self.judge, self.limits, self.effort, self.seed = judge, limits, effort, seed
        self.deadline = time.monotonic() + limits.seconds
        self.nodes = 0
        self.deployed = True

    def decided(self) -> Decision:
        """Return the decision."""
        cases = self.judge.property.cases
        if not cases:
            self.judge.upper = np.inf
            return self._made("holds", np.inf, "no input", "no input fulfils the assertions")
        for i, case in enumerate(cases):
            middle = np.clip(case.low / 2 + case.high / 2, case.low, case.high)
            if found := self.judge.witness(i, [middle]):
                return self._violated(found, "the middle of the box")
        if self.judge.network.network is None:
            if decision := self._attacked(range(len(cases))):
                return decision
            why = f"no attack succeeds, and nothing is proved: {self.judge.network.reason}"
            return self._made("undecided", -np.inf, "attack", why)
        return self._proved()

    def _attacked(self, at: Iterable[int]) -> Decision | None:
        """Return the decision that attacks on some cases lead to, None if none succeeds."""
        judge = self.judge
        for i in at:
            if self._late():
                break
            stream = self.seed, f"property {judge.property.sha256} {i}"
            case = judge.property.cases[i]
            where = judge.input_shape, self.limits, judge.device
            points = attacked(judge.module, case, *where, stream)
            if found := judge.witness(i, points):
                return self._violated(found, "attack")
        return None

    def _proved(self) -> Decision:
        judge = self.judge
        proofs, slacks = [], []
        for margin in judge.margins:
            case = margin.case
            middle = np.clip(case.low / 2 + case.high / 2, case.low, case.high)
            slack = margin.rounding() if judge.network.plain else np.inf
            careful = slack <= _LITTLE * float(margin.margin(middle))
            slacks.append(slack if careful else 0.0)
            proofs.append(relaxed(margin, self.limits))
        left = [i for i, proof in enumerate(proofs) if not proof.lower > slacks[i]]
        if decision := self._attacked(left):
            return decision
        for k, i in enumerate(left):
            seconds = max((self.deadline - time.monotonic()) / (len(left) - k), 1e-3)
            proof = branched(judge.margins[i], proofs[i], self.limits, slacks[i], seconds)
            proofs[i] = proof
            self.nodes = sum(each.nodes for each in proofs)
            if counterexample := judge.witness(i, proof.candidates):
                return self._violated(counterexample, proof.method)
        self.nodes = sum(each.nodes for each in proofs)
        lower = min(each.lower for each in proofs)
        # The strongest method that was needed speaks for all.
        used = {each.method for each in proofs}
        method = next(each for each in (PHASES, SPLITS, RELAXATION) if each in used)
        still_open = sum(not each.lower > 0 for each in proofs)
        if still_open:
            return self._made("undecided", lower, method, self._missing(still_open))
        self.deployed = all(
            slack > 0 and each.lower > slack for each, slack in zip(proofs, slacks, strict=True)
        )
        why = f"{judge.property.in_words()}: proved by {method}"
        return self._made("holds", lower, method, why)

    def _missing(self, open_cases: int) -> str:
        judge = self.judge
        total = len(judge.margins)
        what = "it" if total == 1 else f"{open_cases} of {total} boxes"
        if judge.doubtful:
            return f"{what} stays open: {judge.doubtful}"
        spent = f"{self.nodes} nodes at effort '{self.effort}'"
        if self._late():
            return f"{what} stays open after {spent} and all the time: a longer limit may decide"
        return f"{what} stays open after {spent}: more effort may decide"

    def _late(self) -> bool:
        return time.monotonic() > self.deadline

    def _violated(self, found: Witness, method: str) -> Decision:
        checked = "with all rounding" if found.rigorous else "in double precision"
        why = (
            f"a counterexample by {method}: margin {found.margin.upper:.4g} {checked},"
            f" {found.deployed_margin:.4g} as deployed"
        )
        return self._made("violated", -np.inf, method, why, found)

    def _made(
        self, outcome: Outcome, lower: float, method: str, why: str, found: Witness | None = None
    ) -> Decision:
        judge = self.judge
        if lower > judge.upper:
            raise ArithmeticError(
                f"property '{judge.property.name}': a certificate says that the margin is at least"
                f" {lower!r}, a point has at most {judge.upper!r}: one of them is wrong"
            )
        return Decision(
            outcome,
            Interval(lower, judge.upper),
            method,
            why,
            found,
            self.nodes,
            judge.network.form,
            self.deployed if outcome == "holds" else None,
        )


def witness_text(decision: Decision) -> str:
    """Return the result in the format of VNN-COMP: sat with a counterexample, unsat or unknown.

    Numbers have as many digits as tell doubles, or outputs in single precision, apart.

    References
    ----------
    Brix, Bak, Liu and Johnson, The Fourth International Verification of Neural Networks Competition
    (VNN-COMP 2023), arXiv:2312.16760, section 2.
    """
    found = decision.witness
    if decision.outcome != "violated" or found is None:
        return "unsat\n" if decision.outcome == "holds" else "unknown\n"
    pairs = [*_named("X", found.point), *_named("Y", found.outputs)]
    return "sat\n(" + "\n".join(pairs) + ")\n"


def _named(letter: str, values: npt.NDArray[Any]) -> Sequence[str]:
    return [f"({letter}_{i} {np.format_float_scientific(v)})" for i, v in enumerate(values)]
