"""Transformations of images, pure functions: (images, strength, stream) -> images in [0, 1]."""

from empirics.transformations.registry import TRANSFORMATIONS, Transformation, transformation

__all__ = ["TRANSFORMATIONS", "Transformation", "transformation"]
