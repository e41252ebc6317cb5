"""The engine: continuous batching with shared prefixes over unmodified `transformers` models."""

from nlp_pipeline.generation.engine.engine import Engine as Engine
from nlp_pipeline.generation.engine.hf_attention import supports as supports

__all__ = ["Engine", "supports"]
