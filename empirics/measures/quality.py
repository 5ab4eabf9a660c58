"""How near the generated images are to the data: Frechet distance, classes, diversity."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.errors import InputError

_BATCH = 1000
_FEW = 0.1
"""A class is missing if its share is below this part of an equal one."""


def frechet_distance(first: FloatArray, second: FloatArray) -> float:
    """Return the squared 2-Wasserstein distance of two samples' Gaussian fits.

    Parameters
    ----------
    first, second : ndarray, shape (n, d) and (m, d)
        At least 2 points each.

    Returns
    -------
    float
        |mu_1 - mu_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)), with covariances over n - 1. The last
        trace is the nuclear norm of C_1^(1/2) C_2^(1/2): no root of an asymmetric matrix is taken,
        and singular covariances are as good as others.

    Raises
    ------
    InputError
        If a sample has fewer than 2 points, or the dimensions differ.

    References
    ----------
    Heusel et al., GANs Trained by a Two Time-Scale Update Rule (NeurIPS 2017), equation (6); Dowson
    and Landau, J. Multivariate Anal. 12 (1982).

    Examples
    --------
    >>> cloud = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 5.0]])
    >>> round(frechet_distance(cloud, cloud + [3.0, 4.0]), 9)
    25.0
    """
    if min(len(first), len(second)) < 2 or first.shape[1:] != second.shape[1:]:
        raise InputError(
            "a Frechet distance needs two points or more of one dimension in each sample, got"
            f" shapes {first.shape} and {second.shape}"
        )
    return _Fit.of(first).distance(_Fit.of(second))


class _Fit(NamedTuple):
    """A Gaussian: its mean, the root of its covariance, and the trace of its covariance."""

    mean: FloatArray
    root: FloatArray
    trace: float

    @classmethod
    def of(cls, sample: FloatArray) -> "_Fit":
        covariance = np.atleast_2d(np.cov(sample.T))
        values, vectors = np.linalg.eigh(covariance)
        root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        return cls(sample.mean(axis=0), root, float(np.trace(covariance)))

    def distance(self, other: "_Fit") -> float:
        shared = np.linalg.svd(self.root @ other.root, compute_uv=False).sum()
        apart = ((self.mean - other.mean) ** 2).sum() + self.trace + other.trace - 2 * shared
        return max(float(apart), 0.0)


def extrapolated_distance(
    sample: FloatArray, reference: FloatArray, sizes: list[int], rng: np.random.Generator
) -> float:
    """Return the Frechet distance that infinitely many samples would have.

    Its bias falls like 1/N in the number N of samples: a line in 1/N through the distances of
    random parts of the sample ends there.

    Parameters
    ----------
    sample, reference : ndarray, shape (n, d) and (m, d)
        The bias by the finite reference stays.
    sizes : list of int
        Two or more different N, each at most n.
    rng : numpy.random.Generator

    References
    ----------
    Chong and Forsyth, Effectively Unbiased FID and Inception Score and Where to Find Them (CVPR
    2020), algorithm 1.
    """
    fixed = _Fit.of(reference)
    values = [
        _Fit.of(sample[rng.choice(len(sample), size, replace=False)]).distance(fixed)
        for size in sizes
    ]
    _, at_infinity = np.polyfit(1.0 / np.array(sizes), values, 1)
    return float(at_infinity)


def penultimate_features(
    module: nn.Module, images: torch.Tensor
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return what enters the last linear layer of a classifier, in double precision, and labels.

    Parameters
    ----------
    module : nn.Module
        Images (n, ...) to logits (n, K).
    images : Tensor, shape (n, ...)
        On the module's device.

    Returns
    -------
    features : ndarray, shape (n, d)
    labels : ndarray, shape (n,)

    Raises
    ------
    InputError
        If it has no linear layer.
    """
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise InputError("the teacher has no linear layer whose inputs could serve as features")
    seen: list[torch.Tensor] = []
    hook = linear[-1].register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(1)))
    labels = []
    try:
        with torch.no_grad():
            for part in torch.split(images, _BATCH):
                labels.append(module(part).argmax(dim=1))
    finally:
        hook.remove()
    features: FloatArray = torch.cat(seen).cpu().double().numpy()
    return features, torch.cat(labels).cpu().numpy()


