"""Every attack on the same few images, for the eye."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.attacks import ATTACKS
from empirics.attacks.substitute import trained_substitute
from empirics.correct_images import CorrectImages, correct_images
from empirics.instruments import BOX, MINIMAL, NORMS, Instrument, distances, stored
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from empirics.train import initialise
from theory.errors import InputError

_KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    "minimal": (
        ("l2", "deepfool:steps=50"),
        ("l2", "ddn:steps=100"),
        ("l2", "alma:steps=100"),
        ("l2", "fmn:steps=100"),
        ("l2", "boundary:steps=50"),
        ("l2", "cw_l2:steps=200,search_steps=5"),
        ("l2", "lbfgs:steps=50"),
        ("l2", "minimal:budget=standard"),
        ("linf", "cw_linf:steps=100,rounds=10"),
        ("l0", "greedy_l0"),
        ("l0", "sigma_zero:steps=300"),
        ("l0", "cw_l0:steps=60,step_size=0.1,factor=10.0,last_weight=1000.0"),
        ("l0", "jsma"),
    ),
    "budget": (
        ("linf", "fgsm"),
        ("linf", "bim"),
        ("linf", "least_likely"),
        ("linf", "pgd:steps=40"),
        ("linf", "apgd:steps=40"),
        ("linf", "apgd_targeted:steps=20"),
        ("linf", "universal"),
    ),
    "patch": (("l0", "patch:steps=200"),),
    "black box": (
        ("l2", "hop_skip_jump:iterations=20"),
        ("l0", "one_pixel:population=200,iterations=30"),
        ("l0", "few_pixels:pixels=5,population=200,iterations=30"),
        ("linf", "transfer:by=pgd"),
        ("linf", "substitute:by=fgsm"),
    ),
    "noise": (("l2", "synthesis:steps=300"),),
}
_CROWD = ("universal", "patch")
"""Attacks that make one change for many images."""
_SEVERAL = ("joint", "jointly")
"""Attacks on several networks at once, for which one is not enough."""
_SUBSTITUTE_UNITS, _SUBSTITUTE_ROUNDS = 100, 4


def _plans() -> list[tuple[str, str, Instrument]]:
    """Return kind, norm and line of every attack, those that others add by their signature."""
    plans = [(k, norm, Instrument.read(line)) for k, of in _KINDS.items() for norm, line in of]
    known = {each.name for _, _, each in plans}
    plans = [plan for plan in plans if plan[2].is_there]
    for name in ATTACKS:
        added = Instrument.read(name)
        if name not in known and added.library is None and name not in _SEVERAL:
            budget = "radius" in added.parameters
            plans.append(("budget", "linf", added) if budget else ("minimal", "l2", added))
    return plans


@measure("gallery")
@dataclass(frozen=True)
class Gallery:
    """What every attack makes of the same images: one of each of several classes.

    Points are cut to [0, 1] and rounded to single precision, and judged by the network itself; an
    attack that does not change the label has failed there. The universal perturbation and the
    patch are made for a crowd of images, of which those shown are a part; the substitute is asked
    about training images.

    Attributes
    ----------
    images : int
        Classes of which the first correctly classified test image is shown.
    crowd : int
        Correctly classified test images among which they are.
    radius_l2, radius_linf : float
        Budgets.

    References
    ----------
    As the attacks'.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    images: int = setting(5, at_least=1)
    crowd: int = setting(100, at_least=1)
    radius_l2: float = setting(2.0, above=0)
    radius_linf: float = setting(0.2, above=0)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return points, labels and distances by attack and image."""
        assert subject.data is not None
        everyone = correct_images(subject, self.crowd)
        _, first = np.unique(everyone.labels, return_index=True)
        rows = np.sort(first)[: self.images]
        shown = replace(
            everyone,
            flat=everyone.flat[rows],
            index=everyone.index[rows],
            labels=everyone.labels[rows],
        )
        facts: dict[str, Any] = {"n": len(rows), "test_error": everyone.test_error, "attacks": []}
        facts |= {"failed": [], "left_out": [name for name in _SEVERAL if name in ATTACKS]}
        kept: dict[str, list[npt.NDArray[Any]]] = {"points": [], "labels": [], "found": []}
        kept |= {norm: [] for norm in NORMS}
        arguments = _Arguments(self, subject, everyone, context)
        for kind, norm, each in progress(_plans(), context.title):
            more = arguments.of(each, norm)
            if lacking := _lacking(each, more):
                facts["left_out"].append(f"{each.name}: no {', '.join(lacking)}")
                continue
            group = everyone if each.name in _CROWD else shown
            x, y = _batch(group)
            if each.name == "synthesis":
                more = {**more, "targets": (y + 1) % arguments.n_classes}
            stream = context.stream(each.line)
            try:
                points = each.points(group.module, x, y, norm=norm, stream=stream, more=more)
                points = points[torch.from_numpy(rows)] if group is everyone else points
                flat, labels, found = stored(points, shown)
            except Exception as error:  # noqa: BLE001  an attack that fails stops no other
                reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
                facts["failed"].append({"name": each.name, "error": reason})
                continue
            about = {"name": each.name, "line": each.line, "kind": kind, "norm": norm}
            facts["attacks"].append({**about, "budget": more.get("radius")})
            kept["points"].append(flat.reshape(-1, *shown.shape))
            kept["labels"].append(labels)
            kept["found"].append(found)
            for name in NORMS:
                kept[name].append(distances(flat, found, shown, name))
        if not facts["attacks"]:
            raise InputError("no attack could be carried out")
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "index": shown.index,
            "label": shown.labels,
            "image": shown.flat.astype(np.float32).reshape(-1, *shown.shape),
        }
        return Outcome(
            facts=facts, arrays=arrays | {name: np.stack(found) for name, found in kept.items()}
        )


def _batch(images: CorrectImages) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.from_numpy(images.flat.astype(np.float32)).reshape(-1, *images.shape)
    return x.to(images.device), torch.from_numpy(images.labels).to(images.device)


def _lacking(each: Instrument, more: Mapping[str, Any]) -> list[str]:
    """Return the arguments without which an attack cannot run, and that nobody gives."""
    if each.name == MINIMAL:
        return []
    given = {"box", "norm", "p", "stream", "targets", *each.settings, *more}
    empty = inspect.Parameter.empty
    return [k for k, v in each.parameters.items() if v.default is empty and k not in given]


class _Arguments:
    """What single attacks need besides the images: budgets, and another network."""

    def __init__(
        self, settings: Gallery, subject: Subject, images: CorrectImages, context: Context
    ) -> None:
        assert subject.data is not None
        self.radii = {"l2": settings.radius_l2, "linf": settings.radius_linf}
        self.n_classes, self.context, self.images = subject.data.n_classes, context, images
        asked = torch.from_numpy(subject.data.train_images[: settings.crowd])
        self.samples = asked.to(images.device)

    def of(self, each: Instrument, norm: str) -> dict[str, Any]:
        """Return further arguments of an attack."""
        if each.name not in ("transfer", "substitute"):
            return {"radius": self.radii[norm]} if "radius" in each.parameters else {}
        attack = {"settings": {"radius": self.radii[norm], "norm": norm}}
        training = {"rounds": _SUBSTITUTE_ROUNDS}
        module = self._fresh(each.name)
        if each.name == "substitute":
            return {**attack, "samples": self.samples, "module": module, "training": training}
        pupil = trained_substitute(
            self.images.module,
            self.samples,
            module,
            stream=self.context.stream("transfer", "order"),
            box=BOX,
            **training,
        )
        return {**attack, "source": pupil.module}

    def _fresh(self, name: str) -> nn.Sequential:
        """Return an untrained perceptron of the same classes."""
        with torch.random.fork_rng(devices=[]):
            module = nn.Sequential(
                nn.Flatten(),
                nn.Linear(self.images.flat.shape[1], _SUBSTITUTE_UNITS),
                nn.ReLU(),
                nn.Linear(_SUBSTITUTE_UNITS, self.n_classes),
            )
        initialise(module, self.context.stream(name, "weights"))
        return module.to(self.images.device)
