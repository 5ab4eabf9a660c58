"""Training and measuring: presets become records of what networks really do."""
