"""Answers questions about documents: what is asked of each, and what the answers mean."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc, Span
from spacy.training import Example as ScoredExample

from nlp_pipeline.chunking import Chunk
from nlp_pipeline.components.answer_list import Answers
from nlp_pipeline.components.base import Ask, LlamaComponent
from nlp_pipeline.components.completion_scores import completion_score, token_figures
from nlp_pipeline.components.extractive import NO_ANSWER_KEY, Extractive
from nlp_pipeline.components.long_answers import BestReply, LongAnswers
from nlp_pipeline.components.long_documents import (
    NOTHING_ASKED,
    ChunkSettings,
    LongDocuments,
    Plan,
    QuestionReader,
    checked_threshold,
    chunk_rows,
    token_sums,
    without_chunk,
)
from nlp_pipeline.components.questions import parse_questions, questions_of
from nlp_pipeline.components.reference_scores import answer_scores, reference_answers
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import sentences_come_later
from nlp_pipeline.generation.interface import Chat, Completion, Generator, SamplingParams
from nlp_pipeline.grounding.align import Grounding
from nlp_pipeline.grounding.answer_checker import Checker
from nlp_pipeline.grounding.token_places import realigned, span_at, stored_spans
from nlp_pipeline.prompts import Example, PromptTemplate

logger = logging.getLogger(__name__)

SPANS_KEY = "answers"
SPAN_LABEL = "ANSWER"


@dataclass(frozen=True)
class QAResult:
    """The answers about a Doc, and the chunks that were asked."""

    answers: list[dict[str, Any]]
    plan: Plan


class LlamaQA(LlamaComponent):
    """Answers questions about each Doc into `doc._.answers` and `doc.spans["answers"]`.

    Args:
        name: The component's name in the pipeline.
        generator: Completes the prompts.
        params: How.
        questions: Asked of every Doc; texts, or objects with `id` and `text`. A Doc's own, in
            `doc._.questions`, come after them.
        template: Is given `text`, `question`, `no_answer` and `meta` (the record's other fields,
            such as a title).
        no_answer: The reply that means that the document holds no answer. Such an answer, or
            an empty one, has the status `no_answer`.
        no_answer_threshold: An answer with a lower score (the log-probability of the whole)
            counts as none; `nlp-pipeline evaluate` finds a good value. None sets none.
        examples: Stand in every prompt before the document.
        chunks: How a document that does not fit is split. A question is asked of the chunks
            that share most with it, then, while none answers, of the others; the answer with
            the best score is taken.
        extractive: How answers are asked for that can only be pieces of the document; None for
            the free mode.
        nlp: The pipeline it is part of, whose pipes read questions and answers
            (`grounding.reading`).

    Raises:
        QuestionsInvalid: The questions are not what they should be.
        DuplicateQuestion: Two questions have one id.
        PromptTemplateInvalid: The template uses a value that there is none of.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        params: SamplingParams,
        *,
        questions: list[Any],
        template: PromptTemplate,
        no_answer: str,
        no_answer_threshold: float | None = None,
        examples: tuple[Example, ...] = (),
        chunks: ChunkSettings | None = None,
        extractive: Extractive | None = None,
        nlp: Language | None = None,
    ) -> None:
        super().__init__(name, generator, params)
        template.check(("text", "question", "no_answer", "meta"))
        self.questions = parse_questions(name, questions)
        self.template = template
        self.no_answer = no_answer
        self.no_answer_threshold = checked_threshold(name, no_answer_threshold)
        self.examples = examples
        self.extractive = extractive
        settings = chunks or ChunkSettings(None, 1, 3)
        self.long = LongDocuments(generator, params.max_new_tokens, settings)
        self.checker = Checker(nlp, name)
        self._has_looked = False
        self._pieces = LongAnswers(self, QuestionReader(self.checker.reader))

    def asks(self, doc: Doc) -> list[Ask]:
        """What is asked per question; of a document that does not fit, per likely chunk.

        A document without a word is not asked about: it holds no answer.
        """
        self._look_for_sentences(doc)
        questions = self._questions(doc) if doc.text.strip() else []
        plan = self.long.plan(doc, {q["id"]: self._renderer(doc, q["text"]) for q in questions})
        asks: list[Ask] = []
        for question in questions:
            render, refused = (
                self._renderer(doc, question["text"]),
                plan.refused.get(question["id"]),
            )
            if refused is not None:
                asks.append(Ask(question["id"], render(""), error=refused))
            elif plan.chunks:
                asks += self._pieces.asks(doc, plan, question, render, {})
            else:
                asks += self.requests(doc, question["id"], render(doc.text))
        return asks

    def _look_for_sentences(self, doc: Doc) -> None:
        """Says once that the Docs have no sentences yet, and that a later pipe will set them."""
        if self._has_looked or not doc.text.strip() or doc.has_annotation("SENT_START"):
            return
        self._has_looked = True
        pipe = self.checker.reader.sentences_behind()
        if pipe is not None:
            logger.warning("%s", sentences_come_later(self.name, pipe))

    def requests(self, doc: Doc, key: str, chat: Chat, chunk: Chunk | None = None) -> list[Ask]:
        """What is asked for one answer: one request, or in the extractive mode two.

        Args:
            doc: The document.
            key: Of the first request.
            chat: The prompt.
            chunk: What of the document stands in it; None for all.
        """
        piece = "" if chunk is None else f"#{chunk.chunk_id}"
        if self.extractive is not None:
            return self.extractive.asks(doc, key, chat, chunk, piece)
        return [Ask(key, chat, piece=piece)]

    def follow_ups(self, doc: Doc, completions: Mapping[str, Completion]) -> list[Ask]:
        """Further chunks for the questions that none has answered yet."""
        plan = self.long.recall(doc)
        if not plan.chunks:
            return []
        return [
            ask
            for question in self._questions(doc)
            if question["id"] not in plan.refused
            for ask in self._pieces.asks(
                doc, plan, question, self._renderer(doc, question["text"]), completions
            )
        ]

    def question_id(self, key: str) -> str:
        """The question's id, without the chunk."""
        return without_chunk(key)

    def _questions(self, doc: Doc) -> list[dict[str, str]]:
        return questions_of(self.name, self.questions, doc)

    def _renderer(self, doc: Doc, question: str) -> Callable[[str], Chat]:
        """What makes the prompt of a question about a Doc from its text, or a piece of it."""
        meta = doc._.meta

        def render(text: str) -> Chat:
            values = {"text": text, "question": question, "no_answer": self.no_answer, "meta": meta}
            return self.template.render(values, self.examples)

        return render

    def read_ahead(self, answered: Sequence[tuple[Doc, Mapping[str, Completion]]]) -> None:
        """Reads the answers of several Docs together."""
        self.checker.read_ahead(
            (doc, completion.text.strip())
            for doc, completions in answered
            for completion in completions.values()
            if self.status(completion) == "ok"
        )

    def predict(self, doc: Doc, completions: Mapping[str, Completion]) -> QAResult:
        """One answer, as a plain dict, per question."""
        plan = self.long.recall(doc)
        answers: list[dict[str, Any]] = []
        chunks: list[Chunk | None] = []
        for question in self._questions(doc):
            key = question["id"]
            best: BestReply | None = None
            if plan.chunks and key not in plan.refused:
                best = self._pieces.best(plan, question, completions)
                answer = self._answer(doc, question, best.completion, best.reply, best.chunk)
                answers.append({**answer, **best.columns, **token_sums(best.replies)})
            elif not doc.text.strip() and key not in completions:
                answers.append(self._answer(doc, question, NOTHING_ASKED))
            else:
                reply = completions.get(key + NO_ANSWER_KEY)
                answers.append(self._answer(doc, question, completions[key], reply))
            chunks.append(best.chunk if best else None)
        return QAResult(self._checked(doc, answers, chunks), plan)

    def failed(self, doc: Doc, error: NlpPipelineError) -> QAResult:
        """An error for each question; without the Doc's own where these are the cause."""
        completion = Completion.failed("", error)
        try:
            questions = self._questions(doc)
        except Exception:  # those of the Doc itself may be the cause
            questions = self.questions
        answers = [self._answer(doc, question, completion) for question in questions]
        return QAResult(self._checked(doc, answers, [None] * len(answers)), Plan())

    def _checked(
        self, doc: Doc, answers: list[dict[str, Any]], chunks: Sequence[Chunk | None]
    ) -> list[dict[str, Any]]:
        """The answers with what can be checked about them."""
        to_check: list[tuple[str, str | None, Grounding | None]] = [
            (a["question"], a["answer"], self._pieces.grounding(doc, a, chunk))
            for a, chunk in zip(answers, chunks, strict=True)
        ]
        checks = self.checker.check_answers(doc, to_check)
        return [{**answer, **more} for answer, more in zip(answers, checks, strict=True)]

    def _answer(
        self,
        doc: Doc,
        question: dict[str, str],
        completion: Completion,
        reply: Completion | None = None,
        chunk: Chunk | None = None,
    ) -> dict[str, Any]:
        """An answer, from its completion and that of the forced `no_answer`, if it was asked."""
        status, text = self.status(completion, reply), completion.text.strip()
        if self.extractive is not None and status == "ok":
            text = self.extractive.piece(doc, completion, chunk)
        return {
            "component": self.name,
            "question_id": question["id"],
            "question": question["text"],
            "answer": text if status == "ok" else None,
            "status": status,
            "no_answer_prob": Extractive.probability(reply),
            "masked_logprob": completion.masked_logprob,
            "n_chunks": 1,
            "asked_chunks": None,
            "chunk_id": None,
            **token_figures(completion, self.model_name(completion)),
        }

    def has_reference(self, doc: Doc) -> bool:
        """Whether a reference Doc has answers, or spans of answers."""
        return bool(reference_answers(doc, self.name)) or bool(doc.spans.get(SPANS_KEY))

    def score(self, examples: Iterable[ScoredExample], **_: Any) -> dict[str, Any]:
        """Exact match and F1 of the answers, and their spans as spaCy scores spans.

        Returns:
            `answers_em`, `answers_f1`, and `spans_answers_p`, `_r`, `_f` and `_per_type`, each
            where there are references for it.
        """
        scored_examples = list(examples)
        scores: dict[str, Any] = dict(answer_scores(scored_examples, self.name))
        spans = [example for example in scored_examples if SPANS_KEY in example.reference.spans]
        if spans:
            scores |= Scorer.score_spans(
                spans,
                f"spans_{SPANS_KEY}",
                getter=lambda doc, _: doc.spans.get(SPANS_KEY, []),
                has_annotation=lambda doc: SPANS_KEY in doc.spans,
                allow_overlap=True,
            )
        return scores

    def status(self, completion: Completion, reply: Completion | None = None) -> str:
        """Whether a completion is an answer (`ok`), says that there is none, or failed.

        Args:
            completion: What was generated.
            reply: The forced reply that there is none, where that was asked too.
        """
        if completion.error:
            return "error"
        score, least = completion_score(completion), self.no_answer_threshold
        is_no_answer = _bare(completion.text) in ("", _bare(self.no_answer))
        is_no_answer |= least is not None and score is not None and score < least
        is_no_answer |= self.extractive is not None and self.extractive.is_none(completion, reply)
        return "no_answer" if is_no_answer else "ok"

    def _report(self, doc: Doc, key: str | None, error: NlpPipelineError) -> None:
        """The two requests of the extractive mode mostly fail together: that is one failure."""
        reported_ids = {e["question_id"] for e in doc._.errors if e["component"] == self.name}
        if self.extractive is None or key is None or self.question_id(key) not in reported_ids:
            super()._report(doc, key, error)

    def set_annotations(self, doc: Doc, result: QAResult) -> None:
        """Adds the answers to those of others, and a Span for each that stands in the text.

        What this component wrote to the Doc before is replaced.
        """
        doc._.chunks = [*self.of_others(doc._.chunks), *chunk_rows(self.name, result.plan)]
        self.long.forget(doc)
        # Since others answered, a pipe may have merged or split tokens: characters hold.
        spans = [
            realigned(doc, answer) if isinstance(answer, Mapping) else answer
            for answer in self.of_others(doc._.answers)
        ]
        doc._.answers = Answers([*spans, *result.answers])
        doc.spans[SPANS_KEY] = [*_other_spans(doc), *_answer_spans(doc, doc._.answers)]


def _other_spans(doc: Doc) -> list[Span]:
    """The spans of the answers' group that are no answers."""
    stored = stored_spans(doc, doc.spans[SPANS_KEY]) if SPANS_KEY in doc.spans else []
    spans = (span_at(doc, span) for span in stored if span.label != SPAN_LABEL)
    return [span for span in spans if span is not None]


def _answer_spans(doc: Doc, answers: list[dict[str, Any]]) -> list[Span]:
    """A Span for each answer that stands in the text; a foreign pipe's may be anything."""
    return [
        Span(doc, a["start_token"], a["end_token"], label=SPAN_LABEL, span_id=str(a["question_id"]))
        for a in answers
        if isinstance(a, Mapping) and a.get("start_token") is not None and "question_id" in a
    ]


def _bare(text: str) -> str:
    """A reply without case and without the punctuation around it."""
    return text.casefold().strip(" .!\"'")
