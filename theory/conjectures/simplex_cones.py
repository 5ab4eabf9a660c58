"""The best classifier for K classes is the simplex partition, at finite distances too."""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from theory.arrays import FloatArray
from theory.claim import (
    Facts,
    Kind,
    LawBound,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    conjecture,
    refuted,
    required,
)
from theory.claims.milman2022 import KEY, SOURCE
from theory.gaussian import argmax_family_quantile
from theory.latent import (
    R_LATENT,
    checked_distance,
    checked_masses,
    mass_limits,
    require_gaussian_latent,
)
from theory.statistics import most_equal_masses

UP_TO = 0.5
"""The law is followed up to its median: far beyond, the cones are not the best."""
LEAST_SHARE = 0.5
"""Of the mass that equal classes would have: a thinner class fits better between two parallel
hyperplanes, and slabs then keep more than the cones below the median already."""
_STEP, _REACH = 0.125, 9.0
_LINE = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
"""Nodes of the trapezoidal rule, whose error for a smooth density falls faster than any power."""
_NODES, _SOLVED = 64, 1e-11
_SETTING = (
    r"Let $z \sim \mathcal{N}(0, I_d)$, let $r$ be the Euclidean distance to another label of a"
    r" classifier with $K \le d + 1$ classes of masses $p_i \ge 1/(2K)$, and let $F_p$ be the law"
    r" of $r$ for $f(z) = \arg\max_i (z_i + c_i)$, $c$ such that its classes have these masses;"
    r" consider"
)


def _kept(offsets: FloatArray, eta: FloatArray) -> FloatArray:
    """Return the measure of each class farther than eta from the others, shape (eta, K)."""
    k = offsets.size
    found = np.empty((eta.size, k))
    density = np.exp(-0.5 * _LINE**2) / np.sqrt(2 * np.pi) * _STEP
    for i in range(k):
        lead = offsets[i] - np.delete(offsets, i)
        at = _LINE + lead[:, None] - np.sqrt(2.0) * eta[:, None, None]
        found[:, i] = special.ndtr(at).prod(axis=1) @ density
    return found


def cone_offsets(class_masses: npt.ArrayLike) -> FloatArray:
    """Return c such that argmax_i (z_i + c_i) has these class masses, the first offset being 0.

    Parameters
    ----------
    class_masses : array_like, shape (K,)
        All positive.

    Raises
    ------
    ValueError
        If they are no masses, or one is 0.

    Examples
    --------
    >>> cone_offsets([0.5, 0.5]).round(9).tolist()
    [0.0, 0.0]
    """
    p = checked_masses(class_masses)
    if p.ndim != 1 or not np.all(p > 0):
        raise ValueError(f"class_masses must be one list of positive masses, got {class_masses!r}")

    def missed(rest: FloatArray) -> FloatArray:
        seen = _kept(np.append(0.0, rest), np.zeros(1))[0]
        # No class is ever lost altogether: where rounding says so the step is only large.
        seen = np.maximum(seen, 1e-300)
        return np.asarray(np.log(seen[1:] / seen[0]) - np.log(p[1:] / p[0]))

    rest = np.zeros(p.size - 1)
    # Near equal masses each offset moves its own class alone: this is Newton's step there.
    slope = float(missed(np.append(1e-3, rest[1:]))[0] - missed(rest)[0]) / 1e-3
    for _ in range(30):
        off = missed(rest)
        if np.abs(off).max() < _SOLVED:
            break
        rest = rest - np.clip(off / slope, -1.0, 1.0)
    if not np.abs(missed(rest)).max() < _SOLVED:
        rest = optimize.root(missed, np.log(p[1:] / p[0]) / slope, tol=1e-12).x
    offsets = np.append(0.0, rest)
    if np.abs(_kept(offsets, np.zeros(1))[0] - p).max() > 1e-9:
        raise ValueError(f"no offsets were found for the masses {class_masses!r}")
    return offsets


def cones_cdf(eta: npt.ArrayLike, class_masses: npt.ArrayLike) -> FloatArray:
    """Return P(r <= eta) for simplex cones of these masses, to an absolute 1e-9.

    Parameters
    ----------
    eta : array_like
        Euclidean distance in latent space, at least 0.
    class_masses : array_like, shape (K,)
        All positive.

    Raises
    ------
    ValueError
        If a distance is negative or NaN, or the masses are none or not positive.

    Examples
    --------
    >>> round(float(cones_cdf(0.5, [0.1] * 10)), 9)
    0.715344252
    """
    t = checked_distance("eta", eta)
    # Beyond this no class is left that far from the others.
    kept = _kept(cone_offsets(class_masses), np.minimum(t.ravel(), 1e3)).sum(axis=1)
    return np.asarray(np.clip(1.0 - kept, 0.0, 1.0)).reshape(t.shape)


