"""Families of small subjects, one file a laboratory."""
