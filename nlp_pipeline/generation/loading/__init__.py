"""Checkpoints of every format to a model and a tokenizer."""
