"""Images within a linf budget: attacks made on one network, judged by another."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.adversary.ball import Ball
from empirics.adversary.checks import Box
from empirics.adversary.goal import Goal
from empirics.adversary.objective import Loss, objective_of
from empirics.adversary.trajectory import points_after
from empirics.measures.accuracy import predict

Mask = npt.NDArray[np.bool_]
Try = tuple[Goal, torch.Generator | None]
"""Labels to leave or to reach, for all images, and what draws the starts (the images without)."""

BOX: Box = (0.0, 1.0)
_BATCH = 512
_ROUNDING = 2.0**-25
"""Of the difference of two values of [0, 1] in single precision, at most."""


@dataclass(frozen=True, eq=False)
class AttackBench:
    """The images, the budget, and the network whose labels count.

    Attributes
    ----------
    target : nn.Module
    x, y : Tensor
        Images (n, ...) of [0, 1] and labels (n,), on the target's device.
    radius : float
        Of the linf ball around each image.
    natural : ndarray of bool, shape (n,)
        Images that the target misclassifies unchanged: they are never attacked, and always wrong.
    """

    target: nn.Module
    x: torch.Tensor
    y: torch.Tensor
    radius: float
    natural: Mask

    @classmethod
    def of(
        cls, target: nn.Module, x: torch.Tensor, y: torch.Tensor, radius: float
    ) -> "AttackBench":
        """Return the bench of a target, which labels the images once."""
        return cls(target, x, y, radius, (predict(target, x) != y).cpu().numpy())

    @property
    def budget(self) -> float:
        """What an attack may change in single precision, so that the exact change fits as well."""
        return max(self.radius - _ROUNDING, 0.0)

    def judged(self, rows: npt.NDArray[np.intp], points: torch.Tensor) -> Mask:
        """Return where the target gives points of some images another label, shape (m,).

        None that leaves the box or, in exact arithmetic, the ball.
        """
        change = (points.cpu().double() - self.x[rows].cpu().double()).flatten(1)
        inside = change.abs().amax(dim=1) <= self.radius
        inside &= ((points >= BOX[0]) & (points <= BOX[1])).flatten(1).all(dim=1).cpu()
        changed = (predict(self.target, points) != self.y[rows]).cpu()
        return np.asarray((changed & inside).numpy(), dtype=np.bool_)

    def ascended(
        self,
        source: nn.Module,
        tries: Iterable[Try],
        loss: Loss,
        stops: Sequence[int],
        stride: float,
    ) -> Iterator[list[Mask]]:
        """Yield, after each run of projected ascent on a source, the images that are wrong so far.

        Parameters
        ----------
        source : nn.Module
            Whose gradients are used.
        tries : iterable of (Goal, torch.Generator or None)
            The runs, each with its labels and its starts. An image that is wrong at all stops is
            left out of further runs; its starts are drawn, so that those of others do not depend
            on it.
        loss : callable
            Of goal and logits, to be raised.
        stops : sequence of int
            Numbers of steps after which the target judges.
        stride : float
            Of a step.

        Yields
        ------
        list of ndarray of bool, each of shape (n,)
            By stop.
        """
        wrong = [self.natural.copy() for _ in stops]
        for goal, stream in tries:
            starts = self.x if stream is None else self._starts(stream)
            left = np.flatnonzero(~np.all(wrong, axis=0))
            for part in _parts(left):
                ball = Ball.around(self.x[part], self.budget, "linf", BOX)
                objective = objective_of(source, goal.of(torch.from_numpy(part)), loss)
                found = points_after(objective, ball, starts[part], stride, stops)
                for mask, points in zip(wrong, found, strict=True):
                    mask[part] |= self.judged(part, points)
            yield [mask.copy() for mask in wrong]

    def run(
        self, attack: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], most: int | None = None
    ) -> Mask:
        """Return the images that are wrong after an attack, shape (n,).

        Parameters
        ----------
        attack : callable
            Images and labels to points.
        most : int, optional
            Only the first images are attacked.
        """
        wrong = self.natural.copy()
        for part in _parts(np.flatnonzero(~self.natural[:most])):
            wrong[part] = self.judged(part, attack(self.x[part], self.y[part]))
        return wrong

    def _starts(self, stream: torch.Generator) -> torch.Tensor:
        """Return points drawn uniformly from the balls, without regard to the box."""
        part = torch.rand(self.x.shape, generator=stream, dtype=self.x.dtype).to(self.x)
        return self.x + self.radius * (2 * part - 1)


def _parts(rows: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield rows by batches."""
    for i in range(0, len(rows), _BATCH):
        yield rows[i : i + _BATCH]
