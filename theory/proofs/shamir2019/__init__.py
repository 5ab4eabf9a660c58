"""Proofs of the statements after Shamir, Safran, Ronen and Dunkelman (2019)."""

from theory.proofs.shamir2019 import labels, linear, networks

__all__ = ["labels", "linear", "networks"]
