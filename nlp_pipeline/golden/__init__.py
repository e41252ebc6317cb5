"""Golden-output regression tests: record what a pipeline gives, and check that it still does."""
