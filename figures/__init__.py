"""What a reader sees: figures, tables, numbers and reports, drawn from records alone."""
