"""The registry of attacks."""

from collections.abc import Callable

import torch

from theory.registry import Registry

Attack = Callable[..., torch.Tensor]

ATTACKS: Registry[Attack] = Registry("attack", ("empirics.attacks",), "advbounds.attacks")


def attack(name: str) -> Callable[[Attack], Attack]:
    """Register a function as the attack of this name."""

    def decorate(function: Attack) -> Attack:
        ATTACKS.register(name, function)
        return function

    return decorate
