"""The activations that are no leaky ReLU, as curves of known turns and derivatives.

The constants of `SELU`, of the tanh form of `GELU` and of `Softplus` are the doubles they are given
as. Frameworks replace softplus by the identity far out, which moves values by up to 2.1e-9 / beta.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import special

from theory.arrays import FloatArray
from theory.lipschitz.activations.curve import Curve


class _Centred(Curve):
    """A function that is convex below 0 and concave above."""

    turns = (0.0,)
    bends = (1, -1)


class Sigmoid(_Centred):
    """z -> 1 / (1 + exp(-z))."""

    name = "sigmoid"
    span = (0.0, 0.25)
    unit = 1.0

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.asarray(special.expit(z))

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative."""
        return np.asarray(special.expit(z) * special.expit(-z))


class Tanh(_Centred):
    """z -> tanh(z)."""

    name = "tanh"
    span = (0.0, 1.0)

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.asarray(np.tanh(z))

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative."""
        return _squared_sech(z)


class Softsign(_Centred):
    """z -> z / (1 + |z|)."""

    name = "softsign"
    span = (0.0, 1.0)

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.asarray(z / (1 + np.abs(z)))

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative."""
        return np.asarray(np.square(1 / (1 + np.abs(z))))


class Arctan(_Centred):
    """z -> arctan(z)."""

    name = "arctan"
    span = (0.0, 1.0)

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.arctan(z)

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative."""
        return np.square(1 / np.hypot(1.0, z))


@dataclass(frozen=True)
class Softplus(Curve):
    """z -> log(1 + exp(beta z)) / beta, with beta > 0."""

    beta: float = 1.0
    name = "softplus"
    turns = ()
    bends = (1,)
    span = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not 0 < self.beta < np.inf:
            raise ValueError(f"softplus needs a finite beta > 0, got {self.beta}")

    @property
    def unit(self) -> float:
        """Values have an error of ROUNDING (unit + |f(z)| + |z|) at most."""
        return 1 / self.beta

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.asarray(np.logaddexp(0.0, self.beta * z) / self.beta)

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative."""
        return np.asarray(special.expit(self.beta * z))


class LogSigmoid(Curve):
    """z -> -log(1 + exp(-z))."""

    name = "log sigmoid"
    turns = ()
    bends = (-1,)
    span = (0.0, 1.0)
    unit = 1.0

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.asarray(-np.logaddexp(0.0, -z))

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative."""
        return np.asarray(special.expit(-z))


@dataclass(frozen=True)
class ELU(Curve):
    """z -> scale z where z > 0, scale alpha (exp(z) - 1) elsewhere, with scale, alpha > 0."""

    alpha: float = 1.0
    scale: float = 1.0
    turns = (0.0,)
    bends = (1, 0)

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("scale", self.scale)):
            if not 0 < value < np.inf:
                raise ValueError(f"elu needs a finite {name} > 0, got {value}")

    @property
    def name(self) -> str:
        """Its name in words."""
        return "elu"

    @property
    def span(self) -> tuple[float, float]:
        """Ends of all slopes, rounded outwards."""
        at_zero = self.scale * self.alpha
        if self.scale != 1:
            at_zero = float(np.nextafter(at_zero, np.inf))
        return 0.0, max(self.scale, at_zero)

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return self.scale * np.where(z > 0, z, self.alpha * np.expm1(np.minimum(z, 0.0)))

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative on either side of 0."""
        return np.full(z.shape, self.scale) if piece else self.scale * (self.alpha * np.exp(z))


@dataclass(frozen=True)
class SELU(ELU):
    """The ELU that keeps means and variances of normalised layers."""

    alpha: float = field(default=1.6732632423543772, init=False)
    scale: float = field(default=1.0507009873554805, init=False)

    @property
    def name(self) -> str:
        """Its name in words."""
        return "selu"


