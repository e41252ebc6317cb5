"""Generated text without what is not whole: no sentence broken off, none said twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from spacy.tokens import Doc

from nlp_pipeline.grounding.sentence_ends import sentence_ends

Cut = Literal["repetition", "length", "sentences"]

_WORD = re.compile(r"\w+")
_TIMES, _LEAST_WORDS = 3, 6
"""A loop is a run of words that stands so often in a row, of so many words in all."""


class WholeSentences(NamedTuple):
    """What is left of a generated text.

    Attributes:
        text: Its first sentences; empty where not one is whole.
        cut: Why there is no more of it: it repeats itself (`repetition`), the budget of tokens
            ended in mid-sentence (`length`), or as many `sentences` as were asked for are there.
            None where nothing was left out.
    """

    text: str
    cut: Cut | None


def whole_sentences(doc: Doc, *, is_complete: bool, at_most: int) -> WholeSentences:
    """Cuts a generated text back to its whole sentences.

    Args:
        doc: The text as tokens.
        is_complete: Whether the model ended the text itself: then its end is that of a sentence,
            with or without a full stop.
        at_most: How many sentences were asked for.
    """
    text = doc.text
    ends = sentence_ends(doc)
    tail = text[ends[-1] if ends else 0 :]
    if is_complete and _words(tail):
        ends, tail = [*ends, len(text)], ""
    sentences = [text[start:end] for start, end in pairwise([0, *ends])]
    n_new = _first_repetition(sentences)
    has_tail = bool(_words(tail))
    cut: Cut | None = None
    n_whole = min(n_new, at_most)
    if n_new < min(at_most, len(sentences)):
        cut = "repetition"
    elif n_whole < len(sentences) or (has_tail and n_whole == at_most):
        cut = "sentences"
    elif has_tail:
        cut = "repetition" if _repeats(tail, sentences) else "length"
    return WholeSentences(text[: ends[n_whole - 1]].strip() if n_whole else "", cut)


def _first_repetition(sentences: Sequence[str]) -> int:
    """How many sentences stand before the first that says one of them again or loops."""
    for number, sentence in enumerate(sentences):
        if _repeats(sentence, sentences[:number]):
            return number
    return len(sentences)


def _repeats(piece: str, earlier: Sequence[str]) -> bool:
    words = _words(piece)
    return bool(words) and (any(words == _words(text) for text in earlier) or _loops(words))


def _loops(words: Sequence[str]) -> bool:
    """Whether one run of words follows itself again and again."""
    for length in range(1, len(words) // _TIMES + 1):
        n_equal = 0  # words in a row that are those of one period before
        for before, word in zip(words, words[length:], strict=False):
            n_equal = n_equal + 1 if before == word else 0
            if n_equal >= length * (_TIMES - 1) and n_equal + length >= _LEAST_WORDS:
                return True
    return False


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
