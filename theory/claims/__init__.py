"""Statements from the literature, one file a paper."""
