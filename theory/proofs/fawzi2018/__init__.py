"""Proofs of the statements of Fawzi, Fawzi and Fawzi (2018)."""

from theory.proofs.fawzi2018 import approximate, corollaries, robustness, transfer

__all__ = ["approximate", "corollaries", "robustness", "transfer"]
