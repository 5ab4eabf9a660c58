"""Sympy forms and machine-checked proofs of the claims, one file or folder a paper."""
