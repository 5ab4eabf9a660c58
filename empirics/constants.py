"""The Lipschitz constant of one module by every method that fits it: what measures write down."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from torch import nn

from empirics.feed_forward import feed_forward
from empirics.lipschitz_graph import lipschitz_graph
from empirics.plugins import Outcome
from empirics.record import Evidence
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Interval
from theory.lipschitz.activations import LeakyReLU
from theory.lipschitz.chains import balanced_product_bound
from theory.lipschitz.cut_points import cut_point_sum
from theory.lipschitz.exact import exact_constant
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.free_pattern import free_pattern_maximum
from theory.lipschitz.product import product_bound
from theory.lipschitz.sampled import sampled_constant
from theory.lipschitz.semidefinite import SemidefiniteBound, SlopeEnds, bound_of, slope_problem
from theory.lipschitz.seqlip import seqlip_bound
from theory.norms import spectral_norm_upper
from theory.relu.layer import Layer, dense
from theory.relu.network import ReluNetwork

T = TypeVar("T")
STRUCTURED_UNITS = 2500
FIRST_ORDER_UNITS = 4000
_FINE_UNITS = 600
"""Units up to which the semidefinite optimum is found to 1e-6, beyond to 1e-4."""
_CUTS = 10
"""Layers up to which the sum over cuts is written down: it says little beyond."""


@dataclass(frozen=True)
class Effort:
    """How much work is spent on the constants of one network.

    Attributes
    ----------
    structured_units : int
        Units with a free slope up to which the semidefinite optimum is found by an interior point.
    first_order_units : int
        Units up to which a first-order method approaches it; beyond, only the closed form.
    splits : int
        Units up to which the split over pairs of layers is bounded.
    starts, steps : int
        Of the ascent to a lower end.
    exact_units : int
        Units up to which the constant is found exactly, by branch and bound.
    timed : bool
        Whether CPU seconds are kept: a record with times is not the same when measured again.
    """

    structured_units: int = setting(STRUCTURED_UNITS, at_least=0)
    first_order_units: int = setting(FIRST_ORDER_UNITS, at_least=0)
    splits: int = setting(600, at_least=0)
    starts: int = setting(8, at_least=1)
    steps: int = setting(64, at_least=0)
    exact_units: int = setting(0, at_least=0)
    timed: bool = False


@dataclass
class _Sheet:
    """What was found, method by method."""

    effort: Effort
    evidence: dict[str, Evidence] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    constants: list[dict[str, Any]] = field(default_factory=list)
    lower: float = 0.0
    upper: float = np.inf

    def timed(self, work: Callable[[], T]) -> tuple[T, float | None]:
        start = time.process_time()
        found = work()
        return found, time.process_time() - start if self.effort.timed else None

    def add(
        self,
        method: str,
        seconds: float | None,
        *,
        lower: float | None = None,
        upper: float | None = None,
        verified: bool | None = None,
    ) -> None:
        """Keep ends; `verified` where a certificate was checked by itself."""
        self.constants.append(
            {
                "method": method,
                "lower": lower,
                "upper": upper,
                "verified": verified,
                "seconds": None if seconds is None else round(seconds, 4),
            }
        )
        if upper is not None:
            self.upper = min(self.upper, upper)


def lipschitz_constants(
    module: nn.Module,
    input_shape: tuple[int, ...],
    points: FloatArray,
    effort: Effort,
    rng: np.random.Generator,
) -> tuple[Outcome, float]:
    """Bound the l2 Lipschitz constant of a module by every method that fits it.

    Parameters
    ----------
    module : nn.Module
        In eval mode.
    input_shape : tuple of int
        Shape of one input, without the batch axis.
    points : ndarray, shape (k, n)
        Starts of the ascent to a lower end, flattened.
    effort : Effort
    rng : numpy.random.Generator
        Chooses where the ascent goes on.

    Returns
    -------
    Outcome
        Evidence on the true constant, the largest norm over free patterns, the semidefinite
        optimum and the cut-point mean; facts that the claims about them need, and
        "constants[l2->l2]", the list of all methods with their ends and seconds.
    float
        The least certified upper end; +inf if no method fits.
    """
    sheet = _Sheet(effort)
    try:
        graph = lipschitz_graph(module, input_shape)
    except InputError:
        return Outcome(evidence={"lipschitz[l2->l2]": Interval(0.0, np.inf)}), np.inf
    product, seconds = sheet.timed(lambda: product_bound(graph, 2))
    sheet.add("product", seconds, upper=product)
    try:
        network = feed_forward(module, input_shape)
    except InputError:
        network = None
    true = Interval(0.0, np.inf)
    if network is not None:
        relu = _piecewise_linear(network)
        if relu is not None:
            true = _true_constant(sheet, relu, points, rng)
        _from_slopes(sheet, network)
    sheet.evidence["lipschitz[l2->l2]"] = true
    sheet.facts["constants[l2->l2]"] = sheet.constants
    return Outcome(evidence=sheet.evidence, facts=sheet.facts), sheet.upper


def _piecewise_linear(network: FeedForward) -> ReluNetwork | None:
    layers = []
    for stage in network.stages:
        if not isinstance(stage.activation, LeakyReLU):
            return None
        slope = np.broadcast_to(stage.activation.slope, stage.bias.shape)
        layers.append(Layer(stage.weight, stage.bias, slope))
    return ReluNetwork(layers)


def _true_constant(
    sheet: _Sheet, network: ReluNetwork, points: FloatArray, rng: np.random.Generator
) -> Interval:
    effort = sheet.effort
    starts = points[: effort.starts]
    found, seconds = sheet.timed(
        lambda: sampled_constant(network, starts, 2, steps=effort.steps, rng=rng)
    )
    sheet.add("sampled", seconds, lower=found.value)
    sheet.facts["sampled_constant[l2->l2]"] = found.value
    if not network.n_units:
        norm = spectral_norm_upper(network.piece(np.zeros(0, dtype=bool)).outputs.weight)
        return Interval(min(found.value, norm), norm)
    if network.n_units > effort.exact_units:
        return Interval(found.value, np.inf)
    exact, seconds = sheet.timed(lambda: exact_constant(network, 2))
    sheet.add("exact", seconds, lower=exact.lower, upper=exact.upper)
    return Interval(max(found.value, exact.lower), exact.upper)


def _global_slopes(network: FeedForward) -> list[SlopeEnds]:
    """Return the slopes that the units of each stage may have anywhere."""
    slopes = []
    for stage in network.stages:
        least, most = stage.activation.slopes(-np.inf, np.inf)
        shape = stage.bias.shape
        slopes.append(SlopeEnds(np.broadcast_to(least, shape), np.broadcast_to(most, shape)))
    return slopes


def _n_free(slopes: list[SlopeEnds]) -> int:
    """Return how many units have a free slope; the last stage only scales the outputs."""
    return sum(int(np.count_nonzero(most > least)) for least, most in slopes[:-1])


def semidefinite_constant(
    network: FeedForward,
    structured_units: int = STRUCTURED_UNITS,
    first_order_units: int = FIRST_ORDER_UNITS,
) -> SemidefiniteBound | None:
    """Return the semidefinite bound by the solver that a network's size asks for, if any does."""
    slopes = _global_slopes(network)
    free = _n_free(slopes)
    if free > first_order_units:
        return None
    solver = "structured" if free <= structured_units else "first_order"
    return bound_of(
        slope_problem([stage.weight for stage in network.stages], slopes), solver=solver
    )


