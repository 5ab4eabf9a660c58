"""Counterexamples of a property, judged by the network in exact arithmetic and as deployed."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.given.property_network import MarginNetwork, exact_margin
from empirics.given.property_trace import Traced
from empirics.given.vnnlib import Case, Property
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Interval

_CLEAR: Final = 1e-9
"""Part of the outputs by which a network that is not traced must be inside an unsafe set."""


@dataclass(frozen=True, eq=False)
class Witness:
    """A counterexample.

    Attributes
    ----------
    point : ndarray, shape (n,)
        In the box, without any tolerance.
    outputs : ndarray of float32, shape (K,)
        Of the network as deployed, at the point in single precision.
    margin : Interval
        At the point, in exact arithmetic; at most 0.
    deployed_margin : float
        Of the outputs; at most 0 in exact arithmetic.
    rigorous : bool
        Whether all rounding is in `margin`; otherwise it was computed in double precision.
    """

    point: FloatArray
    outputs: npt.NDArray[np.float32]
    margin: Interval
    deployed_margin: float
    rigorous: bool


class Judge:
    """What is said of single points."""

    def __init__(
        self,
        module: nn.Module,
        network: Traced,
        prop: Property,
        input_shape: tuple[int, ...],
        device: torch.device,
    ) -> None:
        self.module, self.network, self.property = module, network, prop
        self.input_shape, self.device = input_shape, device
        inner = network.network
        self.margins = [] if inner is None else [MarginNetwork(inner, c) for c in prop.cases]
        self.twin = copy.deepcopy(module).cpu().double() if inner is None else None
        self.upper = np.inf
        """Of the least margin, by the points that were judged."""
        self.doubtful = ""
        """Why the last point that might be a counterexample is none."""

    def witness(self, at: int, candidates: Iterable[FloatArray]) -> Witness | None:
        """Return the first candidate that is a counterexample of a case."""
        case = self.property.cases[at]
        for candidate in candidates:
            inside = np.clip(candidate, case.low, case.high)
            single = inside.astype(np.float32).astype(np.float64)
            for point in (single, inside) if case.contains(single) else (inside,):
                if (found := self._judged(at, case, point)) is not None:
                    return found
        return None

    def _judged(self, at: int, case: Case, point: FloatArray) -> Witness | None:
        outputs = self._outputs(self.module, torch.from_numpy(point).float())
        if not np.all(np.isfinite(outputs)):
            self.doubtful = "the deployed network gives outputs that are not finite"
            return None
        deployed = exact_margin(case, [Fraction(float(each)) for each in outputs])
        if self.margins:
            margin = self.margins[at].at(point)
            inside = margin.upper <= 0
        else:
            assert self.twin is not None
            values = self._outputs(self.twin, torch.from_numpy(point)).astype(np.float64)
            value = float(case.margin(values))
            margin = Interval(value, value)
            inside = value <= -_CLEAR * (1 + float(np.abs(values).max()))
        if inside and deployed <= 0:
            self.upper = min(self.upper, margin.upper)
            rigorous = bool(self.margins)
            return Witness(point, outputs, margin, float(deployed), rigorous)
        if margin.upper > 0 and self.margins:
            self.upper = min(self.upper, margin.upper)
        if inside or deployed <= 0:
            self.doubtful = (
                f"at one point the margin is {margin.upper:.2g} in exact arithmetic and"
                f" {float(deployed):.2g} as deployed: they differ by rounding"
            )
        return None

    def _outputs(self, module: nn.Module, point: torch.Tensor) -> npt.NDArray[Any]:
        device = self.device if module is self.module else torch.device("cpu")
        with torch.no_grad():
            outputs = module(point.to(device).reshape(1, *self.input_shape))
        found: npt.NDArray[Any] = outputs.cpu().reshape(-1).numpy()
        if len(found) != self.property.n_outputs:
            raise InputError(
                f"property '{self.property.name}': {self.property.n_outputs} outputs; the network"
                f" gives {len(found)}"
            )
        return found
