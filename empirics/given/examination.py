"""What there is to know of a network before anything is measured of it."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from empirics.attacks.flags import Flag
from empirics.data import Dataset
from empirics.given.gradients import differentiable, flags_of
from empirics.given.linearity import MOST_PRODUCTS, Linearity, linearity
from empirics.given.normalised import normalisation
from empirics.given.probing import own_randomness, same
from empirics.given.spec import Given
from empirics.lipschitz_graph import lipschitz_graph
from empirics.progress import progress
from theory.errors import InputError
from theory.lipschitz.product import product_bound
from theory.statistics import clopper_pearson

ALPHA: Final = 0.05
"""Probability with which the limits of the accuracy may miss it."""
_BATCH: Final = 500
_FLAGGED: Final = 64


@dataclass(frozen=True)
class Examination:
    """What was found of a network.

    Attributes
    ----------
    source, form : str
        What the user named, and as what.
    notes : tuple of str
        What was handled when it was read.
    input_shape : tuple of int
    input_range : tuple of float
        Least and largest pixel of the test images.
    invariances : tuple of str
        "brightness" (x + c) and "contrast" (c x), where the logits do not change with them.
    n_classes, n_parameters : int
    linearity : Linearity
    deterministic, differentiable : bool
    flags : tuple of Flag
        What stands in the way of attacks.
    n_tested, n_right : int
        Test images, and how many of them are labelled rightly.
    label_counts : tuple of int
        How many test images it gives each label.
    outputs : str
        "logits", or "log probabilities".
    lipschitz : float or None
        Certified upper end of its Lipschitz constant from (image, l2) to (logits, l2), as a product
        over layers; None where no layer-wise bound fits or the network is large.
    """

    source: str
    form: str
    notes: tuple[str, ...]
    input_shape: tuple[int, ...]
    input_range: tuple[float, float]
    invariances: tuple[str, ...]
    n_classes: int
    n_parameters: int
    linearity: Linearity
    deterministic: bool
    differentiable: bool
    flags: tuple[Flag, ...]
    n_tested: int
    n_right: int
    label_counts: tuple[int, ...]
    outputs: str
    lipschitz: float | None

    @property
    def accuracy_limits(self) -> tuple[float, float]:
        """Clopper-Pearson limits on the accuracy, two-sided at level 95 %."""
        lower, upper = clopper_pearson(self.n_right, self.n_tested, ALPHA)
        return float(lower), float(upper)

    def facts(self) -> dict[str, Any]:
        """Return what was found as JSON values.

        "piecewise_linear" and "relu_units" are left out where the network was not unrolled and no
        operator is known to be curved: nothing may be concluded.
        """
        facts: dict[str, Any] = {
            "notes": list(self.notes),
            "input_shape": list(self.input_shape),
            "input_range": list(self.input_range),
            "input_invariances": list(self.invariances),
            "input_normalised_by": self.linearity.normalises,
            "n_classes": self.n_classes,
            "n_parameters": self.n_parameters,
            "n_products": self.linearity.n_products,
            "not_piecewise_linear": self.linearity.reason,
            "deterministic": self.deterministic,
            "differentiable": self.differentiable,
            "flags": [asdict(flag) for flag in self.flags],
            "n_tested": self.n_tested,
            "n_right": self.n_right,
            "accuracy_limits": list(self.accuracy_limits),
            "label_counts": list(self.label_counts),
            "outputs": self.outputs,
        }
        if self.linearity.piecewise_linear is not None:
            facts["piecewise_linear"] = self.linearity.piecewise_linear
        if self.linearity.traced:
            facts["relu_units"] = self.linearity.n_units
        if self.lipschitz is not None:
            facts["layer_product[l2->l2]"] = self.lipschitz
        return facts

    def lines(self) -> tuple[str, ...]:
        """Return what was found in words, a line each."""
        low, high = self.input_range
        lines = [f"network: {self.source} ({self.form})" if self.source else "network"]
        lines += [f"note: {note}" for note in self.notes]
        lines.append(
            f"images: {' x '.join(map(str, self.input_shape))}, pixels in [{low:g}, {high:g}]"
        )
        if self.linearity.normalises:
            lines.append(f"normalises its images first: {self.linearity.normalises}")
        lines += [
            f"its logits do not change with the {name} of an image" for name in self.invariances
        ]
        lines.append(f"classes: {self.n_classes}, {self.outputs}")
        lines += self._sizes()
        lines.append(f"deterministic: {_yes(self.deterministic)}")
        lines.append(f"differentiable: {_yes(self.differentiable)}")
        lines += self._performance()
        if self.lipschitz is not None:
            lines.append(f"Lipschitz constant (l2 to l2): at most {self.lipschitz:.4g}")
        for flag in self.flags:
            lines.append(
                f"flag '{flag.name}' at {flag.share:.0%} of the images: {flag.explanation}; use"
                f" {flag.remedy}"
            )
        if not self.flags:
            lines.append("no sign that attacks along gradients are misled")
        return tuple(lines)

    def _sizes(self) -> list[str]:
        seen = self.linearity
        units = "" if seen.n_units is None else f", {seen.n_units:,} ReLU units"
        said = {True: "yes", False: f"no, {seen.reason}", None: f"not known, {seen.reason}"}
        return [
            f"size: {self.n_parameters:,} parameters{units}, {seen.n_products:,} products an image",
            f"piecewise linear: {said[seen.piecewise_linear]}",
        ]

    def _performance(self) -> list[str]:
        lower, upper = self.accuracy_limits
        lines = [
            f"accuracy: {self.n_right / self.n_tested:.2%} of {self.n_tested:,} test images,"
            f" [{lower:.2%}, {upper:.2%}] at 95 %"
        ]
        if lower <= 1 / self.n_classes:
            lines.append(
                "this is no better than chance: are its weights those of this data set, and does it"
                f" take pixels in [{self.input_range[0]:g}, {self.input_range[1]:g}]?"
            )
        shares = ", ".join(f"{count / self.n_tested:.1%}" for count in self.label_counts)
        lines.append(f"labels given: {shares}")
        return lines


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def examined(
    given: Given,
    data: Dataset,
    device: torch.device,
    stream: torch.Generator,
    *,
    n_images: int = 10_000,
) -> Examination:
    """Return what is to know of a network: its operators, its answers, its gradients.

    Parameters
    ----------
    given : Given
    data : Dataset
        Whose test images it is asked for.
    device : torch.device
        Where that is done; the network is moved there, and back afterwards.
    stream : torch.Generator
        Chooses images where there are more than are asked for, and random directions.
    n_images : int
        Test images at most.

    Raises
    ------
    InputError
        If its logits are not finite on a test image.
    """
    module = given.module
    held = next(module.parameters(), torch.zeros(0)).device
    module.to(device)
    try:
        return _examined(given, data, device, stream, n_images)
    finally:
        module.to(held)


def _examined(
    given: Given, data: Dataset, device: torch.device, stream: torch.Generator, n_images: int
) -> Examination:
    module, shape = given.module, tuple(data.image_shape)
    order = torch.randperm(len(data.test_labels), generator=stream)[:n_images].numpy()
    seed = int(torch.randint(2**31, (), generator=stream))
    images = torch.from_numpy(data.test_images[order]).to(device)
    truth = torch.from_numpy(data.test_labels[order]).to(device)
    logits = _logits(module, images, seed)
    if not torch.isfinite(logits).all():
        first = int(order[int((~torch.isfinite(logits)).any(dim=1).nonzero()[0])])
        raise InputError(f"{given.source}: logits of test image {first} are not finite")
    labels = logits.argmax(dim=1)
    some = images[:_FLAGGED]
    flags = flags_of(module, some, truth[:_FLAGGED], seed)
    found = linearity(module, shape)
    counts = np.bincount(labels.cpu().numpy(), minlength=data.n_classes)
    return Examination(
        source=given.source,
        form=given.form,
        notes=given.notes,
        input_shape=shape,
        input_range=(float(data.test_images.min()), float(data.test_images.max())),
        invariances=_invariances(module, some, seed),
        n_classes=data.n_classes,
        n_parameters=sum(p.numel() for p in module.parameters()),
        linearity=found,
        deterministic=same(_logits(module, some, seed), _logits(module, some, seed + 1), 1e-6),
        differentiable=differentiable(flags),
        flags=flags,
        n_tested=len(labels),
        n_right=int((labels == truth).sum()),
        label_counts=tuple(int(n) for n in counts),
        outputs=normalisation(logits) or "logits",
        lipschitz=_lipschitz(module, shape, found),
    )


def _logits(module: nn.Module, images: torch.Tensor, seed: int) -> torch.Tensor:
    starts = range(0, len(images), _BATCH)
    with own_randomness(seed, images.device):
        return torch.cat([module(images[i : i + _BATCH]) for i in progress(starts, "test images")])


def _invariances(module: nn.Module, images: torch.Tensor, seed: int) -> tuple[str, ...]:
    """Return which changes of all pixels alike leave the logits as they are."""
    here = _logits(module, images, seed)
    changed = {"brightness": images + 0.25, "contrast": images * 0.5}
    if same(here, here.mean(dim=0, keepdim=True).expand_as(here)):
        return ()  # it does not look at its images at all
    return tuple(name for name, seen in changed.items() if same(_logits(module, seen, seed), here))


def _lipschitz(module: nn.Module, shape: tuple[int, ...], found: Linearity) -> float | None:
    if found.n_products > MOST_PRODUCTS:
        return None
    try:
        return product_bound(lipschitz_graph(module, shape), 2)
    except InputError:
        return None
