"""Statements that nobody has proved, one file a conjecture, named by what it says."""
