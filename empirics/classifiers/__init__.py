"""Classifiers, one file each."""
