"""Distances of real images to where several classifiers are wrong at once, each an interval."""

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from empirics.attacks.jointly import minimal_joint
from empirics.attacks.strongest import BUDGETS
from empirics.common_images import CommonImages, common_images
from empirics.image_distances import NORMS, PIXELS, Deployed, Distances
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.record import Evidence
from empirics.settings import setting
from theory.errors import InputError, nearest
from theory.evidence import Radii

Members = tuple[int, ...]


class _All(Deployed):
    """Several classifiers, of which all must have changed their label."""

    def __init__(self, members: list[Deployed]) -> None:
        self.images, self.members = members[0].images, members
        self.traced = self.relu = self.reason = None

    def changed(
        self, points: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        seen = [member.changed(points, labels) for member in self.members]
        return np.asarray(np.stack(seen).all(axis=0))


@measure("joint_image_radii")
@dataclass(frozen=True)
class JointImageRadii:
    """Least perturbations of test images, within [0, 1], that several classifiers get wrong.

    For each classifier alone, for small sets of them and for all: upper ends are distances of
    images that each of the set was seen to give another label, in the deployed precision and in
    double precision beyond its rounding error; lower ends are the largest certified distance of one
    of the set. The images are those that all classifiers get right. A point against a set is one
    against each part of it, so that the ends rise with the set.

    Attributes
    ----------
    images : int
        The first test images that all classifiers get right.
    norms : tuple of str
        Of "l2" and "linf".
    effort : str
        Of the attack: "quick", "standard" or "thorough"; see `empirics.attacks.minimal`.
    size : int
        Sets of at most so many classifiers, and the set of all.
    best_units, most_units : int
        Networks of at most as many units are certified by all methods, and by the product of their
        layers' norms; larger ones are not, and their rounding is not bounded.

    Raises
    ------
    InputError
        If a norm or an effort is not known, or there is no norm.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifiers")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = ("joint_distance[l2]", "joint_distance[linf]")
    images: int = setting(50, at_least=1)
    norms: tuple[str, ...] = setting(("l2", "linf"))
    effort: str = setting("standard")
    size: int = setting(2, at_least=1)
    best_units: int = setting(2048, at_least=0)
    most_units: int = setting(16_384, at_least=0)

    def __post_init__(self) -> None:
        if not self.norms:
            raise InputError(f"joint_image_radii: norms is empty; known: {', '.join(NORMS)}")
        for norm in self.norms:
            if norm not in NORMS:
                raise InputError(
                    f"joint_image_radii: unknown norm '{norm}'; {nearest(norm, NORMS)}"
                )
        if self.effort not in BUDGETS:
            known = nearest(self.effort, BUDGETS)
            raise InputError(f"joint_image_radii: unknown effort '{self.effort}'; {known}")

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the distances of all as evidence, by norm, and those of smaller sets as arrays."""
        common = common_images(subject, self.images)
        modules = subject.classifiers
        deployed = [
            Deployed(common.of(label, module), self.most_units) for label, module in modules.items()
        ]
        sets = self._sets(len(deployed))
        evidence: dict[str, Evidence] = {}
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "index": common.index,
            "label": common.labels,
            "members": np.array([[i in some for i in range(len(deployed))] for some in sets]),
        }
        facts: dict[str, Any] = {
            "n": len(common.index),
            "n_drawn": common.n_drawn,
            "classifiers": list(modules),
            "test_errors": dict(common.test_errors),
            "not_traced": [
                label for label, one in zip(modules, deployed, strict=True) if one.traced is None
            ],
        }
        for norm in dict.fromkeys(self.norms):
            p = NORMS[norm]
            found = {s: Distances.of(p, _All([deployed[i] for i in s])) for s in sets}
            alone = [one.certified(p, self.best_units) for one in deployed]
            for some, distances in found.items():
                distances.lower = np.max([alone[i] for i in some], axis=0)
            for some in progress(sets, f"{context.title} {norm}"):
                seed = context.stream("attack", norm, *map(str, some)).initial_seed()
                self._attack(some, found, list(modules.values()), common, seed)
            whole = found[sets[0]]
            evidence[f"joint_distance[{norm}]"] = Radii(whole.lower, whole.upper)
            arrays[f"{norm}.lower"] = np.stack([found[s].lower for s in sets])
            arrays[f"{norm}.upper"] = np.stack([found[s].upper for s in sets])
            facts[f"not_found[{norm}]"] = [int(np.isinf(found[s].upper).sum()) for s in sets]
        return Outcome(evidence, facts, arrays)

    def _sets(self, m: int) -> list[Members]:
        """Return the sets of classifiers, the largest first."""
        sizes = sorted({m, *range(1, min(self.size, m) + 1)}, reverse=True)
        return [some for k in sizes for some in itertools.combinations(range(m), k)]

    def _attack(
        self,
        some: Members,
        found: dict[Members, Distances],
        modules: list[torch.nn.Sequential],
        common: CommonImages,
        seed: int,
    ) -> None:
        points, radii = minimal_joint(
            [modules[i] for i in some],
            common.images,
            common.targets.expand(len(some), -1),
            p=found[some].p,
            budget=self.effort,
            box=PIXELS,
            seed=seed,
        )
        for part, distances in found.items():
            if set(part) <= set(some):
                distances.attacked(points, radii)
                rows = np.flatnonzero(np.isfinite(found[some].upper))
                distances.offer(rows, found[some].points[rows].astype(np.float64))
