"""Models made attackable: expectation over random transformations, and given backward passes."""

from collections.abc import Callable

import torch
from torch.autograd.function import FunctionCtx

from empirics.adversary.batch import Model
from theory.errors import InputError

Transform = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""(inputs (n, ...), stream on the CPU) -> transformed inputs, differentiable."""

Map = Callable[[torch.Tensor], torch.Tensor]


def averaged(
    model: Model,
    transform: Transform | None,
    samples: int,
    stream: torch.Generator,
) -> Map:
    """Return the mean logits of a model over random transformations of its inputs.

    The draws are made once: every call sees the same transformations, so that the mean is a
    deterministic model that every attack takes, its gradient is the mean of the gradients, and
    the error against the expectation is of order samples^(-1/2). A model that draws from torch's
    global random state is averaged as well; that state is as before after each call.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    transform : callable or None
        (inputs, stream) to inputs; None for a model that is random itself.
    samples : int
        Draws in the mean.
    stream : torch.Generator
        Draws a seed for each sample.

    Returns
    -------
    callable
        Inputs (n, ...) to logits (n, K).

    Raises
    ------
    InputError
        If there is not at least one sample.

    References
    ----------
    Athalye, Engstrom, Ilyas and Kwok, Synthesizing robust adversarial examples (ICML 2018),
    section 2.1.

    Examples
    --------
    >>> def shifted(x, stream):
    ...     return x + torch.rand((), generator=stream)
    >>> mean = averaged(lambda x: x, shifted, 1000, torch.Generator().manual_seed(0))
    >>> bool((mean(torch.zeros(1, 2)) - 0.5).abs().max() < 0.03)
    True
    """
    if samples < 1:
        raise InputError(f"samples: {samples}; expected at least 1")
    seeds = torch.randint(2**62, (samples,), generator=stream).tolist()

    def mean(x: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor | None = None
        devices = [x.device] if x.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            for seed in seeds:
                torch.manual_seed(seed)
                draw = torch.Generator().manual_seed(seed)
                logits = model(x if transform is None else transform(x, draw))
                total = logits if total is None else total + logits
        assert total is not None
        return total / samples

    return mean


class _Context(FunctionCtx):
    """What a forward pass leaves for the backward pass."""

    replacement: Map | None
    saved_tensors: tuple[torch.Tensor, ...]


class _Replaced(torch.autograd.Function):
    """The values of one map with the derivative of another."""

    @staticmethod
    def forward(
        ctx: _Context, x: torch.Tensor, preprocess: Map, backward: Map | None
    ) -> torch.Tensor:
        ctx.replacement = backward
        ctx.save_for_backward(x)
        with torch.no_grad():
            values = preprocess(x)
        return values.clone() if values is x else values

    @staticmethod
    def backward(ctx: _Context, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (x,) = ctx.saved_tensors
        if ctx.replacement is None:
            return gradients[0].reshape(x.shape), None, None
        with torch.enable_grad():
            point = x.detach().requires_grad_(True)
            (result,) = torch.autograd.grad(ctx.replacement(point), point, gradients[0])
        return result, None, None


def straight_through(preprocess: Map, backward: Map | None = None) -> Map:
    """Return a preprocessing whose backward pass is that of another map: BPDA.

    Parameters
    ----------
    preprocess : callable
        Inputs to inputs; need not be differentiable.
    backward : callable, optional
        A differentiable map that is close to it; by default the identity, for which the shapes
        must have equally many entries.

    Returns
    -------
    callable
        The values of `preprocess`, differentiated as `backward`.

    Raises
    ------
    InputError
        When called, if the identity cannot stand for a map that changes the number of entries.

    References
    ----------
    Athalye, Carlini and Wagner, Obfuscated gradients give a false sense of security (ICML 2018),
    section 4.1.

    Examples
    --------
    >>> x = torch.tensor([[0.2, 0.7]], requires_grad=True)
    >>> rounded = straight_through(torch.round)
    >>> (3 * rounded(x)).sum().backward()
    >>> x.grad
    tensor([[3., 3.]])
    """

    def through(x: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = _Replaced.apply(x, preprocess, backward)  # type: ignore[no-untyped-call]
        if backward is None and values.numel() != x.numel():
            raise InputError(
                f"preprocess: shape {tuple(x.shape)} to {tuple(values.shape)}; "
                "the identity cannot stand for it, give a backward map"
            )
        return values

    return through
