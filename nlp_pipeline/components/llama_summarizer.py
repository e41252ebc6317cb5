"""`llama_summarizer`: one summary of each Doc."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example as ScoredExample

from nlp_pipeline.components.answer_overlap import f1
from nlp_pipeline.components.base import Ask, LlamaComponent
from nlp_pipeline.components.completion_scores import token_figures
from nlp_pipeline.components.factories import SAMPLING, takes_sampling
from nlp_pipeline.components.generators import DEFAULT_GENERATOR
from nlp_pipeline.components.long_documents import (
    NOTHING_ASKED,
    ChunkSettings,
    LongDocuments,
    Plan,
    chunk_rows,
    token_sums,
    without_chunk,
)
from nlp_pipeline.components.long_summaries import LongSummaries
from nlp_pipeline.components.reference_scores import evaluate_with_references, mean
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.generation.interface import Chat, Completion, Generator, SamplingParams
from nlp_pipeline.grounding.answer_checker import Checker
from nlp_pipeline.prompts import Example, PromptTemplate, load_examples, load_template

_KEY = "summary"

_DEFAULTS: dict[str, Any] = {
    **SAMPLING,
    "template": "summary.v1",
    "max_sentences": 2,
    "examples": [],
    "chunk_tokens": None,
    "chunk_overlap": 1,
    "max_new_tokens": 96,
    "generator": DEFAULT_GENERATOR,
}


@Language.factory(
    "llama_summarizer",
    assigns=["doc._.chunks", "doc._.summary", "doc._.summary_details", "doc._.summaries"],
    default_config=_DEFAULTS,
)
@takes_sampling
def make_llama_summarizer(
    nlp: Language,
    name: str,
    template: str,
    max_sentences: int,
    examples: Any,
    chunk_tokens: int | None,
    chunk_overlap: int,
    generator: Any,
    params: SamplingParams,
) -> LlamaSummarizer:
    """Makes a `LlamaSummarizer`; the settings are described there and in `SamplingParams`."""
    evaluate_with_references(nlp)
    return LlamaSummarizer(
        name,
        generator,
        params,
        template=load_template(template),
        max_sentences=max_sentences,
        nlp=nlp,
        examples=load_examples(name, examples, ("text",), "summary"),
        chunks=ChunkSettings.checked(name, chunk_tokens, chunk_overlap),
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
        template: Is given `text` and `max_sentences`.
        max_sentences: What the model is asked for; at least 1.
        nlp: The pipeline it is part of, whose pipes read the summary (`grounding.reading`).
        examples: Stand in every prompt before the document.
        chunks: How a document that does not fit is split. Each chunk is summarized, then the
            summaries are, until one prompt holds what is left.

    Raises:
        InvalidSetting: `max_sentences` is no integer of at least 1.
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
        nlp: Language | None = None,
        examples: tuple[Example, ...] = (),
        chunks: ChunkSettings | None = None,
    ) -> None:
        super().__init__(name, generator, params)
        template.check(("text", "max_sentences"))
        if not isinstance(max_sentences, int) or max_sentences < 1:
            raise InvalidSetting(
                name, "max_sentences", max_sentences, allowed="an integer of at least 1"
            )
        self.template = template
        self.max_sentences = max_sentences
        self.examples = examples
        self.checker = Checker(nlp, name)
        self.long = LongDocuments(
            generator, params.max_new_tokens, chunks or ChunkSettings(None, 1)
        )
        self._pieces = LongSummaries(_KEY, self.long, self._chat)

    def asks(self, doc: Doc) -> list[Ask]:
        """One request; of a document that does not fit, one per chunk, and more follow.

        A document without a word is not asked about.
        """
        if not doc.text.strip():
            return []
        plan = self.long.plan(doc, {_KEY: self._chat})
        if plan.chunks:
            return self._pieces.asks(doc, plan)
        refused = plan.refused.get(_KEY)
        return [Ask(_KEY, self._chat("" if refused else doc.text), error=refused)]

    def follow_ups(self, doc: Doc, completions: Mapping[str, Completion]) -> list[Ask]:
        """Summaries of the chunks' summaries."""
        plan = self.long.recall(doc)
        return self._pieces.follow_ups(plan, completions) if plan.chunks else []

    def question_id(self, key: str) -> str:
        """The same for all parts of a summary."""
        return without_chunk(key)

    def _chat(self, text: str) -> Chat:
        values = {"text": text, "max_sentences": self.max_sentences}
        return self.template.render(values, self.examples)

    def read_ahead(self, answered: Sequence[tuple[Doc, Mapping[str, Completion]]]) -> None:
        """Reads the summaries of several Docs together."""
        self.checker.read_ahead(
            (doc, completions[_KEY].text.strip())
            for doc, completions in answered
            if _KEY in completions and completions[_KEY].text.strip()
        )

    def predict(self, doc: Doc, completions: Mapping[str, Completion]) -> SummaryResult:
        """The summary and its figures."""
        plan = self.long.recall(doc)
        if plan.chunks:
            completion = self._pieces.result(completions)
            costs = token_sums(list(completions.values()))
            rounds = self._pieces.rounds(completions)
            return SummaryResult(
                {**self._details(doc, completion, len(plan.chunks), rounds), **costs}, plan
            )
        completion = completions[_KEY] if doc.text.strip() else NOTHING_ASKED
        return SummaryResult(self._details(doc, completion, 1, 0), Plan())

    def failed(self, doc: Doc, error: NlpPipelineError) -> SummaryResult:
        """The failure in place of a summary."""
        return SummaryResult(self._details(doc, Completion.failed("", error), 1, 0), Plan())

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

    def _details(
        self, doc: Doc, completion: Completion, n_chunks: int, rounds: int
    ) -> dict[str, Any]:
        summary_text = completion.text.strip()
        status = "error" if completion.error else "ok" if summary_text else "no_answer"
        summary = summary_text if status == "ok" else None
        return {
            "component": self.name,
            "summary": summary,
            "status": status,
            **self.checker.check_summary(doc, summary),
            "n_chunks": n_chunks,
            "rounds": rounds,
            **token_figures(completion, self.model_name(completion)),
        }

    def set_annotations(self, doc: Doc, result: SummaryResult) -> None:
        """Writes the summary, its details and the chunks."""
        doc._.chunks = [*self.of_others(doc._.chunks), *chunk_rows(self.name, result.plan)]
        self.long.forget(doc)
        doc._.summaries = [*self.of_others(doc._.summaries), result.details]
        doc._.summary = result.details["summary"]
        doc._.summary_details = result.details
