"""The plain executor for models that the engine cannot run: padded batches, sorted by length."""
