"""The run folder: lock, manifest, fingerprint, parts and the way to read them back."""
