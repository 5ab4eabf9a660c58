"""Whether perturbations made against one classifier fool those more that agree with it more."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.measures.accuracy import predict
from empirics.measures.best_classifier import of_all_classes
from empirics.nearest_changes import nearest_changes
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Radii
from theory.statistics import clopper_pearson

_LEVEL = 1e-3
"""Two agreements count as different where their exact limits at this level do not meet."""
_ALL, _HALF = 3, 0.5


@measure("transfer_agreement")
@dataclass(frozen=True)
class TransferAgreement:
    """Transfer between all classifiers of one generator, beside how often they agree.

    Against each classifier f the smallest change of label that a search finds at a generated image
    is made `reach` times as large; it transfers to another one, h, whose label changes there too.
    Of two targets of which h agrees more with f than h' does, counted on other images, u(f, h, h')
    is 0 where the change fools h alone, 1 where it fools h' alone, and 1/2 else. The evidence is
    its mean over all f, h and h', image by image: below 1/2 where transfer follows agreement. What
    a random change of the same size does stands beside it. Classifiers take part that have all
    classes of the data set, and were trained for one task: they agree with the teacher on more than
    half of the images.

    Attributes
    ----------
    n : int
        Fresh latents whose images are changed.
    n_labels : int
        Latents on which agreement is counted.
    reach : float
        Size of the change that is passed on, by the size of the one that was found.
    restarts, steps, polish_steps : int
        Effort of the search; see `empirics.attacks.candidates`.

    References
    ----------
    Goodfellow, Shlens and Szegedy, Explaining and harnessing adversarial examples (ICLR 2015),
    Section 8; the noise beside is that of Szegedy et al. (ICLR 2014), Section 4.2.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator", "classifiers")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = ("transfer_disorder",)
    n: int = setting(500, at_least=1)
    n_labels: int = setting(10_000, at_least=1)
    reach: float = setting(1.5, at_least=1)
    restarts: int = setting(1, at_least=1)
    steps: int = setting(20, at_least=1)
    polish_steps: int = setting(10, at_least=0)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the disorder as evidence, and both tables as facts.

        Where fewer than three classifiers agree with the teacher on half of the images there is
        nothing to compare, and no evidence.
        """
        known = self._of_one_task(subject, context)
        if len(known) < _ALL:
            # An order of two says nothing: there is no evidence, and the record says why.
            facts = {"n": self.n, "compared_targets": 0, "transfer": {"classifiers": list(known)}}
            return Outcome(facts=facts)
        agree = self._agreements(list(known.values()), subject, context)
        fooled, noise, found = self._transfers(list(known.values()), subject, context)
        ordered = _ordered_targets(agree, self.n_labels)
        disorder = _disorder(fooled, found, ordered)
        return Outcome(
            evidence={"transfer_disorder": Radii(disorder, disorder)},
            facts={
                "n": self.n,
                "compared_targets": len(ordered),
                "transfer": {
                    "classifiers": list(known),
                    "agreement": (agree / self.n_labels).tolist(),
                    "fooled": _shares(fooled, found),
                    "fooled_by_noise": _shares(noise, found),
                    "crafted": found.sum(axis=1).tolist(),
                },
            },
        )

    def _images(self, subject: Subject, context: Context) -> torch.Tensor:
        """Return those on which agreement is counted."""
        z = context.normal(self.n_labels, subject.latent_dimension, "agreement")
        with torch.no_grad():
            images: torch.Tensor = subject.generator(z)
        return images

    def _of_one_task(self, subject: Subject, context: Context) -> dict[str, nn.Sequential]:
        if subject.teacher is None:
            raise InputError("the measure 'transfer_agreement' needs a teacher")
        images = self._images(subject, context)
        taught = predict(subject.teacher, images)
        return {
            label: module
            for label, module in of_all_classes(subject).items()
            if float((predict(module, images) == taught).double().mean()) > _HALF
        }

    def _agreements(
        self, modules: list[nn.Sequential], subject: Subject, context: Context
    ) -> npt.NDArray[np.int64]:
        """Return on how many images each two have the same label."""
        images = self._images(subject, context)
        labels = np.stack([predict(module, images).cpu().numpy() for module in modules])
        return np.asarray((labels[:, None] == labels[None]).sum(axis=-1), dtype=np.int64)

    def _transfers(
        self, modules: list[nn.Sequential], subject: Subject, context: Context
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return who is fooled by perturbations and by noise, (f, h, n), and which were found."""
        z = context.normal(self.n, subject.latent_dimension, "latents")
        with torch.no_grad():
            images = subject.generator(z)
        own = [predict(module, images) for module in modules]
        shape = (len(modules), len(modules), self.n)
        fooled, noise = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        found = np.zeros((len(modules), self.n), dtype=bool)
        for i, module in enumerate(progress(modules, context.title)):
            changes = nearest_changes(
                module,
                images,
                stream=context.stream("starts", str(i)),
                restarts=self.restarts,
                steps=self.steps,
                polish_steps=self.polish_steps,
            )
            found[i] = changes.found.cpu().numpy()
            offset = self.reach * changes.offset
            random = torch.randn(offset.shape, generator=context.stream("noise", str(i))).to(offset)
            random *= (offset.norm(dim=1) / random.norm(dim=1))[:, None]
            for table, change in ((fooled, offset), (noise, random)):
                there = (images.flatten(1).to(change) + change).to(images).reshape(images.shape)
                for j, target in enumerate(modules):
                    table[i, j] = (predict(target, there) != own[j]).cpu().numpy() & found[i]
        return fooled, noise, found


def _ordered_targets(agree: npt.NDArray[np.int64], n: int) -> list[tuple[int, int, int]]:
    """Return (f, h, h') with h agreeing more with f than h' does, beyond chance."""
    low, high = clopper_pearson(agree, n, _LEVEL)
    found = []
    for f in range(len(agree)):
        others = [h for h in range(len(agree)) if h != f]
        for pair in combinations(others, 2):
            more, less = sorted(pair, key=lambda h: -agree[f, h])
            if low[f, more] > high[f, less]:
                found.append((f, more, less))
    return found


def _disorder(
    fooled: npt.NDArray[np.bool_],
    found: npt.NDArray[np.bool_],
    ordered: list[tuple[int, int, int]],
) -> FloatArray:
    """Return the mean of u over the ordered targets, shape (n,); 1/2 where nothing tells."""
    total = np.full(found.shape[1], 0.5)
    for f, more, less in ordered:
        gap = fooled[f, more].astype(np.float64) - fooled[f, less]
        total -= gap * found[f] / (2 * len(ordered))
    return np.asarray(np.clip(total, 0.0, 1.0))


def _shares(table: npt.NDArray[np.bool_], found: npt.NDArray[np.bool_]) -> list[list[Any]]:
    counts = np.maximum(found.sum(axis=1), 1)
    shares: list[list[Any]] = (table.sum(axis=2) / counts[:, None]).tolist()
    return shares
