"""The law in l_q, q >= 2: what holds, and the corollary that does not."""

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import (
    Bound,
    Facts,
    Kind,
    LawBound,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    refuted,
    required,
    theorem,
)
from theory.claims.dohmatob2019.transport import (
    KEY,
    SETTING,
    SIGMA,
    SOURCE,
    TRANSPORT,
    transport_budget,
    transport_constant,
    transport_log_survival,
    transport_lower_bound,
)
from theory.claims.mahloujifar2019.error_region import (
    ERROR_L2,
    ERROR_LINF,
    RISK,
    checked_dimension,
    law_at_risk,
)
from theory.latent import checked_distance
from theory.parameter import DISTANCE, Integers, Parameter, Reals


def quoted_lq_lower_bound(
    eta: npt.ArrayLike,
    risk: npt.ArrayLike,
    sigma: npt.ArrayLike,
    n: npt.ArrayLike,
    q: npt.ArrayLike,
) -> FloatArray:
    """Return what the corollary for l_q, as it is usually quoted, claims: false for q > 2.

    Parameters
    ----------
    eta : array_like
        Budget in l_q, at least 0.
    risk, sigma
        As in `transport_lower_bound`.
    n : array_like of int
        Dimension of the data, at least 1.
    q : array_like
        Order of the norm, at least 2; inf allowed.

    Returns
    -------
    ndarray
        `transport_lower_bound` at n^{1/2 - 1/q} eta, as if l_2 distances were that much larger.

    Raises
    ------
    OutOfScopeError
        If the risk is 0.
    ValueError
        As in `transport_lower_bound`, and if n is not a whole number >= 1 or q < 2.

    References
    ----------
    Dohmatob (2019), the corollary for l_q as usually quoted: budgets shrink by n^{1/q - 1/2}.

    Examples
    --------
    >>> round(1 - float(quoted_lq_lower_bound(0.5, 0.02275013194817921, 1.0, 100, np.inf)), 4)
    0.0797
    """
    return transport_lower_bound(_stretched(eta, n, q), risk, sigma)


def _stretch(n: npt.ArrayLike, q: npt.ArrayLike) -> FloatArray:
    order = np.asarray(q, dtype=np.float64)
    if not np.all(order >= 2):
        raise ValueError(f"q must be at least 2, got {q!r}")
    return np.asarray(checked_dimension(n) ** (0.5 - 1.0 / order))


def _stretched(eta: npt.ArrayLike, n: npt.ArrayLike, q: npt.ArrayLike) -> FloatArray:
    with np.errstate(over="ignore"):
        return np.asarray(checked_distance("eta", eta) * _stretch(n, q))


_DIMENSION = Parameter("n", "n", "dimension of the data", Integers(1, 1000), 100)
_ORDER = Parameter("q", "q", "order of the norm", Reals(2.0, typical=(2.0, 10.0)), 4.0)
_QUOTED = Bound(
    (DISTANCE, RISK, SIGMA, _DIMENSION, _ORDER),
    quoted_lq_lower_bound,
    lambda eta, risk, sigma, n, q: transport_log_survival(_stretched(eta, n, q), risk, sigma),
    lambda probability, risk, sigma, n, q: (
        transport_budget(probability, risk, sigma) / _stretch(n, q)
    ),
    absolute=1e-14,
)


@theorem(
    "dohmatob2019/lq",
    kind=Kind.LAW,
    quantities=(ERROR_LINF, ERROR_L2),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the strong no-free-lunch theorem, in l_q for q >= 2"),
    setting=SETTING + r" in $\ell_q$ for some $q \ge 2$",
    bound=TRANSPORT,
)
def lq(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """The law in l_2 holds in every l_q with q >= 2, with the same budget.

    Hypotheses: T_2(sigma^2) in l_2, and a positive risk, known or counted. In general no smaller
    budget will do: to a half-space orthogonal to a coordinate axis all l_q distances are equal.
    """
    return law_at_risk(TRANSPORT, facts, alpha, sigma=transport_constant(facts, ERROR_L2))


@refuted(
    "dohmatob2019/lq-corollary",
    kind=Kind.LAW,
    quantities=(ERROR_LINF,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "the corollary for l_q, as usually quoted"),
    setting=SETTING + r" in $\ell_q$ for some $q > 2$ in dimension $n$",
    bound=_QUOTED,
    stronger="dohmatob2019/lq",
)
def lq_corollary(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """In l_q, q > 2, a budget that is smaller by n^(1/q - 1/2) is not enough to fool a classifier.

    This is the statement as it is usually quoted; it takes the l_2 norm to be n^{1/2 - 1/q} times
    the l_q norm, which is only the largest that it can be. For N(0, I_100) and errors where
    x_1 >= 2 the l_inf distance is the l_2 distance: at a budget of 1/2 the robust accuracy is
    0.9332, and the corollary claims at most 0.0797.

    Hypotheses: T_2(sigma^2) in l_2, a known dimension, and a positive risk, known or counted.
    """
    n = int(required(facts, "dimension", "the dimension"))
    if n < 2:
        raise OutOfScopeError(f"in dimension {n} all norms are the same")
    sigma = transport_constant(facts, ERROR_L2)
    return law_at_risk(_QUOTED, facts, alpha, sigma=sigma, n=n, q=np.inf)
