"""Several classifiers as one, which has another label where all of them have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from empirics.adversary.batch import Model, margin

_SOFT = 0.3
"""Over which gradients are mixed, in units of the mean of each point's largest margin."""


@dataclass(frozen=True)
class Together:
    """Several classifiers as one with two labels: 0 while one keeps its label, then 1.

    Its logits are plus and minus half of the largest margin, each margin in a unit of its own, so
    that every search for a change of label is one for a change of all labels.

    Attributes
    ----------
    models : sequence of callable
        Inputs (n, ...) to logits (n, K).
    labels : sequence of int
        The label that each of them is to leave, the same at all points.
    units : sequence of float
        Of the margins.
    soft : float
        Gradients are those of soft log sum exp(margin / soft), which are not those of one
        classifier alone; the values are not changed. 0 for gradients of the largest margin.
    """

    models: Sequence[Model]
    labels: Sequence[int]
    units: Sequence[float]
    soft: float = 0.0

    def margins(self, x: torch.Tensor, rivals: torch.Tensor | None = None) -> torch.Tensor:
        """Return the margins of all classifiers in their units, shape (m, n).

        Parameters
        ----------
        x : Tensor, shape (n, ...)
        rivals : Tensor, shape (m, n), optional
            The labels against which the margins are; by default the likeliest others.
        """
        rows = []
        for i, (model, label, unit) in enumerate(
            zip(self.models, self.labels, self.units, strict=True)
        ):
            logits = model(x)
            if rivals is None:
                own = torch.full((len(x),), label, device=x.device)
                rows.append(margin(logits, own) / unit)
            else:
                other = logits.gather(1, rivals[i][:, None])[:, 0]
                rows.append((logits[:, label] - other) / unit)
        return torch.stack(rows)

    def flattened(self, shape: Sequence[int]) -> "Together":
        """Return the same classifier of flat points, (n, d), whose inputs have this shape."""

        def of(one: Model) -> Model:
            return lambda points: one(points.reshape(-1, *shape))

        models = [of(one) for one in self.models]
        return Together(models, self.labels, self.units, self.soft)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the two logits, shape (n, 2)."""
        margins = self.margins(x)
        half = margins.amax(dim=0) / 2
        if self.soft:
            smooth = self.soft * (margins / self.soft).logsumexp(dim=0) / 2
            half = half.detach() + smooth - smooth.detach()
        # A margin of zero keeps the label: the first of two equal logits wins.
        return torch.stack([half, -half], dim=1)


def groups(labels: torch.Tensor) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Yield each combination of labels, and the points that have it.

    Parameters
    ----------
    labels : Tensor, shape (m, n)
        Of m classifiers at n points.

    Examples
    --------
    >>> [(own, rows.tolist()) for own, rows in groups(torch.tensor([[1, 0, 1], [1, 1, 1]]))]
    [([0, 1], [1]), ([1, 1], [0, 2])]
    """
    for own in torch.unique(labels, dim=1).T:
        yield own.tolist(), (labels == own[:, None]).all(dim=0).nonzero()[:, 0]


def together(models: Sequence[Model], labels: Sequence[int], x: torch.Tensor) -> Together:
    """Return the classifiers as one, each margin in units of its mean distance at these points.

    Parameters
    ----------
    models, labels
        As in `Together`.
    x : Tensor, shape (n, ...)
    """
    units = []
    for model, label in zip(models, labels, strict=True):
        point = x.detach().requires_grad_(True)
        value = margin(model(point), torch.full((len(x),), label, device=x.device))
        (slope,) = torch.autograd.grad(value.sum(), point)
        mean = float(slope.flatten(1).norm(dim=1).mean())
        units.append(mean if np.isfinite(mean) and mean > 0 else 1.0)
    plain = Together(models, labels, units)
    with torch.no_grad():
        distance = float(plain.margins(x).abs().amax(dim=0).mean())
    scale = distance if np.isfinite(distance) and distance > 0 else 1.0
    return Together(models, labels, [unit * scale for unit in units])


def softened(model: Together) -> Together:
    """Return the same classifier with gradients in which all margins have a part."""
    return Together(model.models, model.labels, model.units, _SOFT)
