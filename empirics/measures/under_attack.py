"""The accuracy of a network under each attack of a list, its own gradients known or not."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, get_args

import numpy as np
import torch
from torch import nn

from empirics.adversary.goal import Goal
from empirics.adversary.objective import Loss
from empirics.adversary.trajectory import margin_loss
from empirics.attack_bench import BOX, AttackBench, Mask, Try
from empirics.attacks import ATTACKS
from empirics.feed_forward import feed_forward
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.distance import MarginCertifier
from theory.distance.certificates.batch import Method
from theory.errors import InputError, nearest

_DLR_CLASSES = 3
"""The difference of logits ratio needs so many."""


@measure("under_attack")
@dataclass(frozen=True)
class UnderAttack:
    """Accuracy of one network on test images that are changed within a linf ball and [0, 1].

    White-box attacks are made on the target, black-box ones on each other classifier of the
    preset, and the target judges all of them, in the precision in which it is deployed. An image
    that is misclassified unchanged counts as wrong under every attack. The last point of an ascent
    counts, as in the authors' code, and with restarts one wrong label among them; images that are
    wrong are left out of further restarts. The runs with fewer steps or restarts are parts of those
    with more. How the paper chooses the labels of its targeted row it does not say; here every
    other class is tried, and any other label counts.

    Attributes
    ----------
    target : str
        Label of the network under attack; the first of the preset by default.
    images : int
        The first test images, whatever the target says of them.
    radius : float
        Of the linf ball.
    step : float
        Of projected ascent; FGSM takes one of the whole radius.
    steps : tuple of int
        Lengths of the runs of PGD; the shortest is that of the targeted and the CW attacks too.
    restarts : int
        Random starts of PGD.
    confidence : float
        By how much CW+ goes on behind the boundary.
    apgd_steps : int
        Of APGD, with one random start.
    decision_images : int
        The first images on which HopSkipJump is tried as well; it sees labels alone.
    certify : str
        Method of the certificates (see `theory.distance.certified_many`), or "" for none. They
        hold for the target in single precision, but not for convolutions by transforms.
    certify_images : int
        The first images for which a certificate is sought.
    timed : bool
        Whether CPU seconds are kept: a record with times is not the same when measured again.

    Raises
    ------
    InputError
        If there are no steps, or no such method.

    References
    ----------
    Madry, Makelov, Schmidt, Tsipras and Vladu, Towards deep learning models resistant to
    adversarial attacks (ICLR 2018), section 5 and table 1. Carlini and Wagner (S&P 2017) for the
    loss of CW, Croce and Hein (ICML 2020) for APGD, Chen, Jordan and Wainwright (S&P 2020) for
    HopSkipJump.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifiers")
    needs_data: ClassVar[bool] = True
    target: str = ""
    images: int = setting(1000, at_least=1)
    radius: float = setting(0.3, above=0, at_most=1)
    step: float = setting(0.01, above=0)
    steps: tuple[int, ...] = setting((40, 100), at_least=1)
    restarts: int = setting(20, at_least=1)
    confidence: float = setting(50.0, above=0)
    apgd_steps: int = setting(100, at_least=1)
    decision_images: int = setting(0, at_least=0)
    certify: str = "interval"
    certify_images: int = setting(50, at_least=0)
    timed: bool = False

    def __post_init__(self) -> None:
        if not self.steps:
            raise InputError("under_attack: steps: none; expected one or more numbers")
        if self.certify and self.certify not in get_args(Method):
            raise InputError(
                f"under_attack: certify '{self.certify}' is not known;"
                f" {nearest(self.certify, get_args(Method))}"
            )

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the accuracy by source and attack, and the robust accuracy as an interval."""
        data = subject.data
        if data is None:
            raise InputError("the measure 'under_attack' needs data")
        label, others = self._chosen(subject.classifiers)
        x = torch.from_numpy(data.test_images[: self.images]).to(context.device)
        y = torch.from_numpy(data.test_labels[: self.images]).to(context.device)
        bench = AttackBench.of(subject.classifiers[label], x, y, self.radius)
        sheet = _Sheet(self, context, bench)
        sheet.add("natural", "", bench.natural)
        sheet.white_box(label, data.n_classes)
        for name in others:
            sheet.black_box(name, subject.classifiers[name])
        worst = np.any(sheet.wrong, axis=0)
        sheet.add("worst", "", worst)
        certified, reason = self._certified(bench, subject.image_shape, context.title)
        if (certified & worst).any():
            raise ArithmeticError("an image was attacked with success that is certified")
        facts: dict[str, Any] = {
            "target": label,
            "n": len(x),
            "rows": sheet.rows,
            "n_certified": int(certified.sum()),
            "not_certified_because": reason,
            "robust_accuracy[linf]": {
                "lower": float(certified.mean()),
                "upper": float(1 - worst.mean()),
            },
        }
        return Outcome(facts=facts, arrays={"wrong": np.stack(sheet.wrong), "certified": certified})

    def _chosen(self, classifiers: Mapping[str, nn.Sequential]) -> tuple[str, list[str]]:
        """Return the label of the target, and those of the others."""
        if not classifiers:
            raise InputError("the measure 'under_attack' needs a classifier of images")
        label = self.target or next(iter(classifiers))
        if label not in classifiers:
            raise InputError(
                f"under_attack: target '{label}' is no image_classifier of the preset;"
                f" {nearest(label, classifiers)}"
            )
        return label, [name for name in classifiers if name != label]

    def _certified(
        self, bench: AttackBench, shape: tuple[int, ...], title: str
    ) -> tuple[Mask, str | None]:
        """Return the images whose label no point of the ball can change, and why there are none."""
        found = np.zeros(len(bench.x), dtype=np.bool_)
        rows = np.flatnonzero(~bench.natural[: self.certify_images])
        if not self.certify or not rows.size:
            return found, "none was sought"
        try:
            network = feed_forward(bench.target, shape)
        except InputError as error:
            return found, str(error)
        certifier = MarginCertifier(network, deployment="float32")
        flat = bench.x.flatten(1).cpu().double().numpy()
        labels = bench.y.cpu().numpy()
        for i in progress(rows, f"{title} certificates"):
            radius = certifier.radii(
                flat[i : i + 1],
                p=np.inf,
                box=BOX,
                method=self.certify,  # type: ignore[arg-type]  # checked when it was set
                labels=labels[i : i + 1],
            )
            # Points at exactly the certified distance may have another label.
            found[i] = radius[0] > self.radius
        return found, None


@dataclass(eq=False)
class _Sheet:
    """A row for each attack, and which images were wrong under it."""

    settings: UnderAttack
    context: Context
    bench: AttackBench
    rows: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[Mask] = field(default_factory=list)
    started: float = field(default_factory=time.process_time)

    def add(
        self,
        attack: str,
        source: str,
        wrong: Mask,
        steps: int | None = None,
        restarts: int | None = None,
        n: int | None = None,
    ) -> None:
        """Keep a row of the first n images; its CPU seconds are those since its first run began."""
        seconds = round(time.process_time() - self.started, 2) if self.settings.timed else None
        about = {"attack": attack, "source": source, "steps": steps, "restarts": restarts}
        n = len(wrong) if n is None else min(n, len(wrong))
        self.rows.append({**about, "n": n, "right": int((~wrong[:n]).sum()), "seconds": seconds})
        self.wrong.append(wrong)

    def white_box(self, label: str, n_classes: int) -> None:
        """Attack the target by its own gradients, and by its labels alone."""
        settings, bench, target = self.settings, self.bench, self.bench.target
        self._fgsm(label, target)
        self._pgd(label, target, [(k, n) for n in (1, settings.restarts) for k in settings.steps])
        goals = [Goal(bench.y, (bench.y + k) % n_classes) for k in range(1, n_classes)]
        self._short(label, target, "targeted", goals)
        self._margins(label, target)
        for loss in ("ce", "dlr") if n_classes >= _DLR_CLASSES else ("ce",):
            self._begin()
            attack = partial(
                ATTACKS["apgd"],
                target,
                radius=bench.budget,
                loss=loss,
                steps=settings.apgd_steps,
                box=BOX,
                stream=self.context.stream(label, "apgd", loss),
            )
            wrong = bench.run(attack)
            self.add(f"apgd-{loss}", label, wrong, settings.apgd_steps, 1)
        if settings.decision_images:
            self._begin()
            stream = self.context.stream(label, "hop_skip_jump")
            attack = partial(ATTACKS["hop_skip_jump"], target, norm="linf", box=BOX, stream=stream)
            wrong = bench.run(attack, settings.decision_images)
            self.add("hop_skip_jump", label, wrong, n=settings.decision_images)

    def black_box(self, source: str, module: nn.Module) -> None:
        """Attack another network by its gradients; the target judges."""
        steps = self.settings.steps
        self._fgsm(source, module)
        self._pgd(source, module, [(min(steps), 1), (max(steps), self.settings.restarts)])
        self._margins(source, module)

    def _begin(self) -> None:
        self.started = time.process_time()

    def _fgsm(self, source: str, module: nn.Module) -> None:
        self._begin()
        tries: list[Try] = [(Goal(self.bench.y), None)]
        (masks,) = self.bench.ascended(module, tries, Goal.gain, [1], self.settings.radius)
        self.add("fgsm", source, masks[0])

    def _pgd(self, source: str, module: nn.Module, shown: Sequence[tuple[int, int]]) -> None:
        """Add rows of these numbers of steps and restarts, the longest of which holds the rest."""
        stops = sorted({steps for steps, _ in shown})
        goals = [Goal(self.bench.y)] * max(restarts for _, restarts in shown)
        runs = self._runs(source, module, "pgd", goals, Goal.gain, stops)
        shown = sorted(set(shown), key=lambda part: part[::-1])
        for i, masks in enumerate(runs, start=1):
            for steps, restarts in shown:
                if restarts == i:
                    self.add("pgd", source, masks[stops.index(steps)], steps, restarts)

    def _margins(self, source: str, module: nn.Module) -> None:
        """Add the rows of the loss of Carlini and Wagner."""
        for name, confidence in (("cw", 0.0), ("cw+", self.settings.confidence)):
            loss = partial(margin_loss, confidence=confidence)
            self._short(source, module, name, [Goal(self.bench.y)], loss)

    def _short(
        self,
        source: str,
        module: nn.Module,
        name: str,
        goals: Sequence[Goal],
        loss: Loss = Goal.gain,
    ) -> None:
        """Add the row of a run of the fewest steps towards each of the goals."""
        steps = min(self.settings.steps)
        *_, masks = self._runs(source, module, name, goals, loss, [steps])
        self.add(name, source, masks[0], steps, 1)

    def _runs(
        self,
        source: str,
        module: nn.Module,
        name: str,
        goals: Sequence[Goal],
        loss: Loss,
        stops: Sequence[int],
    ) -> Iterator[list[Mask]]:
        """Yield the images that are wrong after each run with a start of its own."""
        self._begin()
        tries = ((goal, self.context.stream(source, name, str(i))) for i, goal in enumerate(goals))
        runs = self.bench.ascended(module, tries, loss, stops, self.settings.step)
        yield from progress(runs, f"{self.context.title} {source} {name}", len(goals))
