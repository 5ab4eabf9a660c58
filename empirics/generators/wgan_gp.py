"""A Wasserstein GAN with gradient penalty."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from empirics.adversary.batch import flat_norm
from empirics.gan import AdversarialGenerator, Objective
from empirics.plugins import generator
from empirics.settings import setting


@generator("wgan_gp")
@dataclass(frozen=True)
class WassersteinGAN(AdversarialGenerator):
    """The generator of DCGAN against a critic whose gradient is held near norm 1.

    Attributes
    ----------
    penalty : float
        Weight of the squared deviation of the gradient's norm from 1.

    References
    ----------
    Gulrajani et al., Improved training of Wasserstein GANs (NeurIPS 2017), algorithm 1.
    """

    revision: ClassVar[int] = 1
    critic_steps: int = setting(5, at_least=1)
    learning_rate: float = setting(1e-4, above=0)
    beta1: float = setting(0.0, at_least=0, at_most=1)
    beta2: float = setting(0.9, at_least=0, at_most=1)
    penalty: float = setting(10.0, at_least=0)

    def objective(self) -> Objective:
        """Return the difference of means, with the penalty."""

        def penalty(
            critic: nn.Module, real: torch.Tensor, fake: torch.Tensor, stream: torch.Generator
        ) -> torch.Tensor:
            return self.penalty * gradient_penalty(critic, real, fake, stream)

        return Objective(
            on_real=lambda values: -values.mean(),
            on_generated=lambda values: values.mean(),
            of_generator=lambda values: -values.mean(),
            kind="none",
            penalty=penalty,
        )


def gradient_penalty(
    critic: nn.Module, real: torch.Tensor, fake: torch.Tensor, stream: torch.Generator
) -> torch.Tensor:
    """Return the mean of (|gradient| - 1)^2 at random points between real and generated images.

    Parameters
    ----------
    critic : nn.Module
        Images (n, ...) to (n,).
    real, fake : Tensor, shape (n, ...)
    stream : torch.Generator
        Draws the points.
    """
    part = torch.rand(len(real), generator=stream).to(real)
    part = part.reshape(-1, *[1] * (real.ndim - 1))
    between = (part * real + (1 - part) * fake).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (flat_norm(gradient) - 1).square().mean()
