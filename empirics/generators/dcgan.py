"""DCGAN: a convolutional generator trained against a discriminator, both batch-normalised."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from empirics.gan import AdversarialGenerator, Objective
from empirics.plugins import generator


@generator("dcgan")
@dataclass(frozen=True)
class DCGAN(AdversarialGenerator):
    """Transposed convolutions with batch normalisation; the non-saturating logistic objective.

    References
    ----------
    Goodfellow et al., Generative adversarial nets (NeurIPS 2014), algorithm 1; Radford, Metz and
    Chintala, Unsupervised representation learning with deep convolutional generative adversarial
    networks (ICLR 2016), section 3.
    """

    revision: ClassVar[int] = 1

    def objective(self) -> Objective:
        """Return the logistic losses; the generator raises the odds of being taken for real."""
        return Objective(
            on_real=lambda values: nn.functional.softplus(-values).mean(),
            on_generated=lambda values: nn.functional.softplus(values).mean(),
            of_generator=lambda values: nn.functional.softplus(-values).mean(),
            kind="batch",
        )
