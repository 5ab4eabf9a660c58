"""What stands in the way of attacks on a network: the flags, and what each of them means.

An attack that fails says something of a network's robustness only where it could have succeeded.
Seven things are looked for at some of the test images; a network without flags is not thereby
robust, and one with a flag not thereby weak.

random
    two calls at the same image give different logits. Noise, dropout at test time, random
    resizing and sampling do so. A step along one draw's gradient is a step along noise, and a
    label that changes from call to call is not a label: what is measured is one draw. The
    expectation over draws is a function again: attack the mean of many (Athalye et al., section
    4.2).
not finite
    logits or gradients overflow, or are not numbers. A step in the direction of an infinite
    gradient leads nowhere, and comparisons with what is not a number are all false: attacks
    stop where they started, and the radius looks infinite. Mostly a matter of scale or
    precision.
vanishing
    the cross entropy has no gradient although the logits have one. A softmax of large logits
    rounds to exactly 0 and 1 (defensive distillation does this), and an attack on the cross
    entropy stands still. The labels do not change when the logits are divided by a constant,
    and attacks on differences of logits do not see the softmax at all (Carlini and Wagner,
    section VI).
not differentiable
    the logits change with the image where their gradient is zero or is not there. A part of the
    network rounds, sorts into bins, compresses, or was cut from the graph. Attacks along
    gradients are blind to it. A smooth stand-in on the way back, or an attack that needs labels
    alone, is not (Athalye et al., section 4.1).
random direction
    short random steps raise the loss more than steps of the same length along the gradient. By
    the definition of a gradient this does not happen to a smooth function: the gradient is
    masked (shattered, or that of another function), and what attacks along it find says
    nothing.
blind attack
    random points of a ball have other labels where ascent along the gradient in that ball found
    none. Searching with the gradient must not be worse than searching without (Athalye et al.,
    section 3.1; Carlini et al., section 5).
budget
    a larger ball gives the ascent no more points of other labels, although there are such
    points. With a large enough budget every attack must succeed: this one is stuck.

References
----------
Athalye, Carlini and Wagner, Obfuscated gradients give a false sense of security (ICML 2018).
Carlini and Wagner, Towards evaluating the robustness of neural networks (S&P 2017). Carlini et al.,
On evaluating adversarial robustness (arXiv:1902.06705).
"""

import torch
from torch import nn

from empirics.attacks.flags import Flag, diagnosed

_BLINDING = ("not finite", "not differentiable")


def flags_of(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, seed: int
) -> tuple[Flag, ...]:
    """Return the flags of a network at some images.

    Parameters
    ----------
    module : nn.Module
        Images (n, ...) to logits (n, K); it may draw from torch's random state, which is as before
        afterwards.
    images, labels : Tensor
        Images (n, ...) and their true labels (n,), on the network's device.
    seed : int
        Of the random steps, and of the network's own draws.

    Examples
    --------
    >>> images = torch.rand(40, 6, generator=torch.Generator().manual_seed(0))
    >>> rounding = lambda x: torch.stack([x.sum(1).round(), 3 + 0 * x[:, 0]], 1)
    >>> [flag.name for flag in flags_of(rounding, images, rounding(images).argmax(1), 0)]
    ['not differentiable', 'random direction', 'blind attack', 'budget']
    """
    devices = [images.device] if images.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        return tuple(diagnosed(module, images, labels, seed=seed))


def differentiable(flags: tuple[Flag, ...]) -> bool:
    """Whether no flag says that gradients are missing, zero or infinite where logits change."""
    return not any(flag.name in _BLINDING for flag in flags)
