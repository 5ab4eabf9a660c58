"""How far a generator moves images: certified from its layers, sampled by ascent."""

import copy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from empirics.adversary.batch import flat_norm, scale
from empirics.constants import Effort, lipschitz_constants
from empirics.devices import precise
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.evidence import Interval
from theory.gaussian import expected_norm
from theory.modulus import LipschitzModulus, Modulus, SampledModulus

_ROUNDING = 1e-9
"""Far above the relative rounding error of a double-precision forward pass."""


@measure("modulus")
@dataclass(frozen=True)
class ModulusOfContinuity(Effort):
    """Moduli of continuity of the generator from (latent, l2) to (image, l2).

    Certified: the least verified bound on the Lipschitz constant, of `empirics.constants`.
    Sampled: at each distance t the largest |g(z + r) - g(z)| over |r| = t that projected gradient
    ascent finds from fresh z, a lower estimate of the modulus.

    Attributes
    ----------
    distances : tuple of float
        Latent distances t, increasing.
    n : int
        Fresh latents a distance.
    steps : int
        Ascent steps.
    norm_samples : int
        Fresh latents for the mean norm of an image.
    """

    revision: ClassVar[int] = 2
    roles: ClassVar[tuple[str, ...]] = ("data", "generator")
    needs_data: ClassVar[bool] = False
    provides: ClassVar[tuple[str, ...]] = (
        "lipschitz[l2->l2]",
        "free_pattern[l2->l2]",
        "semidefinite[l2->l2]",
        "seqlip[l2->l2]",
        "cut_points[l2->l2]",
        "r_latent[l2]",
        "r_in[l2]",
        "r_unc[l2]",
        "r_unc_data[l2]",
    )
    distances: tuple[float, ...] = setting(
        (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 1.8, 2.7, 4.0, 6.0), above=0
    )
    n: int = setting(500, at_least=1)
    steps: int = setting(30, at_least=1)
    norm_samples: int = setting(10_000, at_least=1)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the Lipschitz constant as an interval, the moduli, and the mean norms."""
        d = subject.latent_dimension
        values = [self._expansion(subject, context, t) for t in self.distances]
        slopes = [value / t for value, t in zip(values, self.distances, strict=True)]
        starts = context.normal(self.starts, d, "ascent").cpu().double().numpy()
        rng = np.random.default_rng(context.seed)
        constants, upper = lipschitz_constants(subject.generator, (d,), starts, self, rng)
        moduli: list[Modulus] = [LipschitzModulus(upper)] if upper < float("inf") else []
        moduli.append(SampledModulus(self.distances, tuple(values)))
        with torch.no_grad():
            latents = context.normal(self.norm_samples, d, "norms")
            image_norm = flat_norm(subject.generator(latents)).double().mean().item()
        seen = constants.evidence["lipschitz[l2->l2]"]
        assert isinstance(seen, Interval)
        # Both ways of sampling give lower ends; nothing is above what is certified.
        lower = min(max(*slopes, seen.lower), seen.upper)
        true = Interval(lower, seen.upper)
        return Outcome(
            evidence={**constants.evidence, "lipschitz[l2->l2]": true},
            facts={
                **constants.facts,
                "latent_law": "gaussian",
                "latent_dimension": d,
                "image_shape": list(subject.image_shape),
                "expected_latent_norm": expected_norm(d),
                "expected_image_norm": image_norm,
                "moduli[l2->l2]": [modulus.to_dict() for modulus in moduli],
            },
        )

    def _expansion(self, subject: Subject, context: Context, t: float) -> float:
        """Return the largest |g(z + r) - g(z)|, |r| = t, that was seen, rounded down."""
        device = precise(context.device)
        generator = copy.deepcopy(subject.generator).to(device, torch.float64)
        z = context.normal(self.n, subject.latent_dimension, "latents", str(t)).to(device)
        start = context.normal(self.n, subject.latent_dimension, "starts", str(t)).to(device)
        z, r = z.double(), start.double()
        r = scale(t / flat_norm(r), r)
        with torch.no_grad():
            origin = generator(z)
        best = 0.0
        for _ in progress(range(self.steps), f"{context.title}, t = {t}"):
            r = r.detach().requires_grad_(True)
            expansion = flat_norm(generator(z + r) - origin)
            best = max(best, expansion.max().item())
            (gradient,) = torch.autograd.grad(expansion.sum(), r)
            length = flat_norm(gradient)
            # Where the map is locally constant there is no direction of ascent: stay.
            step = torch.where(length[:, None] > 0, gradient, r.detach())
            r = scale(t / flat_norm(step), step)
        return best * (1 - _ROUNDING)
