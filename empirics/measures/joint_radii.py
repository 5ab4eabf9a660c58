"""Theorem 3's radius: one perturbation within the range of g that changes both labels."""

import copy
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.adversary.batch import flat_norm
from empirics.adversary.joint_projection import project_jointly
from empirics.adversary.projection import metric
from empirics.adversary.together import Together, groups, softened, together
from empirics.attacks.candidates import PUSHES, minimal_candidates, pushed
from empirics.attacks.jointly import linearised_candidates, nearest_of
from empirics.certificates import Certifier, Points
from empirics.devices import precise
from empirics.measures.accuracy import predict
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Radii

_ROUNDING = 1e-12
"""Far above the relative rounding error of a norm in double precision."""
_SETS = ((0, 1), (0,), (1,))


class _Batch:
    """One batch of fresh latents: searches, verifies, certifies."""

    def __init__(self, settings: "JointRadii", subject: Subject, z: torch.Tensor) -> None:
        self.settings, self.z = settings, z
        self.g, self.f = subject.generator, list(subject.classifiers.values())
        self.home = precise(z.device)
        self.g64, *self.f64 = (self._double(module) for module in (self.g, *self.f))
        with torch.no_grad():
            self.z64 = z.to(self.home).double()
            images = self.g(z)
            self.x64 = self.g64(self.z64)
            self.labels = torch.stack([f(images).argmax(dim=1) for f in self.f])
            self.logits = [f(self.x64) for f in self.f64]
        self.certifiers = [Certifier(replace(subject, classifier=f)) for f in self.f]
        self.upper = np.full((len(_SETS), len(z)), np.inf)

    def _double(self, module: nn.Module) -> nn.Module:
        return copy.deepcopy(module).to(self.home, torch.float64)

    def certified(self, first: int) -> FloatArray:
        """Return certified distances of each classifier alone, shape (2, n)."""
        latents, images = (t.flatten(1).cpu().numpy() for t in (self.z64, self.x64))
        norms = [flat_norm(t).cpu().numpy() for t in (self.z64, self.x64)]
        found = []
        for certifier, logits, labels in zip(
            self.certifiers, self.logits, self.labels.cpu().numpy(), strict=True
        ):
            outputs = logits.cpu().numpy()
            points = Points(latents, images, outputs, labels, norms[0], norms[1], first)
            # Where rounding alone decides the label at the point itself, nothing is certified.
            same = outputs.argmax(axis=1) == labels
            found.append(same * certifier.r_in(points, certifier.r_unc(points)))
        return np.stack(found)

    def search(self, stream: torch.Generator) -> None:
        """Search for both labels and for each alone; a point for both is one for each."""
        for members in _SETS:
            for own, rows in groups(self.labels[list(members)]):
                points = self._nearest(members, own, rows, stream)
                self._verify(members, rows, points)

    def _of(self, members: tuple[int, ...], double: bool) -> list[nn.Module]:
        g, f = (self.g64, self.f64) if double else (self.g, self.f)
        return [nn.Sequential(g, f[i]) for i in members]

    def _nearest(
        self, members: tuple[int, ...], own: list[int], rows: torch.Tensor, stream: torch.Generator
    ) -> torch.Tensor:
        """Return the nearest candidates, latents in double precision, shape (rows, d)."""
        s = self.settings
        z, z64 = self.z[rows], self.z64[rows.to(self.home)]

        def embed(points: torch.Tensor) -> torch.Tensor:
            image: torch.Tensor = self.g64(points).flatten(1)
            return image

        model = together(self._of(members, False), own, z)
        double = Together(self._of(members, True), own, model.units)
        root = torch.linalg.cholesky(metric(embed, z64))
        found = minimal_candidates(
            softened(model),
            double,
            z,
            torch.zeros(len(rows), dtype=torch.long, device=z.device),
            stream=stream,
            restarts=s.restarts,
            steps=s.steps,
            polish_steps=s.polish_steps // 4,
            embed=embed,
            spread=torch.linalg.inv(root).mT.to(z),
        )
        if s.combinations:
            found += linearised_candidates(double, z64, s.combinations, embed=embed)
        best, _ = nearest_of(double, z64, found, embed=embed)
        return project_jointly(double, z64, best, s.polish_steps, embed=embed)

    def _verify(self, members: tuple[int, ...], rows: torch.Tensor, points: torch.Tensor) -> None:
        """Count points where both precisions agree, for these classifiers and for each of them."""
        origin = self.z64[rows.to(self.home)]
        image_at = self.x64[rows.to(self.home)]
        certifier = self.certifiers[0]
        blur = certifier.error_of_generator(flat_norm(origin).cpu().numpy())
        for push in PUSHES:
            stored = pushed(origin, points, push).to(self.z)
            there = stored.to(self.home).double()
            size = flat_norm(there).cpu().numpy()
            with torch.no_grad():
                image = self.g64(there)
                distance = flat_norm(image - image_at).cpu().numpy()
            # The true images are as far apart as those computed, up to their rounding errors.
            distance = (distance + blur + certifier.error_of_generator(size)) * (1 + _ROUNDING)
            changed = {i: self._changed(i, rows, stored, image, size) for i in members}
            for k, some in enumerate(_SETS):
                if set(some) <= set(members):
                    valid = np.all([changed[i] for i in some], axis=0)
                    at = rows.cpu().numpy()
                    nearer = np.where(valid, distance, np.inf)
                    self.upper[k, at] = np.minimum(self.upper[k, at], nearer)

    def _changed(
        self,
        i: int,
        rows: torch.Tensor,
        stored: torch.Tensor,
        image: torch.Tensor,
        size: FloatArray,
    ) -> npt.NDArray[np.bool_]:
        """Whether both precisions give another label, the double one beyond its rounding error."""
        labels = self.labels[i][rows]
        with torch.no_grad():
            deployed = self.f[i](self.g(stored)).argmax(dim=1) != labels
            exact = self.f64[i](image)
        own = exact.gather(1, labels.to(self.home)[:, None])[:, 0]
        beyond = (exact.amax(dim=1) - own).cpu().numpy()
        error = self.certifiers[i].error_of_composition(size)
        return np.asarray((beyond > 2 * error) & deployed.cpu().numpy())


