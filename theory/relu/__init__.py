"""The geometry of piecewise-linear networks: patterns, regions, crossings, slices."""

from theory.relu.bounds import Ends, NetworkBounds, hamming_ball_bounds, interval_bounds
from theory.relu.enumeration import ActivationRegion, activation_regions, n_activation_regions
from theory.relu.layer import AffineMap, Layer, Piece
from theory.relu.network import ReluNetwork
from theory.relu.planar import PlanarSlice, plane_through, slice_regions
from theory.relu.region import Ball, Region
from theory.relu.segment import Crossings

__all__ = [
    "ActivationRegion",
    "AffineMap",
    "Ball",
    "Crossings",
    "Ends",
    "Layer",
    "NetworkBounds",
    "Piece",
    "PlanarSlice",
    "Region",
    "ReluNetwork",
    "activation_regions",
    "hamming_ball_bounds",
    "interval_bounds",
    "n_activation_regions",
    "plane_through",
    "slice_regions",
]
