"""Searches through a projection on a generator's range: what was seen, and what is certain."""

import copy
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from empirics.adversary.batch import flat_norm
from empirics.adversary.projection import jacobian, metric
from empirics.attacks.candidates import PUSHES, minimal_candidates, pushed
from empirics.certificates import Certifier, Points
from empirics.devices import precise
from empirics.latent_inversion import AffineHull, Projections, project
from empirics.plugins import Subject
from empirics.settings import setting
from theory.arrays import FloatArray

_ROUNDING = 1e-12
"""Far above the relative rounding error of a norm in double precision."""
_DEEPER = (1.0, 1.25)
"""How far beyond the nearest point of another label the targets lie, in the latent space."""
_BISECTIONS = 5
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Search:
    """How much work is spent on the points of one batch.

    Attributes
    ----------
    restarts, steps, polish_steps : int
        Of the search within the range; see `empirics.measures.radii`.
    inversions : int
        Random starts of each projection, beside one near the point.
    inversion_steps : int
        Damped Gauss-Newton steps from each.
    """

    restarts: int = setting(2, at_least=1)
    steps: int = setting(40, at_least=1)
    polish_steps: int = setting(20, at_least=0)
    inversions: int = setting(1, at_least=0)
    inversion_steps: int = setting(8, at_least=1)


@dataclass
class Found:
    """What the searches around n points found; distances, shape (n,)."""

    within: FloatArray
    nearest: torch.Tensor
    """Latents of the points that `within` belongs to."""
    seen: FloatArray
    """Of the nearest point whose projection, as it was found, has another label."""
    proved: FloatArray
    """Of the nearest point that has another label wherever its true projection is."""
    gap: FloatArray = field(init=False)
    """Of the projection of the point seen: distance found less what is known to be least."""

    def __post_init__(self) -> None:
        self.gap = np.zeros(len(self.within))


