"""A linear classifier on the code of a sparse auto-encoder, which learns without labels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from empirics.plugins import Context, ImageShape, classifier
from empirics.settings import setting
from empirics.train import Batches, Training, initialise, optimise
from theory.errors import InputError


@classifier("autoencoder")
@dataclass(frozen=True)
class AutoEncoder(Training):
    """One layer of sigmoid units that codes images sparsely, and a linear layer behind it.

    The code is learnt first, on the same images without their labels; then it is kept, and the
    linear layer alone is trained. The decoder that it is learnt with has sigmoid units, too, and is
    dropped. Its loss is half the squared error of an image, a decay of the weights, and the
    divergence of a unit's mean activation in a batch from the wanted one, summed over the units.

    Attributes
    ----------
    width : int
        Units of the code.
    activity : float
        Wanted mean activation of a unit.
    sparsity : float
        Weight of the divergence from it.
    code_decay : float
        Weight of half the squared weights of encoder and decoder.
    code_steps, code_learning_rate
        Adam with a cosine schedule, for the code.

    Raises
    ------
    InputError
        If it is to be trained on adversarial examples: what is kept cannot learn from them.

    References
    ----------
    Lee, Ekanadham and Ng, Sparse deep belief net model for visual area V2 (NIPS 2007); Szegedy et
    al., ICLR 2014, network AE400-10.
    """

    revision: ClassVar[int] = 1
    width: int = setting(400, at_least=1)
    activity: float = setting(0.05, above=0, at_most=0.5)
    sparsity: float = setting(0.3, at_least=0)
    code_decay: float = setting(1e-5, at_least=0)
    code_steps: int = setting(5000, at_least=1)
    code_learning_rate: float = setting(3e-3, above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.adversarial_radius:
            raise InputError(
                "autoencoder: no adversarial_radius: the code is kept as it was learnt"
            )

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return Flatten, Linear, Sigmoid, Linear."""
        pixels = int(np.prod(image_shape))
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(pixels, self.width),
            nn.Sigmoid(),
            nn.Linear(self.width, n_classes),
        )

    def prepare(self, module: nn.Sequential, batches: Batches, context: Context) -> None:
        """Learn the code, in place, and keep it from the training that follows."""
        first = module[1]
        assert isinstance(first, nn.Linear)
        encoder = module[:3]
        decoder = nn.Sequential(nn.Linear(self.width, first.in_features), nn.Sigmoid())
        initialise(decoder.to(context.device), context.stream("decoder"))
        last = decoder[0]
        assert isinstance(last, nn.Linear)
        draws = context.stream("code")

        def loss_of_step(step: int) -> torch.Tensor:
            images, _ = batches(self.batch, draws)
            code = encoder(images)
            error = (decoder(code) - images.flatten(1)).square().sum(dim=1).mean() / 2
            # Of a batch alone, a mean of exactly 0 or 1 has no finite divergence.
            mean = code.mean(dim=0).clamp(1e-6, 1 - 1e-6)
            rare = self.activity * (self.activity / mean).log()
            rest = (1 - self.activity) * ((1 - self.activity) / (1 - mean)).log()
            decay = (first.weight.square().sum() + last.weight.square().sum()) / 2
            loss: torch.Tensor = (
                error + self.sparsity * (rare + rest).sum() + self.code_decay * decay
            )
            return loss

        optimise(
            {"encoder": encoder, "decoder": decoder},
            loss_of_step,
            self.code_steps,
            self.code_learning_rate,
            context,
            {"code": draws},
        )
        encoder.requires_grad_(False)
