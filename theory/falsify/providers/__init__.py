"""Quantities that are known exactly, one file a group that share their methods."""