@measure("joint_radii")
@dataclass(frozen=True)
class JointRadii:
    """r_joint in l2 of fresh generated points: the labels of two classifiers changed at once.

    Each classifier is to leave the label that it has at the point itself, whether or not the two
    agree there. Upper ends are distances within the range of the generator of points where both
    labels were seen to change, in the deployed precision and in double precision; lower ends are
    the larger one of the certified in-distribution distances of the two. Beside them stand what
    Theorem 3 asks for: on latents of their own, the classes of the first and how often they differ.

    Attributes
    ----------
    n : int
        Fresh latents, drawn independently of everything measured before.
    batch : int
        Points at a time.
    n_labels : int
        Further latents, for the classes and the disagreement.
    restarts, steps : int
        Runs of the attack, and their gradient steps.
    polish_steps : int
        Steps of the projection onto both boundaries.
    combinations : int
        Combinations of two labels, the nearest to first order, that searches by linearisation aim
        at: most of the work where the generator is large.

    References
    ----------
    Fawzi, Fawzi and Fawzi, Adversarial vulnerability for any classifier (NeurIPS 2018), theorem 3.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator", "classifier_pair")
    needs_data: ClassVar[bool] = False
    provides: ClassVar[tuple[str, ...]] = ("r_joint[l2]",)
    n: int = setting(500, at_least=1)
    batch: int = setting(500, at_least=1)
    n_labels: int = setting(20_000, at_least=1)
    restarts: int = setting(3, at_least=1)
    steps: int = setting(40, at_least=1)
    polish_steps: int = setting(20, at_least=0)
    combinations: int = setting(6, at_least=0, later=True)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return r_joint as evidence, and each classifier's own r_in as arrays."""
        if len(subject.classifiers) != 2 or subject.n_classes is None:
            raise InputError(
                f"the measure 'joint_radii' needs two classifiers, got {len(subject.classifiers)}"
            )
        latents = context.normal(self.n, subject.latent_dimension, "latents")
        certified, upper, labels = [], [], []
        for start in progress(range(0, self.n, self.batch), context.title):
            batch = _Batch(self, subject, latents[start : start + self.batch])
            batch.search(context.stream("starts", str(start)))
            certified.append(batch.certified(start))
            upper.append(batch.upper)
            labels.append(batch.labels.cpu().numpy())
        lower, found = np.concatenate(certified, axis=1), np.concatenate(upper, axis=1)
        joint = Radii(lower.max(axis=0), found[0])
        return Outcome(
            evidence={"r_joint[l2]": joint},
            facts={
                "n": self.n,
                "not_found": int(np.isinf(joint.upper).sum()),
                "n_classes": subject.n_classes,
                **self._counts(subject, context),
            },
            arrays={
                "labels": np.concatenate(labels, axis=1),
                "r_in.lower": lower,
                "r_in.upper": found[1:],
            },
        )

    def _counts(self, subject: Subject, context: Context) -> dict[str, object]:
        """Return the classes of the first classifier, and how often the two differ."""
        assert subject.n_classes is not None
        counts, different = torch.zeros(subject.n_classes, dtype=torch.long), 0
        stream, chunk = context.stream("labels"), 10_000
        for start in range(0, self.n_labels, chunk):
            size = min(chunk, self.n_labels - start)
            z = torch.randn(size, subject.latent_dimension, generator=stream).to(context.device)
            with torch.no_grad():
                images = subject.generator(z)
            first, second = (predict(f, images).cpu() for f in subject.classifiers.values())
            counts += torch.bincount(first, minlength=subject.n_classes)
            different += int((first != second).sum())
        return {
            "class_counts": counts.tolist(),
            "disagreement_counts": {"different": different, "n": self.n_labels},
        }
