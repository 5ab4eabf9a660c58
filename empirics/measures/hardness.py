"""How hard each label is to turn into each other by a saliency map attack, by pairs of classes."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.attacks.jsma import jsma
from empirics.correct_images import CorrectImages, correct_images
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.claims.shamir2019 import hamming_in
from theory.errors import InputError
from theory.evidence import Radii

_BOX = (0.0, 1.0)
_BATCH = 450
"""Pairs of an image and a target that are attacked together."""
_IMAGES = 50
"""Images whose derivatives are taken together."""


@measure("hardness")
@dataclass(frozen=True)
class Hardness:
    """The Jacobian-based saliency map attack from images of every class to every other label.

    Images that the network misclassifies are left out: the first ones of each class that it gets
    right are attacked. A run ends where the network's label is the target, or no pair of pixels
    is left that the saliency map allows. What it does never depends on the largest allowed
    distortion, which only cuts it short: so one run with the largest tells the outcome for all.

    The source and the target of a matrix are its row and column. With c the number of pixels that
    a run changed, d the number of all pixels and m(Upsilon) = 2 floor(Upsilon d / 2):

    * success rate tau(s, t, Upsilon): the part of the images of s with c <= m(Upsilon);
    * distortion eps(s, t, Upsilon): the mean of c / d over these;
    * hardness H(s, t): the trapezoid rule for the integral of eps over tau, see `trapezoid`;
    * adversarial distance A(x, t): one less the part of the entries of the saliency map of x that
      are positive, which for theta > 0 are those with dF_t/dx_i > 0 > sum_{j != t} dF_j/dx_i,
      averaged over the images of s; by pairs, of two different pixels and the sums of theirs;
    * robustness R(F): the least adversarial distance of all images and targets.

    Over all images, a run that did not succeed counts with all that it was allowed, m(Upsilon) / d.

    Attributes
    ----------
    images : int
        Correctly classified test images of each class, the first ones; all if there are fewer.
    upsilon : float
        Largest distortion of the success rate and distortion that are reported: the part of all
        pixels that may be changed.
    distortions : tuple of float
        Largest distortions of the trapezoid rule, increasing.
    increase : bool
        Whether pixels become 1 (theta = 1) or 0 (theta = -1).
    softmax : bool
        Whether derivatives are those of the probabilities instead of the logits.

    Raises
    ------
    InputError
        If there are fewer than two distortions, or they do not increase.

    References
    ----------
    Papernot, McDaniel, Jha, Fredrikson, Celik and Swami, The limitations of deep learning in
    adversarial settings (EuroS&P 2016), section V: success and distortion at 14.5%, the hardness
    measure with these nine distortions, adversarial distance and robustness. Its derivatives are
    those of the last layer before the softmax (section IV). Carlini and Wagner (S&P 2017),
    section VIII, tell both variants apart.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    images: int = setting(10, at_least=1)
    upsilon: float = setting(0.145, above=0, at_most=1)
    distortions: tuple[float, ...] = setting(
        (0.003, 0.013, 0.026, 0.051, 0.077, 0.102, 0.128, 0.255, 0.383), above=0, at_most=1
    )
    increase: bool = setting(True)
    softmax: bool = setting(False)

    def __post_init__(self) -> None:
        if len(self.distortions) < 2 or not np.all(np.diff(self.distortions) > 0):
            raise InputError(
                f"hardness: distortions {self.distortions} must be at least two, and increase"
            )

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the changes of each pair as evidence, and the matrices."""
        assert subject.classifier is not None
        assert subject.n_classes is not None
        k = subject.n_classes
        images = self._chosen(subject)
        changes = self._changes(images, k, context.title)
        distances = self._distances(images, k, context.title)
        d = images.flat.shape[1]
        facts, arrays = matrices(self, changes, distances, images.labels, d)
        upper = changes[~np.isnan(changes)]
        seen = Radii(np.ones(len(upper)), upper)
        return Outcome(
            {f"r_targeted[{hamming_in(*_BOX)}]": seen},
            {**facts, "test_error": images.test_error},
            {**arrays, "index": images.index, "label": images.labels},
        )

    def _chosen(self, subject: Subject) -> CorrectImages:
        """Return the first correctly classified images of each class, in the test set's order."""
        assert subject.data is not None
        found = correct_images(subject, len(subject.data.test_labels))
        earlier = np.zeros(len(found.labels), dtype=np.int64)
        for label in np.unique(found.labels):
            there = found.labels == label
            earlier[there] = np.arange(there.sum())
        rows = np.flatnonzero(earlier < self.images)
        flat, index, labels = found.flat[rows], found.index[rows], found.labels[rows]
        return replace(found, flat=flat, index=index, labels=labels)

    def _changes(self, images: CorrectImages, k: int, title: str) -> FloatArray:
        """Return changed pixels, shape (n, K): inf where it failed, NaN at the label."""
        changes = np.full((len(images.labels), k), np.nan)
        rows, targets = np.nonzero(np.arange(k) != images.labels[:, None])
        flat = images.flat.astype(np.float32)
        for start in progress(range(0, len(rows), _BATCH), title):
            row, target = rows[start : start + _BATCH], targets[start : start + _BATCH]
            found = jsma(
                images.module,
                torch.from_numpy(flat[row].reshape(-1, *images.shape)).to(images.device),
                torch.from_numpy(images.labels[row]).to(images.device),
                theta=1.0 if self.increase else -1.0,
                upsilon=max(self.upsilon, *self.distortions),
                softmax=self.softmax,
                box=_BOX,
                targets=torch.from_numpy(target).to(images.device),
            )
            points = found.flatten(1).cpu().numpy()
            there = images.deployed_labels(points) == target
            count = (points != flat[row]).sum(axis=1)
            changes[row, target] = np.where(there, count, np.inf)
        return changes

    def _distances(
        self, images: CorrectImages, k: int, title: str
    ) -> tuple[FloatArray, FloatArray]:
        """Return adversarial distances by pixels and by pairs of them, shape (n, K)."""
        sign = 1.0 if self.increase else -1.0
        parts = []
        for start in progress(range(0, len(images.labels), _IMAGES), f"{title} saliency"):
            flat = images.flat[start : start + _IMAGES].astype(np.float32)
            batch = torch.from_numpy(flat.reshape(-1, *images.shape)).to(images.device)
            alpha = sign * _jacobian(images.module, batch, k, self.softmax)
            # Probabilities sum to 1, so that the others' derivatives are known without rounding.
            beta = -alpha if self.softmax else alpha.sum(axis=1, keepdims=True) - alpha
            pairs = [
                [salient_pairs(a, -b) for a, b in zip(*ab, strict=True)]
                for ab in zip(alpha, beta, strict=True)
            ]
            parts.append(np.stack([((alpha > 0) & (beta < 0)).mean(axis=2), np.array(pairs)]))
        single, paired = 1 - np.concatenate(parts, axis=1)
        return single, paired


