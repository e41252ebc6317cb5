"""The named pipelines: spaCy configs, no code."""
