"""How often points made against one classifier fool another, beside noise of the same size."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from empirics.attacks.transfer import magnified, transfer_matrix
from empirics.common_images import CommonImages, common_images
from empirics.measures.accuracy import predict
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.errors import InputError, nearest

_BOX = (0.0, 1.0)
_STEPS = {"lbfgs": 100, "ddn": 100, "deepfool": 50}
_AIMS = ("any", "random")


@measure("transfer_matrix")
@dataclass(frozen=True)
class TransferMatrix:
    """Minimal perturbations of each classifier, judged by all others.

    All images are classified correctly by all classifiers, so that a point that a classifier gives
    another label than the image's has fooled it. Points are judged as they are stored: float32,
    within [0, 1], by the deployed networks. The distortion of a point is
    sqrt(mean (x' - x)^2) over its pixels.

    Attributes
    ----------
    images : int
        The first test images that all classifiers get right.
    by : str
        "lbfgs" (box-constrained, with a line search on its penalty), "ddn" or "deepfool".
    towards : str
        "any" other label, or one drawn for each image, "random", the same for all classifiers.
    steps : int
        Iterations of the attack; 0 for its own default.
    noise : tuple of float
        Standard deviations of Gaussian noise, clipped to [0, 1], on the same images.
    magnified : tuple of float
        Distortions to which each found direction is scaled, before it is clipped to [0, 1].

    Raises
    ------
    InputError
        If the attack or its aim is not known.

    References
    ----------
    Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow and Fergus, Intriguing properties of
    neural networks (ICLR 2014), tables 2 to 4.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifiers")
    needs_data: ClassVar[bool] = True
    images: int = setting(100, at_least=1)
    by: str = setting("lbfgs")
    towards: str = setting("any")
    steps: int = setting(0, at_least=0)
    noise: tuple[float, ...] = setting((0.1, 0.3), above=0)
    magnified: tuple[float, ...] = setting((0.1,), above=0)

    def __post_init__(self) -> None:
        if self.by not in _STEPS:
            raise InputError(
                f"transfer_matrix: unknown attack '{self.by}'; {nearest(self.by, _STEPS)}"
            )
        if self.towards not in _AIMS:
            known = nearest(self.towards, _AIMS)
            raise InputError(f"transfer_matrix: unknown aim '{self.towards}'; {known}")

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return how many points fooled which classifier, by the one they were made against."""
        common = common_images(subject, self.images)
        judges = _Judges(subject, common)
        x, y, n = common.images, common.targets, len(common.index)
        targets = None if self.towards == "any" else self._targets(subject, common, context)
        sources = list(subject.classifiers.items())
        points = torch.empty(len(sources), *x.shape)
        found = np.zeros((len(sources), n), dtype=bool)
        for i, (_, source) in enumerate(progress(sources, context.title)):
            made = transfer_matrix(
                [source],
                x,
                y,
                by=self.by,
                box=_BOX,
                targets=targets,
                settings={"steps": self.steps or _STEPS[self.by]},
            )
            points[i], found[i] = made.points[0].cpu(), made.counted[0].cpu().numpy()
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "index": common.index,
            "label": common.labels,
            "found": found,
        }
        lines = [judges.line(points[i], found[i]) for i in range(len(sources))]
        arrays["fooled"] = np.stack([line.fooled for line in lines])
        arrays["distortion"] = np.stack([line.distortion for line in lines])
        facts: dict[str, Any] = {
            "n": n,
            "n_drawn": common.n_drawn,
            "classifiers": list(subject.classifiers),
            "test_errors": dict(common.test_errors),
            "crafted_on": [
                {"label": label, **line.counts}
                for label, line in zip(subject.classifiers, lines, strict=True)
            ],
            "noise": [],
            "magnified": [],
        }
        everything = np.ones(n, dtype=bool)
        for deviation in self.noise:
            noise = torch.randn(x.shape, generator=context.stream("noise", repr(deviation)))
            line = judges.line((x.cpu() + deviation * noise).clamp(*_BOX), everything)
            facts["noise"].append({"deviation": deviation, **line.counts})
            arrays[f"noise {deviation:g}"] = line.fooled
        for size in self.magnified:
            lines = [
                judges.line(magnified(x.cpu(), points[i], size, box=_BOX), found[i])
                for i in range(len(sources))
            ]
            arrays[f"magnified {size:g}"] = np.stack([line.fooled for line in lines])
            facts["magnified"] += [
                {"label": label, "to": size, **line.counts}
                for label, line in zip(subject.classifiers, lines, strict=True)
            ]
        return Outcome(facts=facts, arrays=arrays)

    def _targets(self, subject: Subject, common: CommonImages, context: Context) -> torch.Tensor:
        assert subject.n_classes is not None
        shifts = torch.randint(
            1, subject.n_classes, (len(common.index),), generator=context.stream("targets")
        )
        return ((torch.from_numpy(common.labels) + shifts) % subject.n_classes).to(common.device)


@dataclass(frozen=True, eq=False)
class _Line:
    """Which classifiers were fooled by which of the points that count."""

    fooled: npt.NDArray[np.bool_]
    distortion: FloatArray
    counted: npt.NDArray[np.bool_]

    @property
    def counts(self) -> dict[str, Any]:
        """Points that count, their mean distortion, and how many fooled each classifier."""
        n = int(self.counted.sum())
        mean = float(self.distortion[self.counted].mean()) if n else None
        return {"n": n, "distortion": mean, "fooled": self.fooled.sum(axis=1).tolist()}


class _Judges:
    """All classifiers, on changed versions of the common images."""

    def __init__(self, subject: Subject, common: CommonImages) -> None:
        self.modules, self.common = list(subject.classifiers.values()), common

    def line(self, points: torch.Tensor, counted: npt.NDArray[np.bool_]) -> _Line:
        """Return which classifier each point, float32 within [0, 1], fools."""
        labels = [predict(module, points.to(self.common.device)) for module in self.modules]
        fooled = torch.stack(labels).cpu().numpy() != self.common.labels
        change = points.flatten(1).double().numpy() - self.common.flat
        distortion = np.sqrt((change**2).mean(axis=1))
        return _Line(fooled & counted, distortion, counted)
