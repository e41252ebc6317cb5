"""The pytest plugin: the `golden` fixture and `--golden-update`."""
