"""Errors in every class: each class's generator is a Gaussian space of its own."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

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
    required,
    theorem,
)
from theory.claims.mahloujifar2019.error_region import ERROR_L2, law_between
from theory.gaussian import half_space_offset, log_survival_at
from theory.latent import (
    checked_distance,
    checked_masses,
    checked_probability,
    least_distance,
    require_gaussian_latent,
)
from theory.parameter import DISTANCE, Parameter
from theory.statistics import clopper_pearson

KEY, SOURCE = "zhang2020", "Zhang, Chen, Gu and Evans, AISTATS 2020"


@dataclass(frozen=True)
class ConditionalGenerators:
    """A generator for each of K classes, each locally Lipschitz at most latents.

    Attributes
    ----------
    weights : tuple of float
        Shares of the classes, positive, summing to 1.
    constants : tuple of float
        L_c > 0: for all but a share q_c of the latents z, ||g_c(z') - g_c(z)|| <= L_c ||z' - z||
        wherever ||z' - z|| <= radius.
    failures : tuple of float
        q_c, in [0, 1]; all 0 if not given.
    radius : float
        Latent radius of the local Lipschitz property, positive; +inf: everywhere.

    Raises
    ------
    ValueError
        If the lists differ in length or a number is out of its range.

    Examples
    --------
    >>> ConditionalGenerators((0.5, 0.5), (1.0, 2.0)).failures
    (0.0, 0.0)
    """

    weights: tuple[float, ...]
    constants: tuple[float, ...]
    failures: tuple[float, ...] = ()
    radius: float = float("inf")

    def __post_init__(self) -> None:
        if not self.failures:
            object.__setattr__(self, "failures", (0.0,) * len(self.weights))
        weights = checked_masses(self.weights)
        constants, failures = np.asarray(self.constants), np.asarray(self.failures)
        if weights.ndim != 1 or not weights.shape == constants.shape == failures.shape:
            raise ValueError(f"need one weight, constant and failure a class, got {self}")
        if not np.all(weights > 0):
            raise ValueError(f"weights must be positive, got {self.weights}")
        if not np.all((constants > 0) & np.isfinite(constants)):
            raise ValueError(f"constants must be positive and finite, got {self.constants}")
        checked_probability("failures", failures)
        if not self.radius > 0:
            raise ValueError(f"radius must be positive, got {self.radius}")

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.weights)

    @property
    def missed(self) -> float:
        """Share of all latents at which the local Lipschitz property may fail."""
        return float(np.dot(self.weights, self.failures))

    def latent_distances(self, eta: npt.ArrayLike) -> FloatArray:
        """Return min(eta / L_c, radius), shape (..., K): what a budget allows in latent space."""
        distance = checked_distance("eta", eta)[..., None]
        with np.errstate(over="ignore"):
            return np.asarray(np.minimum(distance / np.asarray(self.constants), self.radius))


@dataclass(frozen=True)
class Generators:
    """Conditional generators of three classes; a command line names as many as it likes."""

    @property
    def words(self) -> str:
        """What a command line can name."""
        return "weight:constant or weight:constant:failure of each class, separated by commas"

    def draw(self, rng: np.random.Generator) -> ConditionalGenerators:
        """Return generators, from nearly equal to very unequal."""
        weights = rng.dirichlet(np.full(3, float(rng.choice([0.5, 5.0])))) + 1e-6
        constants = 10.0 ** rng.uniform(-0.5, 1.0, 3)
        failures = rng.uniform(0, 0.1, 3) * rng.integers(0, 2)
        return ConditionalGenerators(
            tuple((weights / weights.sum()).tolist()),
            tuple(constants.tolist()),
            tuple(failures.tolist()),
            float(rng.choice([np.inf, rng.uniform(0.5, 3.0)])),
        )

    def parse(self, text: str) -> ConditionalGenerators:
        """Return the generators."""
        rows = [tuple(float(part) for part in item.split(":")) for item in text.split(",")]
        if any(len(row) not in (2, 3) for row in rows):
            raise ValueError(f"expected {self.words}, got '{text}'")
        weights, constants, failures = zip(*((*row, 0.0)[:3] for row in rows), strict=True)
        return ConditionalGenerators(weights, constants, failures)


@dataclass(frozen=True)
class ClassRisks:
    """A probability of error for each of three classes, or one for all."""

    @property
    def words(self) -> str:
        """The range."""
        return "a probability in [0, 1] for each class, or one for all"

    def draw(self, rng: np.random.Generator) -> list[float]:
        """Return risks, some of them tiny."""
        tiny = 10.0 ** rng.uniform(-12, 0, 3)
        return [float(risk) for risk in np.where(rng.random(3) < 0.3, tiny, rng.uniform(0, 1, 3))]

    def parse(self, text: str) -> float | list[float]:
        """Return the risks."""
        risks = [float(part) for part in text.split(",")]
        return risks[0] if len(risks) == 1 else risks


def _starts(class_risks: npt.ArrayLike, generators: ConditionalGenerators) -> FloatArray:
    """Return Phi^{-1} of the risk of each class."""
    risks = checked_probability("class_risks", class_risks)
    if risks.ndim > 1 or risks.size not in (1, generators.n_classes):
        raise ValueError(
            f"class_risks must be one number or one for each of {generators.n_classes} classes,"
            f" got {class_risks!r}"
        )
    if not risks.any():
        raise OutOfScopeError("no class has errors: nothing is near an empty error set")
    return np.broadcast_to(-half_space_offset(risks), (generators.n_classes,))


def _log_kept(
    eta: npt.ArrayLike, class_risks: npt.ArrayLike, generators: ConditionalGenerators
) -> FloatArray:
    """Return log(1 - Phi(Phi^{-1}(alpha_c) + t_c)), shape (..., K)."""
    starts = _starts(class_risks, generators)
    return log_survival_at(starts, generators.latent_distances(eta))


def class_wise_lower_bound(
    eta: npt.ArrayLike, class_risks: npt.ArrayLike, generators: ConditionalGenerators
) -> FloatArray:
    """Return the lower bound on the adversarial risk where the risk of every class is known.

    Parameters
    ----------
    eta : array_like
        Budget in image space, at least 0.
    class_risks : array_like, shape (K,) or ()
        alpha_c, lower ends of the probabilities that a point of class c is an error, in [0, 1],
        not all 0; one number stands for every class.
    generators : ConditionalGenerators
        Weights pi_c, local Lipschitz constants L_c up to a latent radius r, and failures q_c.

    Returns
    -------
    ndarray
        sum_c pi_c [Phi(Phi^{-1}(alpha_c) + min(eta / L_c, r)) - q_c], not below 0; shaped as eta.

    Raises
    ------
    OutOfScopeError
        If all risks are 0.
    ValueError
        If a risk lies outside [0, 1], the lists differ in length, or eta is negative or NaN.

    References
    ----------
    Zhang, Chen, Gu and Evans (2020), the theorem on conditional generators; beyond L_c r the bound
    for that class stays what it is there.

    Examples
    --------
    >>> generators = ConditionalGenerators((0.5, 0.5), (1.0, 2.0), (0.01, 0.02))
    >>> round(float(class_wise_lower_bound(2.0, [0.1, 0.05], generators)), 12)
    0.496635303474
    """
    reached = 0.0 - np.expm1(_log_kept(eta, class_risks, generators))
    value = (reached * np.asarray(generators.weights)).sum(axis=-1) - generators.missed
    return np.asarray(np.clip(value, 0.0, 1.0))


def class_wise_log_survival(
    eta: npt.ArrayLike, class_risks: npt.ArrayLike, generators: ConditionalGenerators
) -> FloatArray:
    """Return log of the upper bound on P(distance > eta) that `class_wise_lower_bound` has below 1.

    Examples
    --------
    >>> generators = ConditionalGenerators((0.5, 0.5), (1.0, 1.0))
    >>> round(float(class_wise_log_survival(40.0, 0.5, generators)), 6)
    -804.608442
    """
    logs = _log_kept(eta, class_risks, generators)
    with np.errstate(divide="ignore"):
        each = np.logaddexp(logs, np.log(np.asarray(generators.failures)))
        near = np.log1p(-class_wise_lower_bound(eta, class_risks, generators))
    far = special.logsumexp(np.log(np.asarray(generators.weights)) + each, axis=-1)
    # Near 1 the sum has lost the digits of its logarithm.
    return np.asarray(np.where(near > -np.log(2.0), near, np.minimum(far, 0.0)))


def class_wise_budget(
    probability: npt.ArrayLike, class_risks: npt.ArrayLike, generators: ConditionalGenerators
) -> FloatArray:
    """Return the least budget at which `class_wise_lower_bound` reaches a probability.

    Examples
    --------
    >>> generators = ConditionalGenerators((0.5, 0.5), (2.0, 2.0))
    >>> round(float(class_wise_budget(0.99, 0.01, generators)), 6)
    9.305391
    """
    q = checked_probability("probability", probability)
    _starts(class_risks, generators)

    def least(level: float) -> float:
        if level == 1:
            return float("inf")
        return least_distance(
            lambda eta: float(class_wise_lower_bound(eta, class_risks, generators)), level
        )

    return np.asarray(np.vectorize(least, otypes=[np.float64])(q))


GENERATORS = Parameter(
    "generators",
    "g",
    "weights, local Lipschitz constants and failures of the classes' generators",
    Generators(),
    ConditionalGenerators((0.5, 0.3, 0.2), (1.0, 1.0, 2.0)),
)
_CLASS_RISKS = Parameter(
    "class_risks", r"\alpha", "probability of an error in each class", ClassRisks(), 0.1
)
_CLASS_WISE = Bound(
    (DISTANCE, _CLASS_RISKS, GENERATORS),
    class_wise_lower_bound,
    class_wise_log_survival,
    class_wise_budget,
    absolute=1e-14,
)
SETTING = (
    r"Let $x = g_i(z)$, $z \sim \mathcal{N}(0, I_d)$, be of class $i$ with probability $\pi_i$,"
    r" let $g_i$ have the Lipschitz constant $L_i$ on the ball of radius $r$ around all but a share"
    r" $q_i$ of the latents, and let $d(x, E)$ be the distance to the points that a classifier does"
    r" not call $i$"
)


def known_generators(facts: Facts, norm: str) -> ConditionalGenerators:
    """Return the classes' generators.

    They are known as "class_weights" and "conditional_lipschitz[l2->norm]": {"constants": ...,
    "failures": ..., "radius": ...}, of which the last two may be missing.

    Raises
    ------
    OutOfScopeError
        If the latents are not Gaussian, or one of the two is not known.
    """
    require_gaussian_latent(facts)
    weights = required(facts, "class_weights", "the shares of the classes")
    name = f"conditional_lipschitz[l2->{norm}]"
    known = required(facts, name, "a local Lipschitz constant of each class's generator")
    return ConditionalGenerators(
        tuple(map(float, weights)),
        tuple(map(float, known["constants"])),
        tuple(map(float, known.get("failures", ()))),
        float(known.get("radius", float("inf"))),
    )


def _class_risk_limits(facts: Facts, alpha: float) -> tuple[FloatArray, FloatArray]:
    """Return limits on the risks of all classes that hold at once with probability 1 - alpha.

    They are known ("class_risks"), or were counted on independent points of each class
    ("class_error_counts": {"wrong": [...], "n": [...]}).
    """
    if "class_risks" in facts:
        known = checked_probability("class_risks", facts["class_risks"])
        return known, known
    seen = required(facts, "class_error_counts", "the risk of each class")
    limits = [
        clopper_pearson(wrong, int(n), alpha / len(seen["n"]))
        for wrong, n in zip(seen["wrong"], seen["n"], strict=True)
    ]
    lower, upper = (np.array(ends, dtype=np.float64) for ends in zip(*limits, strict=True))
    return lower, upper


@theorem(
    "zhang2020/class-wise",
    kind=Kind.LAW,
    quantities=(ERROR_L2,),
    relation=Relation.AT_LEAST,
    ref=Ref(KEY, SOURCE, "theorem on conditional generators"),
    setting=SETTING,
    hypotheses=(r"a point of class $i$ is an error with probability at least $\alpha_i$",),
    bound=_CLASS_WISE,
)
def class_wise(facts: Facts, quantity: Quantity, alpha: float) -> LawBound:
    """A classifier with errors in every class has errors near to most points of every class.

    Hypotheses: Gaussian latents, local Lipschitz constants that are proved, and the risk of every
    class, known or counted, not all 0. Tight for linear generators and half-spaces.
    """
    generators = known_generators(facts, quantity.norm)
    low, high = _class_risk_limits(facts, alpha)
    if not low.any():
        raise OutOfScopeError("no error was seen in any class: there may be none")
    return law_between(
        _CLASS_WISE.law(class_risks=low, generators=generators),
        _CLASS_WISE.law(class_risks=high, generators=generators),
    )
