"""A substitute of a model that gives only labels, for attacks on it (Papernot et al., 2017)."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import within
from empirics.attacks.registry import attack
from empirics.attacks.transfer import transfer
from theory.errors import InputError

_MOMENTUM = 0.9


@dataclass(frozen=True)
class Substitute:
    """A trained substitute, and what it cost.

    Attributes
    ----------
    module : nn.Module
        Inputs to logits, in evaluation mode, without gradients of its parameters.
    inputs, labels : Tensor
        What the model was asked, and its answers; the number of queries is their length.
    agreement : list of float
        After each round, the part of the answers that the substitute gives as well.
    """

    module: nn.Module
    inputs: torch.Tensor
    labels: torch.Tensor
    agreement: list[float]


def trained_substitute(
    model: Model,
    samples: torch.Tensor,
    module: nn.Module,
    *,
    stream: torch.Generator,
    rounds: int = 6,
    step: float = 0.1,
    period: int | None = None,
    epochs: int = 10,
    batch: int = 128,
    learning_rate: float = 0.01,
    box: Box | None = None,
) -> Substitute:
    """Train a module on the labels of a model, at points that the module itself asks for.

    After each round but the last every point x is joined by x + step sign(J), J the gradient of
    the substitute's logit of the label of x: the number of queries doubles.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K); only their argmax is used.
    samples : Tensor, shape (n, ...)
        The first inputs, few, of the model's domain.
    module : nn.Module
        Freshly initialised, inputs to logits of the same classes; a copy of it is trained.
    stream : torch.Generator
        Draws the order of the batches.
    rounds : int
        Trainings.
    step : float
        Length of the augmentation in each coordinate.
    period : int, optional
        The sign of the step changes every so many rounds; never by default.
    epochs, batch, learning_rate
        Of each training, by gradient descent with momentum 0.9.
    box : tuple of float, optional
        Lowest and highest value of a coordinate.

    Returns
    -------
    Substitute

    Raises
    ------
    InputError
        If there are no samples, or the module has fewer classes than the model answers.

    References
    ----------
    Papernot, McDaniel, Goodfellow, Jha, Celik and Swami, Practical black-box attacks against
    machine learning (ASIA CCS 2017), algorithm 1 and equation 4; the periodical step is of
    Papernot, McDaniel and Goodfellow (arXiv:1605.07277), section 5.1.
    """
    if not len(samples) or rounds < 1:
        raise InputError(f"samples: {len(samples)} of them, {rounds} rounds; expected one or more")
    pupil = copy.deepcopy(module).to(samples.device, samples.dtype).requires_grad_(True).train()
    inputs, agreement = samples, []
    with torch.no_grad():
        labels = model(samples).argmax(dim=1)
        n_outputs = copy.deepcopy(pupil).eval()(samples[:1]).shape[1]
    for done in range(rounds):
        if int(labels.max()) >= n_outputs:
            raise InputError(
                f"module: {n_outputs} classes; the model answered label {int(labels.max())}"
            )
        optimiser = torch.optim.SGD(pupil.parameters(), lr=learning_rate, momentum=_MOMENTUM)
        pupil.train().requires_grad_(True)
        for _ in range(epochs):
            order = torch.randperm(len(inputs), generator=stream).to(inputs.device)
            for rows in torch.split(order, batch):
                loss = nn.functional.cross_entropy(pupil(inputs[rows]), labels[rows])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        pupil.eval().requires_grad_(False)
        with torch.no_grad():
            same = pupil(inputs).argmax(dim=1) == labels
        agreement.append(float(same.double().mean()))
        if done < rounds - 1:
            sign = 1 if period is None or (done // period) % 2 == 0 else -1
            fresh = _augmented(pupil, inputs, labels, sign * step, box)
            with torch.no_grad():
                answers = model(fresh).argmax(dim=1)
            inputs, labels = torch.cat([inputs, fresh]), torch.cat([labels, answers])
    return Substitute(pupil, inputs, labels, agreement)


def _augmented(
    module: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, step: float, box: Box | None
) -> torch.Tensor:
    point = inputs.detach().requires_grad_(True)
    own = module(point).gather(1, labels[:, None]).sum()
    (gradient,) = torch.autograd.grad(own, point)
    return within(inputs + step * gradient.sign(), box).detach()


@attack("substitute")
def substitute(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    samples: torch.Tensor,
    module: nn.Module,
    stream: torch.Generator,
    by: str = "fgsm",
    box: Box | None = None,
    targets: torch.Tensor | None = None,
    training: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
) -> torch.Tensor:
    """Return points of an attack on a trained substitute that fool the model; x where none does.

    Black box (labels); norm and budget are those of the attack on the substitute.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K); only their argmax is used.
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    samples, module, stream
        As in `trained_substitute`.
    by : str
        Name of the attack on the substitute; the fast gradient sign as published.
    box, targets
        Of augmentation and attack.
    training, settings : dict, optional
        Further settings of `trained_substitute` and of the attack.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If the inputs, labels, targets, the attack or the models' values are not as above.

    References
    ----------
    Papernot et al. (ASIA CCS 2017), sections 4 and 5.
    """
    checked(model, x, y, box=box, targets=targets)
    pupil = trained_substitute(model, samples, module, stream=stream, box=box, **(training or {}))
    return transfer(
        model, x, y, source=pupil.module, by=by, box=box, targets=targets, settings=settings
    )
