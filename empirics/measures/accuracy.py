"""Error rates, on generated images and on real ones, as in the papers' tables."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from empirics.plugins import Context, Outcome, Subject, measure
from empirics.settings import setting
from theory.errors import InputError

_BATCH = 2000


def predict(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return predicted labels (the first largest logit), shape (n,), by batches."""
    with torch.no_grad():
        parts = [module(images[i : i + _BATCH]).argmax(1) for i in range(0, len(images), _BATCH)]
    return torch.cat(parts)


@measure("accuracy")
@dataclass(frozen=True)
class Accuracy:
    """Disagreement with the teacher on fresh generated images, and errors on the test set.

    Attributes
    ----------
    n : int
        Fresh generated images.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator", "classifier")
    needs_data: ClassVar[bool] = True
    n: int = setting(10_000, at_least=1)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the error rates as facts."""
        data, teacher, classifier = subject.data, subject.teacher, subject.classifier
        if data is None or teacher is None or classifier is None:
            raise InputError("the measure 'accuracy' needs data, a teacher and a classifier")
        with torch.no_grad():
            z = context.normal(self.n, subject.latent_dimension, "latents")
            images = subject.generator(z)
        classes = subject.n_classes or data.n_classes
        named = predict(teacher, images) % classes
        generated = (predict(classifier, images) != named).double().mean()
        real = torch.from_numpy(data.test_images).to(context.device)
        # Classes that the classifiers merge are one class of the data set, too.
        labels = torch.from_numpy(data.test_labels).to(context.device) % classes
        return Outcome(
            facts={
                "n_generated": self.n,
                "error_generated": generated.item(),
                "n_real": len(labels),
                "error_real": (predict(classifier, real) != labels).double().mean().item(),
                "teacher_error_real": (predict(teacher, real) % classes != labels)
                .double()
                .mean()
                .item(),
            }
        )
