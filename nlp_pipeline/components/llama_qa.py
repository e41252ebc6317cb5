"""Component `llama_qa`: asks questions about each document."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spacy.language import Language

from nlp_pipeline.components.extractive import MARGIN, Extractive, checked_mode
from nlp_pipeline.components.factories import SAMPLING, takes_sampling
from nlp_pipeline.components.generators import DEFAULT_GENERATOR
from nlp_pipeline.components.long_documents import ChunkSettings
from nlp_pipeline.components.question_answering import LlamaQA
from nlp_pipeline.components.reference_scores import evaluate_with_references
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.prompts import load_examples, load_template

_TEMPLATES = {"free": "qa.v1", "extractive": "extractive_qa.v1"}
_BEAMS = {"free": 1, "extractive": 3}

_DEFAULTS: dict[str, Any] = {
    **SAMPLING,
    "questions": [],
    "mode": "free",
    "template": None,
    "no_answer": "not in the document",
    "no_answer_threshold": None,
    "no_answer_margin": MARGIN,
    "examples": [],
    "chunk_tokens": None,
    "chunk_overlap": 1,
    "chunks_first": 3,
    "num_beams": None,
    "length_penalty": 0.0,
    "max_new_tokens": 32,
    "stop": ["\n"],
    "generator": DEFAULT_GENERATOR,
}


@Language.factory(
    "llama_qa", assigns=["doc._.answers", "doc._.chunks", "doc.spans"], default_config=_DEFAULTS
)
@takes_sampling
def make_llama_qa(
    nlp: Language,
    name: str,
    questions: list[Any],
    mode: str,
    template: str | None,
    no_answer: str,
    no_answer_threshold: float | None,
    no_answer_margin: float,
    examples: Any,
    chunk_tokens: int | None,
    chunk_overlap: int,
    chunks_first: int,
    num_beams: int | None,
    length_penalty: float,
    generator: Any,
    params: SamplingParams,
) -> LlamaQA:
    """Makes a `LlamaQA`; the settings are described there and in `SamplingParams`.

    Null for `template` and `num_beams` is what suits the mode: `qa.v1` and 1, or
    `extractive_qa.v1` and 3. The extractive mode needs no `stop`; without beams there is no use
    for `length_penalty`.
    """
    evaluate_with_references(nlp)
    mode = checked_mode(name, mode)
    beams = _BEAMS[mode] if num_beams is None else num_beams
    if mode == "extractive":
        params = replace(params, stop=())
    if beams != 1:
        params = replace(params, num_beams=beams, length_penalty=length_penalty)
    return LlamaQA(
        name,
        generator,
        params,
        questions=questions,
        template=load_template(_TEMPLATES[mode] if template is None else template),
        no_answer=no_answer,
        no_answer_threshold=no_answer_threshold,
        examples=load_examples(name, examples, ("text", "question"), "answer", no_answer=no_answer),
        chunks=ChunkSettings.checked(name, chunk_tokens, chunk_overlap, chunks_first),
        extractive=Extractive(name, no_answer, no_answer_margin) if mode == "extractive" else None,
        nlp=nlp,
    )
