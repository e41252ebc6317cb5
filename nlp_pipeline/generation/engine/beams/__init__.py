"""Beam search: the beams of a sequence are rows of the engine that share its prompt."""

from nlp_pipeline.generation.engine.beams.group import BeamGroup as BeamGroup
from nlp_pipeline.generation.engine.beams.group import beams_of as beams_of

__all__ = ["BeamGroup", "beams_of"]
