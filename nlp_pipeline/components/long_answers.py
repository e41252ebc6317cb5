"""Questions about a document in chunks: which are asked, and whose answer is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from spacy.tokens import Doc

from nlp_pipeline.chunking import Chunk
from nlp_pipeline.components.base import Ask
from nlp_pipeline.components.completion_scores import by_score
from nlp_pipeline.components.extractive import NO_ANSWER_KEY
from nlp_pipeline.components.long_documents import (
    LongDocuments,
    Plan,
    QuestionReader,
    Render,
    chunk_key,
    chunk_text,
    ground_within,
)
from nlp_pipeline.generation.interface import Chat, Completion
from nlp_pipeline.grounding.align import Grounding, ground
from nlp_pipeline.grounding.text import terms


class Asker(Protocol):
    """The component: it knows what a completion means."""

    long: LongDocuments

    def requests(self, doc: Doc, key: str, chat: Chat, chunk: Chunk | None = None) -> list[Ask]:
        """What is asked for one answer."""
        ...

    def status(self, completion: Completion, reply: Completion | None = None) -> str:
        """`ok`, `no_answer` or `error`."""
        ...


@dataclass(frozen=True)
class BestReply:
    """The completion that was taken.

    Attributes:
        completion: Of one chunk.
        reply: That of the forced reply that there is no answer, where it was asked.
        chunk: That chunk.
        columns: What the row of the answer says about the chunks.
        replies: The completions of all chunks that were asked.
    """

    completion: Completion
    reply: Completion | None
    chunk: Chunk
    columns: dict[str, Any]
    replies: Sequence[Completion]


class LongAnswers:
    """Asks the likeliest chunks first, and others only while none of these has answered.

    Args:
        asker: The component.
        reader: Annotates questions.
    """

    def __init__(self, asker: Asker, reader: QuestionReader) -> None:
        self._asker = asker
        self._reader = reader

    def asks(
        self,
        doc: Doc,
        plan: Plan,
        question: Mapping[str, str],
        render: Render,
        completions: Mapping[str, Completion],
    ) -> list[Ask]:
        """The next requests for a question; none once a chunk has answered it."""
        key = question["id"]
        replies = _of(plan, key, completions)
        if any(self._asker.status(*reply) == "ok" for reply in replies.values()):
            return []
        order = self._reader.order(doc, plan, key, question["text"])
        remaining = [number for number in order if number not in replies]
        asks: list[Ask] = []
        for number in remaining[: self._asker.long.settings.first]:
            chunk = plan.chunks[number]
            chat = render(chunk_text(doc, chunk))
            asks += self._asker.requests(doc, chunk_key(key, number), chat, chunk)
        return asks

    def best(
        self, plan: Plan, question: Mapping[str, str], completions: Mapping[str, Completion]
    ) -> BestReply:
        """The answer with the best score, else a reply that there is none, else a failure.

        Of equal scores the one asked first, which is of the likelier chunk, is taken.
        """
        replies = _of(plan, question["id"], completions)
        for status in ("ok", "no_answer", "error"):
            numbers = [n for n, reply in replies.items() if self._asker.status(*reply) == status]
            if numbers:
                break
        chunk_id = max(numbers, key=lambda number: by_score(replies[number][0]))
        columns = {
            "n_chunks": len(plan.chunks),
            "asked_chunks": sorted(replies),
            "chunk_id": chunk_id if status == "ok" else None,
        }
        completion, reply = replies[chunk_id]
        all_asked = [reply for reply, _ in replies.values()]
        return BestReply(
            completion, reply, chunk=plan.chunks[chunk_id], columns=columns, replies=all_asked
        )

    def grounding(
        self, doc: Doc, answer: Mapping[str, Any], chunk: Chunk | None
    ) -> Grounding | None:
        """Where an answer stands in the chunk that it was read from, if it was one.

        None where that is not known; it is then looked for in the whole text.
        """
        if chunk is None or answer["answer"] is None:
            return None
        texts = (answer["question"], answer["answer"])
        question, reply = self._reader.reader.read(texts, doc.lang_)
        return ground_within(
            doc,
            chunk,
            lambda piece: ground(piece, reply.text, read=reply, question=terms(question)),
        )


def _of(
    plan: Plan, key: str, completions: Mapping[str, Completion]
) -> dict[int, tuple[Completion, Completion | None]]:
    """The completions of one question by chunk, in the order in which they were asked.

    Beside each the forced reply that there is no answer, where that was asked.
    """
    order = plan.order.get(key, range(len(plan.chunks)))
    keys = ((number, chunk_key(key, number)) for number in order)
    return {
        number: (completions[name], completions.get(name + NO_ANSWER_KEY))
        for number, name in keys
        if name in completions
    }
