"""The Wasserstein-1 distance between generated and real images, in l2."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from empirics.constants import semidefinite_constant
from empirics.feed_forward import feed_forward
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.lipschitz.product import product_bound

_ROUNDING = 1e-7
"""Far above the error of a distance that double precision finds from inner products."""


def wasserstein_of_samples(first: FloatArray, second: FloatArray) -> float:
    """Return the Wasserstein-1 distance, in l2, of two samples of equal size.

    Parameters
    ----------
    first, second : ndarray, shape (n, d)

    Returns
    -------
    float
        The least mean distance of pairs, by an assignment: exact for the samples. Its mean over
        samples is never below the distance of the laws they come from.

    Raises
    ------
    InputError
        If the shapes differ or there is no point.

    Examples
    --------
    >>> cloud = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> round(wasserstein_of_samples(cloud, cloud[::-1] + [3.0, 4.0]), 6)
    5.0
    """
    if first.shape != second.shape or not len(first):
        raise InputError(f"two samples of one size, got shapes {first.shape} and {second.shape}")
    # From their common mean: distances by inner products lose the fewest digits.
    center = (first.mean(axis=0) + second.mean(axis=0)) / 2
    a, b = first - center, second - center
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    rows, columns = linear_sum_assignment(np.sqrt(np.maximum(squares, 0.0)))
    return float(np.linalg.norm(first[rows] - second[columns], axis=1).mean())


def sliced_wasserstein(
    first: FloatArray, second: FloatArray, directions: FloatArray
) -> tuple[float, float]:
    """Return the mean and the largest Wasserstein-1 distance along unit directions, (k, d).

    Neither exceeds that of the samples themselves, as projections bring no two points apart.

    Examples
    --------
    >>> cloud = np.array([[0.0, 0.0], [1.0, 0.0]])
    >>> sliced_wasserstein(cloud, cloud + [3.0, 4.0], np.eye(2))
    (3.5, 4.0)
    """
    a, b = (np.sort(sample @ directions.T, axis=0) for sample in (first, second))
    distances = np.abs(a - b).mean(axis=0)
    return float(distances.mean()), float(distances.max())


def variance_proxy(
    n: int, batches: int, diameter: float, lipschitz: float | None, bounded: bool
) -> float | None:
    """Return s^2 with P(W_n < E W_n - t) <= exp(-t^2 / (2 s^2)) for the mean W_n over batches.

    W_n moves by at most |x - x'| / n where one of n real images moves, so that McDiarmid's
    inequality gives diameter^2 / (4 n); and by at most L / sqrt(n batches) times the distance of
    all latents together, so that Gaussian concentration gives L^2 / (n batches), or McDiarmid's
    inequality once more where the generated images are as bounded as the real ones.

    Parameters
    ----------
    n, batches : int
        Real images, and samples a batch; batches of samples that meet the same real images.
    diameter : float
        Largest distance of two real images.
    lipschitz : float or None
        Upper bound on the generator's constant in l2.
    bounded : bool
        Whether no two generated images are farther apart than the diameter.

    Returns
    -------
    float or None
        None where neither is known.

    References
    ----------
    McDiarmid, On the method of bounded differences (1989); Boucheron, Lugosi and Massart,
    Concentration Inequalities (2013), theorem 5.6.

    Examples
    --------
    >>> variance_proxy(64, 4, 8.0, 16.0, False)
    1.25
    """
    of_generated = [] if lipschitz is None else [lipschitz**2]
    if bounded:
        of_generated.append(diameter**2 / 4)
    if not of_generated:
        return None
    return diameter**2 / (4 * n) + min(of_generated) / (n * batches)


@measure("wasserstein")
@dataclass(frozen=True)
class Wasserstein:
    """Wasserstein-1 distance in l2 between the generator's law and that of the data.

    Samples of n real and n generated images have a distance whose mean is at least the one sought
    (the Wasserstein distance is convex, and the samples' mean is the law), in many dimensions by
    far: its excess is roughly what two samples of one law have, which are measured too. A limit
    that holds with probability 1 - level follows from its concentration. Assumptions: the test
    images are independent draws of the data's law, all its pixels lie in [0, 1], and the
    generator's images do so too or its Lipschitz constant is bounded; else there is no limit.

    Attributes
    ----------
    n : int
        Generated images a batch and, at most, test images.
    batches : int
        Fresh batches of samples, each against the same test images.
    level : float
        Probability with which the limit may be wrong.
    directions : int
        Random directions of the sliced distance; to them come the difference of the means and the
        principal directions of the test images.
    semidefinite_units : int
        Units with a free slope up to which the generator's constant is bounded by semidefinite
        programming, else by the product of its layers' norms.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "generator")
    needs_data: ClassVar[bool] = True
    provides: ClassVar[tuple[str, ...]] = ("r_unc_data[l2]",)
    n: int = setting(1000, at_least=2)
    batches: int = setting(4, at_least=1)
    level: float = setting(1e-3, above=0, at_most=0.5)
    directions: int = setting(200, at_least=1)
    semidefinite_units: int = setting(600, at_least=0)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the distances of samples and, as "wasserstein_1", the limit on the true one."""
        data = subject.data
        if data is None:
            raise InputError("the measure 'wasserstein' needs a data set")
        n = min(self.n, len(data.test_images), len(data.train_images))
        real = _chosen(data.test_images, n, context, "test")
        train = _chosen(data.train_images, n, context, "train")
        generated = [
            self._generated(subject, context, n, str(i))
            for i in progress(range(self.batches + 1), context.title)
        ]
        distances = [wasserstein_of_samples(real, some) for some in generated[:-1]]
        mean = float(np.mean(distances))
        baselines = {
            "real": wasserstein_of_samples(real, train),
            "generated": wasserstein_of_samples(generated[0], generated[-1]),
        }
        sliced = sliced_wasserstein(real, generated[0], self._directions(context, real, generated))
        diameter = float(np.sqrt(real.shape[1]))
        bounded = _within_unit_box(subject.generator)
        constant = None if bounded else self._constant(subject)
        proxy = variance_proxy(n, self.batches, diameter, constant, bounded)
        seen: dict[str, Any] = {
            "n": n,
            "batches": self.batches,
            "of_samples": distances,
            "of_samples_mean": mean,
            "real_and_real": baselines["real"],
            "generated_and_generated": baselines["generated"],
            "less_baselines": mean - (baselines["real"] + baselines["generated"]) / 2,
            "sliced_mean": sliced[0],
            "sliced_max": sliced[1],
            "diameter": diameter,
            "generated_bounded": bounded,
            "lipschitz": constant,
            "variance_proxy": proxy,
            "level": self.level,
        }
        facts: dict[str, Any] = {"wasserstein": seen}
        if proxy is not None:
            excess = np.sqrt(2 * proxy * np.log(1 / self.level))
            facts["wasserstein_1"] = float((mean + excess) * (1 + _ROUNDING))
        return Outcome(facts=facts)

    def _generated(self, subject: Subject, context: Context, n: int, name: str) -> FloatArray:
        z = context.normal(n, subject.latent_dimension, "latents", name)
        with torch.no_grad():
            images = torch.cat([subject.generator(part) for part in torch.split(z, 1000)])
        flat: FloatArray = images.flatten(1).cpu().double().numpy()
        return flat

    def _directions(
        self, context: Context, real: FloatArray, generated: list[FloatArray]
    ) -> FloatArray:
        pixels = real.shape[1]
        drawn = torch.randn(self.directions, pixels, generator=context.stream("directions"))
        shift = real.mean(axis=0) - generated[0].mean(axis=0)
        centered = real - real.mean(axis=0)
        _, _, principal = np.linalg.svd(centered, full_matrices=False)
        rows = np.vstack([drawn.double().numpy(), shift, principal[: min(20, pixels)]])
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.where(length > 0, length, 1.0))

    def _constant(self, subject: Subject) -> float | None:
        """Return an upper bound on the generator's Lipschitz constant, if one can be had."""
        try:
            network = feed_forward(subject.generator, (subject.latent_dimension,))
        except InputError:
            return None
        units = self.semidefinite_units
        bound = semidefinite_constant(network, units, units) if units else None
        product = product_bound(network)
        constant = product if bound is None else min(product, bound.value)
        return constant if np.isfinite(constant) else None


def _chosen(images: np.ndarray[Any, Any], n: int, context: Context, name: str) -> FloatArray:
    """Return n images drawn without repetition, flat."""
    rows = torch.randperm(len(images), generator=context.stream(name))[:n].numpy()
    return np.asarray(images[rows].reshape(n, -1), dtype=np.float64)


def _within_unit_box(generator: nn.Sequential) -> bool:
    """Whether the last operator that is no reshape leaves values in [0, 1]."""
    for module in reversed(list(generator.modules())):
        if isinstance(module, nn.Sequential | nn.Flatten | nn.Unflatten | nn.Identity):
            continue
        return isinstance(module, nn.Sigmoid)
    return False
