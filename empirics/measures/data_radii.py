"""How far real images are from another label, for a classifier of generated ones."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from empirics.attacks.strongest import BUDGETS
from empirics.correct_images import CorrectImages
from empirics.image_distances import Deployed, Distances
from empirics.measures.accuracy import predict
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.settings import setting
from theory.errors import InputError, nearest
from theory.evidence import Radii


@measure("data_radii")
@dataclass(frozen=True)
class DataRadii:
    """r_unc in l2 at test images, of a classifier that was trained on generated ones.

    Each image counts, whatever its true label: the radius is the distance to another label than
    the classifier's own. Pixels may take any real value. Upper ends are distances of points whose
    label was seen to change in the deployed precision and in double precision; lower ends are
    certificates, 0 where the network cannot be traced.

    Attributes
    ----------
    images : int
        Test images, drawn without repetition.
    effort : str
        Of the attack: "quick", "standard" or "thorough"; see `empirics.attacks.minimal`.
    best_units : int
        Networks of at most as many units are certified by all methods, larger ones by the product
        of their layers' norms.

    Raises
    ------
    InputError
        If the effort is not known.

    References
    ----------
    Fawzi, Fawzi and Fawzi, Adversarial vulnerability for any classifier (NeurIPS 2018), theorem 4.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator", "classifier")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = ("r_unc_data[l2]",)
    images: int = setting(500, at_least=2)
    effort: str = setting("quick")
    best_units: int = setting(0, at_least=0)

    def __post_init__(self) -> None:
        if self.effort not in BUDGETS:
            raise InputError(
                f"data_radii: unknown effort '{self.effort}'; {nearest(self.effort, BUDGETS)}"
            )

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the distances as evidence."""
        images = self._images(subject, context)
        network = Deployed(images)
        found = Distances.of(2.0, network, box=None)
        found.lower = network.certified(2.0, self.best_units, box=None)
        found.attack(self.effort, context.stream("attack").initial_seed())
        facts = {
            "n": len(images.flat),
            "n_test": len(subject.data.test_labels) if subject.data is not None else 0,
            "test_error": images.test_error,
            "traced": network.traced is not None,
            "not_found": int(np.isinf(found.upper).sum()),
        }
        return Outcome(
            evidence={"r_unc_data[l2]": Radii(found.lower, found.upper)},
            facts={"data_radii": facts},
            arrays={"index": images.index, "label": images.labels},
        )

    def _images(self, subject: Subject, context: Context) -> CorrectImages:
        """Return test images with the labels that the classifier gives them."""
        data, module = subject.data, subject.classifier
        if data is None or module is None:
            raise InputError("the measure 'data_radii' needs a data set and a classifier")
        order = torch.randperm(len(data.test_labels), generator=context.stream("images"))
        index = np.sort(order[: self.images].numpy()).astype(np.int64)
        every = torch.from_numpy(data.test_images).to(context.device)
        predicted = predict(module, every).cpu().numpy()
        return CorrectImages(
            flat=data.test_images[index].reshape(len(index), -1).astype(np.float64),
            index=index,
            labels=predicted[index],
            test_error=float((predicted != data.test_labels).mean()),
            module=module,
            shape=subject.image_shape,
            device=context.device,
        )
