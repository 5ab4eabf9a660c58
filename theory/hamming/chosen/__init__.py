"""Coordinates that are chosen: a search for as few as possible."""