class ProjectedBatch:
    """One batch of fresh latents: searches, projects, verifies, certifies."""

    def __init__(
        self, settings: Search, subject: Subject, certifier: Certifier, device: torch.device
    ) -> None:
        assert subject.classifier is not None
        self.settings, self.certifier = settings, certifier
        self.shape = subject.image_shape
        self.g, self.f = subject.generator, subject.classifier
        self.device, self.home = device, precise(device)
        self.g64 = copy.deepcopy(self.g).to(self.home, torch.float64)
        self.f64 = copy.deepcopy(self.f).to(self.home, torch.float64)
        self.hull = AffineHull.of(certifier.generator)

    def embed(self, latents: torch.Tensor) -> torch.Tensor:
        """Return flat images of latents, in double precision."""
        flat: torch.Tensor = self.g64(latents).flatten(1)
        return flat

    def origins(self, z: torch.Tensor) -> None:
        """Take up the points that the distances are measured from."""
        with torch.no_grad():
            self.z, self.z64 = z, z.to(self.home).double()
            self.x64 = self.embed(self.z64)
            self.label = self.f(self.g(z)).argmax(dim=1)
        self.labels = self.label.cpu().numpy()
        self.blur = self.certifier.error_of_generator(_norms(self.z64))

    def certified(self, first: int) -> FloatArray:
        """Return certified distances within the range, shape (n,)."""
        points = self._points(self.x64, self.z64, first)
        same = points.logits.argmax(axis=1) == self.labels
        return np.asarray(same * self.certifier.r_in(points, self.certifier.r_unc(points)))

    def _points(
        self, flat: torch.Tensor, latents: torch.Tensor, first: int, own: bool = True
    ) -> Points:
        with torch.no_grad():
            logits = self.f64(flat.reshape(-1, *self.shape)).cpu().numpy()
        return Points(
            latents=latents.cpu().numpy(),
            images=flat.cpu().numpy(),
            logits=logits,
            labels=self.labels if own else logits.argmax(axis=1),
            latent_norm=_norms(latents),
            image_norm=_norms(flat),
            first=first,
        )

    def search(self, stream: torch.Generator) -> Found:
        """Return the nearest point of another label within the range of the generator."""
        s, n = self.settings, len(self.z)
        root = torch.linalg.cholesky(metric(self.embed, self.z64))
        candidates = minimal_candidates(
            lambda p: self.f(self.g(p)),
            lambda p: self.f64(self.g64(p)),
            self.z,
            self.label,
            stream=stream,
            restarts=s.restarts,
            steps=s.steps,
            polish_steps=s.polish_steps,
            embed=self.embed,
            spread=torch.linalg.inv(root).mT.to(self.z),
        )
        nothing = np.full(n, np.inf)
        found = Found(nothing.copy(), self.z64.clone(), nothing.copy(), nothing.copy())
        for candidate in candidates:
            pending = np.ones(n, dtype=bool)
            for push in PUSHES:
                stored = pushed(self.z64, candidate, push).to(self.z)
                distance, changed = self._verified(stored)
                nearer = pending & changed & (distance < found.within)
                found.within[nearer] = distance[nearer]
                rows = torch.from_numpy(nearer).to(self.home)
                found.nearest[rows] = stored.to(self.home).double()[rows]
                pending &= ~changed
        # A point of the range is its own projection.
        found.seen, found.proved = found.within.copy(), found.within.copy()
        return found

    def _verified(self, stored: torch.Tensor) -> tuple[FloatArray, BoolArray]:
        """Return the distances within the range, and whether both precisions change the label."""
        point = stored.to(self.home).double()
        with torch.no_grad():
            image = self.embed(point)
            deployed = self.f(self.g(stored)).argmax(dim=1).cpu().numpy() != self.labels
            logits = self.f64(image.reshape(-1, *self.shape)).cpu().numpy()
        own = logits[np.arange(len(logits)), self.labels]
        size = _norms(point)
        beyond = logits.max(axis=1) - own > 2 * self.certifier.error_of_composition(size)
        # The true images are as far apart as those computed, up to their rounding errors.
        blur = self.blur + self.certifier.error_of_generator(size)
        return (_norms(image - self.x64) + blur) * (1 + _ROUNDING), deployed & beyond

    def approach(self, found: Found, stream: torch.Generator) -> None:
        """Look for nearer points off the range whose projections have another label."""
        rows = np.flatnonzero(np.isfinite(found.within))
        if not rows.size:
            return
        z, x = self.z64[rows], self.x64[rows]
        for deeper in _DEEPER:
            latent = z + deeper * (found.nearest[rows] - z)
            with torch.no_grad():
                target = self.embed(latent)
            # Off the range the least change that is projected to a point of it is tangential.
            j, root = (
                jacobian(self.embed, latent),
                torch.linalg.cholesky(metric(self.embed, latent)),
            )
            step = torch.cholesky_solve(j.mT @ (target - x)[..., None], root)
            for end in (target, x + (j @ step)[..., 0]):
                for proved in (False, True):
                    self._bisect(found, rows, latent, end, proved, stream)

    def _bisect(
        self,
        found: Found,
        rows: npt.NDArray[np.intp],
        latent: torch.Tensor,
        end: torch.Tensor,
        proved: bool,
        stream: torch.Generator,
    ) -> None:
        """Follow segments from the points towards an end, back from where the label changed."""
        low, high, at = (np.full(len(rows), value) for value in (0.0, 1.0, 1.0))
        x, z = self.x64[rows], self.z64[rows]
        active = np.ones(len(rows), dtype=bool)
        for i in range(_BISECTIONS + 1):
            if not active.any():
                return
            some = torch.from_numpy(active).to(self.home)
            part = torch.from_numpy(at[active]).to(self.home)[:, None]
            y = x[some] + part * (end - x)[some]
            starts = [self._nearest(y, z[some], latent[some], part)]
            starts += self._random(len(y), self.settings.inversions, stream)
            changed = self._judge(found, rows[active], y, starts, proved)
            high[active] = np.where(changed, at[active], high[active])
            low[active] = np.where(changed, low[active], at[active])
            if i == 0:
                # What does not hold at the end is not looked for before it.
                active &= high > low
            at = (low + high) / 2

    def _nearest(
        self, y: torch.Tensor, z: torch.Tensor, latent: torch.Tensor, part: torch.Tensor
    ) -> torch.Tensor:
        """Return the nearest to each image of three latents between its origin and its target."""
        three = torch.stack([latent, z, z + part * (latent - z)])
        with torch.no_grad():
            distance = torch.stack([(self.embed(each) - y).norm(dim=1) for each in three])
        return three[distance.argmin(dim=0), torch.arange(len(y), device=y.device)]

    def _random(self, n: int, count: int, stream: torch.Generator) -> list[torch.Tensor]:
        shape = (n, self.z64.shape[1])
        drawn = [torch.randn(shape, generator=stream, dtype=torch.float64) for _ in range(count)]
        return [each.to(self.home) for each in drawn]

    def _judge(
        self,
        found: Found,
        rows: npt.NDArray[np.intp],
        y: torch.Tensor,
        starts: list[torch.Tensor],
        proved: bool,
    ) -> BoolArray:
        """Project points; keep the nearest; return which have another label, seen or proved."""
        known = self.projections(y, starts)
        distance = (_norms(y - self.x64[rows]) + self.blur[rows]) * (1 + _ROUNDING)
        labels = self.labels[rows]
        seen = self.labels_of(known.found) != labels
        sure = self.certain(known, labels)
        nearer = seen & (distance < found.seen[rows])
        found.seen[rows[nearer]] = distance[nearer]
        found.gap[rows[nearer]] = (known.distance - known.least)[nearer]
        nearer = sure & (distance < found.proved[rows])
        found.proved[rows[nearer]] = distance[nearer]
        return sure if proved else seen

    def projections(self, images: torch.Tensor, starts: list[torch.Tensor]) -> Projections:
        """Return what is known of the nearest points of the range to images (n, pixels)."""
        return project(
            self.embed,
            self.hull,
            images,
            starts,
            steps=self.settings.inversion_steps,
            error=self.certifier.error_of_generator,
        )

    def labels_of(self, images: FloatArray) -> npt.NDArray[np.int64]:
        """Return the labels of images (n, pixels) in the deployed precision."""
        with torch.no_grad():
            flat = torch.from_numpy(images).float().reshape(-1, *self.shape).to(self.device)
            return np.asarray(self.f(flat).argmax(dim=1).cpu().numpy(), dtype=np.int64)

    def certain(self, known: Projections, labels: npt.NDArray[np.int64]) -> BoolArray:
        """Whether the classifier has one other label wherever the true projection may be."""
        center = torch.from_numpy(known.center).to(self.home)
        points = self._points(center, known.latents, 0, own=False)
        other = (points.labels != labels) & (self.labels_of(known.center) == points.labels)
        return np.asarray(other & (self.certifier.r_unc(points) > known.doubt))

    def cold(self, stream: torch.Generator) -> FloatArray:
        """Return how far the points of the range themselves are from what random starts find."""
        starts = self._random(len(self.z64), max(self.settings.inversions, 1), stream)
        return self.projections(self.x64, starts).distance


def _norms(flat: torch.Tensor) -> FloatArray:
    return np.asarray(flat_norm(flat).cpu().numpy(), dtype=np.float64)
