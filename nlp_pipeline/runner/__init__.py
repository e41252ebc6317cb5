"""A run, from what is asked for to its finished folder: records in, rows of parts out."""
