"""Who computes the parts of a run: this process, or actors of a Ray cluster."""
