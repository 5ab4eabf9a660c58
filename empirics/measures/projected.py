"""Theorem 2's classifier: images are first moved to the nearest point of the generator's range."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from empirics.certificates import Certifier
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.projected_search import ProjectedBatch, Search
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Radii

_QUARTILES = (0.25, 0.5, 0.75)


@measure("projected")
@dataclass(frozen=True)
class Projected(Search):
    """r_in, and r_unc of the classifier that first projects on the range, at the same points.

    The projected classifier gives an image the label of the nearest point g(z) of the range, in l2.
    Where g is affine that point has a closed form, and r_unc of the projected classifier is r_in,
    certificates included: a perturbation across the range changes nothing. For other generators its
    lower ends are 0: half of r_in is Theorem 2's claim and not evidence for it. Its upper ends are
    distances of points of the range with another label, which are their own projections, or of
    nearer ones off the range, that count only where the label is certain for the true projection:
    the classifier is certified not to change within the distance that the projection found leaves
    in doubt. What the latent descents themselves find, which proves nothing, is kept beside it.

    Attributes
    ----------
    n : int
        Fresh latents, drawn independently of everything measured before.
    batch : int
        Points at a time.
    relaxed, relaxed_units : int
        Which points get certificates of linear relaxations; see `empirics.measures.radii`.
    restarts, steps, polish_steps, inversions, inversion_steps
        Work of the searches; see `empirics.projected_search.Search`.

    References
    ----------
    Fawzi, Fawzi and Fawzi, Adversarial vulnerability for any classifier (NeurIPS 2018), theorem 2;
    Samangouei, Kabkab and Chellappa, Defense-GAN (ICLR 2018), for projections by descent.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator", "classifier")
    needs_data: ClassVar[bool] = False
    provides: ClassVar[tuple[str, ...]] = ("r_unc_projected[l2]",)
    n: int = setting(100, at_least=1)
    batch: int = setting(500, at_least=1)
    relaxed: int = setting(16, at_least=0)
    relaxed_units: int = setting(256, at_least=0)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return both radii as evidence, and what the descents found."""
        if subject.classifier is None:
            raise InputError("the measure 'projected' needs a classifier")
        latents = context.normal(self.n, subject.latent_dimension, "latents")
        certifier = Certifier(subject, n_relaxed=self.relaxed, relaxed_units=self.relaxed_units)
        batch = ProjectedBatch(self, subject, certifier, context.device)
        ends: dict[str, list[FloatArray]] = {}
        for start in progress(range(0, self.n, self.batch), context.title):
            batch.origins(latents[start : start + self.batch])
            lower = batch.certified(start)
            found = batch.search(context.stream("starts", str(start)))
            batch.approach(found, context.stream("projections", str(start)))
            some = {
                "lower": lower,
                "within": found.within,
                "proved": found.proved,
                "seen": found.seen,
                "gap": found.gap,
                "cold": batch.cold(context.stream("cold", str(start))),
            }
            for name, values in some.items():
                ends.setdefault(name, []).append(values)
        return self._outcome({name: np.concatenate(ends[name]) for name in ends}, batch)

    def _outcome(self, ends: dict[str, FloatArray], batch: ProjectedBatch) -> Outcome:
        affine = batch.hull is not None and batch.hull.exact
        lower, within = ends["lower"], ends["within"]
        finite = np.isfinite(within)
        ratio = ends["seen"][finite] / within[finite]
        facts: dict[str, Any] = {
            "projected": {
                "n": self.n,
                "affine": affine,
                "hull_dimension": None if batch.hull is None else batch.hull.basis.shape[1],
                "not_found": int((~finite).sum()),
                "nearer_seen": int((ends["seen"] < within).sum()),
                "nearer_proved": int((ends["proved"] < within).sum()),
                "below_half_seen": int((ends["seen"] < lower / 2).sum()),
                "seen_over_r_in": _quartiles(ratio),
                "gap": _quartiles(ends["gap"]),
                "cold_distance": _quartiles(ends["cold"]),
            }
        }
        if batch.certifier.generator:
            # The range of a piecewise-linear map is closed: a nearest point exists, and the upper
            # ends are those of the true one.
            facts["projection_slack"] = 0.0
        return Outcome(
            evidence={
                "r_in[l2]": Radii(lower, within),
                "r_unc_projected[l2]": Radii(lower if affine else 0 * lower, ends["proved"]),
            },
            facts=facts,
            arrays={f"projected.{name}": ends[name] for name in ("seen", "gap", "cold")},
        )


def _quartiles(values: FloatArray) -> dict[str, float] | None:
    if not values.size:
        return None
    found = np.quantile(values, _QUARTILES)
    return {f"q{100 * q:.0f}": float(each) for q, each in zip(_QUARTILES, found, strict=True)}
