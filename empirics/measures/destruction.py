"""How often transformations of adversarial images bring the right label back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.adversary.checks import Box, checked
from empirics.attacks.bim import schedule
from empirics.attacks.pgd import pgd
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from empirics.transformations.registry import Transformation, with_strength
from theory.errors import InputError, nearest

METHODS = ("fast", "basic", "least-likely")
_BOX: Box = (0.0, 1.0)
_BATCH = 250

Ranks = npt.NDArray[np.int16]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Seen:
    """Ranks of the right labels (0: the first), and probabilities of the first labels."""

    rank: Ranks
    confidence: npt.NDArray[np.float32]


@measure("destruction")
@dataclass(frozen=True)
class Destruction:
    """Destruction rates of adversarial images under transformations.

    Of the images that are classified correctly and whose adversarial image is not, the part whose
    transformed adversarial image is classified correctly again; an image is classified correctly
    where its label is among the k most probable. Prefiltered images besides have a first label of
    at least so much probability: the right one on the clean image, and on the adversarial image
    any. All attacks meet the same draws of a random transformation.

    Every image takes every step of its method, as published: a search that stops at the first other
    label ends at the boundary, where anything destroys it.

    Attributes
    ----------
    images : int
        The first test images, whatever their labels.
    methods : tuple of str
        "fast": one step of the gradient's sign; "basic": small ones; "least-likely": small ones
        towards the label that is least likely at first.
    eps : tuple of float
        Budgets in linf; images are in [0, 1].
    steps : int or None
        Of the iterative methods, 1.25 eps / steps each; by default as published, min(e + 4, 1.25 e)
        of 1/255 each for e = 255 eps.
    tops : tuple of int
        k.
    confidence : float
        Least probability of the first label of a prefiltered image.
    transformations : tuple of str
        Names with strengths, "gaussian_blur 0.5".

    References
    ----------
    Kurakin, Goodfellow and Bengio, Adversarial examples in the physical world (ICLR 2017
    workshop): the methods of section 2, equation (1) for the rate, section 3.2 for prefiltered
    images (there the adversarial label is outside the first five for both k), section 4.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    images: int = setting(1000, at_least=1)
    methods: tuple[str, ...] = METHODS
    eps: tuple[float, ...] = setting((0.1, 0.2, 0.3), above=0, at_most=1)
    steps: int | None = setting(None, at_least=1)
    tops: tuple[int, ...] = setting((1, 5), at_least=1)
    confidence: float = setting(0.8, at_least=0, at_most=1)
    transformations: tuple[str, ...] = (
        "brightness 0.1",
        "brightness 0.2",
        "contrast 0.7",
        "contrast 1.4",
        "gaussian_blur 0.6",
        "gaussian_blur 1",
        "gaussian_noise 0.1",
        "gaussian_noise 0.3",
        "jpeg 75",
        "jpeg 10",
        "quantisation 3",
        "quantisation 1",
        "print_photo 0.5",
        "print_photo 1",
    )

    def __post_init__(self) -> None:
        """Refuse unknown names, and lists that are empty."""
        for name in ("methods", "eps", "tops", "transformations"):
            if not getattr(self, name):
                raise InputError(f"{name} is empty")
        for method in self.methods:
            if method not in METHODS:
                raise InputError(f"unknown method '{method}': {nearest(method, METHODS)}")
        for text in self.transformations:
            with_strength(text)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the counts, and the ranks from which they are counted."""
        data, module = subject.data, subject.classifier
        if data is None or module is None:
            raise InputError("the measure 'destruction' needs a data set and a classifier")
        images = torch.from_numpy(data.test_images[: self.images]).to(context.device)
        labels = torch.from_numpy(data.test_labels[: self.images]).to(context.device)
        n_classes = self._checked_tops(module, images[:1])
        changes = [with_strength(text) for text in self.transformations]
        attacks = [(m, e) for m in dict.fromkeys(self.methods) for e in dict.fromkeys(self.eps)]
        clean = _seen(module, images, labels)
        moved, adversarial, restored = [], [], []
        for transformed in self._transformed(images, changes, context):
            moved.append(_seen(module, transformed, labels).rank)
        for method, eps in progress(attacks, context.title):
            points = self._attacked(module, images, labels, method, eps)
            adversarial.append(_seen(module, points, labels))
            again = self._transformed(points, changes, context)
            restored.append([_seen(module, transformed, labels).rank for transformed in again])
        arrays: dict[str, npt.NDArray[Any]] = {
            "clean.rank": clean.rank,
            "clean.confidence": clean.confidence,
            "transformed.rank": np.stack(moved),
            "adversarial.rank": np.stack([seen.rank for seen in adversarial]),
            "adversarial.confidence": np.stack([seen.confidence for seen in adversarial]),
            "restored.rank": np.array(restored),
        }
        facts = self._counts(clean, moved, adversarial, restored)
        facts |= {
            "n": len(images),
            "n_classes": n_classes,
            "tops": list(self.tops),
            "confidence": self.confidence,
            "attacks": [
                {"method": m, "eps": e, "steps": 1 if m == "fast" else self._schedule(e)[0]}
                for m, e in attacks
            ],
            "transformations": [
                {"name": t.name, "words": t.words, "parameter": t.parameter, "strength": strength}
                for t, strength in changes
            ],
        }
        return Outcome(facts={"destruction": facts}, arrays=arrays)

    def _checked_tops(self, module: nn.Module, image: torch.Tensor) -> int:
        with torch.no_grad():
            n_classes = int(module(image).shape[1])
        if max(self.tops) >= n_classes:
            raise InputError(f"tops: {max(self.tops)}; expected fewer than {n_classes} classes")
        return n_classes

    def _schedule(self, eps: float) -> tuple[int, float]:
        return schedule(torch.tensor([eps]), _BOX, self.steps)

    def _attacked(
        self, module: nn.Module, images: torch.Tensor, labels: torch.Tensor, method: str, eps: float
    ) -> torch.Tensor:
        """Return where all steps of a method lead, in [0, 1] and within eps of the images."""
        steps, stride = (1, 1.0) if method == "fast" else self._schedule(eps)
        parts = []
        for x, y in zip(_parts(images), _parts(labels), strict=True):
            checked(module, x, y, box=_BOX)
            targets = None
            if method == "least-likely":
                with torch.no_grad():
                    targets = module(x).argmin(dim=1)
            parts.append(
                pgd(
                    module,
                    x,
                    y,
                    radius=eps,
                    steps=steps,
                    step_size=stride,
                    norm="linf",
                    box=_BOX,
                    targets=targets,
                )
            )
        return torch.cat(parts)

    def _transformed(
        self,
        images: torch.Tensor,
        changes: Sequence[tuple[Transformation, float]],
        context: Context,
    ) -> Iterator[torch.Tensor]:
        """Yield the images after each transformation, with the same draws at every call."""
        for text, (change, strength) in zip(self.transformations, changes, strict=True):
            stream = context.stream("transformation", text)
            yield torch.cat([change(part, strength, stream) for part in _parts(images)])

    def _counts(
        self,
        clean: _Seen,
        moved: Sequence[Ranks],
        adversarial: Sequence[_Seen],
        restored: Sequence[Sequence[Ranks]],
    ) -> dict[str, Any]:
        """Return the numbers of images, a list over the tops in each place."""
        sure = (clean.rank == 0) & (clean.confidence >= self.confidence)
        counts: dict[str, Any] = {
            "clean_right": [int((clean.rank < k).sum()) for k in self.tops],
            "transformed_right": [[int((rank < k).sum()) for k in self.tops] for rank in moved],
        }
        for case in ("average", "prefiltered"):
            trials: list[list[int]] = []
            destroyed: list[list[list[int]]] = []
            for seen, ranks in zip(adversarial, restored, strict=True):
                counted: list[Mask] = []
                for k in self.tops:
                    fooled = (clean.rank < k) & (seen.rank >= k)
                    if case == "prefiltered":
                        fooled &= sure & (seen.confidence >= self.confidence)
                    counted.append(fooled)
                trials.append([int(mask.sum()) for mask in counted])
                pairs = list(zip(self.tops, counted, strict=True))
                destroyed.append(
                    [[int((mask & (rank < k)).sum()) for k, mask in pairs] for rank in ranks]
                )
            counts[case] = {"trials": trials, "destroyed": destroyed}
        return counts


def _parts(tensor: torch.Tensor) -> list[torch.Tensor]:
    return [tensor[start : start + _BATCH] for start in range(0, len(tensor), _BATCH)]


def _seen(module: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> _Seen:
    """Return what the network makes of images; of equal logits the first counts as larger."""
    ranks, confidences = [], []
    with torch.no_grad():
        for x, y in zip(_parts(images), _parts(labels), strict=True):
            logits = module(x)
            own = logits.gather(1, y[:, None])
            before = torch.arange(logits.shape[1], device=y.device) < y[:, None]
            ranks.append(((logits > own) | ((logits == own) & before)).sum(dim=1))
            confidences.append(logits.softmax(dim=1).amax(dim=1))
    rank = torch.cat(ranks).cpu().numpy().astype(np.int16)
    return _Seen(rank, torch.cat(confidences).cpu().numpy().astype(np.float32))
