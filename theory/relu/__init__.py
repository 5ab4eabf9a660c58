"""The geometry of piecewise-linear networks: patterns, regions, crossings, slices."""

from theory.relu.network import AffineMap, Layer, Piece, ReluNetwork

__all__ = ["AffineMap", "Layer", "Piece", "ReluNetwork"]
