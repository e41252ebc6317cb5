"""One spaCy component a file; the entry points make `add_pipe` work without importing us."""
