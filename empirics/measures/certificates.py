"""How near every certificate comes to the attack, on real images: radii and CPU seconds."""

import time
from dataclasses import dataclass
from typing import Any, ClassVar, Final, get_args

import numpy as np
import numpy.typing as npt

from empirics.attacks.strongest import BUDGETS
from empirics.correct_images import CorrectImages, correct_images
from empirics.image_distances import NORMS, PIXELS, Deployed, Distances
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.record import Evidence
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.distance import MarginCertifier, exact
from theory.distance.certificates.batch import Method
from theory.distance.smoothing import ABSTAIN, certify
from theory.errors import InputError, nearest
from theory.evidence import Radii

METHODS: Final[tuple[Method, ...]] = get_args(Method)
BOXES: Final[dict[str, tuple[float, float] | None]] = {"pixels": PIXELS, "none": None}
_TIE: Final = 1e-6
"""Relative: radii of two methods that differ by less are both the largest."""
_QUARTILES: Final = (0.25, 0.5, 0.75)
_SEMIDEFINITE: Final = ("semidefinite", "local")


@measure("certificates")
@dataclass(frozen=True)
class Certificates:
    """Radii that each method certifies around correctly classified test images, and the attack's.

    Certified radii hold for the network in exact arithmetic and in single precision; the ends of
    the exact search for exact arithmetic alone. Upper ends are verified in both precisions. The
    radii of randomised smoothing are of another classifier, the smoothed one, and hold with a
    probability: they are kept apart, and compared with nothing.

    Attributes
    ----------
    images : int
        The first test images that the network classifies correctly.
    norms : tuple of str
        Of "l2" and "linf".
    boxes : tuple of str
        Of "pixels" (only images with pixels in [0, 1] count) and "none".
    methods : tuple of str
        Of those of `theory.distance.certified_many`.
    semidefinite_units : int
        Networks of at most as many units, linear ones included, get semidefinite constants.
    steps : int
        Of the slopes of linear relaxations.
    tolerance : float
        Relative, of radii that are searched for.
    effort : str
        Of the attack; see `empirics.attacks.minimal`.
    exact_units : int
        Piecewise-linear networks of at most as many units with two phases are searched exactly.
    exact_seconds : float
        Time for each image, norm and box; 0 for no exact search.
    sigmas : tuple of float
        Standard deviations of the noise of smoothing; none for no smoothing.
    samples : int
        Of the noise, an image.
    alpha : float
        Chance that the radius of smoothing at an image is wrong.
    timed : bool
        Whether CPU seconds are kept: then a record does not repeat byte by byte. Constants of the
        network count where they are first needed, in the order of norms, boxes and methods.

    Raises
    ------
    InputError
        If a norm, box, method or effort is not known, or none is asked for.

    References
    ----------
    Szegedy et al. (ICLR 2014), section 4.3, and Tsuzuku, Sato and Sugiyama (NeurIPS 2018) for
    products; Fazlyab et al. (NeurIPS 2019) for semidefinite constants; Hein and Andriushchenko
    (NeurIPS 2017) for local ones; Gowal et al. (ICCV 2019) for intervals; Zhang et al. (NeurIPS
    2018) and Xu et al. (ICLR 2021) for linear relaxations; Cohen, Rosenfeld and Kolter (ICML 2019),
    algorithm CERTIFY, for smoothing.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    images: int = setting(50, at_least=1)
    norms: tuple[str, ...] = setting(("l2", "linf"))
    boxes: tuple[str, ...] = setting(("pixels", "none"))
    methods: tuple[str, ...] = setting(METHODS)
    semidefinite_units: int = setting(128, at_least=0)
    steps: int = setting(16, at_least=0)
    tolerance: float = setting(1e-3, above=0, at_most=0.5)
    effort: str = setting("standard")
    exact_units: int = setting(64, at_least=0)
    exact_seconds: float = setting(5.0, at_least=0)
    sigmas: tuple[float, ...] = setting((0.25,), above=0)
    samples: int = setting(10_000, at_least=1)
    alpha: float = setting(0.001, above=0, at_most=0.5)
    timed: bool = False

    def __post_init__(self) -> None:
        known = (
            ("norm", "norms", self.norms, NORMS),
            ("box", "boxes", self.boxes, BOXES),
            ("method", "methods", self.methods, METHODS),
        )
        for one, several, given, names in known:
            if not given:
                raise InputError(f"certificates: {several} is empty; known: {', '.join(names)}")
            for each in given:
                if each not in names:
                    raise InputError(
                        f"certificates: unknown {one} '{each}'; {nearest(each, names)}"
                    )
        if self.effort not in BUDGETS:
            raise InputError(
                f"certificates: unknown effort '{self.effort}'; {nearest(self.effort, BUDGETS)}"
            )

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return distances as evidence, radii of all methods as arrays, their summary as facts."""
        images = correct_images(subject, self.images)
        network = Deployed(images)
        if network.traced is None:
            raise InputError(f"certificates: {network.reason}")
        certifier = MarginCertifier(
            network.traced,
            deployment="float32",
            steps=self.steps,
            tolerance=self.tolerance,
            max_units=self.semidefinite_units,
        )
        n_units = sum(len(stage.bias) for stage in network.traced.stages[:-1])
        facts: dict[str, Any] = {
            "n": len(images.index),
            "test_error": images.test_error,
            "n_units": n_units,
        }
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "index": images.index,
            "label": images.labels,
        }
        evidence: dict[str, Evidence] = {}
        for norm in dict.fromkeys(self.norms):
            lines: list[dict[str, Any]] = []
            for box in dict.fromkeys(self.boxes):
                found = Distances.of(NORMS[norm], network, BOXES[box])
                title = f"{context.title} {norm} {box}"
                seconds = self._attack(found, context, norm, box)
                radii = {"attacked": found.upper.copy()}
                took: dict[str, float | None] = {"attacked": seconds}
                for method in progress(self._methods(n_units), title):
                    self._certify(certifier, found, method, radii, took)
                self._solve(found, title, radii, took)
                lines += [{"box": box, **line} for line in summary(radii, took)]
                arrays |= {f"{norm}.{box}.{name}": values for name, values in radii.items()}
                if box == "pixels":
                    evidence[f"distance[{norm}]"] = Radii(found.lower, found.upper)
            facts[f"certificates[{norm}]"] = lines
        facts["smoothing"] = [self._smooth(images, sigma, context, arrays) for sigma in self.sigmas]
        return Outcome(evidence, facts, arrays)

    def _methods(self, n_units: int) -> list[Method]:
        small = 0 < n_units <= self.semidefinite_units
        return [m for m in METHODS if m in self.methods and (small or m != "semidefinite")]

    def _seconds(self, start: float) -> float | None:
        return round(time.process_time() - start, 4) if self.timed else None

    def _attack(self, found: Distances, context: Context, norm: str, box: str) -> float | None:
        start = time.process_time()
        found.attack(self.effort, context.stream("attack", norm, box).initial_seed())
        return self._seconds(start)

    def _certify(
        self,
        certifier: MarginCertifier,
        found: Distances,
        method: Method,
        radii: dict[str, npt.NDArray[Any]],
        took: dict[str, float | None],
    ) -> None:
        """Add the radii of one method; none where no semidefinite problem was solved."""
        images, start = found.network.images, time.process_time()
        try:
            certified = certifier.radii(
                images.flat, p=found.p, box=found.box, method=method, labels=images.labels
            )
        except (ArithmeticError, RuntimeError):
            if method not in _SEMIDEFINITE:
                raise
            return
        took[method] = self._seconds(start)
        # A radius above the attack's is a wrong certificate, or a wrong attack: no interval.
        radii[method] = Radii(certified, radii["attacked"]).lower
        found.lower = np.maximum(found.lower, certified)

    def _solve(
        self,
        found: Distances,
        title: str,
        radii: dict[str, npt.NDArray[Any]],
        took: dict[str, float | None],
    ) -> None:
        """Add the ends of the exact search where the network is small."""
        relu, images = found.network.relu, found.network.images
        if relu is None or relu.n_units > self.exact_units or not self.exact_seconds:
            return
        start, n = time.process_time(), len(images.flat)
        lower, upper, proved = np.zeros(n), np.full(n, np.inf), np.zeros(n, dtype=bool)
        for i in progress(range(n), f"{title} exact"):
            solved = exact(
                relu,
                images.flat[i],
                p=found.p,
                box=found.box,
                label=int(images.labels[i]),
                time_limit=self.exact_seconds,
                start=found.points[i] if np.isfinite(found.upper[i]) else None,
            )
            lower[i], upper[i], proved[i] = solved.lower, solved.upper, solved.proved
            if solved.point is not None:
                found.offer(np.array([i]), solved.point[None])
            found.lower[i] = max(found.lower[i], solved.lower)
        took["exact"] = self._seconds(start)
        radii |= {"exact": lower, "exact.upper": upper, "exact.proved": proved}

    def _smooth(
        self,
        images: CorrectImages,
        sigma: float,
        context: Context,
        arrays: dict[str, npt.NDArray[np.generic]],
    ) -> dict[str, Any]:
        """Certify the smoothed classifier: 0 where its label is another or not certain."""

        def predict(points: FloatArray) -> npt.NDArray[np.int64]:
            return images.deployed_labels(points.astype(np.float32))

        start = time.process_time()
        radii, labels = np.zeros(len(images.flat)), images.labels.copy()
        seed = context.stream("noise", str(sigma)).initial_seed()
        draws = np.random.default_rng(seed % 2**63)
        for i in progress(range(len(radii)), f"{context.title} smoothing"):
            found = certify(
                predict, images.flat[i], sigma, n=self.samples, alpha=self.alpha, rng=draws
            )
            labels[i] = found.label
            radii[i] = found.radius if found.label == images.labels[i] else 0.0
        arrays[f"smoothed.{sigma}.radius"], arrays[f"smoothed.{sigma}.label"] = radii, labels
        quartiles = np.quantile(radii, _QUARTILES, method="lower").tolist()
        return {
            "sigma": sigma,
            "samples": self.samples,
            "alpha": self.alpha,
            "abstained": int((labels == ABSTAIN).sum()),
            "other_label": int(((labels != ABSTAIN) & (labels != images.labels)).sum()),
            **dict(zip(("q25", "median", "q75"), quartiles, strict=True)),
            "seconds": self._seconds(start),
        }


