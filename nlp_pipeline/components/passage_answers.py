"""Which passages of a document a question is asked of, and whose answer is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spacy.tokens import Doc

from nlp_pipeline.chunking import Passage, Query, rank, rank_sentences
from nlp_pipeline.components.answer_features import DocFeatures
from nlp_pipeline.components.answer_rows import AnswerRows, BestReply
from nlp_pipeline.components.base import Ask
from nlp_pipeline.components.completion_scores import by_score
from nlp_pipeline.components.extractive import NO_ANSWER_KEY
from nlp_pipeline.components.long_documents import LongDocuments, Plan, Render, piece_key
from nlp_pipeline.components.question_reader import QuestionReader
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.generation.chat import Chat
from nlp_pipeline.generation.interface import Completion
from nlp_pipeline.grounding.sentences import sentences_of

ALL = "all"
"""The setting `evidence_sentences` that asks about the whole document at once."""


def checked_evidence(component: str, value: Any) -> int | None:
    """How many sentences are asked about first; None for the whole document at once.

    Raises:
        InvalidSetting: It is neither a number of sentences nor `all`.
    """
    if value == ALL:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        allowed = "an integer of at least 1, or 'all'"
        raise InvalidSetting(component, "evidence_sentences", value, allowed=allowed)
    return value


class PassageAnswers:
    """Asks the likeliest passage first, and others only while none has answered.

    First come the sentences of the document that share most with the question (the evidence),
    then all of it; where it does not fit, its chunks, so many at a time, the likeliest first.

    Args:
        long: Splits documents that do not fit.
        rows: Know what a completion means.
        reader: Reads questions.
        requests: What is asked for one answer: of a Doc, with a key, a prompt and the passage
            that stands in it.
        evidence_sentences: How many sentences are asked about first; None for none.
    """

    def __init__(
        self,
        long: LongDocuments,
        rows: AnswerRows,
        reader: QuestionReader,
        *,
        requests: Callable[[Doc, str, Chat, Passage], list[Ask]],
        evidence_sentences: int | None,
    ) -> None:
        self._long = long
        self._rows = rows
        self._reader = reader
        self._requests = requests
        self._evidence_sentences = evidence_sentences

    def asks(
        self,
        doc_features: DocFeatures,
        plan: Plan,
        question: Mapping[str, str],
        render: Render,
        completions: Mapping[str, Completion],
    ) -> list[Ask]:
        """The next requests for a question; none once a passage has answered it."""
        doc, key = doc_features.doc, question["id"]
        replies = _replies(plan, key, completions)
        if any(
            self._rows.status(one, none) == "ok"
            # Of evidence alone much is unlike what is asked for; of the whole it has to do.
            and not (p.sentence_ids and self._rows.misfits(doc_features, question, p, one))
            for p, one, none in replies
        ):
            return []
        names = {passage.name for passage, *_ in replies}
        for passages in self._rounds(doc, plan, question):
            unasked = [passage for passage in passages if passage.name not in names]
            if unasked:
                return [
                    ask
                    for passage in unasked
                    for ask in self._requests(
                        doc, piece_key(key, passage.name), render(passage.text(doc)), passage
                    )
                ]
        return []

    def best(
        self,
        doc_features: DocFeatures,
        plan: Plan,
        question: Mapping[str, str],
        completions: Mapping[str, Completion],
    ) -> BestReply:
        """The answer with the best score, else a reply that there is none, else a failure.

        Of equal scores the one asked first, which is of the likelier passage, is taken. The
        evidence's answer goes before others; if it is not of the kind that is asked for, after
        those that are.
        """
        replies = _replies(plan, question["id"], completions)
        for status in ("ok", "no_answer", "error"):
            of_status = [r for r in replies if self._rows.status(r[1], r[2]) == status]
            if of_status:
                break
        if len(of_status) > 1 and of_status[0][0].sentence_ids and status == "ok":
            fitting = [
                r for r in of_status if not self._rows.misfits(doc_features, question, r[0], r[1])
            ]
            of_status = fitting or of_status[:1]
        passage, completion, reply = max(of_status, key=lambda reply: by_score(reply[1]))
        asked_chunks = sorted(p.chunk_id for p, *_ in replies if p.chunk_id is not None)
        sentences = {number for p, *_ in replies for number in p.sentence_ids}
        columns = {
            "n_chunks": max(1, len(plan.chunks)),
            "asked_chunks": asked_chunks if plan.chunks else None,
            "chunk_id": passage.chunk_id if status == "ok" else None,
            "asked_sentences": sorted(sentences) or None,
        }
        all_replies = [completion for _, completion, _ in replies]
        return BestReply(completion, reply, passage, columns=columns, replies=all_replies)

    def _rounds(self, doc: Doc, plan: Plan, question: Mapping[str, str]) -> list[list[Passage]]:
        """The passages of a question, in the rounds in which they are asked."""
        key = question["id"]
        if key not in plan.rounds:
            query = self._reader.read(question["text"], doc.lang_).query
            evidence = self._evidence(doc, plan, query)
            rounds = [] if evidence is None else [[evidence]]
            if plan.chunks:
                by_id = {chunk.chunk_id: chunk for chunk in plan.chunks}
                order = [Passage.of_chunk(by_id[n]) for n in rank(doc, plan.chunks, query)]
                first = self._long.settings.first
                rounds += [order[n : n + first] for n in range(0, len(order), first)]
            else:
                rounds.append([Passage.whole(doc)])
            plan.rounds[key] = rounds
        return plan.rounds[key]

    def _evidence(self, doc: Doc, plan: Plan, query: Query) -> Passage | None:
        """The sentences that share most with the question, as many as fit.

        None where they would be the whole document, or where no sentence shares a word with it.
        """
        count = self._evidence_sentences
        sentences = sentences_of(doc) if count is not None else []
        if count is None or len(sentences) <= count:
            return None
        best = rank_sentences(sentences, query)[:count]
        while best:
            passage = Passage.of_sentences(sentences, sorted(best))
            if self._long.fits(plan.budget, passage.text(doc)):
                return passage
            best.pop()
        return None


def _replies(
    plan: Plan, key: str, completions: Mapping[str, Completion]
) -> list[tuple[Passage, Completion, Completion | None]]:
    """The completions of one question by passage, in the order in which they were asked.

    Beside each the forced reply that there is no answer, where that was asked.
    """
    names = [
        (passage, piece_key(key, passage.name))
        for passages in plan.rounds.get(key, ())
        for passage in passages
    ]
    return [
        (passage, completions[name], completions.get(name + NO_ANSWER_KEY))
        for passage, name in names
        if name in completions
    ]