def matrices(
    settings: Hardness,
    changes: FloatArray,
    distances: tuple[FloatArray, FloatArray],
    labels: npt.NDArray[np.int64],
    n_features: int,
) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.generic]]]:
    """Return facts and matrices of the changed pixels of every image and target.

    Parameters
    ----------
    settings : Hardness
    changes : ndarray, shape (n, K)
        Changed pixels of a run with the largest distortion; inf where it failed, NaN at the label.
    distances : tuple of ndarray, shape (n, K)
        Adversarial distances by pixels and by pairs; NaN or anything at the label.
    labels : ndarray, shape (n,)
    n_features : int
    """
    pairs = ~np.isnan(changes)
    allowed = _allowed(settings.upsilon, n_features)
    reached = changes <= allowed
    steps = [_allowed(upsilon, n_features) for upsilon in settings.distortions]
    levels = [_by_class(changes, labels, most, n_features) for most in steps]
    tau, eps = (np.stack(parts) for parts in zip(*levels, strict=True))
    most = np.array(steps)[:, None, None] / n_features
    over_all = np.where(tau > 0, tau * np.nan_to_num(eps), 0.0) + (1 - tau) * most
    success, distortion = _by_class(changes, labels, allowed, n_features)
    mean = float(changes[reached].mean() / n_features) if reached.any() else None
    k = changes.shape[1]
    facts: dict[str, Any] = {
        "n_classes": k,
        "n_features": n_features,
        "n": len(labels),
        "images_by_class": np.bincount(labels, minlength=k).tolist(),
        "increase": settings.increase,
        "softmax": settings.softmax,
        "upsilon": settings.upsilon,
        "distortions": list(settings.distortions),
        "pairs": int(pairs.sum()),
        "reached": int(reached.sum()),
        "distortion_reached": mean,
        "distortion_all": float(np.where(reached, changes, allowed)[pairs].mean() / n_features),
        "robustness": float(distances[0][pairs].min()),
        "robustness_pairs": float(distances[1][pairs].min()),
    }
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "changes": changes,
        "success": success,
        "distortion": distortion,
        "success_by_distortion": tau,
        "distortion_by_distortion": eps,
        "hardness": trapezoid(tau, eps),
        "hardness_all": trapezoid(tau, over_all),
        "distance": _class_means(distances[0], labels),
        "distance_pairs": _class_means(distances[1], labels),
    }
    return facts, arrays