def mean_pairwise_distance(images: torch.Tensor) -> float:
    """Return the mean l2 distance of two different images of a batch of two or more."""
    flat = images.flatten(1).double()
    return float(torch.nn.functional.pdist(flat).mean())


def class_histogram(labels: npt.NDArray[np.int64], n_classes: int) -> dict[str, Any]:
    """Return the counts, their entropy in nats, its share of log K, and the missing classes.

    Examples
    --------
    >>> found = class_histogram(np.array([0, 0, 1, 1]), 3)
    >>> found["counts"], found["missing"], round(found["entropy"], 6)
    ([2, 2, 0], [2], 0.693147)
    """
    counts = np.bincount(labels, minlength=n_classes)
    shares = counts[counts > 0] / counts.sum()
    entropy = float(-(shares * np.log(shares)).sum()) + 0.0
    few = np.flatnonzero(counts < _FEW * counts.sum() / n_classes)
    return {
        "counts": counts.tolist(),
        "entropy": entropy,
        "relative_entropy": entropy / float(np.log(n_classes)) if n_classes > 1 else 1.0,
        "missing": few.tolist(),
    }


@measure("quality")
@dataclass(frozen=True)
class Quality:
    """Generated images beside the test set, as the teacher sees them.

    The Frechet distance is that of the teacher's penultimate features. The same distance of as
    many training images is the one to compare with: the teacher was fitted to them, and finite
    samples of one law have a positive distance. A class is missing if its share is below a tenth of
    an equal one.

    Attributes
    ----------
    n : int
        Fresh samples and, at most, training and test images.
    sizes : int
        Numbers of samples through which the Frechet distance is extrapolated; 0 for none.
    pairs : int
        Images of which all pairwise distances are taken.

    References
    ----------
    Heusel et al. (NeurIPS 2017), with other features; Chong and Forsyth (CVPR 2020).
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "teacher", "generator")
    needs_data: ClassVar[bool] = True
    n: int = setting(10_000, at_least=20)
    sizes: int = setting(10, at_least=0)
    pairs: int = setting(1000, at_least=2)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the distances, the classes and the diversity as facts."""
        data, teacher = subject.data, subject.teacher
        if data is None or teacher is None:
            raise InputError("the measure 'quality' needs a data set and a teacher")
        # As many as of the training set: both have the same bias.
        n = min(self.n, len(data.train_images))
        train = torch.from_numpy(data.train_images)[self._some(data.train_images, n, context)]
        test = torch.from_numpy(data.test_images[: self.n])
        z = context.normal(n, subject.latent_dimension, "latents")
        with torch.no_grad():
            generated = torch.cat([subject.generator(part) for part in torch.split(z, _BATCH)])
        images = {"generated": generated, "train": train, "test": test}
        seen = {
            name: penultimate_features(teacher, some.to(context.device))
            for name, some in images.items()
        }
        facts: dict[str, Any] = {"n": n, "n_test": len(test), "features": seen["test"][0].shape[1]}
        reference = seen["test"][0]
        for name in progress(("generated", "train"), context.title):
            features = seen[name][0]
            facts[f"frechet_{name}"] = frechet_distance(features, reference)
            sizes = np.unique(np.linspace(n / 10, n, self.sizes).astype(int))
            sizes = sizes[sizes >= 2]
            if len(sizes) > 1:
                seed = context.stream("parts", name).initial_seed()
                facts[f"frechet_{name}_extrapolated"] = extrapolated_distance(
                    features, reference, sizes.tolist(), np.random.default_rng(seed)
                )
        for name in ("generated", "test"):
            facts[f"classes_{name}"] = class_histogram(seen[name][1], data.n_classes)
            few = images[name][: self.pairs].cpu()
            facts[f"pairwise_{name}"] = mean_pairwise_distance(few) if len(few) > 1 else 0.0
        within = facts["pairwise_test"]
        facts["diversity"] = facts["pairwise_generated"] / within if within > 0 else None
        return Outcome(facts={"quality": facts})

    @staticmethod
    def _some(images: npt.NDArray[np.float32], n: int, context: Context) -> torch.Tensor:
        return torch.randperm(len(images), generator=context.stream("train"))[:n]
