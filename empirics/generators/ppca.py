"""Probabilistic principal component analysis: the affine generator (Tipping and Bishop, 1999)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from empirics.data import Dataset
from empirics.plugins import Context, ImageShape, Outcome, generator
from empirics.settings import setting
from theory.errors import InputError


@generator("ppca")
@dataclass(frozen=True)
class ProbabilisticPCA:
    """g(z) = W z + mean, W = U (Lambda - sigma^2 I)^(1/2): the maximum likelihood fit.

    Its modulus of continuity is exactly the largest singular value of W. The model's isotropic
    noise is left out, so the images lie on an affine subspace.

    Attributes
    ----------
    latent_dimension : int
        d, smaller than the number of pixels.

    References
    ----------
    Tipping and Bishop, J. R. Stat. Soc. B 61 (1999), equations (7) and (8).
    """

    revision: ClassVar[int] = 1
    latent_dimension: int = setting(16, at_least=1)

    def build(self, image_shape: ImageShape) -> nn.Sequential:
        """Return Linear(d, pixels) and a reshape."""
        pixels = int(np.prod(image_shape))
        return nn.Sequential(
            nn.Linear(self.latent_dimension, pixels), nn.Unflatten(1, tuple(image_shape))
        )

    def fit(self, module: nn.Sequential, data: Dataset, context: Context) -> Outcome:
        """Set the weights to the closed-form fit."""
        images = data.train_images.reshape(len(data.train_images), -1).astype(np.float64)
        d, pixels = self.latent_dimension, images.shape[1]
        if d >= min(pixels, len(images)):
            raise InputError(
                f"ppca: latent_dimension must be below {min(pixels, len(images))}, got {d}"
            )
        mean = images.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov((images - mean).T, bias=True))
        values, vectors = values[::-1], vectors[:, ::-1]
        noise = float(values[d:].mean())
        weight = vectors[:, :d] * np.sqrt(values[:d] - noise)
        linear = module[0]
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))  # type: ignore[operator]
            linear.bias.copy_(torch.from_numpy(mean))  # type: ignore[operator]
        explained = float(values[:d].sum() / values.sum())
        return Outcome(facts={"explained_variance": explained, "noise_variance": noise})
