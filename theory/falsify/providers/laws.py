"""Laws of distances in Gauss space, and their slopes at 0."""

import math

import mpmath as mp
import numpy as np

from theory.claim import Quantity
from theory.evidence import Interval
from theory.falsify.gauss import Law
from theory.falsify.laboratories.gauss import ERRORS, Strips
from theory.falsify.laboratory import PROVIDERS, Provider
from theory.gaussian import multi_bubble_slope

SCALE = "scale"


def _law(specimen: Strips, quantity: Quantity) -> Law:
    return specimen.law(quantity.symbol)


def _precise_law(specimen: Strips, quantity: Quantity) -> Law:
    return specimen.law(quantity.symbol, precise=True)


for _symbol, _needs, _norms in (
    ("r_latent", set(), ("l2",)),
    # The boundary is orthogonal to a coordinate: its distance is the same in both norms.
    ("r_in", {SCALE}, ("l2",)),
    ("r_unc", {SCALE}, ("l2",)),
    ("error_distance_latent", {ERRORS}, ("l2",)),
    ("error_distance", {ERRORS, SCALE}, ("l2",)),
):
    PROVIDERS.register(
        f"gauss:law of {_symbol}",
        Provider(
            _symbol,
            "gauss",
            _norms.__contains__,
            frozenset(_needs),
            _law,
            _precise_law,
            ("closed form in double precision", "closed form or quadrature in 25 digits or more"),
        ),
    )


def _slope(specimen: Strips, quantity: Quantity) -> Interval:
    if specimen.structure.cones:
        value = multi_bubble_slope(specimen.structure.n_classes)
    else:
        places = np.array(specimen.thresholds)
        value = 2 * float(np.exp(-(places**2) / 2).sum()) / math.sqrt(2 * math.pi)
    return Interval.exact(value, 1e-12 * value)


def _precise_slope(specimen: Strips, quantity: Quantity) -> Interval:
    with mp.workdps(25):
        if specimen.structure.cones:
            k = specimen.structure.n_classes
            whole = mp.quad(lambda x: mp.npdf(x) ** 2 * mp.ncdf(x) ** (k - 2), [-12, 0, 3, 12])
            value = float(k * (k - 1) * mp.sqrt(2) * whole)
        else:
            value = float(2 * sum(mp.npdf(mp.mpf(place)) for place in specimen.thresholds))
    return Interval.exact(value, 1e-14 * value)


PROVIDERS.register(
    "gauss:density_at_zero",
    Provider(
        "density_at_zero",
        "gauss",
        ("r_latent",).__contains__,
        frozenset(),
        _slope,
        _precise_slope,
        ("closed form in double precision", "closed form or quadrature in 25 digits"),
    ),
)
