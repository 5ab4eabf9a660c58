"""A GAN whose discriminator is spectrally normalised."""

from dataclasses import dataclass
from typing import ClassVar

from empirics.gan import AdversarialGenerator, Objective
from empirics.plugins import generator


@generator("sngan")
@dataclass(frozen=True)
class SpectralGAN(AdversarialGenerator):
    """The generator of DCGAN against a spectrally normalised discriminator, with the hinge loss.

    References
    ----------
    Miyato, Kataoka, Koyama and Yoshida, Spectral normalization for generative adversarial networks
    (ICLR 2018), algorithm 1, equations 16 and 17.
    """

    revision: ClassVar[int] = 1

    def objective(self) -> Objective:
        """Return the hinge losses."""
        return Objective(
            on_real=lambda values: (1 - values).relu().mean(),
            on_generated=lambda values: (1 + values).relu().mean(),
            of_generator=lambda values: -values.mean(),
            kind="spectral",
        )
