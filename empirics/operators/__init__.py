"""Operators of torch as arrays: linear ones as matrices, piecewise-linear ones as ReLUs."""
