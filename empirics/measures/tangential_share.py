"""How much of an adversarial perturbation lies along the range of the generator."""

import copy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from empirics.adversary.projection import jacobian
from empirics.devices import precise
from empirics.nearest_changes import nearest_changes
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.errors import InputError
from theory.evidence import Radii

_RANK = 1e-9
"""Directions that a Jacobian shrinks by this factor, relative to the largest, are no tangents."""


def tangential_shares(tangents: torch.Tensor, offset: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Return |P v|^2 / |v|^2, P the projection onto the range of a Jacobian, and the ranks' sum.

    Parameters
    ----------
    tangents : Tensor, shape (n, pixels, d)
    offset : Tensor, shape (n, pixels)
        The vectors v, none of them 0.
    """
    u, size, _ = torch.linalg.svd(tangents, full_matrices=False)
    kept = size > _RANK * size[:, :1]
    along = (u.mT @ offset[..., None])[..., 0] * kept
    share = along.square().sum(dim=1) / offset.square().sum(dim=1)
    return share.clamp(0.0, 1.0), int(kept.sum())


@measure("tangential_share")
@dataclass(frozen=True)
class TangentialShare:
    """The tangential share of the smallest change of label that a search finds at generated images.

    For a perturbation v of x = g(z) it is |P v|^2 / |v|^2, P the orthogonal projection onto the
    range of the Jacobian of g at z: the square of the cosine of the angle to the manifold. A
    direction drawn at random has the rank of that Jacobian over the number of pixels on average.
    It is a statement about the points that this search found, exact but for rounding.

    Attributes
    ----------
    n : int
        Fresh latents.
    batch : int
        Points at a time.
    restarts, steps, polish_steps : int
        Effort of the search; see `empirics.attacks.candidates`.

    References
    ----------
    Shamir, Melamed and BenShmuel, The dimpled manifold model of adversarial examples in machine
    learning (arXiv 2106.10151, 2021).
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator", "classifier")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = ("tangential_share[l2]",)
    n: int = setting(200, at_least=1)
    batch: int = setting(100, at_least=1)
    restarts: int = setting(1, at_least=1)
    steps: int = setting(20, at_least=1)
    polish_steps: int = setting(10, at_least=0)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the shares as evidence."""
        module = subject.classifier
        if module is None:
            raise InputError("the measure 'tangential_share' needs a classifier")
        latents = context.normal(self.n, subject.latent_dimension, "latents")
        home = precise(context.device)
        double = copy.deepcopy(subject.generator).to(home, torch.float64)
        shares, ranks = [], 0
        for start in progress(range(0, self.n, self.batch), context.title):
            z = latents[start : start + self.batch]
            with torch.no_grad():
                images = subject.generator(z)
            changes = nearest_changes(
                module,
                images,
                stream=context.stream("starts", str(start)),
                restarts=self.restarts,
                steps=self.steps,
                polish_steps=self.polish_steps,
            )
            found = changes.found
            if not bool(found.any()):
                continue
            at = z.to(home).double()[found]
            tangents = jacobian(lambda p: double(p).flatten(1), at)
            share, rank = tangential_shares(tangents, changes.offset[found])
            shares.append(share.cpu().numpy())
            ranks += rank
        if not shares:
            raise InputError("no change of label was found at any of the generated images")
        all_shares = np.concatenate(shares)
        pixels = int(np.prod(subject.image_shape))
        return Outcome(
            evidence={"tangential_share[l2]": Radii(all_shares, all_shares)},
            facts={
                "n": self.n,
                "failed": self.n - all_shares.size,
                "tangent_space": {"dimension": ranks / all_shares.size, "pixels": pixels},
            },
        )
