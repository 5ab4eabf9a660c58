"""Random linear models, and the distances to their boundaries in closed form."""

import numpy as np
import torch

from empirics.adversary.batch import Model
from empirics.seeds import torch_stream

_DUAL = {"l1": np.inf, "l2": 2.0, "linf": 1.0}


def linear(
    seed: int, features: int, n_classes: int, dtype: torch.dtype = torch.float32
) -> tuple[Model, torch.Tensor]:
    stream = torch_stream(seed, "weights")
    weight = torch.randn(n_classes, features, generator=stream, dtype=torch.float64).to(dtype)
    bias = torch.randn(n_classes, generator=stream, dtype=torch.float64).to(dtype)
    return lambda p: p.flatten(1) @ weight.T + bias, weight


def inputs(n: int, shape: tuple[int, ...], size: float, dtype: torch.dtype) -> torch.Tensor:
    x = torch.randn(n, *shape, generator=torch_stream(n, "x"), dtype=torch.float64)
    return (size * x).to(dtype)


def distances(model: Model, weight: torch.Tensor, x: torch.Tensor, norm: str) -> torch.Tensor:
    """Return the distances to the boundary of a linear model by Hoelder's inequality, (n,)."""
    logits = model(x).double()
    label = logits.argmax(dim=1)
    gaps = logits.gather(1, label[:, None]) - logits
    normals = weight.double()[label][:, None] - weight.double()[None]
    rates = torch.linalg.vector_norm(normals, ord=_DUAL[norm], dim=2)
    return (gaps / rates).scatter(1, label[:, None], torch.inf).amin(dim=1)
