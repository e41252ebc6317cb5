"""`llama_summarizer`: one summary of each Doc."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example as ScoredExample

from nlp_pipeline.components.answer_overlap import f1
from nlp_pipeline.components.base import Ask, LlamaComponent
from nlp_pipeline.components.completion_scores import token_figures
from nlp_pipeline.components.extractive_summaries import ExtractiveSummaries
from nlp_pipeline.components.factories import SAMPLING, takes_sampling
from nlp_pipeline.components.free_summaries import FreeSummaries
from nlp_pipeline.components.generators import DEFAULT_GENERATOR
from nlp_pipeline.components.long_documents import (
    ChunkSettings,
    LongDocuments,
    Plan,
    chunk_rows,
    token_sums,
    without_chunk,
)
from nlp_pipeline.components.reference_scores import evaluate_with_references, mean
from nlp_pipeline.components.summary_revision import ON_UNSUPPORTED, SummaryRevision
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import InvalidSetting, sentences_not_scored
from nlp_pipeline.generation.chat import Chat
from nlp_pipeline.generation.interface import Completion, Generator, SamplingParams
from nlp_pipeline.grounding.answer_checker import Checker
from nlp_pipeline.prompts import Example, PromptTemplate, load_examples, load_template

logger = logging.getLogger(__name__)

_KEY = "summary"

_DEFAULTS: dict[str, Any] = {
    **SAMPLING,
    "mode": None,
    "template": "summary.v1",
    "max_sentences": 2,
    "examples": [],
    "chunk_tokens": None,
    "chunk_overlap": 1,
    "on_unsupported": None,
    "max_new_tokens": None,
    "generator": DEFAULT_GENERATOR,
}

_MODES = ("free", "extractive")
_SENTENCE_TOKENS = 64
"""Model tokens that a sentence of a summary may have where the config gives no budget."""


def _budget(settings: Mapping[str, Any]) -> int:
    """Tokens for as many sentences as are asked for; a number that is none is refused later."""
    n_sentences = settings["max_sentences"]
    return _SENTENCE_TOKENS * max(1, n_sentences if isinstance(n_sentences, int) else 1)


@Language.factory(
    "llama_summarizer",
    assigns=["doc._.chunks", "doc._.summary", "doc._.summary_details", "doc._.summaries"],
    default_config=_DEFAULTS,
)
@partial(takes_sampling, budget=_budget)
def make_llama_summarizer(
    nlp: Language,
    name: str,
    mode: str | None,
    template: str,
    max_sentences: int,
    examples: Any,
    chunk_tokens: int | None,
    chunk_overlap: int,
    on_unsupported: str | None,
    generator: Any,
    params: SamplingParams,
) -> LlamaSummarizer:
    """Makes a `LlamaSummarizer`; the settings are described there and in `SamplingParams`."""
    evaluate_with_references(nlp)
    return LlamaSummarizer(
        name,
        generator,
        params,
        mode="free" if mode is None else mode,
        template=load_template(template),
        max_sentences=max_sentences,
        nlp=nlp,
        examples=load_examples(name, examples, ("text",), "summary"),
        chunks=ChunkSettings.checked(name, chunk_tokens, chunk_overlap),
        on_unsupported="mark" if on_unsupported is None else on_unsupported,
    )


@dataclass(frozen=True)
class SummaryResult:
    """The summary of a Doc with its figures, and the chunks that were summarized."""

    details: dict[str, Any]
    plan: Plan


class LlamaSummarizer(LlamaComponent):
    """Summarizes each Doc into `doc._.summary`, with figures in `doc._.summary_details`.

    Of several summarizers these are the last one's; `doc._.summaries` has the details of all.

    Args:
        name: The component's name in the pipeline.
        generator: Completes the prompts.
        params: How.
        mode: `free`, or `extractive`: whole sentences of the document (`extractive_summaries`).
        template: Is given `text` and `max_sentences`.
        max_sentences: How many sentences the summary has at most; at least 1.
        nlp: The pipeline it is part of, whose pipes read the summary (`grounding.reading`).
        examples: Stand in every prompt before the document.
        chunks: How a document that does not fit is split (`long_summaries`).
        on_unsupported: `mark`, `drop` or `retry` what the document lacks (`summary_revision`).

    Raises:
        InvalidSetting: `max_sentences` is no integer of at least 1, or there is no such `mode` or
            `on_unsupported`.
        PromptTemplateInvalid: The template uses a value that there is none of.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        params: SamplingParams,
        *,
        template: PromptTemplate,
        max_sentences: int,
        mode: str = "free",
        nlp: Language | None = None,
        examples: tuple[Example, ...] = (),
        chunks: ChunkSettings | None = None,
        on_unsupported: str = "mark",
    ) -> None:
        super().__init__(name, generator, params)
        template.check(("text", "max_sentences"))
        if mode not in _MODES:
            raise InvalidSetting(name, "mode", mode, allowed="'free' or 'extractive'")
        if not isinstance(max_sentences, int) or max_sentences < 1:
            raise InvalidSetting(
                name, "max_sentences", max_sentences, allowed="an integer of at least 1"
            )
        if on_unsupported not in ON_UNSUPPORTED:
            allowed = "'mark', 'drop' or 'retry'"
            raise InvalidSetting(name, "on_unsupported", on_unsupported, allowed=allowed)
        self.template = template
        self.max_sentences = max_sentences
        self.examples = examples
        self.checker = Checker(nlp, name)
        self.long = LongDocuments(
            generator, params.max_new_tokens, chunks or ChunkSettings(None, 1)
        )
        self._pieces: ExtractiveSummaries | FreeSummaries
        if mode == "extractive":
            self._pieces = ExtractiveSummaries(
                _KEY, max_sentences, render=self._chat, checker=self.checker
            )
        else:
            revision = SummaryRevision(
                _KEY, self.checker, max_sentences=max_sentences, on_unsupported=on_unsupported
            )
            self._pieces = FreeSummaries(
                _KEY, self._chat, params, long=self.long, revision=revision
            )

    def asks(self, doc: Doc) -> list[Ask]:
        """One request; of a document that does not fit, one per chunk, and more follow.

        In the extractive mode one for each sentence that may be chosen; none of a server that does
        not say how likely a given text is. A document without a word is not asked about.
        """
        is_extractive = isinstance(self._pieces, ExtractiveSummaries)
        if not doc.text.strip() or (is_extractive and not self._scores_texts):
            return []
        plan = self.long.plan(doc, {_KEY: self._chat})
        refused = plan.refused.get(_KEY)
        if refused is not None:
            return [Ask(_KEY, self._chat(""), error=refused)]
        return self._pieces.asks(doc, plan)

    @cached_property
    def _scores_texts(self) -> bool:
        """Whether the generator can judge sentences; where it cannot, that is said once."""
        can_score = bool(getattr(self.generator, "scores_texts", True))
        if not can_score:
            logger.warning("%s", sentences_not_scored(self.name))
        return can_score

    def follow_ups(self, doc: Doc, completions: Mapping[str, Completion]) -> list[Ask]:
        """What is asked once the first summaries are there."""
        return self._pieces.follow_ups(doc, self.long.recall(doc), completions)

    def question_id(self, key: str) -> str:
        """The same for all parts of a summary."""
        return without_chunk(key)

    def _chat(self, text: str) -> Chat:
        values = {"text": text, "max_sentences": self.max_sentences}
        return self.template.render(values, self.examples)

    def read_ahead(self, answered: Sequence[tuple[Doc, Mapping[str, Completion]]]) -> None:
        """Reads the summaries of several Docs together."""
        self.checker.read_ahead(
            (doc, text)
            for doc, completions in answered
            for text in self._pieces.texts(doc, self.long.recall(doc), completions)
        )

    def predict(self, doc: Doc, completions: Mapping[str, Completion]) -> SummaryResult:
        """The summary, and how many tokens it cost."""
        plan = self.long.recall(doc)
        completion, columns = self._pieces.result(doc, plan, completions)
        details = self._details(completion, columns, max(1, len(plan.chunks)))
        if len(completions) > 1:
            details |= token_sums(list(completions.values()))
        return SummaryResult(details, plan if plan.chunks else Plan())

    def failed(self, doc: Doc, error: NlpPipelineError) -> SummaryResult:
        """The failure in place of a summary."""
        failure = {_KEY: Completion.failed("", error)}
        completion, columns = self._pieces.result(doc, Plan(), failure)
        return SummaryResult(self._details(completion, columns, 1), Plan())

    def _details(
        self, completion: Completion, columns: Mapping[str, Any], n_chunks: int
    ) -> dict[str, Any]:
        return {
            "component": self.name,
            **columns,
            "n_chunks": n_chunks,
            **token_figures(completion, self.model_name(completion)),
        }

    def has_reference(self, doc: Doc) -> bool:
        """Whether a reference Doc has a summary."""
        return bool(doc._.summary)

    def score(self, examples: Iterable[ScoredExample], **_: Any) -> dict[str, Any]:
        """F1 of the summary's words against the reference's, as `summary_f1`."""
        overlaps = [
            f1(details["summary"], [example.reference._.summary])
            for example in examples
            if example.reference._.summary
            for details in example.predicted._.summaries
            if details["component"] == self.name
        ]
        return {"summary_f1": mean(overlaps)} if overlaps else {}

    def set_annotations(self, doc: Doc, result: SummaryResult) -> None:
        """Writes the summary, its details and the chunks."""
        doc._.chunks = [*self.of_others(doc._.chunks), *chunk_rows(self.name, result.plan)]
        self.long.forget(doc)
        doc._.summaries = [*self.of_others(doc._.summaries), result.details]
        doc._.summary = result.details["summary"]
        doc._.summary_details = result.details