@dataclass(frozen=True)
class GELU(Curve):
    """z -> z Phi(z) with the normal distribution function, or its approximation by tanh."""

    approximate: bool = False
    bends = (-1, 1, -1)

    @property
    def name(self) -> str:
        """Its name in words."""
        return "gelu tanh" if self.approximate else "gelu"

    @property
    def turns(self) -> tuple[float, ...]:
        """The two inflections: of z Phi(z), whose second derivative is (2 - z^2) phi(z), exact."""
        at = 1.4185040087908284 if self.approximate else 1.4142135623730951
        return -at, at

    @property
    def span(self) -> tuple[float, float]:
        """Ends of all slopes, rounded outwards."""
        excess = 0.12899306865877177 if self.approximate else 0.1289041451851548
        return -excess, float(np.nextafter(1 + excess, 2.0))

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return z * (0.5 * (1 + np.tanh(self._bent(z))) if self.approximate else special.ndtr(z))

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative."""
        near = np.clip(z, -50.0, 50.0)  # it is constant, to the last place, farther out
        if not self.approximate:
            density = np.exp(-0.5 * near**2) / np.sqrt(2 * np.pi)
            return np.asarray(special.ndtr(near) + near * density)
        rate = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * near**2)
        bent = self._bent(near)
        return np.asarray(0.5 * (1 + np.tanh(bent)) + 0.5 * near * rate * _squared_sech(bent))

    def _bent(self, z: FloatArray) -> FloatArray:
        near = np.clip(z, -50.0, 50.0)
        return np.asarray(np.sqrt(2 / np.pi) * (near + 0.044715 * near**3))


class SiLU(Curve):
    """z -> z / (1 + exp(-z)); its inflections solve z tanh(z / 2) = 2."""

    name = "silu"
    turns = (-2.3993572805154675, 2.3993572805154675)
    bends = (-1, 1, -1)
    span = (-0.09983932012886694, 1.099839320128867)

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.asarray(z * special.expit(z))

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative."""
        near = np.clip(z, -800.0, 800.0)
        share = special.expit(near)
        return np.asarray(share * (1 + near * special.expit(-near)))


@dataclass(frozen=True)
class Hardtanh(Curve):
    """z -> z, clipped to [min, max]."""

    min: float = -1.0
    max: float = 1.0
    bends = (0, 0, 0)
    span = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not -np.inf < self.min < self.max < np.inf:
            raise ValueError(f"hardtanh needs finite min < max, got {self.min} and {self.max}")

    @property
    def name(self) -> str:
        """Its name in words."""
        return "hardtanh"

    @property
    def turns(self) -> tuple[float, ...]:
        """The two kinks."""
        return self.min, self.max

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.clip(z, self.min, self.max)

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative on a piece."""
        return np.full(z.shape, float(piece == 1))


@dataclass(frozen=True)
class ReLU6(Hardtanh):
    """z -> z, clipped to [0, 6]."""

    min: float = field(default=0.0, init=False)
    max: float = field(default=6.0, init=False)

    @property
    def name(self) -> str:
        """Its name in words."""
        return "relu6"


class Hardsigmoid(Curve):
    """z -> z / 6 + 1/2, clipped to [0, 1]."""

    name = "hardsigmoid"
    turns = (-3.0, 3.0)
    bends = (0, 1, 0)  # 1/6 is no double: the middle is treated as convex, with an error
    span = (0.0, float(np.nextafter(1 / 6, 1.0)))
    unit = 1.0

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return np.clip(z / 6 + 0.5, 0.0, 1.0)

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative on a piece."""
        return np.full(z.shape, 1 / 6 if piece == 1 else 0.0)


class Hardswish(Curve):
    """z -> z (z + 3) / 6 on [-3, 3], 0 below, z above."""

    name = "hardswish"
    turns = (-3.0, 3.0)
    bends = (0, 1, 0)
    span = (-0.5, 1.5)

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return the outputs at pre-activations of shape (..., m)."""
        return z * (np.clip(z + 3, 0.0, 6.0) / 6)

    def derivative(self, z: FloatArray, piece: int) -> FloatArray:
        """Return the derivative on a piece."""
        return (2 * z + 3) / 6 if piece == 1 else np.full(z.shape, float(piece > 1))


def _squared_sech(z: FloatArray) -> FloatArray:
    """Return 1 / cosh(z)^2 to a few units in the last place, where 1 - tanh(z)^2 cancels."""
    decay = np.exp(-2 * np.abs(z))
    return np.asarray(4 * decay / np.square(1 + decay))
