"""Who carries out the cells of a preset, other than the one process that does by default."""
