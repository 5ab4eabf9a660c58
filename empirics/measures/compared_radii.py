"""Radii as comparisons between models need them: relative to the norm, and to one another."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from empirics.devices import precise
from empirics.measures.accuracy import predict
from empirics.measures.radii import Radii2
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Radii

_ROUNDING = 1e-9
"""Far above the relative rounding error of a norm and a quotient in double precision."""


@measure("compared_radii")
@dataclass(frozen=True)
class ComparedRadii:
    """The three radii in l2, divided by the norm of their point, and r_unc divided by r_in.

    All are of fresh generated points, with the certificates and the search of the measure "radii"
    at an effort that leaves time for many models. The ratio of what the search found for both radii
    is no interval of the ratio of the radii, and stands beside it.

    Attributes
    ----------
    n : int
        Fresh latents.
    batch : int
        Points at a time.
    restarts, steps, polish_steps, relaxed, relaxed_units : int
        See the measure "radii".
    with_radii : bool
        Whether the radii themselves are evidence too, where the measure "radii" is not made.

    References
    ----------
    Fawzi, Fawzi and Fawzi, Adversarial vulnerability for any classifier (NeurIPS 2018), Sections 3
    and 4.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator", "classifier")
    needs_data: ClassVar[bool] = False
    provides: ClassVar[tuple[str, ...]] = (
        "r_latent_relative[l2]",
        "r_in_relative[l2]",
        "r_unc_relative[l2]",
        "radius_ratio[l2]",
    )
    n: int = setting(400, at_least=1)
    batch: int = setting(500, at_least=1)
    restarts: int = setting(1, at_least=1)
    steps: int = setting(20, at_least=1)
    polish_steps: int = setting(10, at_least=0)
    relaxed: int = setting(0, at_least=0)
    relaxed_units: int = setting(256, at_least=0)
    with_radii: bool = setting(False)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the radii and their quotients as evidence."""
        if subject.classifier is None:
            raise InputError("the measure 'compared_radii' needs a classifier")
        seen = self.radii(subject, context)
        size = self._norms(subject, context)
        relative = {
            quantity.replace("[", "_relative["): _over(radii, size["r_latent" in quantity])
            for quantity, radii in seen.items()
        }
        within, free = seen["r_in[l2]"], seen["r_unc[l2]"]
        ratios = {
            "radius_ratio[l2]": _ratio(free, within),
            "found_radius_ratio[l2]": _found(free, within),
        }
        missed = {quantity: int(np.isinf(radii.upper).sum()) for quantity, radii in seen.items()}
        return Outcome(
            evidence={**(seen if self.with_radii else {}), **relative, **ratios},
            facts={"n": self.n, "not_found": missed, **_errors(subject, context)},
        )

    def radii(self, subject: Subject, context: Context) -> Mapping[str, Radii]:
        """Return the radii as the measure "radii" sees them."""
        names = ("n", "batch", "restarts", "steps", "polish_steps", "relaxed", "relaxed_units")
        inner = Radii2(shown=1, **{name: getattr(self, name) for name in names})
        found = inner.measure(replace(subject, data=None), context).evidence
        return {name: radii for name, radii in found.items() if isinstance(radii, Radii)}

    def _norms(self, subject: Subject, context: Context) -> dict[bool, FloatArray]:
        """Return |z| (True) and |g(z)| (False) of the points, which its stream draws again."""
        home = precise(context.device)
        z = context.normal(self.n, subject.latent_dimension, "latents")
        with torch.no_grad():
            images = torch.cat([subject.generator(part) for part in torch.split(z, self.batch)])
        return {
            latent: points.flatten(1).to(home).double().norm(dim=1).cpu().numpy()
            for latent, points in ((True, z), (False, images))
        }


def _over(radii: Radii, size: FloatArray) -> Radii:
    # The image was computed in the deployed precision.
    error = _ROUNDING + 1e-5
    return Radii(radii.lower / size * (1 - error), radii.upper / size * (1 + error))


def _ratio(free: Radii, within: Radii) -> Radii:
    """Return intervals of r_unc / r_in, which is at most 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = np.where(np.isinf(within.upper), 0.0, free.lower / within.upper)
        upper = np.where(within.lower > 0, free.upper / within.lower, 1.0)
    return Radii(np.minimum(lower * (1 - _ROUNDING), 1.0), np.clip(upper * (1 + _ROUNDING), 0, 1))


def _found(free: Radii, within: Radii) -> Radii:
    """Return the ratios of the distances found; 1 where neither search found anything."""
    nothing = np.isinf(within.upper) & np.isinf(free.upper)
    with np.errstate(invalid="ignore"):
        share = np.where(nothing, 1.0, np.minimum(free.upper / within.upper, 1.0))
    return Radii(share, share)


def _errors(subject: Subject, context: Context) -> dict[str, Any]:
    """Return how many of the test images are misclassified, labels merged as the classifier's."""
    data, n_classes = subject.data, subject.n_classes
    if data is None or subject.classifier is None or not n_classes:
        return {}
    images = torch.from_numpy(data.test_images).to(context.device)
    labels = torch.from_numpy(data.test_labels).to(context.device) % n_classes
    wrong = int((predict(subject.classifier, images) != labels).sum())
    return {"errors": {"wrong": wrong, "n": len(labels), "n_classes": n_classes}}
