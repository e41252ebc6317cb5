"""The row of an answer: what the completions of a question mean, and where the answer stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc

from nlp_pipeline.chunking import Passage
from nlp_pipeline.components.answer_candidates import AnswerCandidate, rank_candidates
from nlp_pipeline.components.answer_features import DocFeatures
from nlp_pipeline.components.answer_judge import JUDGE_COLUMNS, AnswerJudge
from nlp_pipeline.components.answerability import answer_features
from nlp_pipeline.components.completion_scores import completion_score, token_figures
from nlp_pipeline.components.extractive import Extractive
from nlp_pipeline.components.first_values import ScoredPiece
from nlp_pipeline.components.long_documents import NOTHING_ASKED, ground_within, token_sums
from nlp_pipeline.components.question_reader import QuestionReader
from nlp_pipeline.generation.interface import Completion
from nlp_pipeline.grounding.align import Grounding, ground

Row = dict[str, Any]
PlacedAnswer = tuple[Row, Grounding | None]
"""The row of an answer, and where it stands in the document, if that is known already."""


@dataclass(frozen=True)
class BestReply:
    """The completion that was taken.

    Attributes:
        completion: Of one passage.
        reply: That of the forced reply that there is no answer, where it was asked.
        passage: That passage.
        columns: What the row of the answer says about what was asked.
        replies: The completions of all passages that were asked.
    """

    completion: Completion
    reply: Completion | None
    passage: Passage
    columns: Row
    replies: Sequence[Completion]


class AnswerRows:
    """Makes the rows of a component's answers.

    Args:
        component: The component's name.
        reader: Reads questions.
        model_name: The name of the model that a completion comes from.
        no_answer: The reply that means that the document holds no answer.
        no_answer_threshold: An answer with a lower score counts as none; None sets none.
        extractive: How answers are asked for that can only be pieces of the document; None for
            the free mode.
        candidate_weights: What each feature of a candidate counts (`answer_features`).
        judge: Says how likely the best candidate is right, and whether there is an answer.
    """

    def __init__(
        self,
        component: str,
        reader: QuestionReader,
        *,
        model_name: Callable[[Completion], str | None],
        no_answer: str,
        no_answer_threshold: float | None,
        extractive: Extractive | None,
        candidate_weights: Mapping[str, float],
        judge: AnswerJudge,
    ) -> None:
        self._component = component
        self._reader = reader
        self._model_name = model_name
        self._no_answer = no_answer
        self._no_answer_threshold = no_answer_threshold
        self._extractive = extractive
        self._weights = dict(candidate_weights)
        self._judge = judge

    def status(self, completion: Completion, reply: Completion | None = None) -> str:
        """Whether a completion is an answer (`ok`), says that there is none, or failed.

        Args:
            completion: What was generated.
            reply: The forced reply that there is none, where that was asked too.
        """
        if completion.error:
            return "error"
        score, least = completion_score(completion), self._no_answer_threshold
        is_no_answer = _bare(completion.text) in ("", _bare(self._no_answer))
        is_no_answer |= least is not None and score is not None and score < least
        is_no_answer |= self._extractive is not None and self._extractive.is_none(completion, reply)
        return "no_answer" if is_no_answer else "ok"

    def of_completion(
        self,
        question: Mapping[str, str],
        completion: Completion,
        reply: Completion | None = None,
    ) -> Row:
        """An answer, from its completion and that of the forced `no_answer`, if it was asked."""
        status = self.status(completion, reply)
        return {
            "component": self._component,
            "question_id": question["id"],
            "question": question["text"],
            "answer": completion.text.strip() if status == "ok" else None,
            "status": status,
            "no_answer_prob": Extractive.probability(reply),
            "masked_logprob": completion.masked_logprob,
            "candidate_score": None,
            **dict.fromkeys(JUDGE_COLUMNS),
            "n_chunks": 1,
            "asked_chunks": None,
            "chunk_id": None,
            "asked_sentences": None,
            **token_figures(completion, self._model_name(completion)),
        }

    def of_nothing(self, question: Mapping[str, str]) -> Row:
        """The answer about a document without a word, which nobody was asked about."""
        return self.of_completion(question, NOTHING_ASKED)

    def of_piece(
        self, doc: Doc, question: Mapping[str, str], piece: ScoredPiece | None, *, model: str
    ) -> PlacedAnswer:
        """An answer that the Llama was not asked for.

        Args:
            doc: The document.
            question: Its `id` and `text`.
            piece: The answer; None where there is none.
            model: What gave it.
        """
        answer = {**self.of_nothing(question), "model": model}
        if piece is None:
            return {**answer, "answer": None, "status": "no_answer"}, None
        span = doc.char_span(piece.start, piece.end, alignment_mode="expand")
        assert span is not None
        answer |= {"answer": span.text, "status": "ok", "confidence": piece.score}
        return answer, Grounding.of_span(span)

    def of_best(
        self,
        doc_features: DocFeatures,
        question: Mapping[str, str],
        best: BestReply,
        candidates: Sequence[AnswerCandidate],
    ) -> PlacedAnswer:
        """The answer of the passage that was taken: the best of its candidates, if it has any."""
        doc = doc_features.doc
        answer = self.of_completion(question, best.completion, best.reply)
        answer = {**answer, **best.columns, **token_sums(best.replies)}
        if answer["status"] != "ok":
            return answer, None
        if not candidates:
            return answer, self._place(doc, answer, best.passage)
        span = candidates[0].span
        features = answer_features(
            self._reader.read(question["text"], doc.lang_).asked,
            span,
            scores=[candidate.score for candidate in candidates],
            reply_logprob=None if best.reply is None else completion_score(best.reply),
        )
        answer |= {"candidate_score": candidates[0].score, **self._judge.columns(features)}
        if self._judge.holds_none(answer):
            return {**answer, "answer": None, "status": "no_answer"}, None
        answer |= {"answer": span.text}
        return answer, Grounding.of_span(span)

    def candidates(
        self,
        doc_features: DocFeatures,
        question: Mapping[str, str],
        passage: Passage,
        completion: Completion,
    ) -> list[AnswerCandidate]:
        """The candidates for an answer, best first; none in the free mode, or of a failure."""
        if self._extractive is None or completion.error:
            return []
        doc = doc_features.doc
        mentions = self._extractive.mentions(doc, completion, passage)
        query = self._reader.read(question["text"], doc.lang_).query
        return rank_candidates(doc_features, mentions, passage, query=query, weights=self._weights)

    def misfits(
        self,
        doc_features: DocFeatures,
        question: Mapping[str, str],
        passage: Passage,
        completion: Completion,
    ) -> bool:
        """Whether an answer is not of the kind that is asked for, such as a person."""
        if not self._reader.read(question["text"], doc_features.doc.lang_).query.kinds:
            return False
        candidates = self.candidates(doc_features, question, passage, completion)
        return bool(candidates) and candidates[0].features["kind_fit"] < 0

    def _place(self, doc: Doc, answer: Row, passage: Passage) -> Grounding | None:
        """Where an answer stands in the passage that it was read from.

        None where that was the whole document, or does not hold it: it is then looked for there.
        """
        if not passage.name:
            return None
        terms = self._reader.read(answer["question"], doc.lang_).terms
        (reply,) = self._reader.reader.read([answer["answer"]], doc.lang_)
        places = (
            ground_within(
                doc,
                start,
                end,
                ground=lambda part: ground(part, reply.text, read=reply, question=terms),
            )
            for start, end in passage.tokens
        )
        return next((place for place in places if place is not None), None)


def _bare(text: str) -> str:
    """A reply without case and without the punctuation around it."""
    return text.casefold().strip(" .!\"'")
