"""What a bound is a function of: each parameter has a symbol, a domain and a standard value.

A domain checks what a user wrote, reads it from a command line, and draws fresh values for tests
and falsifiers: ends and extremes too, not only what is typical.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from theory.errors import InputError
from theory.modulus import HoelderModulus, LipschitzModulus, Modulus


class Domain(Protocol):
    """The set of values that a parameter may take."""

    @property
    def words(self) -> str:
        """The set in words or symbols, for error messages and tables."""
        ...

    def draw(self, rng: np.random.Generator) -> Any:  # noqa: ANN401
        """Return a random value, now and then an extreme one."""
        ...

    def parse(self, text: str) -> Any:  # noqa: ANN401
        """Return the value that a user wrote; raises ValueError."""
        ...


@dataclass(frozen=True)
class Reals:
    """Real numbers between two ends.

    Parameters
    ----------
    low, high : float
        Ends of the domain.
    typical : tuple of float
        Where most draws fall, uniformly; a fifth are log-uniform from 1e-12 of its upper end.
    ends : tuple of bool
        Whether each end belongs to the domain, and is drawn now and then.

    Examples
    --------
    >>> Reals(0.0, 1.0, ends=(False, False)).words
    '(0, 1)'
    """

    low: float = 0.0
    high: float = float("inf")
    typical: tuple[float, float] = (0.0, 5.0)
    ends: tuple[bool, bool] = (True, True)

    @property
    def words(self) -> str:
        """The interval."""
        return f"{'[' if self.ends[0] else '('}{self.low:g}, {self.high:g}" + (
            "]" if self.ends[1] and np.isfinite(self.high) else ")"
        )

    def draw(self, rng: np.random.Generator) -> float:
        """Return a real number of the domain."""
        kind = rng.random()
        if kind < 0.06 and self.ends[0]:
            return self.low
        if kind > 0.97 and self.ends[1] and np.isfinite(self.high):
            return self.high
        start, stop = self.typical
        if kind < 0.25 and start == 0 and self.low == 0:
            return float(stop * 10.0 ** rng.uniform(-12, 0))
        return float(rng.uniform(start, stop))

    def parse(self, text: str) -> float | list[float]:
        """Return one number, or the list of several separated by commas."""
        numbers = [_number(part) for part in text.split(",")]
        return numbers[0] if len(numbers) == 1 else numbers


@dataclass(frozen=True)
class Integers:
    """Whole numbers from `low` on; draws are log-uniform up to `typical`."""

    low: int = 1
    typical: int = 1000

    @property
    def words(self) -> str:
        """The range."""
        return f"whole numbers >= {self.low}"

    def draw(self, rng: np.random.Generator) -> int:
        """Return a whole number of the domain."""
        return int(np.exp(rng.uniform(np.log(self.low + 0.5), np.log(self.typical + 0.5))) + 0.5)

    def parse(self, text: str) -> int:
        """Return the whole number."""
        value = _number(text)
        if value != int(value):
            raise ValueError(f"expected a whole number, got {text}")
        return int(value)


@dataclass(frozen=True)
class Masses:
    """Masses of classes, summing to 1, none above `at_most`."""

    at_most: float = 1.0

    @property
    def words(self) -> str:
        """The simplex."""
        limit = "" if self.at_most >= 1 else f", each at most {self.at_most:g}"
        return f"masses of the classes, summing to 1{limit}"

    def draw(self, rng: np.random.Generator) -> list[float]:
        """Return masses, from very unequal to nearly equal."""
        while True:
            # A few classes of tiny mass keep the tails honest.
            spread = float(rng.choice([0.05, 0.7, 5.0]))
            masses = rng.dirichlet(np.full(int(rng.integers(2, 11)), spread))
            if masses.max() > self.at_most:
                masses = 0.9 * self.at_most * masses / masses.max()
                masses = np.append(masses, np.full(1, 1 - masses.sum()))
            if masses.max() <= self.at_most and abs(masses.sum() - 1) < 1e-15:
                return [float(mass) for mass in masses]

    def parse(self, text: str) -> list[float]:
        """Return the masses; a single whole number stands for that many equal classes."""
        numbers = [_number(part) for part in text.split(",")]
        if len(numbers) == 1 and numbers[0] == int(numbers[0]) >= 2:
            return [1.0 / numbers[0]] * int(numbers[0])
        return numbers


@dataclass(frozen=True)
class Moduli:
    """Moduli of continuity; the draws have exact inverses."""

    @property
    def words(self) -> str:
        """The kinds that a command line can name."""
        return "a Lipschitz constant, or constant:exponent of a Hoelder modulus"

    def draw(self, rng: np.random.Generator) -> Modulus:
        """Return a Lipschitz or a Hoelder modulus."""
        constant = float(10.0 ** rng.uniform(-1, 1.5))
        if rng.random() < 0.7:
            return LipschitzModulus(constant)
        return HoelderModulus(constant, float(rng.choice([0.25, 0.5, 0.75])))

    def parse(self, text: str) -> Modulus:
        """Return the modulus."""
        constant, _, exponent = text.partition(":")
        if exponent:
            return HoelderModulus(_number(constant), _number(exponent))
        return LipschitzModulus(_number(constant))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"expected a number, got '{text.strip()}'") from None


@dataclass(frozen=True)
class Parameter:
    """One argument of a bound.

    Attributes
    ----------
    name : str
        Name of the keyword argument.
    symbol : str
        LaTeX, without dollar signs.
    what : str
        What it is, with its unit.
    domain : Domain
    standard : object
        The value at which forms are compared in the table of all claims.
    """

    name: str
    symbol: str
    what: str
    domain: Domain
    standard: Any = field(repr=False)


DISTANCE = Parameter("eta", r"\eta", "distance in the image norm", Reals(), 1.0)
MODULUS = Parameter(
    "modulus", r"\omega", "modulus of the generator", Moduli(), LipschitzModulus(1.0)
)
MASSES = Parameter("class_masses", "p", "masses of the predicted classes", Masses(), [0.1] * 10)
N_CLASSES = Parameter("n_classes", "K", "number of classes", Integers(2, 10**6), 10)
