"""Points of a cell, or of another label, that differ from a point in few coordinates."""

from theory.hamming.chosen.search import search, search_untargeted
from theory.hamming.exact.least import LeastChanges, least_changes
from theory.hamming.genericity import is_coordinate_generic
from theory.hamming.given.climb import Climb, climb, restart_climb
from theory.hamming.given.fixed import FixedMargin, best_margin
from theory.hamming.given.path import OutputPath, draw_path, follow_path
from theory.hamming.labels import Targeted, targeted
from theory.hamming.linear import CellPoint, MinimalChanges, minimal_changes, reach_cell
from theory.hamming.problem import MARGIN, LabelProblem

__all__ = [
    "MARGIN",
    "CellPoint",
    "Climb",
    "FixedMargin",
    "LabelProblem",
    "LeastChanges",
    "MinimalChanges",
    "OutputPath",
    "Targeted",
    "best_margin",
    "climb",
    "draw_path",
    "follow_path",
    "is_coordinate_generic",
    "least_changes",
    "minimal_changes",
    "reach_cell",
    "restart_climb",
    "search",
    "search_untargeted",
    "targeted",
]
