"""The extractive mode of `llama_qa`: answers are pieces of the document, found by construction."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from spacy.tokens import Doc

from nlp_pipeline.chunking import Chunk
from nlp_pipeline.components.base import Ask
from nlp_pipeline.components.completion_scores import completion_score
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.generation.constraints.spans import DocumentSpans
from nlp_pipeline.generation.interface import Chat, Completion, SamplingParams

MODES = ("free", "extractive")

MARGIN = 2.0
"""By default; chosen with the default model on every other document of `corpora/varied.jsonl`."""

NO_ANSWER_KEY = "\x1fnone"
"""Ends the key of the ask for how likely it is that the document holds no answer."""


def checked_mode(component: str, mode: Any) -> str:
    """The mode.

    Raises:
        InvalidSetting: There is no such mode.
    """
    if mode not in MODES:
        raise InvalidSetting(component, "mode", mode, allowed="'free' or 'extractive'")
    return str(mode)


class Extractive:
    """Asks for pieces of a Doc and says where they stand.

    Two requests a question share its prompt: the best piece is searched, and the reply that there
    is none is forced, for its probability. Searched together, the reply, which is one text, would
    win too often against pieces, among which the probability is spread.

    Args:
        component: Its name, for messages.
        no_answer: That reply.
        margin: There is no answer where the log-probability of the reply is above that of the
            best piece by more than this. Both are sums with their stops, unmasked.

    Raises:
        InvalidSetting: The reply is no line of text, or the margin no number.
    """

    def __init__(self, component: str, no_answer: str, margin: float = MARGIN) -> None:
        if isinstance(margin, bool) or not isinstance(margin, int | float):
            raise InvalidSetting(component, "no_answer_margin", margin, allowed="a number")
        if not no_answer.strip() or len(no_answer.splitlines()) > 1:
            raise InvalidSetting(component, "no_answer", no_answer, allowed="one line of text")
        self._no_answer = no_answer.strip()
        self._margin = margin
        self._reply = DocumentSpans("", (), (), no_answer=self._no_answer)
        self._forced = SamplingParams(max_new_tokens=256)

    def pieces(self, doc: Doc, chunk: Chunk | None = None) -> DocumentSpans:
        """What may be answered: whole spaCy tokens, or where there are none the reply.

        Offsets count from the beginning of the chunk, if one is given.
        """
        first, last = (chunk.start_char, chunk.end_char) if chunk else (0, len(doc.text))
        tokens = doc[chunk.start_token : chunk.end_token] if chunk else doc
        places = [(t.idx - first, t.idx + len(t) - first) for t in tokens if not t.is_space]
        # A chunk may begin or end inside a token that is longer than any prompt.
        starts = frozenset(start for start, _ in places if start >= 0)
        ends = frozenset(end for _, end in places if end <= last - first)
        possible = min(starts, default=0) < max(ends, default=0)
        return _spans(doc.text[first:last], starts, ends, "" if possible else self._no_answer)

    def asks(self, doc: Doc, key: str, chat: Chat, chunk: Chunk | None, piece: str) -> list[Ask]:
        """The two requests of one question about a Doc or a chunk of it.

        Args:
            doc: The document.
            key: Of the first; that of the second is `key + NONE`.
            chat: The prompt of both.
            chunk: What of the document stands in it; None for all.
            piece: See `Ask.piece`.
        """
        return [
            Ask(key, chat, self.pieces(doc, chunk), piece=piece),
            Ask(key + NO_ANSWER_KEY, chat, self._reply, params=self._forced, piece=piece),
        ]

    def piece(self, doc: Doc, completion: Completion, chunk: Chunk | None = None) -> str:
        """The piece that was generated, line breaks and all, as the document has it.

        Its mentions begin and end at spaCy tokens. A generator that obeys no constraint may
        have said something else; that comes back as it is.
        """
        pieces = self.pieces(doc, chunk)
        spans = pieces.occurrences(completion.text)
        return pieces.text[slice(*spans[0])] if spans else completion.text.strip()

    def is_none(self, piece: Completion, reply: Completion | None) -> bool:
        """Whether the reply is likelier than the best piece, by the margin."""
        if reply is None:
            return False
        best, no_answer = _score(piece), _score(reply)
        return best is not None and no_answer is not None and no_answer - best > self._margin

    @staticmethod
    def probability(reply: Completion | None) -> float | None:
        """That of the forced reply and its stop; None where it is not known."""
        score = None if reply is None else _score(reply)
        return None if score is None else math.exp(score)


@lru_cache(maxsize=32)
def _spans(text: str, starts: frozenset[int], ends: frozenset[int], reply: str) -> DocumentSpans:
    """One constraint for all questions about a text: what it makes of the text is made once."""
    return DocumentSpans(text, starts, ends, no_answer=reply)


def _score(completion: Completion) -> float | None:
    """Its score as a whole; None where it failed or was cut off, which makes it no whole."""
    if completion.error or completion.stop_logprob is None:
        return None
    return completion_score(completion)
