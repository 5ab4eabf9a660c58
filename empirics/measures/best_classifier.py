"""The radii of the most robust of several classifiers, on points that did not choose it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from empirics.measures.accuracy import predict
from empirics.measures.radii import Radii2
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Radii

_SHOWN = ("r_latent[l2]", "r_in[l2]")
_QUARTILE = 0.25


def of_all_classes(subject: Subject) -> dict[str, nn.Sequential]:
    """Return the classifiers that have as many outputs as the data set has classes."""
    probe = torch.zeros(1, *subject.image_shape)
    found = {}
    for label, module in subject.classifiers.items():
        first = next(module.parameters(), probe)
        with torch.no_grad():
            outputs = module(probe.to(first)).shape[1]
        if outputs == subject.n_classes:
            found[label] = module
    return found


@measure("best_classifier")
@dataclass(frozen=True)
class BestClassifier:
    """1 / r_latent and 1 / r_in of the most robust of all classifiers of one generator.

    The one is chosen whose product of the lower quartiles of what a search finds for r_latent and
    r_in is the largest, on points of their own, among those with all classes of the data set; the
    evidence is of fresh points. Its classes are counted on latents of their own.

    Attributes
    ----------
    n : int
        Fresh latents, for the evidence.
    choice : int
        Latents on which each classifier is tried.
    n_labels : int
        Latents on which classes are counted.
    batch : int
        Points at a time.
    restarts, steps, polish_steps, relaxed, relaxed_units : int
        See the measure "radii".

    References
    ----------
    Fawzi, Fawzi and Fawzi, Adversarial vulnerability for any classifier (NeurIPS 2018), Section 4.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator", "classifiers")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = ("nearness_r_latent[l2]", "nearness_r_in[l2]")
    n: int = setting(500, at_least=1)
    choice: int = setting(100, at_least=4)
    n_labels: int = setting(20_000, at_least=1)
    batch: int = setting(500, at_least=1)
    restarts: int = setting(1, at_least=1)
    steps: int = setting(20, at_least=1)
    polish_steps: int = setting(10, at_least=0)
    relaxed: int = setting(0, at_least=0)
    relaxed_units: int = setting(256, at_least=0)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the inverse radii as evidence, and the label of the classifier as a fact."""
        known = of_all_classes(subject)
        if not known:
            raise InputError("the measure 'best_classifier' needs a classifier of all classes")
        tried = {
            label: self._score(self._radii(self.choice, module, subject, context, "choice"))
            for label, module in known.items()
        }
        best = max(tried, key=lambda label: tried[label])
        seen = self._radii(self.n, known[best], subject, context, "evidence")
        return Outcome(
            evidence={f"nearness_{quantity}": _inverse(seen[quantity]) for quantity in _SHOWN},
            facts={
                "n": self.n,
                "best": best,
                "tried": tried,
                "n_classes": subject.n_classes,
                "class_counts": self._counts(known[best], subject, context),
            },
        )

    def _radii(
        self, n: int, module: nn.Sequential, subject: Subject, context: Context, purpose: str
    ) -> Mapping[str, Radii]:
        names = ("batch", "restarts", "steps", "polish_steps", "relaxed", "relaxed_units")
        inner = Radii2(n=n, shown=1, **{name: getattr(self, name) for name in names})
        alone = replace(subject, data=None, classifier=module, classifiers={})
        own = replace(context, scope=(*context.scope, purpose))
        found = inner.measure(alone, own).evidence
        return {name: radii for name, radii in found.items() if isinstance(radii, Radii)}

    def _score(self, seen: Mapping[str, Radii]) -> float:
        rank = math.ceil(_QUARTILE * self.choice) - 1
        return math.prod(float(np.sort(seen[quantity].upper)[rank]) for quantity in _SHOWN)

    def _counts(self, module: nn.Sequential, subject: Subject, context: Context) -> list[int]:
        z = context.normal(self.n_labels, subject.latent_dimension, "labels")
        with torch.no_grad():
            labels = torch.cat(
                [predict(module, subject.generator(part)) for part in torch.split(z, 10_000)]
            )
        assert subject.n_classes is not None
        counts: list[int] = torch.bincount(labels.cpu(), minlength=subject.n_classes).tolist()
        return counts


def _inverse(radii: Radii) -> Radii:
    with np.errstate(divide="ignore"):
        ends: list[FloatArray] = [1.0 / radii.upper, 1.0 / radii.lower]
    return Radii(*ends)
