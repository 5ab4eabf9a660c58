"""What the statements on sphere and cube share: a class of bounded density, and what is known."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from theory.arrays import FloatArray
from theory.claim import Bound, Facts, OutOfScopeError, required
from theory.claims.gilmer2018 import known_dimension
from theory.latent import checked_probability
from theory.parameter import Integers, Parameter, Reals

KEY, SOURCE = "shafahi2019", "Shafahi et al., ICLR 2019"
FORMS = ("sharp", "printed")
HALF = (r"$f_c \le 1/2$",)
LOG_DENSITY = Parameter(
    "log_density",
    r"\ell",
    "log of the largest density of the class relative to the uniform one",
    Reals(0.0, typical=(0.0, 100.0)),
    0.0,
)
CUBE_DIMENSION = Parameter("n", "n", "dimension of the cube", Integers(1, 1000), 784)
_ABSOLUTE = 1e-11
"""Log densities of up to 1e4 cost the exponent this much."""


def checked_form(form: str, forms: tuple[str, ...]) -> str:
    """Return the form; raises ValueError if it is none of these."""
    if form not in forms:
        raise ValueError(f"form must be one of {', '.join(forms)}, got {form!r}")
    return form


def checked_log_density(log_density: npt.ArrayLike) -> FloatArray:
    """Return log densities as an array; raises ValueError if one is negative or not finite."""
    value = np.asarray(log_density, dtype=np.float64)
    if not np.all((value >= 0) & np.isfinite(value)):
        raise ValueError(
            f"log_density must be finite and at least 0, as no density is everywhere below the"
            f" uniform one, got {log_density!r}"
        )
    return value


def value_at(log_survival: FloatArray) -> FloatArray:
    """Return what is left of probability 1, as 0.0 rather than -0.0."""
    return -np.expm1(log_survival) + 0.0


def least_distances(
    log_survival: Callable[[FloatArray], FloatArray], goal: FloatArray
) -> FloatArray:
    """Return the least distances at which a falling log survival is at or below a goal.

    Parameters
    ----------
    log_survival : callable
        Distances to log survivals, shape by shape.
    goal : ndarray
        Levels to reach; -inf allowed.

    Returns
    -------
    ndarray
        To the last digit, from above; 0 where nothing is needed, inf where 1e100 is not enough.

    Examples
    --------
    >>> least_distances(lambda r: -(r**2), np.array([0.0, -2.25, -np.inf])).tolist()
    [0.0, 1.5, inf]
    """
    high = np.full(goal.shape, 332.0)
    low = np.full(goal.shape, -1070.0)
    ever = log_survival(2.0**high) <= goal
    # In the logarithm: distances may be of any magnitude.
    for _ in range(64):
        middle = 0.5 * (low + high)
        enough = log_survival(2.0**middle) <= goal
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    found = np.where(ever, 2.0**high, np.inf)
    return np.where(log_survival(np.zeros(goal.shape)) <= goal, 0.0, found)


def log_goal(probability: npt.ArrayLike, *others: npt.ArrayLike) -> FloatArray:
    """Return log(1 - probability), in the shape that it has with the other arguments."""
    q = checked_probability("probability", probability)
    with np.errstate(divide="ignore"):
        return np.broadcast_arrays(np.log1p(-q), *others)[0]


def class_bound(
    parameters: tuple[Parameter, ...],
    functions: tuple[Callable[..., FloatArray], ...],
    form: str,
) -> Bound:
    """Return value, log survival and quantile of one form as a bound."""
    value, log_survival, quantile = functions
    return Bound(
        parameters,
        lambda **given: value(**given, form=form),
        lambda **given: log_survival(**given, form=form),
        lambda probability, **given: quantile(probability, **given, form=form),
        absolute=_ABSOLUTE,
    )


def setting(space: str, distance: str) -> str:
    """Return what is given, for one space and one distance."""
    return (
        rf"Let $x$ be drawn from a class $c$ whose density {space} is at most $e^\ell$ times"
        rf" the uniform one, let a classifier say $c$ on a set of uniform measure $f_c$, and let"
        rf" $d$ be {distance} of the space that is not called $c$"
    )


def known_class(facts: Facts, space: str) -> dict[str, float]:
    """Return log density and dimension of a class that meets the hypotheses.

    Raises
    ------
    OutOfScopeError
        If the space is another one, the classifier may say c on more than half of it, or a fact
        is not known.
    """
    known = required(facts, "data_space", "the space of the data")
    if known != space:
        raise OutOfScopeError(f"the data are in a {known}, not in a {space}")
    share = float(required(facts, "class_measure", "the uniform measure of the class's region"))
    if share > 0.5:
        raise OutOfScopeError(f"the class's region has more than half of the measure: {share:.4g}")
    density = float(required(facts, "log_class_density", "the largest density of the class"))
    return {"log_density": density, "n": known_dimension(facts)}