def _from_slopes(sheet: _Sheet, network: FeedForward) -> None:
    """Add what bounds a network by the slopes of its units alone."""
    effort, weights = sheet.effort, [stage.weight for stage in network.stages]
    slopes = _global_slopes(network)
    between, outer = slopes[:-1], slopes[-1]
    chained = all(np.all(least == 0) and np.all(most == 1) for least, most in between)
    chained = chained and bool(np.all(outer.least == 1) and np.all(outer.most == 1))
    if chained:
        norms = [spectral_norm_upper(dense(weight)) for weight in weights]
        sheet.facts["layer_norms[l2->l2]"] = norms
    free = _n_free(slopes)
    if not free:
        return
    sheet.facts["n_hidden_layers"] = len(weights) - 1
    sheet.facts["n_outputs"] = network.n_outputs
    if free > effort.first_order_units:
        return
    problem = slope_problem(weights, slopes)
    closed, seconds = sheet.timed(lambda: bound_of(problem, solver="stagewise"))
    sheet.add("stagewise", seconds, upper=closed.value, verified=closed.verify())
    best, seconds = sheet.timed(
        lambda: semidefinite_constant(network, effort.structured_units, effort.first_order_units)
    )
    if best is not None:
        sheet.add("semidefinite", seconds, upper=best.value, verified=best.verify())
        _keep_semidefinite(sheet, best)
    if chained:
        _from_weights(sheet, [dense(weight) for weight in weights], free)


def _keep_semidefinite(sheet: _Sheet, bound: SemidefiniteBound) -> None:
    sheet.facts["semidefinite_bound[l2->l2]"] = {"value": bound.value, "lower": bound.lower}
    if bound.lower > 0:
        sheet.evidence["semidefinite[l2->l2]"] = Interval(bound.lower, bound.value)


def _from_weights(sheet: _Sheet, weights: list[FloatArray], free: int) -> None:
    """Add what needs slopes in [0, 1] and nothing but the weights."""
    effort = sheet.effort
    balanced, seconds = sheet.timed(lambda: balanced_product_bound(weights))
    sheet.add("balanced", seconds, upper=balanced)
    if len(weights) <= _CUTS:
        mean, seconds = sheet.timed(lambda: cut_point_sum(weights))
        sheet.add("cut points", seconds, upper=mean.upper)
        sheet.facts["cut_point_bound[l2->l2]"] = mean.upper
        sheet.evidence["cut_points[l2->l2]"] = mean
    if free <= effort.splits:
        split, seconds = sheet.timed(lambda: seqlip_bound(weights))
        sheet.add("split", seconds, upper=split.value)
        sheet.facts["seqlip_factors[l2->l2]"] = list(split.factors)
        sheet.evidence["seqlip[l2->l2]"] = Interval(split.lower, split.value)
    pattern, seconds = sheet.timed(
        lambda: free_pattern_maximum(
            weights, 2, upper=sheet.upper, max_nodes=0, starts=effort.starts
        )
    )
    sheet.add("free pattern", seconds, lower=pattern.lower)
    sheet.evidence["free_pattern[l2->l2]"] = pattern
