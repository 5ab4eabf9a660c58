"""A variational auto-encoder that is trained to have a small certified Lipschitz constant."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from empirics.autoencoder import fit_decoder
from empirics.data import Dataset
from empirics.generators.vae import VariationalAutoEncoder
from empirics.plugins import Context, Outcome, generator
from empirics.settings import setting


def stagewise_constant(weights: list[torch.Tensor]) -> torch.Tensor:
    """Return a differentiable upper bound on the Lipschitz constant of a ReLU network, in l2.

    Parameters
    ----------
    weights : list of tensor
        Each of shape (out, in).

    Notes
    -----
    Up to rounding: what is reported of a trained network is proved elsewhere.

    References
    ----------
    Xu and Sivaranjani, ECLipsE (NeurIPS 2024), section 3.2.
    """
    weight = weights[0]
    gram = weight @ weight.T
    for following in weights[1:]:
        # W X^{-1} W^T of the layer so far; the multipliers of its units are all 1 / scale.
        scale = torch.linalg.matrix_norm(gram, 2)
        identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        left = (2 * identity - gram / scale) / scale
        gram = following @ torch.linalg.solve(left, following.T)
        gram = (gram + gram.T) / 2
    square: torch.Tensor = torch.linalg.matrix_norm(gram, 2)
    return square.sqrt()


@generator("lipschitz_vae")
@dataclass(frozen=True)
class LipschitzVAE(VariationalAutoEncoder):
    """The decoder of `vae`, kept below a certified Lipschitz constant by its loss.

    Attributes
    ----------
    constant : float
        What the certified constant is meant to stay below, pixels by latent unit.
    penalty : float
        Weight of the logarithm of its ratio to that, where it is above, in nats.
    every : int
        Steps between two evaluations, each of which counts as many times.
    """

    revision: ClassVar[int] = 1
    constant: float = setting(1.5, above=0)
    penalty: float = setting(100.0, at_least=0)
    every: int = setting(2, at_least=1)

    def fit(self, module: nn.Sequential, data: Dataset, context: Context) -> Outcome:
        """Train decoder and encoder; only the decoder is kept."""

        def penalty(decoder: nn.Sequential, step: int) -> torch.Tensor:
            if step % self.every:
                return torch.zeros((), device=context.device)
            weights = [each.weight for each in decoder if isinstance(each, nn.Linear)]
            excess = (stagewise_constant(weights) / self.constant).log().relu()
            return self.penalty * self.every * excess

        return fit_decoder(
            module,
            data,
            context,
            latent_dimension=self.latent_dimension,
            encoder_hidden=self.hidden[::-1],
            steps=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
            penalty=penalty,
        )
