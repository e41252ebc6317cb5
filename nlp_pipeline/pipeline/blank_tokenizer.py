"""The tokenizer of `blank_qa`: a language's own rules, and letters where words have no spaces.

Answers are pieces of whole tokens, so that a token should hold no more than one thing that may be
asked for. Where a language is written without spaces between words, every letter is a token; that
needs no dictionary and no further package.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from spacy.language import Language
from spacy.language import create_tokenizer as rule_based
from spacy.tokens import Doc
from spacy.util import DummyTokenizer, registry

NAME = "nlp_pipeline.blank_tokenizer.v1"

# Thai, Lao, Tibetan, Burmese; Khmer; Kana, Bopomofo; Han; Hangul, whose particles stand at the
# word; half-width Kana; rare Han.
_UNSPACED = re.compile(
    "[\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3100-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003134f]"
)
_ARABIC_PREFIX = re.compile(r"([وف]?[بك]?)(?=ال\w\w)")
"""And, so, in, like: written at the word, here before the article."""
_NUMBER_AND_STOP = re.compile(r"(?:.*(?:\d{3}|[^\W\d]\d+)|(?P<ordinal>\d+))\.", re.DOTALL)
"""A number with a full stop, as in "1943." or "A4."; a short one may be an ordinal."""
_IN_FRONT = re.compile(r"[^\w\s](?=\d)|[\u200b\u2060\ufeff]+")
"""What stands before a number, as in "~12" (of "-12" it allows "12" too), or is invisible."""
_ZWJ = "\u200d"


class BlankTokenizer(DummyTokenizer):
    """Tokens by a language's rules, cut where an answer may begin or end.

    No token begins inside a character that is written as several code points, such as an emoji of
    a family or a letter with its accents.

    Args:
        nlp: The pipeline whose language it is for.
    """

    def __init__(self, nlp: Language) -> None:
        self.vocab = nlp.vocab
        self._by_rules = rule_based()(nlp)

    def __call__(self, text: str) -> Doc:
        """The text as a Doc, every character of it."""
        doc: Doc = self._by_rules(text)
        starts = [token.idx for token in doc]
        places = sorted(set(self._starts(doc)))
        new_starts = [place for place in places if not _is_inside(text, place)]
        if new_starts == starts:
            return doc
        spaced = {token.idx + len(token) for token in doc if token.whitespace_}
        words, spaces = [], []
        for start, end in pairwise([*new_starts, len(text)]):
            has_space = end - 1 in spaced
            words.append(text[start : end - has_space])
            spaces.append(has_space)
        return Doc(self.vocab, words=words, spaces=spaces)

    @staticmethod
    def _starts(doc: Doc) -> Iterator[int]:
        """Where tokens may begin, by the rules and within their tokens."""
        text = doc.text
        for token in doc:
            start, end = token.idx, token.idx + len(token)
            yield start
            if _UNSPACED.search(token.text):
                yield from (n for n in range(start + 1, end) if _stands_alone(text[n - 1 : n + 1]))
            prefix = _ARABIC_PREFIX.match(token.text)
            yield from range(start + 1, start + 1 + len(prefix[1] if prefix else ""))
            front = _IN_FRONT.match(token.text)
            yield from [start + front.end()] if front and front.end() < len(token) else []
            number = _NUMBER_AND_STOP.fullmatch(token.text)
            if number and (not number["ordinal"] or text[end : end + 1] in ("", "\n")):
                yield end - 1


def make_blank_tokenizer() -> Any:
    """The tokenizer of a config's `[nlp.tokenizer]`."""
    return BlankTokenizer


registry.tokenizers(NAME, func=make_blank_tokenizer)


def _stands_alone(pair: str) -> bool:
    """Whether two neighbouring characters are not of one word or number that has spaces around."""
    return any(_UNSPACED.match(char) for char in pair)


def _is_inside(text: str, place: int) -> bool:
    """Whether a place is inside a character as a reader sees it."""
    if not 0 < place < len(text):
        return False
    before, char = text[place - 1], text[place]
    if before.isspace():
        return False
    if char == _ZWJ or unicodedata.category(char) in ("Mn", "Mc", "Me") or "🏻" <= char <= "🏿":
        return True
    if before == _ZWJ:
        return place > 1 and unicodedata.category(text[place - 2]) in ("So", "Mn", "Sk")
    return _is_flag_half(char) and _n_flag_halves(text, place) % 2 == 1


def _is_flag_half(char: str) -> bool:
    return "🇦" <= char <= "🇿"


def _n_flag_halves(text: str, place: int) -> int:
    """How many regional letters, of which two are a flag, stand before a place."""
    start = place
    while start and _is_flag_half(text[start - 1]):
        start -= 1
    return place - start