def least_equal_masses(lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Return masses within limits that sum to 1, the largest ones as large as they can be.

    Parameters
    ----------
    lower, upper : ndarray, shape (K,)
        With sum(lower) <= 1 <= sum(upper).

    Examples
    --------
    >>> least_equal_masses(np.array([0.2, 0.3]), np.array([0.6, 0.7])).round(12).tolist()
    [0.3, 0.7]
    """
    p, left = lower.copy(), 1.0 - float(lower.sum())
    for i in np.argsort(-upper, kind="stable"):
        # What the others need at least is not to be given away.
        raised = min(left, float(upper[i] - lower[i]))
        p[i] += raised
        left -= raised
    return p


@dataclass(frozen=True)
class _Table:
    """The law of simplex cones up to its median, moved down or up by the error of the table."""

    eta: FloatArray
    value: FloatArray

    @classmethod
    def of(cls, masses: tuple[float, ...], sign: int) -> "_Table":
        # Masses that are less equal reach 1/2 later than equal ones.
        eta = np.linspace(0.0, 2 * float(argmax_family_quantile(UP_TO, len(masses))), _NODES + 1)
        value = cones_cdf(eta, np.array(masses))
        # Between two nodes a smooth function leaves its chord by an eighth of its bend at most.
        error = np.abs(np.diff(value, 2)).max() / 4
        return cls(eta, value + sign * error)

    def __call__(self, eta: FloatArray) -> FloatArray:
        return np.clip(np.interp(eta, self.eta, self.value), 0.0, UP_TO)

    def quantile(self, q: float) -> float:
        """Return the least distance at which the table reaches a probability."""
        if q > min(UP_TO, self.value[-1]):
            return float("inf")
        # The table rises until it is level.
        return 0.0 if q <= self.value[0] else float(np.interp(q, self.value, self.eta))


_table = functools.lru_cache(maxsize=256)(_Table.of)


@conjecture(
    "milman2022/simplex-cones-up-to-median",
    kind=Kind.LAW,
    quantities=(R_LATENT,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the multi-bubble theorem, put for finite distances"),
    setting=_SETTING + r" $\Pr(r \le \eta)$ and $\min(F_p(\eta), 1/2)$ for every $\eta$",
)
def up_to_median(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """No classifier is more robust than the simplex cones, up to the distance that half of z reach.

    Believed because: the cones are the best partition at small distances, by the multi-bubble
    theorem, and for two classes half-spaces are the best at every distance, by Borell's. A
    partition that is best at a finite distance may give up some boundary for room inside; that
    pays only where little is left, as the counterexample at large distances shows. Masses must not
    be too far from equal: with 0.841, 0.136 and 0.023 the slabs between hyperplanes at 1 and 2 keep
    more points than the cones at eta = 0.952, where the cones have lost 0.482; where every class
    has half of an equal share, slabs of 3 to 10 classes keep more beyond 0.61 only.

    Where masses were counted both ends take for granted that the law falls as the masses become
    less equal, which is known for small distances.

    Hypotheses: Gaussian latent, class masses known or counted, none below half of an equal share,
    and at most one class more than latent dimensions.
    """
    require_gaussian_latent(facts)
    dimension = int(required(facts, "latent_dimension", "the latent dimension"))
    lower, upper = mass_limits(facts, alpha)
    lower, upper = lower[upper > 0], upper[upper > 0]
    k = upper.size
    if not 2 <= k <= dimension + 1:
        raise OutOfScopeError(f"K = {k} is not between 2 and d + 1 = {dimension + 1}")
    if not np.all(lower >= LEAST_SHARE / k):
        raise OutOfScopeError(
            f"a class may have less than {LEAST_SHARE / k:.3g} of the mass, half of an equal share"
        )
    masses = least_equal_masses(lower, upper), most_equal_masses(lower, upper)
    low, high = (_table(tuple(p.tolist()), sign) for p, sign in zip(masses, (-1, 1), strict=True))
    return LawBound(low, high, high.quantile)


@refuted(
    "milman2022/simplex-cones-at-every-distance",
    kind=Kind.LAW,
    quantities=(R_LATENT,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the multi-bubble theorem, put for every distance"),
    setting=_SETTING + r" $\Pr(r \le \eta)$ and $F_p(\eta)$ for every $\eta$",
    stronger="milman2022/simplex-cones-up-to-median",
)
def at_every_distance(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """No classifier is more robust than the simplex cones, at any distance.

    For K = 3 equal classes the slabs between two parallel hyperplanes and beyond them leave more
    points farther than eta from another label than the cones do, from eta = 1.57 on, where the
    cones leave 0.045: the outer two are half-spaces, and half-spaces last.

    Hypotheses: those of the claim up to the median.
    """
    bound: LawBound = up_to_median(facts, quantity, alpha)
    return bound
