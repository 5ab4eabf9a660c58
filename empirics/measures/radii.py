"""The three robustness radii, each point an interval [certificate, verified adversarial point]."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.adversary.batch import flat_norm
from empirics.adversary.projection import metric
from empirics.attacks.candidates import PUSHES, minimal_candidates, pushed
from empirics.certificates import Certifier, Points
from empirics.devices import precise
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Radii

_ROUNDING = 1e-12
"""Far above the relative rounding error of a norm in double precision."""


@dataclass
class _Best:
    """The nearest verified point found so far for each of n origins."""

    distance: torch.Tensor
    point: torch.Tensor

    @classmethod
    def none(cls, origin: torch.Tensor) -> "_Best":
        return cls(torch.full((len(origin),), torch.inf, dtype=torch.float64), origin.clone())

    def offer(self, distance: torch.Tensor, point: torch.Tensor, valid: torch.Tensor) -> None:
        distance = distance.double().cpu() * (1 + _ROUNDING)
        closer = valid.cpu() & (distance < self.distance)
        self.distance = torch.where(closer, distance, self.distance)
        mask = closer.reshape(-1, *[1] * (point.ndim - 1)).to(point.device)
        self.point = torch.where(mask, point, self.point)


class _Batch:
    """One batch of fresh latents: searches, verifies, certifies."""

    def __init__(
        self,
        settings: "Radii2",
        subject: Subject,
        certifier: Certifier,
        context: Context,
        name: str,
    ) -> None:
        assert subject.classifier is not None
        self.settings, self.certifier = settings, certifier
        self.shape = subject.image_shape
        self.stream = context.stream("starts", name)
        self.g, self.f = subject.generator, subject.classifier
        home = precise(context.device)
        self.g64 = copy.deepcopy(self.g).to(home, torch.float64)
        self.f64 = copy.deepcopy(self.f).to(home, torch.float64)
        self.home = home

    def image(self, flat: torch.Tensor) -> torch.Tensor:
        return flat.reshape(len(flat), *self.shape)

    def run(self, z: torch.Tensor, first: int) -> dict[str, tuple[_Best, FloatArray]]:
        """Return for each quantity the nearest verified points and the certified radii.

        `first` is how many points the batches before had.
        """
        with torch.no_grad():
            self.z, self.z64 = z, z.to(self.home).double()
            self.x = self.g(z)
            self.x64 = self.g64(self.z64)
            self.label = self.f(self.x).argmax(dim=1)
            logits = self.f64(self.x64).cpu().numpy()
        self.label64 = self.label.to(self.home)
        latents, images = (t.flatten(1).cpu().numpy() for t in (self.z64, self.x64))
        norms = [flat_norm(t).cpu().numpy() for t in (self.z64, self.x64)]
        labels = self.label.cpu().numpy()
        points = Points(latents, images, logits, labels, norms[0], norms[1], first)
        # Where rounding alone decides the label at the point itself, nothing is certified.
        same = (logits.argmax(axis=1) == labels).astype(np.float64)

        certifier = self.certifier
        certified_free = certifier.r_unc(points)
        latent, within, free = _Best.none(z), _Best.none(z), _Best.none(self.x.flatten(1))
        self._search_latent(latent, within)
        self._search_range(latent, within)
        self._search_images(within, free)
        return {
            "r_latent[l2]": (latent, same * certifier.r_latent(points)),
            "r_in[l2]": (within, same * certifier.r_in(points, certified_free)),
            "r_unc[l2]": (free, same * certified_free),
        }

    def _common(self) -> dict[str, Any]:
        s = self.settings
        return {
            "stream": self.stream,
            "restarts": s.restarts,
            "steps": s.steps,
            "polish_steps": s.polish_steps,
            "linearisations": s.linearisations,
        }

    def _search_latent(self, latent: _Best, within: _Best) -> None:
        candidates = minimal_candidates(
            lambda p: self.f(self.g(p)),
            lambda p: self.f64(self.g64(p)),
            self.z,
            self.label,
            **self._common(),
        )
        for candidate in candidates:
            self._verify_latent(candidate, latent, within)

    def _search_range(self, latent: _Best, within: _Best) -> None:
        gram = metric(self.g64, self.z64)
        inverse_root = torch.linalg.inv(torch.linalg.cholesky(gram)).mT
        candidates = minimal_candidates(
            lambda p: self.f(self.g(p)),
            lambda p: self.f64(self.g64(p)),
            self.z,
            self.label,
            embed=lambda p: self.g64(p).flatten(1),
            spread=inverse_root.to(self.z),
            extra=(latent.point.to(self.home).double(),),
            **self._common(),
        )
        for candidate in candidates:
            self._verify_latent(candidate, latent, within)

    def _search_images(self, within: _Best, free: _Best) -> None:
        with torch.no_grad():
            start = self.g64(within.point.to(self.home).double()).flatten(1)
        candidates = minimal_candidates(
            lambda p: self.f(self.image(p)),
            lambda p: self.f64(self.image(p)),
            self.x.flatten(1),
            self.label,
            extra=(start,),
            **self._common(),
        )
        # A change of label within the range is one in image space: r_unc <= r_in.
        for candidate in (*candidates, start):
            self._verify_image(candidate, free)

    def _changed(
        self, deployed: torch.Tensor, exact: torch.Tensor, error: torch.Tensor
    ) -> torch.Tensor:
        """Whether both precisions give another label, the exact one beyond its rounding error."""
        own = exact.gather(1, self.label64[:, None])[:, 0]
        beyond = exact.amax(dim=1) - own > 2 * error
        other = (deployed.argmax(dim=1) != self.label).to(self.home)
        return torch.logical_and(other, beyond)

    def _error(self, bound: Callable[[FloatArray], FloatArray], at: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(bound(flat_norm(at).cpu().numpy())).to(self.home)

    def _verify_latent(self, candidate: torch.Tensor, latent: _Best, within: _Best) -> None:
        pending = torch.ones(len(candidate), dtype=torch.bool, device=self.home)
        blur = self._error(self.certifier.error_of_generator, self.z64)
        for push in PUSHES:
            stored = pushed(self.z64, candidate, push).to(self.z)
            point = stored.to(self.home).double()
            with torch.no_grad():
                image = self.g64(point)
                error = self._error(self.certifier.error_of_composition, point)
                changed = self._changed(self.f(self.g(stored)), self.f64(image), error)
            valid = pending & changed
            latent.offer((point - self.z64).norm(dim=1), stored, valid)
            # The true images are as far apart as those computed, up to their rounding errors.
            both = blur + self._error(self.certifier.error_of_generator, point)
            within.offer(flat_norm(image - self.x64) + both, stored, valid)
            pending &= ~changed

    def _verify_image(self, candidate: torch.Tensor, free: _Best) -> None:
        pending = torch.ones(len(candidate), dtype=torch.bool, device=self.home)
        origin = self.x64.flatten(1)
        blur = self._error(self.certifier.error_of_generator, self.z64)
        for push in PUSHES:
            stored = pushed(origin, candidate, push).to(self.x)
            point = stored.to(self.home).double()
            with torch.no_grad():
                error = self._error(self.certifier.error_of_classifier, point)
                exact = self.f64(self.image(point))
                changed = self._changed(self.f(self.image(stored)), exact, error)
            free.offer((point - origin).norm(dim=1) + blur, stored, pending & changed)
            pending &= ~changed


@measure("radii")
@dataclass(frozen=True)
class Radii2:
    """r_latent, r_in and r_unc in l2 of fresh generated points.

    Upper ends are distances of points whose label was seen to change in the deployed precision and
    in double precision; lower ends are certificates of the deployed network, exact where the
    generator is affine and the classifier linear, 0 where a network cannot be traced: Lipschitz
    margins for all points, the larger one of these and of linear relaxations of the network on a
    ball (of g followed by f as one for r_latent, of f on the range of g for r_in where g is affine)
    for as many as are asked for. Images may be perturbed to any real pixel values.

    Attributes
    ----------
    n : int
        Fresh latents, drawn independently of everything measured before.
    batch : int
        Points at a time.
    restarts, steps : int
        Runs of the attack, and their gradient steps.
    polish_steps : int
        Steps of the projection along the boundary.
    linearisations : int
        At most so many steps of DeepFool, before the others.
    relaxed : int
        The first points get the certificates of linear relaxations, in all networks.
    relaxed_units : int
        In networks with at most as many ReLUs, all points do.
    shown : int
        Examples kept for the figure.

    References
    ----------
    Tsuzuku, Sato and Sugiyama, Lipschitz-Margin Training (NeurIPS 2018), proposition 1; Zhang et
    al., Efficient Neural Network Robustness Certification with General Activation Functions
    (NeurIPS 2018), theorem 3.2, for relaxations.
    """

    revision: ClassVar[int] = 2
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator", "classifier")
    needs_data: ClassVar[bool] = False
    provides: ClassVar[tuple[str, ...]] = ("r_latent[l2]", "r_in[l2]", "r_unc[l2]")
    n: int = setting(1000, at_least=1)
    batch: int = setting(500, at_least=1)
    restarts: int = setting(5, at_least=1)
    steps: int = setting(40, at_least=1)
    polish_steps: int = setting(40, at_least=0)
    relaxed: int = setting(16, at_least=0)
    relaxed_units: int = setting(256, at_least=0)
    shown: int = setting(8, at_least=1)
    linearisations: int = setting(10, at_least=0, later=True)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the three radii as evidence, and examples."""
        if subject.classifier is None:
            raise InputError("the measure 'radii' needs a classifier")
        latents = context.normal(self.n, subject.latent_dimension, "latents")
        certifier = Certifier(subject, n_relaxed=self.relaxed, relaxed_units=self.relaxed_units)
        lower: dict[str, list[FloatArray]] = {}
        upper: dict[str, list[FloatArray]] = {}
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        starts = range(0, self.n, self.batch)
        for start in progress(starts, context.title):
            batch = _Batch(self, subject, certifier, context, str(start))
            found = batch.run(latents[start : start + self.batch], start)
            for quantity, (best, certified) in found.items():
                lower.setdefault(quantity, []).append(certified)
                upper.setdefault(quantity, []).append(best.distance.numpy())
            if not arrays and subject.data is not None:
                arrays = _examples(batch, found["r_in[l2]"][0], found["r_unc[l2]"][0], self.shown)
        evidence = {
            quantity: Radii(np.concatenate(lower[quantity]), np.concatenate(upper[quantity]))
            for quantity in lower
        }
        missed = {q: int(np.isinf(radii.upper).sum()) for q, radii in evidence.items()}
        return Outcome(evidence=evidence, facts={"n": self.n, "not_found": missed}, arrays=arrays)


def _examples(
    batch: _Batch, within: _Best, free: _Best, count: int
) -> dict[str, npt.NDArray[np.generic]]:
    """Return the first point of each class in turn, and its two adversarial images."""
    label = batch.label.cpu()
    order = np.argsort(
        [(label[:i] == label[i]).sum().item() for i in range(len(label))], kind="stable"
    )
    chosen = torch.from_numpy(order[:count])
    with torch.no_grad():
        images = {
            "original": batch.x,
            "in_distribution": batch.g(within.point),
            "unconstrained": batch.image(free.point),
        }
        labels = [_predictions(batch.f, image)[chosen] for image in images.values()]
    return {
        **{
            f"examples.{name}": image.cpu()[chosen].numpy().astype(np.float32)
            for name, image in images.items()
        },
        "examples.labels": np.stack(labels, axis=1).astype(np.int64),
        "examples.distance_in": within.distance[chosen].numpy(),
        "examples.distance_unc": free.distance[chosen].numpy(),
    }


def _predictions(f: nn.Module, images: torch.Tensor) -> npt.NDArray[np.int64]:
    return np.asarray(f(images).argmax(dim=1).cpu().numpy(), dtype=np.int64)
