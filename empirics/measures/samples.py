"""Whether the generator's images look like the data."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from empirics.adversary.batch import flat_norm
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.progress import progress
from empirics.settings import setting
from theory.errors import InputError


def _quartiles(values: torch.Tensor) -> dict[str, float]:
    quantiles = torch.quantile(values.double(), torch.tensor([0.25, 0.5, 0.75]).double())
    return dict(zip(("q25", "q50", "q75"), quantiles.tolist(), strict=True))


def _nearest(images: torch.Tensor, among: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return l2 distance to and index of the nearest image, by chunks of the larger set."""
    flat = images.flatten(1)
    best = torch.full((len(flat),), torch.inf)
    index = torch.zeros(len(flat), dtype=torch.long)
    for start in range(0, len(among), 10_000):
        chunk = among[start : start + 10_000].flatten(1)
        distance, where = torch.cdist(flat, chunk).min(dim=1)
        closer = distance < best
        best = torch.where(closer, distance, best)
        index = torch.where(closer, where + start, index)
    return best, index


@measure("samples")
@dataclass(frozen=True)
class Samples:
    """Samples with their nearest training images, and reconstructions of test images.

    A test image is reconstructed by the nearest image in the generator's range that gradient
    descent on the latent finds. Distances of samples to the training set are set beside those of
    test images: far larger means poor samples, far smaller means memorised ones.

    Attributes
    ----------
    n : int
        Samples, and at most so many test images.
    steps : int
        Descent steps of the inversion (Adam).
    shown : int
        Images kept for the figure.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "generator")
    needs_data: ClassVar[bool] = True
    n: int = setting(300, at_least=1)
    steps: int = setting(300, at_least=1)
    shown: int = setting(20, at_least=1)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the distances, the reconstruction errors and the images."""
        data = subject.data
        if data is None:
            raise InputError("the measure 'samples' needs a data set")
        train = torch.from_numpy(data.train_images)
        test = torch.from_numpy(data.test_images[: self.n])
        z = context.normal(self.n, subject.latent_dimension, "latents")
        with torch.no_grad():
            images = subject.generator(z).cpu()
        distance, index = _nearest(images, train)
        test_distance, _ = _nearest(test, train)
        reconstructions = self._invert(subject, context, test)
        residual = (reconstructions - test).square().mean().sqrt().item()
        mean_image = (train.mean(dim=0) - test).square().mean().sqrt().item()
        return Outcome(
            facts={
                "n_samples": self.n,
                "nearest_train_distance": _quartiles(distance),
                "test_nearest_train_distance": _quartiles(test_distance),
                "reconstruction_rmse": residual,
                "mean_image_rmse": mean_image,
            },
            arrays={
                "samples": _shown(images, self.shown),
                "nearest": _shown(train[index], self.shown),
                "test_images": _shown(test, self.shown // 2),
                "reconstructions": _shown(reconstructions, self.shown // 2),
            },
        )

    def _invert(self, subject: Subject, context: Context, images: torch.Tensor) -> torch.Tensor:
        target = images.to(context.device)
        z = torch.zeros(len(images), subject.latent_dimension, device=context.device)
        z.requires_grad_(True)
        optimiser = torch.optim.Adam([z], lr=0.1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
        for _ in progress(range(self.steps), context.title):
            loss = flat_norm(subject.generator(z) - target).square().sum()
            (z.grad,) = torch.autograd.grad(loss, z)
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            result: torch.Tensor = subject.generator(z).cpu()
        return result


def _shown(images: torch.Tensor, count: int) -> npt.NDArray[np.float32]:
    return images[: max(count, 1)].numpy().astype(np.float32)
