"""Component `llama_qa`: asks questions about each document."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spacy.language import Language

from nlp_pipeline.components.answer_features import (
    DEFAULT_WEIGHTS,
    FEATURE_NAMES,
    checked_weights,
)
from nlp_pipeline.components.answer_judge import DEFAULT_THRESHOLD, AnswerJudge
from nlp_pipeline.components.base import check_offered
from nlp_pipeline.components.extractive import (
    HYPOTHESES,
    MARGIN,
    Extractive,
    checked_mode,
    mode_for,
)
from nlp_pipeline.components.factories import SAMPLING, takes_sampling
from nlp_pipeline.components.generators import DEFAULT_GENERATOR
from nlp_pipeline.components.long_documents import ChunkSettings
from nlp_pipeline.components.passage_answers import ALL, checked_evidence
from nlp_pipeline.components.question_answering import LlamaQA
from nlp_pipeline.components.reference_scores import evaluate_with_references
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.prompts import load_examples, load_template

_TEMPLATES = {"free": "qa.v1", "extractive": "extractive_qa.v1"}
_BEAMS = {"free": 1, "extractive": 3}
_EVIDENCE = {"free": ALL, "extractive": 1}

_DEFAULTS: dict[str, Any] = {
    **SAMPLING,
    "questions": [],
    "fallback_questions": False,
    "mode": "free",
    "template": None,
    "no_answer": "not in the document",
    "no_answer_threshold": None,
    "no_answer_margin": MARGIN,
    "examples": [],
    "chunk_tokens": None,
    "chunk_overlap": 1,
    "chunks_first": 3,
    "evidence_sentences": None,
    "candidate_weights": {},
    "keep_candidates": False,
    "no_answer_weights": {},
    "answerable_threshold": DEFAULT_THRESHOLD,
    "confidence_weights": {},
    "num_beams": None,
    "length_penalty": 0.0,
    "first": None,
    "first_threshold": None,
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
    fallback_questions: bool,
    mode: str,
    template: str | None,
    no_answer: str,
    no_answer_threshold: float | None,
    no_answer_margin: float,
    examples: Any,
    chunk_tokens: int | None,
    chunk_overlap: int,
    chunks_first: int,
    evidence_sentences: int | str | None,
    candidate_weights: dict[str, float],
    keep_candidates: bool,
    no_answer_weights: dict[str, float],
    answerable_threshold: float,
    confidence_weights: dict[str, float],
    num_beams: int | None,
    length_penalty: float,
    first: str | None,
    first_threshold: float | None,
    generator: Any,
    params: SamplingParams,
) -> LlamaQA:
    """Makes a `LlamaQA`; the settings are described there and in `SamplingParams`.

    The mode `auto` is `extractive` where the generator obeys constraints, as the Llama in this
    process does, and `free` where it does not, as a server. Null for `template`, `num_beams` and
    `evidence_sentences` is what suits the mode: `qa.v1`, 1 and `all`, or `extractive_qa.v1`, 3 (1
    for a model that cannot search) and 1. The extractive mode needs no `stop`; without beams
    there is no use for `length_penalty`.
    """
    evaluate_with_references(nlp)
    mode = mode_for(name, checked_mode(name, mode), generator)
    beams = _BEAMS[mode] if num_beams is None else num_beams
    evidence = _EVIDENCE[mode] if evidence_sentences is None else evidence_sentences
    if no_answer_threshold is not None:
        check_offered(name, generator, {"no_answer_threshold": no_answer_threshold})
    if mode == "extractive":
        params = replace(params, stop=(), num_hypotheses=HYPOTHESES)
    if beams != 1:
        if num_beams is None and "num_beams" in getattr(generator, "refused_settings", ()):
            beams = 1
        params = replace(params, num_beams=beams, length_penalty=length_penalty)
    return LlamaQA(
        name,
        generator,
        params,
        questions=questions,
        fallback_questions=fallback_questions,
        template=load_template(_TEMPLATES[mode] if template is None else template),
        no_answer=no_answer,
        no_answer_threshold=no_answer_threshold,
        examples=load_examples(name, examples, ("text", "question"), "answer", no_answer=no_answer),
        chunks=ChunkSettings.checked(name, chunk_tokens, chunk_overlap, chunks_first),
        extractive=Extractive(name, no_answer, no_answer_margin) if mode == "extractive" else None,
        evidence_sentences=checked_evidence(name, evidence),
        candidate_weights={
            **DEFAULT_WEIGHTS,
            **checked_weights(name, "candidate_weights", candidate_weights, FEATURE_NAMES),
        },
        keep_candidates=keep_candidates,
        judge=AnswerJudge.checked(
            name, no_answer_weights, confidence_weights, answerable_threshold
        ),
        may_search_less=num_beams is None,
        first=first,
        first_threshold=first_threshold,
        nlp=nlp,
    )
