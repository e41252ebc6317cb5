"""Generators that a config can name: the in-process Llama and the echo."""