def trapezoid(success: npt.ArrayLike, distortion: npt.ArrayLike) -> FloatArray:
    """Return the integral of the distortion over the success rate by the trapezoid rule.

    The sum over k of (tau_{k+1} - tau_k) (eps_{k+1} + eps_k) / 2. It begins at tau_1: what is
    reached with the first distortion already adds nothing, and what the last one does not reach
    adds nothing either. Where tau_k is 0 there is no success, and no eps_k of successes; eps_{k+1}
    takes its place. A pair that is never reached has no hardness, and NaN; one whose success rate
    is above 0 and does not rise has 0.

    Parameters
    ----------
    success : array_like, shape (k, ...)
        tau, which does not fall along the first axis.
    distortion : array_like, shape (k, ...)
        eps; may be NaN where tau is 0.

    Returns
    -------
    ndarray, shape (...)

    References
    ----------
    Papernot et al. (EuroS&P 2016), section V, the hardness measure.

    Examples
    --------
    >>> area = trapezoid([0.0, 0.5, 1.0], [float("nan"), 0.1, 0.3])
    >>> round(float(area), 9)  # 0.5 * 0.1 + 0.5 * 0.2
    0.15
    >>> trapezoid([[0.0, 0.4], [0.0, 0.4]], [[0.0, 0.1], [0.0, 0.1]])
    array([nan,  0.])
    """
    tau = np.asarray(success, dtype=np.float64)
    eps = np.asarray(distortion, dtype=np.float64)
    right = eps[1:]
    left = np.where(np.isnan(eps[:-1]), right, eps[:-1])
    rise = np.diff(tau, axis=0)
    total = np.where(rise > 0, rise * (left + right) / 2, 0.0).sum(axis=0)
    return np.asarray(np.where(tau[-1] > 0, total, np.nan))


def salient_pairs(gain: FloatArray, loss: FloatArray) -> float:
    """Return the part of all pairs p < q with gain_p + gain_q > 0 and loss_p + loss_q > 0.

    Parameters
    ----------
    gain, loss : ndarray, shape (d,)

    Examples
    --------
    >>> salient_pairs(np.array([1.0, 2.0, -3.0]), np.array([1.0, -0.5, 9.0])) == 1 / 3
    True
    """
    d = len(gain)
    both = (gain[:, None] + gain > 0) & (loss[:, None] + loss > 0)
    alone = np.count_nonzero((gain > 0) & (loss > 0))
    return float((np.count_nonzero(both) - alone) / 2 / max(math.comb(d, 2), 1))


def _allowed(upsilon: float, n_features: int) -> int:
    """Return how many pixels may change: two in each of floor(Upsilon d / 2) steps."""
    return 2 * math.floor(n_features * upsilon / 2)


def _by_class(
    changes: FloatArray, labels: npt.NDArray[np.int64], allowed: int, n_features: int
) -> tuple[FloatArray, FloatArray]:
    """Return success rates and distortions by classes, shape (K, K): NaN where there are none."""
    reached = changes <= allowed
    success = _class_means(np.where(np.isnan(changes), np.nan, reached), labels)
    changed = _class_means(
        np.where(reached, changes, np.where(np.isnan(changes), np.nan, 0)), labels
    )
    part = np.where(success > 0, success, np.nan)
    return success, changed / part / n_features


def _class_means(values: FloatArray, labels: npt.NDArray[np.int64]) -> FloatArray:
    """Return means over the images of each class, shape (K, K): NaN where there are none."""
    k = values.shape[1]
    means = np.full((k, k), np.nan)
    for label in np.unique(labels):
        means[label] = values[labels == label].mean(axis=0)
    means[np.arange(k), np.arange(k)] = np.nan
    return means


def _jacobian(module: nn.Module, batch: torch.Tensor, k: int, softmax: bool) -> FloatArray:
    """Return the derivatives of the outputs, shape (n, K, d)."""
    points = batch.detach().requires_grad_(True)
    output = module(points)
    if softmax:
        output = output.softmax(dim=1)
    rows = [
        torch.autograd.grad(output[:, j].sum(), points, retain_graph=j < k - 1)[0].flatten(1)
        for j in range(k)
    ]
    return np.asarray(torch.stack(rows, dim=1).cpu().numpy(), dtype=np.float64)
