"""The engine: continuous batching with shared prefixes over unmodified `transformers` models."""

from nlp_pipeline.generation.engine.attention import supports as supports
from nlp_pipeline.generation.engine.engine import Engine as Engine

__all__ = ["Engine", "supports"]
