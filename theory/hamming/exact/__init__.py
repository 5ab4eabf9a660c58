"""The least number of changes, proved: branch and bound over the points of few changes."""
