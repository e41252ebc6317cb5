"""The decode step recorded once and replayed: for devices that outrun the host."""

from nlp_pipeline.generation.engine.graphs.capture import Capture as Capture
from nlp_pipeline.generation.engine.graphs.decode import DecodeGraphs as DecodeGraphs

__all__ = ["Capture", "DecodeGraphs"]
