"""The pipes of a pipeline, by their class: spaCy knows each of them as something to call only."""

from __future__ import annotations

from spacy.language import Language

from nlp_pipeline.components.llama_qa import LlamaQA
from nlp_pipeline.generation.backends.inprocess import LlamaGenerator
from nlp_pipeline.generation.llama import Llama


def llama_qa_of(nlp: Language) -> LlamaQA:
    """The component `llama_qa` of a pipeline."""
    pipe = nlp.get_pipe("llama_qa")
    assert isinstance(pipe, LlamaQA)
    return pipe


def llama_of(pipe: object) -> Llama:
    """The model that a Llama component of this process asks."""
    generator = getattr(pipe, "generator", None)
    assert isinstance(generator, LlamaGenerator)
    return generator.llama
