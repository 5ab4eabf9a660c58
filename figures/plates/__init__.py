"""One file a figure or table; each registers itself by its decorator."""
