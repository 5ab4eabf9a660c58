"""Proofs of the statements of Fawzi, Fawzi and Fawzi (2018)."""

from theory.proofs.fawzi2018 import approximate, corollaries, probabilistic, robustness, transfer

__all__ = ["approximate", "corollaries", "probabilistic", "robustness", "transfer"]
