"""Errors of a classifier on generated images of known class: how many, and how near the others."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from empirics.attacks.strongest import BUDGETS
from empirics.conditional import class_generators, is_conditional
from empirics.constants import semidefinite_constant
from empirics.correct_images import CorrectImages
from empirics.feed_forward import feed_forward
from empirics.image_distances import Deployed, Distances
from empirics.measures.accuracy import predict
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.distance.certificates.deployment import DeploymentError
from theory.errors import InputError, nearest
from theory.evidence import Radii
from theory.lipschitz.feed_forward import FeedForward
from theory.lipschitz.product import product_bound

_ROUNDING = 1e-12
"""Far above the relative rounding error of a norm in double precision."""
_BATCH = 10_000


@measure("class_errors")
@dataclass(frozen=True)
class ClassErrors:
    """Distances in l2 of generated images to the points that are not called what they show.

    An image of class c comes from the generator of that class; all classes are equally likely. It
    is an error where the classifier calls it something else, and its distance is 0 there; elsewhere
    it is that to the nearest point that is not called c, with pixels of any real value. Upper ends
    are distances of points whose label was seen to change in the deployed precision and in double
    precision; lower ends are certificates, 0 where the classifier cannot be traced. Both are those
    of the generator's exact image, up to its rounding. Nothing is measured of a generator that has
    no classes of its own.

    Attributes
    ----------
    n : int
        Fresh latents whose distance is measured.
    counted : int
        Other ones, on which the errors of each class are counted.
    effort : str
        Of the attack: "quick", "standard" or "thorough"; see `empirics.attacks.minimal`.
    best_units : int
        Classifiers of at most as many units are certified by all methods, larger ones by the
        product of their layers' norms.
    semidefinite_units : int
        Generators of at most as many units get the semidefinite bound on their constant; 0 for the
        product of their layers' norms alone.

    Raises
    ------
    InputError
        If the effort is not known.

    References
    ----------
    Zhang, Chen, Gu and Evans, Intrinsic robustness of image distributions (AISTATS 2020).
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator", "classifier")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = ("error_distance[l2]",)
    n: int = setting(1000, at_least=1)
    counted: int = setting(100_000, at_least=1)
    effort: str = setting("quick")
    best_units: int = setting(0, at_least=0)
    semidefinite_units: int = setting(600, at_least=0)

    def __post_init__(self) -> None:
        if self.effort not in BUDGETS:
            raise InputError(
                f"class_errors: unknown effort '{self.effort}'; {nearest(self.effort, BUDGETS)}"
            )

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the distances as evidence, and what the bounds on their law need to know."""
        classifier = subject.classifier
        if classifier is None or subject.n_classes is None:
            raise InputError("the measure 'class_errors' needs a classifier")
        if not is_conditional(subject.generator):
            return Outcome()
        classes = class_generators(subject.generator)
        if len(classes) != subject.n_classes:
            raise InputError(
                f"the generator has {len(classes)} classes, the classifier {subject.n_classes}"
            )
        d = subject.latent_dimension - 1
        networks = [feed_forward(each, (d,)) for each in classes]
        labels, found = self._distances(subject, classifier, networks, context)
        wrong, n = self._errors(subject, classifier, classes, context)
        # The classes differ in a bias, which no bound on a Lipschitz constant looks at.
        constant = self._constant(networks[0])
        k = len(classes)
        facts: dict[str, Any] = {
            "latent_law": "gaussian",
            "class_weights": [1 / k] * k,
            "conditional_lipschitz[l2->l2]": {"constants": [constant] * k},
            "class_error_counts": {"wrong": wrong, "n": n},
            "error_counts": {"wrong": sum(wrong), "n": sum(n)},
            "class_errors": {"n": self.n, "not_found": int(np.isinf(found.upper).sum())},
        }
        return Outcome({"error_distance[l2]": found}, facts, {"label": labels})

    def _constant(self, network: FeedForward) -> float:
        units = self.semidefinite_units
        bound = semidefinite_constant(network, units, units) if units else None
        product = product_bound(network)
        return product if bound is None or not bound.verify() else min(product, bound.value)

    def _drawn(self, k: int, d: int, n: int, context: Context, use: str) -> tuple[Any, Any]:
        """Return n fresh classes and latents."""
        labels = torch.randint(k, (n,), generator=context.stream(f"{use} classes"))
        return labels.numpy(), torch.randn(n, d, generator=context.stream(f"{use} latents"))

    def _distances(
        self,
        subject: Subject,
        classifier: nn.Sequential,
        networks: list[FeedForward],
        context: Context,
    ) -> tuple[np.ndarray[Any, np.dtype[np.int64]], Radii]:
        d = networks[0].n_inputs
        labels, drawn = self._drawn(len(networks), d, self.n, context, "measured")
        latents = drawn.double().numpy()
        norms = np.linalg.norm(latents, axis=1) * (1 + _ROUNDING)
        exact = np.empty((self.n, networks[0].n_outputs))
        blur = np.empty(self.n)
        for c, network in enumerate(networks):
            rows = labels == c
            exact[rows] = network(latents[rows])
            blur[rows] = DeploymentError(network, "float64")(norms[rows])
        stored = exact.astype(np.float32)
        blur += np.linalg.norm(exact - stored, axis=1) * (1 + _ROUNDING)
        images = CorrectImages(
            flat=stored.astype(np.float64),
            index=np.arange(self.n),
            labels=labels,
            test_error=float("nan"),
            module=classifier,
            shape=subject.image_shape,
            device=context.device,
        )
        deployed = Deployed(images)
        lower, upper = self._radii(images, deployed, context)
        is_wrong = images.deployed_labels(stored) != labels
        seen = deployed.changed(stored, labels)
        lower = np.where(is_wrong, 0.0, np.maximum(lower - blur, 0.0))
        upper = np.where(is_wrong, np.where(seen, 0.0, np.inf), upper) + blur
        return labels, Radii(lower, upper * (1 + _ROUNDING))

    def _radii(
        self, images: CorrectImages, deployed: Deployed, context: Context
    ) -> tuple[FloatArray, FloatArray]:
        """Return the ends of the distance of each stored image to another label than its own."""
        found = Distances.of(2.0, deployed, box=None)
        found.lower = deployed.certified(2.0, self.best_units, box=None)
        found.attack(self.effort, context.stream("attack").initial_seed())
        return found.lower, found.upper

    def _errors(
        self,
        subject: Subject,
        classifier: nn.Sequential,
        classes: tuple[nn.Sequential, ...],
        context: Context,
    ) -> tuple[list[int], list[int]]:
        """Return errors and images of each class, on latents of their own."""
        d = subject.latent_dimension - 1
        labels, latents = self._drawn(len(classes), d, self.counted, context, "counted")
        wrong = []
        for c, generator in enumerate(classes):
            own = latents[torch.from_numpy(labels == c)]
            count = 0
            for part in own.split(_BATCH):
                with torch.no_grad():
                    images = generator(part.to(context.device))
                count += int((predict(classifier, images) != c).sum()) if len(part) else 0
            wrong.append(count)
        n = np.bincount(labels, minlength=len(classes))
        if not n.all():
            raise InputError(
                f"class_errors: counted = {self.counted} latents leave a class of"
                f" {len(classes)} without any; ask for more"
            )
        return wrong, n.tolist()
