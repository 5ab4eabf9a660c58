"""Hanin and Rolnick, Complexity of linear regions in deep networks (2019): regions on a line."""

import numpy as np
import numpy.typing as npt

from theory.arrangement.broadcast import broadcast_count
from theory.arrays import FloatArray
from theory.claim import ROUNDING, Bound, Facts, Kind, Quantity, Ref, Relation, required, theorem
from theory.evidence import Interval
from theory.latent import checked_distance
from theory.parameter import Integers, Parameter, Reals

KEY, SOURCE = "hanin2019", "Hanin and Rolnick, ICML 2019"
N_REGIONS_ON_SEGMENT = Quantity("n_linear_regions", "segment")
"""Intervals into which the activation patterns divide a segment of input space."""
_UNITS = Parameter("n_units", "N", "number of hidden units", Integers(1, 10**5), 100)
_LENGTH = Parameter("length", r"\ell", "length of the segment", Reals(), 1.0)
_SLOPE = Parameter("slope", "G", "largest mean slope of a unit before its bias", Reals(), 1.0)
_DENSITY = Parameter("density", "B", "largest density of a bias", Reals(), 1.0)


def mean_regions_on_segment(
    n_units: npt.ArrayLike, length: npt.ArrayLike, slope: npt.ArrayLike, density: npt.ArrayLike
) -> FloatArray:
    """Return an upper bound on the mean number of linear regions that a segment meets.

    Parameters
    ----------
    n_units : array_like of int
        Hidden units, in all layers, at least 1.
    length : array_like of float
        Of the segment, in input space.
    slope : array_like of float
        Upper end of the mean absolute slope along the segment of any unit's input.
    density : array_like of float
        Upper end of the density of any unit's bias, given all other parameters.

    Returns
    -------
    ndarray
        1 + slope * density * n_units * length: linear in the number of units, at any depth.

    Raises
    ------
    ValueError
        If n_units is not a whole number of at least 1, or another argument is negative or NaN.

    Examples
    --------
    >>> float(mean_regions_on_segment(100, 2.0, 1.0, 0.5))
    101.0
    """
    units = broadcast_count(int, n_units=(n_units, 1))
    return np.asarray(
        1
        + checked_distance("slope", slope)
        * checked_distance("density", density)
        * units
        * checked_distance("length", length)
    )


@theorem(
    "hanin2019/regions-on-a-segment",
    kind=Kind.MEAN,
    quantities=(N_REGIONS_ON_SEGMENT,),
    relation=Relation.AT_MOST,
    ref=Ref(KEY, SOURCE, "regions along one-dimensional subspaces"),
    setting=(
        r"Let $r$ be the number of linear regions that a segment of length $\ell$ meets, for a"
        r" random network with $N$ rectified linear units"
    ),
    hypotheses=(
        r"given all other weights and biases, the bias of each unit has a density of at most $B$",
        r"at each point of the segment, the slope along it of the input of each unit is at most $G$"
        r" in the mean of its absolute value",
    ),
    bound=Bound((_UNITS, _LENGTH, _SLOPE, _DENSITY), mean_regions_on_segment),
)
def regions_on_a_segment(facts: Facts, quantity: Quantity, alpha: float) -> Interval:
    """A segment meets a number of linear regions that is linear in the units, in the mean.

    Hypotheses: biases are random with bounded densities, and the mean slopes of the units along the
    segment are bounded. Attained to first order by one layer of units with uniform biases.
    """
    names = {"n_units": "the number of hidden units", "segment_length": "the length of the segment"}
    names |= {"unit_slope": "the mean slope of the units", "bias_density": "the density of biases"}
    known = [required(facts, name, what) for name, what in names.items()]
    value = float(mean_regions_on_segment(*known))
    return Interval(value * (1 - ROUNDING), value * (1 + ROUNDING))
