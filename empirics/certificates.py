"""Lower ends of radii: certificates of margins that hold for the deployed network."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from empirics.plugins import Subject
from empirics.relaxed import Relaxed, relaxed, relaxed_on_range
from empirics.trace import relu_network, traced_layers
from theory.arrays import FloatArray
from theory.distance import compose as followed_by
from theory.lipschitz.product import (
    AffineLayer,
    compose,
    forward_error,
    margin_radii,
)
from theory.relu import ReluNetwork


@dataclass(frozen=True)
class Points:
    """n points as the certificates need them.

    Attributes
    ----------
    latents : ndarray, shape (n, d)
    images : ndarray, shape (n, pixels)
    logits : ndarray, shape (n, K)
        Outputs; as the images, in double precision.
    labels : ndarray of int, shape (n,)
        Of the deployed network.
    latent_norm, image_norm : ndarray, shape (n,)
        |z| and |g(z)|.
    first : int
        How many points of the same measurement came before.
    """

    latents: FloatArray
    images: FloatArray
    logits: FloatArray
    labels: npt.NDArray[np.int64]
    latent_norm: FloatArray
    image_norm: FloatArray
    first: int = 0


class Certifier:
    """Certificates of one generator followed by one classifier.

    Each is the larger one of two: from the product of the layers' norms, for all points, and from
    linear relaxations of the network on a ball around each point, for those that are afforded.

    Parameters
    ----------
    subject : Subject
        Where its modules cannot be traced to affine layers and ReLUs, nothing is certified.
    n_relaxed : int
        The first points are relaxed in all networks.
    relaxed_units : int
        All points are in networks of at most as many ReLUs.
    """

    def __init__(self, subject: Subject, *, n_relaxed: int = 0, relaxed_units: int = 0) -> None:
        assert subject.classifier is not None
        self._subject, self._n_relaxed, self._relaxed_units = subject, n_relaxed, relaxed_units
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

    @cached_property
    def _networks(self) -> tuple[ReluNetwork, ReluNetwork]:
        """The generator and the classifier, stage by stage as they are evaluated."""
        subject = self._subject
        assert subject.classifier is not None
        return (
            relu_network(subject.generator, (subject.latent_dimension,)),
            relu_network(subject.classifier, subject.image_shape),
        )

    @cached_property
    def _latent_relaxation(self) -> Relaxed:
        return relaxed(followed_by(*self._networks))

    @cached_property
    def _image_relaxation(self) -> Relaxed:
        return relaxed(self._networks[1])

    @cached_property
    def _range_relaxation(self) -> Relaxed | None:
        return relaxed_on_range(self.generator, self._networks[1])

    def _tightened(
        self,
        known: FloatArray,
        relaxation: Relaxed | None,
        points: Points,
        centers: FloatArray,
        blur: FloatArray,
    ) -> FloatArray:
        """Return radii, shape (n,), enlarged at the points that are relaxed.

        `blur` bounds the distances of the centers from the points that are meant.
        """
        # Without a ReLU, the product of norms is exact for an affine generator as for any other.
        if relaxation is None or not relaxation.units:
            return known
        count = len(known)
        if relaxation.units > self._relaxed_units:
            count = min(max(self._n_relaxed - points.first, 0), count)
        if not count:
            return known
        found = relaxation.radii(centers[:count], points.labels[:count], blur[:count])
        return np.concatenate([np.maximum(known[:count], found), known[count:]])

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
        known = self._radii(points, self._composed, latent=True)
        exactly = np.zeros(len(known))
        return self._tightened(known, self._latent_relaxation, points, points.latents, exactly)

    def r_unc(self, points: Points) -> FloatArray:
        """Return certified image distances to another label, shape (n,)."""
        if not self.traced:
            return np.zeros(len(points.logits))
        known = self._radii(points, self.classifier, latent=False)
        blur = self.error_of_generator(points.latent_norm)
        return self._tightened(known, self._image_relaxation, points, points.images, blur)

    def r_in(self, points: Points, free: FloatArray) -> FloatArray:
        """Return certified image distances to another label within the range of g, shape (n,).

        Parameters
        ----------
        points : Points
        free : ndarray, shape (n,)
            `r_unc` of the points, which bounds them too.
        """
        if not self.traced:
            return np.zeros(len(points.logits))
        known = np.maximum(self._radii(points, self._in_range, latent=False), free)
        blur = self.error_of_generator(points.latent_norm)
        return self._tightened(known, self._range_relaxation, points, points.images, blur)
