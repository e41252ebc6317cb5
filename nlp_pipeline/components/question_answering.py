"""Answers questions about documents: what is asked of each, and what the answers mean."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example as ScoredExample

from nlp_pipeline.chunking import Passage
from nlp_pipeline.components.answer_candidates import candidate_rows
from nlp_pipeline.components.answer_features import DEFAULT_WEIGHTS, DocFeatures
from nlp_pipeline.components.answer_judge import AnswerJudge
from nlp_pipeline.components.answer_list import Answers
from nlp_pipeline.components.answer_rows import AnswerRows, PlacedAnswer
from nlp_pipeline.components.answer_spans import SPANS_KEY, span_scores, write_answer_spans
from nlp_pipeline.components.base import Ask, LlamaComponent
from nlp_pipeline.components.extractive import Extractive
from nlp_pipeline.components.first_pipeline import checked_first_threshold
from nlp_pipeline.components.first_values import FirstAnswers, ScoredPiece
from nlp_pipeline.components.long_documents import (
    ChunkSettings,
    LongDocuments,
    Plan,
    checked_threshold,
    chunk_rows,
    without_chunk,
)
from nlp_pipeline.components.passage_answers import PassageAnswers
from nlp_pipeline.components.question_reader import QuestionReader
from nlp_pipeline.components.questions import parse_questions, questions_of
from nlp_pipeline.components.reference_scores import answer_scores, reference_answers
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import sentences_come_later
from nlp_pipeline.generation.chat import Chat
from nlp_pipeline.generation.interface import Completion, Generator, SamplingParams
from nlp_pipeline.grounding.answer_checker import Checker
from nlp_pipeline.grounding.token_places import realigned
from nlp_pipeline.prompts import Example, PromptTemplate

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class QAResult:
    """The answers about a Doc, their candidates as far as these are kept, and the chunks asked."""

    answers: list[dict[str, Any]]
    plan: Plan
    candidates: list[dict[str, Any]] = field(default_factory=list)


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
        evidence_sentences: A question is asked first about so many sentences, those that share
            most with it, and about the rest only where these hold no answer; None asks about the
            whole document at once.
        candidate_weights: What each feature of a candidate counts (`answer_features`).
        keep_candidates: Whether `doc._.answer_candidates` gets every candidate with its features.
        judge: Says how likely the best candidate is right, and whether the document holds an
            answer; None for the default one.
        fallback_questions: Whether `questions` are only for Docs without questions of their own.
        may_search_less: Whether fewer beams do where the generator cannot search as many.
        first: A spaCy pipeline with a `spancat` whose labels are ids of `questions`, by its
            folder or package: where it is sure of an answer, or that there is none, the Llama is
            not asked this question. A Doc's own questions are the Llama's.
        first_threshold: How sure it has to be, from 0 to 1; None for 0.9.
        nlp: The pipeline it is part of, whose pipes read questions and answers
            (`grounding.reading`).

    Raises:
        ConfigError: `first` cannot be used.
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
        evidence_sentences: int | None = None,
        candidate_weights: Mapping[str, float] = DEFAULT_WEIGHTS,
        keep_candidates: bool = False,
        judge: AnswerJudge | None = None,
        fallback_questions: bool = False,
        may_search_less: bool = False,
        first: str | None = None,
        first_threshold: float | None = None,
        nlp: Language | None = None,
    ) -> None:
        super().__init__(name, generator, params)
        template.check(("text", "question", "no_answer", "meta"))
        self.questions = parse_questions(name, questions)
        self.template = template
        self.no_answer = no_answer
        self.examples = examples
        self.extractive = extractive
        self.keep_candidates = keep_candidates
        self.fallback_questions = fallback_questions
        self._may_search_less = may_search_less
        self._first_threshold = checked_first_threshold(name, first_threshold)
        self._first: FirstAnswers | None = None
        if first is not None:
            question_ids = [question["id"] for question in self.questions]
            self._first = FirstAnswers(f"components.{name}.first", first, question_ids)
        settings = chunks or ChunkSettings(None, 1, 3)
        self.long = LongDocuments(generator, params.max_new_tokens, settings)
        self.checker = Checker(nlp, name)
        self._has_looked = False
        self._reader = QuestionReader(self.checker.reader)
        self._rows = AnswerRows(
            name,
            self._reader,
            model_name=self.model_name,
            no_answer=no_answer,
            no_answer_threshold=checked_threshold(name, no_answer_threshold),
            extractive=extractive,
            candidate_weights=candidate_weights,
            judge=judge or AnswerJudge(),
        )
        self._passages = PassageAnswers(
            self.long,
            self._rows,
            self._reader,
            requests=self.requests,
            evidence_sentences=evidence_sentences,
        )

    def asks(self, doc: Doc) -> list[Ask]:
        """What is asked first of each question: about the evidence, or about the whole document.

        A document without a word is not asked about: it holds no answer. Questions about the same
        passage come one after the other, so that they share its keys and values.
        """
        self._look_for_sentences(doc)
        self._search_as_wide_as_possible()
        questions = self._questions_of_the_llama(doc) if doc.text.strip() else []
        plan = self.long.plan(doc, {q["id"]: self._renderer(doc, q["text"]) for q in questions})
        self._reader.read_together((question["text"] for question in questions), doc.lang_)
        doc_features = DocFeatures(doc)
        asks: list[Ask] = []
        for question in questions:
            render = self._renderer(doc, question["text"])
            refused = plan.refused.get(question["id"])
            if refused is not None:
                asks.append(Ask(question["id"], render(""), error=refused))
            else:
                asks += self._passages.asks(doc_features, plan, question, render, {})
        first_asked = {ask.piece: -number for number, ask in enumerate(reversed(asks))}
        return sorted(asks, key=lambda ask: first_asked[ask.piece])

    def _search_as_wide_as_possible(self) -> None:
        """Takes fewer beams where nobody has asked for so many and the generator knows better."""
        if self._may_search_less and self.params.num_beams > 1:
            widest = getattr(self.generator, "max_num_beams", self.params.num_beams)
            self.params = replace(self.params, num_beams=min(self.params.num_beams, widest))
        self._may_search_less = False

    def _look_for_sentences(self, doc: Doc) -> None:
        """Says once that the Docs have no sentences yet, and that a later pipe will set them."""
        if self._has_looked or not doc.text.strip() or doc.has_annotation("SENT_START"):
            return
        self._has_looked = True
        pipe = self.checker.reader.sentences_behind()
        if pipe is not None:
            logger.warning("%s", sentences_come_later(self.name, pipe))

    def requests(self, doc: Doc, key: str, chat: Chat, passage: Passage) -> list[Ask]:
        """What is asked for one answer: one request, or in the extractive mode two.

        Args:
            doc: The document.
            key: Of the first request.
            chat: The prompt.
            passage: What of the document stands in it.
        """
        if self.extractive is not None:
            return self.extractive.asks(doc, key, chat, passage)
        return [Ask(key, chat, piece=passage.name)]

    def follow_ups(self, doc: Doc, completions: Mapping[str, Completion]) -> list[Ask]:
        """Further passages for the questions that none has answered yet."""
        plan, doc_features = self.long.recall(doc), DocFeatures(doc)
        return [
            ask
            for question in (self._questions_of_the_llama(doc) if plan.rounds else ())
            if question["id"] not in plan.refused
            for ask in self._passages.asks(
                doc_features, plan, question, self._renderer(doc, question["text"]), completions
            )
        ]

    def question_id(self, key: str) -> str:
        """The question's id, without the chunk."""
        return without_chunk(key)

    def _questions(self, doc: Doc) -> list[dict[str, str]]:
        own = [] if self.fallback_questions and doc._.questions else self.questions
        return questions_of(self.name, own, doc)

    def _questions_of_the_llama(self, doc: Doc) -> list[dict[str, str]]:
        """The questions that are not answered without it."""
        questions, sure = self._questions(doc), self._sure_answers(doc)
        return [question for question in questions if question["id"] not in sure]

    def _sure_answers(self, doc: Doc) -> dict[str, ScoredPiece | None]:
        """What the component that is asked first is sure of, by question id.

        It was trained on this component's own questions: a document's own are the Llama's.
        """
        if self._first is None or not doc.text.strip():
            return {}
        answers = self._first.sure_answers(doc.text, self._first_threshold)
        is_own = not (self.fallback_questions and doc._.questions)
        return answers if is_own else {}

    def _renderer(self, doc: Doc, question: str) -> Callable[[str], Chat]:
        """What makes the prompt of a question about a Doc from its text, or a piece of it."""
        meta = doc._.meta

        def render(text: str) -> Chat:
            values = {"text": text, "question": question, "no_answer": self.no_answer, "meta": meta}
            return self.template.render(values, self.examples)

        return render

    def read_ahead(self, answered: Sequence[tuple[Doc, Mapping[str, Completion]]]) -> None:
        """Reads the answers of several Docs together; pieces of a Doc need no reading."""
        if self.extractive is not None:
            return
        self.checker.read_ahead(
            (doc, completion.text.strip())
            for doc, completions in answered
            for completion in completions.values()
            if self._rows.status(completion) == "ok"
        )

    def predict(self, doc: Doc, completions: Mapping[str, Completion]) -> QAResult:
        """One answer, as a plain dict, per question."""
        plan = self.long.recall(doc)
        doc_features = DocFeatures(doc)
        sure_answers = self._sure_answers(doc)
        answers: list[PlacedAnswer] = []
        rows: list[dict[str, Any]] = []
        for question in self._questions(doc):
            if not doc.text.strip():
                answers.append((self._rows.of_nothing(question), None))
            elif question["id"] in sure_answers:
                assert self._first is not None
                piece, model = sure_answers[question["id"]], self._first.path
                answers.append(self._rows.of_piece(doc, question, piece, model=model))
            elif question["id"] in plan.refused:
                refused = completions[question["id"]]
                answers.append((self._rows.of_completion(question, refused), None))
            else:
                best = self._passages.best(doc_features, plan, question, completions)
                is_answered = self._rows.status(best.completion, best.reply) == "ok"
                candidates = (
                    self._rows.candidates(doc_features, question, best.passage, best.completion)
                    if is_answered or self.keep_candidates
                    else []
                )
                answers.append(self._rows.of_best(doc_features, question, best, candidates))
                if self.keep_candidates:
                    rows += candidate_rows(self.name, question["id"], candidates)
        return QAResult(self._checked(doc, answers), plan, rows)

    def failed(self, doc: Doc, error: NlpPipelineError) -> QAResult:
        """An error for each question; without the Doc's own where these are the cause."""
        completion = Completion.failed("", error)
        try:
            questions = self._questions(doc)
        except Exception:  # those of the Doc itself may be the cause
            questions = self.questions
        answers = [(self._rows.of_completion(question, completion), None) for question in questions]
        return QAResult(self._checked(doc, answers), Plan())

    def _checked(self, doc: Doc, answers: Sequence[PlacedAnswer]) -> list[dict[str, Any]]:
        """The answers with what can be checked about them."""
        checks = self.checker.check_answers(
            doc,
            [
                (
                    self._reader.read(a["question"], doc.lang_).terms if a["answer"] else {},
                    a["answer"],
                    place,
                )
                for a, place in answers
            ],
        )
        return [{**answer, **more} for (answer, _), more in zip(answers, checks, strict=True)]

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
        return {**answer_scores(scored_examples, self.name), **span_scores(scored_examples)}

    def report_failure(self, doc: Doc, key: str | None, error: NlpPipelineError) -> None:
        """The two requests of the extractive mode mostly fail together: that is one failure."""
        reported_ids = {e["question_id"] for e in doc._.errors if e["component"] == self.name}
        if self.extractive is None or key is None or self.question_id(key) not in reported_ids:
            super().report_failure(doc, key, error)

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
        if self.keep_candidates:
            others = self.of_others(doc._.answer_candidates)
            doc._.answer_candidates = [*others, *result.candidates]
        write_answer_spans(doc, doc._.answers)
