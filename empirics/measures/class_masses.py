"""The law of the predicted classes under the generator, on a sample of its own."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from empirics.measures.accuracy import predict
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.errors import InputError


@measure("class_masses")
@dataclass(frozen=True)
class ClassMasses:
    """Counts of the predicted classes; exact masses where a closed form gives them.

    Attributes
    ----------
    n : int
        Fresh latents, drawn independently of those whose radii are measured.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator", "classifier")
    needs_data: ClassVar[bool] = False
    provides: ClassVar[tuple[str, ...]] = (
        "r_latent[l2]",
        "r_in[l2]",
        "r_unc[l2]",
        "r_unc_data[l2]",
    )
    n: int = setting(100_000, at_least=1)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return "class_counts" or "class_masses" as facts."""
        if subject.classifier is None or subject.n_classes is None:
            raise InputError("the measure 'class_masses' needs a classifier")
        if subject.class_masses is not None:
            law = {"exact_law": subject.exact_law} if subject.exact_law else {}
            masses = list(subject.class_masses)
            return Outcome(facts={"n_classes": subject.n_classes, "class_masses": masses, **law})
        counts = torch.zeros(subject.n_classes, dtype=torch.long)
        stream = context.stream("latents")
        chunk = min(self.n, 10_000)
        for start in progress(range(0, self.n, chunk), context.title):
            size = min(chunk, self.n - start)
            z = torch.randn(size, subject.latent_dimension, generator=stream)
            with torch.no_grad():
                images = subject.generator(z.to(context.device))
            labels = predict(subject.classifier, images).cpu()
            counts += torch.bincount(labels, minlength=subject.n_classes)
        return Outcome(facts={"n_classes": subject.n_classes, "class_counts": counts.tolist()})
