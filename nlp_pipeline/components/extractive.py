"""The extractive mode of `llama_qa`: answers are pieces of the document, found by construction."""

from __future__ import annotations

import logging
import math
from functools import lru_cache
from typing import Any

from spacy.tokens import Doc

from nlp_pipeline.chunking import Passage
from nlp_pipeline.components.answer_features import Mention
from nlp_pipeline.components.base import Ask
from nlp_pipeline.components.completion_scores import completion_score
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.generation.chat import Chat
from nlp_pipeline.generation.constraints.spans import DocumentSpans
from nlp_pipeline.generation.interface import Completion, SamplingParams

logger = logging.getLogger(__name__)

MODES = ("free", "extractive", "auto")

HYPOTHESES = 24
"""So many texts that the search has ended are candidates: all of most searches by 3 beams."""

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
        raise InvalidSetting(component, "mode", mode, allowed="'free', 'extractive' or 'auto'")
    return str(mode)


def mode_for(component: str, mode: str, generator: Any) -> str:
    """`free` or `extractive`; `auto` is what the generator can do.

    Args:
        component: Its name, for the log.
        mode: One of `MODES`.
        generator: One that obeys constraints says so by an attribute `obeys_constraints`.
    """
    if mode != "auto":
        return mode
    if getattr(generator, "obeys_constraints", False):
        return "extractive"
    logger.info(
        "[%s] this generator obeys no constraints: answers are free text, and the column "
        "'alignment' says whether they stand in the document",
        component,
    )
    return "free"


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

    def pieces(self, doc: Doc, passage: Passage) -> DocumentSpans:
        """What may be answered: whole spaCy tokens, or where there are none the reply.

        Offsets are those of the passage's text.
        """
        starts, ends = set[int](), set[int]()
        for number, (first, last) in enumerate(passage.parts):
            for token in doc[slice(*passage.tokens[number])]:
                end = token.idx + len(token)
                if token.is_space:
                    continue
                # A part may begin or end inside a token that is longer than any prompt.
                if token.idx >= first:
                    starts.add(passage.in_passage(number, token.idx))
                if end <= last:
                    ends.add(passage.in_passage(number, end))
        possible = min(starts, default=0) < max(ends, default=0)
        reply = "" if possible else self._no_answer
        text = passage.text(doc)
        return _spans(text, frozenset(starts), frozenset(ends), reply, passage.breaks)

    def asks(self, doc: Doc, key: str, chat: Chat, passage: Passage) -> list[Ask]:
        """The two requests of one question about a passage of a Doc.

        Args:
            doc: The document.
            key: Of the first; that of the second is `key + NO_ANSWER_KEY`.
            chat: The prompt of both.
            passage: What of the document stands in it.
        """
        none, piece = key + NO_ANSWER_KEY, passage.name
        return [
            Ask(key, chat, self.pieces(doc, passage), piece=piece),
            Ask(none, chat, self._reply, params=self._forced, piece=piece),
        ]

    def mentions(self, doc: Doc, completion: Completion, passage: Passage) -> list[Mention]:
        """Where the texts that the search has ended stand in the passage, best first.

        They begin and end at spaCy tokens. None of a generator that obeys no constraint and has
        said something else.
        """
        pieces = self.pieces(doc, passage)
        texts = [(completion.text, completion_score(completion) or 0.0)]
        texts += [(ended.text, ended.score) for ended in completion.hypotheses]
        mentions: dict[tuple[int, int], Mention] = {}
        for text, score in texts:
            for place in pieces.occurrences(text):
                span = doc.char_span(*passage.in_document(*place))
                if span is not None:
                    mention = Mention(span.start, span.end, score)
                    mentions.setdefault((span.start, span.end), mention)
        return list(mentions.values())

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
def _spans(
    text: str, starts: frozenset[int], ends: frozenset[int], reply: str, breaks: tuple[int, ...]
) -> DocumentSpans:
    """One constraint for all questions about a text: what it makes of the text is made once."""
    return DocumentSpans(text, starts, ends, no_answer=reply, breaks=breaks)


def _score(completion: Completion) -> float | None:
    """Its score as a whole; None where it failed or was cut off, which makes it no whole."""
    if completion.error or completion.stop_logprob is None:
        return None
    return completion_score(completion)
