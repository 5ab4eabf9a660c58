"""Attacks, one pure function a file: (model, x, y, **settings) -> adversarial inputs."""

from empirics.attacks.best_of import best_of
from empirics.attacks.registry import ATTACKS, attack
from empirics.attacks.strongest import minimal

__all__ = ["ATTACKS", "attack", "best_of", "minimal"]