def summary(
    radii: dict[str, npt.NDArray[Any]], took: dict[str, float | None]
) -> list[dict[str, Any]]:
    """Return a line a method: quartiles of certified / attacked, and how often it was the best.

    Parameters
    ----------
    radii : mapping from str to ndarray, each of shape (n,)
        Of "attacked" and of methods; "exact.proved" with "exact".
    took : mapping from str to float or None
        CPU seconds of each of them.
    """
    attacked = radii["attacked"]
    n, seen = len(attacked), np.isfinite(attacked) & (attacked > 0)
    single = [method for method in took if method not in ("attacked", "best", "exact")]
    most = np.max([radii[method] for method in single], axis=0, initial=0.0)
    lines = []
    for method, seconds in took.items():
        ratios = radii[method][seen] / attacked[seen]
        quartiles = np.quantile(ratios, _QUARTILES).tolist() if ratios.size else [None] * 3
        largest = (radii[method] > 0) & (radii[method] >= most * (1 - _TIE))
        lines.append(
            {
                "method": method,
                "n": n,
                "n_compared": int(seen.sum()),
                **dict(zip(("q25", "median", "q75"), quartiles, strict=True)),
                "best": int(largest.sum()) if method in single else None,
                "proved": int(radii["exact.proved"].sum()) if method == "exact" else None,
                "seconds_per_image": None if seconds is None else seconds / n,
            }
        )
    return lines
