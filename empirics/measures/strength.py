"""How close attacks come and how long they take: each one alone, on the same images."""

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from empirics.correct_images import CorrectImages, correct_images
from empirics.instruments import NORMS, Instrument, Passes, distances, stored
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.arrays import FloatArray


@measure("strength")
@dataclass(frozen=True)
class Strength:
    """Distances that attacks find from the same test images, with the time each takes alone.

    Only images that the network classifies correctly are attacked. Points count after they were
    cut to [0, 1] and rounded to single precision, where the network itself gives another label;
    the distance is infinite otherwise. Attacks with a budget are tried at budgets that are bisected
    image by image. Every attack runs on two images first, then on all, whose time is taken: records
    of it do not repeat byte by byte. Attacks of other libraries take part where they are registered
    under names such as "foolbox-ddn".

    Attributes
    ----------
    images : int
        The first test images that the network classifies correctly, in one batch.
    l2, linf, l1, l0 : tuple of str
        Attacks judged in this norm, as `Instrument` reads them.
    bisections : int
        Budgets tried.

    Raises
    ------
    InputError
        If an attack or a setting of one is not known.

    References
    ----------
    Cinà, Rony, Pintor, Demetrio, Demontis, Biggio, Ben Ayed and Roli, AttackBench (AAAI 2025):
    attacks compared by the distance to the best of all of them, at counted passes.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    images: int = setting(64, at_least=1)
    l2: tuple[str, ...] = setting(
        (
            "minimal:budget=quick",
            "minimal:budget=standard",
            "minimal:budget=thorough",
            "ddn:steps=100",
            "alma:steps=100",
            "fmn:steps=100",
            "deepfool:steps=50",
            "boundary:steps=50",
            "cw_l2:steps=200,search_steps=5",
            "lbfgs:steps=50",
            "apgd:steps=20",
            "hop_skip_jump:iterations=20",
        )
    )
    linf: tuple[str, ...] = setting(
        (
            "minimal:budget=quick",
            "minimal:budget=standard",
            "minimal:budget=thorough",
            "fmn:steps=100",
            "boundary:steps=50",
            "cw_linf:steps=100,rounds=10",
            "fgsm",
            "pgd:steps=20",
            "apgd:steps=20",
            "hop_skip_jump:iterations=20",
        )
    )
    l1: tuple[str, ...] = setting(
        (
            "minimal:budget=quick",
            "minimal:budget=standard",
            "fmn:steps=100",
            "boundary:steps=50",
            "pgd:steps=20",
        )
    )
    l0: tuple[str, ...] = setting(
        (
            "greedy_l0",
            "greedy_l0:patience=0",
            "sigma_zero:steps=300",
            "cw_l0:steps=60,step_size=0.1,factor=10.0,last_weight=1000.0",
            "fmn:steps=100",
            "jsma",
        )
    )
    bisections: int = setting(10, at_least=1)

    def __post_init__(self) -> None:
        for norm in NORMS:
            for line in getattr(self, norm):
                Instrument.read(line)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return distances of all images by attack, and what each took."""
        images = correct_images(subject, self.images)
        facts: dict[str, Any] = {"n": len(images.index), "test_error": images.test_error}
        facts |= {"instruments": {}, "failed": [], "absent": []}
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "index": images.index,
            "label": images.labels,
        }
        for norm in NORMS:
            read = [Instrument.read(line) for line in dict.fromkeys(getattr(self, norm))]
            there = [each for each in read if each.is_there]
            facts["absent"] += [each.line for each in read if not each.is_there]
            lines, radii = [], []
            for each in progress(there, f"{context.title} {norm}"):
                try:
                    line, found = self._timed(each, images, context, norm)
                except Exception as error:  # noqa: BLE001  others' code may raise anything
                    reason = (str(error).splitlines() or [""])[0]
                    reason = f"{type(error).__name__}: {reason}"
                    facts["failed"].append({"norm": norm, "line": each.line, "error": reason})
                    continue
                lines.append(line)
                radii.append(found)
            if lines:
                facts["instruments"][norm] = lines
                arrays[f"{norm}.radii"] = np.stack(radii)
        facts["absent"] = list(dict.fromkeys(facts["absent"]))
        return Outcome(facts=facts, arrays=arrays)

    def _timed(
        self, each: Instrument, images: CorrectImages, context: Context, norm: str
    ) -> tuple[dict[str, Any], FloatArray]:
        """Run an attack on two images, then on all, and judge what it found."""
        flat = torch.from_numpy(images.flat.astype(np.float32))
        x = flat.reshape(-1, *images.shape).to(images.device)
        y = torch.from_numpy(images.labels).to(images.device)

        def run(n: int) -> torch.Tensor:
            # Fresh copies: not every attack leaves its inputs as they were.
            given = x[:n].clone(), y[:n].clone()
            stream = context.stream(norm, each.line)
            points = each.points(
                images.module, *given, norm=norm, stream=stream, bisections=self.bisections
            )
            if images.device.type == "cuda":
                torch.cuda.synchronize(images.device)
            return points

        run(2)
        with Passes(images.module) as passes:
            wall, cpu = time.perf_counter(), time.process_time()
            points = run(len(x))
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        flat_points, _, found = stored(points, images)
        line: dict[str, Any] = {"line": each.line, "name": each.name}
        line |= {"settings": dict(each.settings), "library": each.library}
        line |= {"cpu_seconds": cpu, "wall_seconds": wall}
        line |= {"forward": passes.forward, "backward": passes.backward}
        return line, distances(flat_points, found, images, norm)
