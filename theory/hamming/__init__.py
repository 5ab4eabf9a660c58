"""Points of a cell, or of another label, that differ from a point in few coordinates."""

from theory.hamming.linear import CellPoint, MinimalChanges, minimal_changes, reach_cell

__all__ = ["CellPoint", "MinimalChanges", "minimal_changes", "reach_cell"]
