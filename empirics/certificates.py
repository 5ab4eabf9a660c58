"""Lower ends of radii: Lipschitz-margin certificates that hold for the deployed network."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from empirics.plugins import Subject
from empirics.trace import traced_layers
from theory.arrays import FloatArray
from theory.lipschitz.product import (
    AffineLayer,
    compose,
    forward_error,
    margin_radii,
)


@dataclass(frozen=True)
class Points:
    """n points as the certificates need them.

    Attributes
    ----------
    logits : ndarray, shape (n, K)
        Outputs in double precision.
    latent_norm, image_norm : ndarray, shape (n,)
        |z| and |g(z)|.
    """

    logits: FloatArray
    latent_norm: FloatArray
    image_norm: FloatArray


class Certifier:
    """Certificates of one generator followed by one classifier.

    Parameters
    ----------
    subject : Subject
        Where its modules cannot be traced to affine layers and ReLUs, nothing is certified.
    """

    def __init__(self, subject: Subject) -> None:
        assert subject.classifier is not None
        self.classifier = traced_layers(subject.classifier, subject.image_shape)
        self.generator = traced_layers(subject.generator, (subject.latent_dimension,))

    @property
    def traced(self) -> tuple[AffineLayer, ...]:
        """The layers of the whole map as they are evaluated; empty if it was not traced."""
        return (*self.generator, *self.classifier) if self.generator and self.classifier else ()

    @cached_property
    def _composed(self) -> tuple[AffineLayer, ...]:
        return compose(self.generator, self.classifier)

    @cached_property
    def _in_range(self) -> tuple[AffineLayer, ...]:
        """The classifier on the range of an affine generator; as it is for any other."""
        if len(self.generator) > 1:
            return self.classifier
        try:
            first = self.classifier[0].restricted_to_range_of(self.generator[0])
        except ArithmeticError:
            return self.classifier  # dependent columns: no basis of the range can be trusted
        return (first, *self.classifier[1:])

    def error_of_composition(self, latent_norm: FloatArray) -> FloatArray:
        """Return bounds on the double-precision rounding error of f(g(z)), shape (n,)."""
        return forward_error(self.traced, latent_norm, "float64")

    def error_of_generator(self, latent_norm: FloatArray) -> FloatArray:
        """Return bounds on the double-precision rounding error of g(z), shape (n,)."""
        return forward_error(self.generator, latent_norm, "float64")

    def error_of_classifier(self, image_norm: FloatArray) -> FloatArray:
        """Return bounds on the double-precision rounding error of f(x), shape (n,)."""
        return forward_error(self.classifier, image_norm, "float64")

    def _radii(self, points: Points, bounding: tuple[AffineLayer, ...], latent: bool) -> FloatArray:
        seen = self.error_of_composition(points.latent_norm)
        # Rounding of the deployed network matters within the radius that exact arithmetic gives.
        reach = margin_radii(bounding, points.logits)
        reach = np.where(np.isfinite(reach), reach, 0.0)
        layers, norm = (
            (self.traced, points.latent_norm) if latent else (self.classifier, points.image_norm)
        )
        deployed = forward_error(layers, norm + reach, "float32")
        return margin_radii(bounding, points.logits, (seen, deployed))

    def r_latent(self, points: Points) -> FloatArray:
        """Return certified latent distances to another label, shape (n,)."""
        if not self.traced:
            return np.zeros(len(points.logits))
        return self._radii(points, self._composed, latent=True)

    def r_unc(self, points: Points) -> FloatArray:
        """Return certified image distances to another label, shape (n,)."""
        if not self.traced:
            return np.zeros(len(points.logits))
        return self._radii(points, self.classifier, latent=False)

    def r_in(self, points: Points) -> FloatArray:
        """Return certified image distances to another label within the range of g, shape (n,)."""
        if not self.traced:
            return np.zeros(len(points.logits))
        within = self._radii(points, self._in_range, latent=False)
        return np.maximum(within, self.r_unc(points))
