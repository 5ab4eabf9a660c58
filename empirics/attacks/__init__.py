"""Attacks, one pure function a file: (model, x, y, **settings) -> adversarial inputs."""

from empirics.attacks.registry import ATTACKS, attack

__all__ = ["ATTACKS", "attack"]
