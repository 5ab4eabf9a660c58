"""Coordinates that are given: paths in output space, climbs by programmes, the best margin."""
