"""A Doc as grounding looks at it: folded text, words, keys of its tokens, terms of its sentences.

Each view is made when it is first asked for, in a time that grows with the text, and serves all
answers about the Doc.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span, Token

from nlp_pipeline.grounding.folding import (
    INVISIBLE,
    LINE_BREAK,
    Folded,
    fold,
    fold_hyphens,
    fold_word,
)
from nlp_pipeline.grounding.sentences import sentence_numbers, sentences_of

_HYPHENATED = re.compile(rf"{LINE_BREAK}[\s{INVISIBLE}]*")
_LETTER = rf"(?:(?![²³¹⁰-⁹])[\w\u0300-\u036f{INVISIBLE}])"
_WORD = re.compile(rf"{_LETTER}+(?:{LINE_BREAK}[\s{INVISIBLE}]*(?=[^\W\d_A-ZÀ-ÖØ-Þ]){_LETTER}+)*")
"""Letters and figures, without the raised figures of footnotes, over a hyphen at a line's end."""


class Word(NamedTuple):
    """A run of letters and digits: folded, and where it stands (end-exclusive, code points)."""

    key: str
    start: int
    end: int
    capital: bool


def words(text: str) -> list[Word]:
    """The words of a text, without the `s` of a possessive.

    What holds no letter and no figure, such as an accent that stands alone, is none.
    """
    word_list: list[Word] = []
    for match in _WORD.finditer(text):
        word = match[0]
        if word in ("s", "S") and text[match.start() - 1 : match.start()] in ("'", "’", "‘"):
            continue
        key = fold_word(word if word.isalnum() else _HYPHENATED.sub("", word))
        if key:
            word_list.append(Word(key, *match.span(), word[0].isupper()))
    return word_list


def is_word(token: Token) -> bool:
    """Whether a token counts in an alignment: neither white space nor punctuation."""
    return not (token.is_space or token.is_punct)


def token_keys(token: Token) -> tuple[str, str]:
    """A token's folded text, and its folded lemma (the text where there is none)."""
    key = fold_word(token.text)
    return key, fold_word(token.lemma_) if token.lemma_ else key


def terms(piece: Doc | Span) -> dict[str, float]:
    """The content of a piece: folded lemmas that are no stop words, with their weights.

    A word of a named entity, a name or a number weighs 2, any other 1.
    """
    weights: dict[str, float] = {}
    for token in piece:
        if is_word(token) and not token.is_stop:
            named = bool(token.ent_type_) or token.pos_ == "PROPN" or token.like_num
            key = token_keys(token)[1]
            weights[key] = max(weights.get(key, 0.0), 2.0 if named else 1.0)
    return weights


def cuts_word(text: str, start: int, end: int) -> bool:
    """Whether a piece of a text begins or ends inside a word or a number.

    In scripts without case, which mostly write no spaces, there is nothing to be cut but numbers:
    "200" is no piece of "1,200", and "art" none of "Martha", but "北京" is one of "在北京工作".
    """
    return _joins(text, start) or _joins(text, end)


def _joins(text: str, place: int) -> bool:
    """Whether the characters on both sides of a place belong to one word or number."""
    if not 0 < place < len(text):
        return False
    left_char, right_char = text[place - 1], text[place]
    if left_char.isdecimal() and right_char.isdecimal():
        return True
    if left_char in ".,'’" and right_char.isdecimal():
        return place > 1 and text[place - 2].isdecimal()
    if left_char.isdecimal() and right_char in ".,'’":
        return text[place + 1 : place + 2].isdecimal()
    return has_case(left_char) and has_case(right_char)


def has_case(char: str) -> bool:
    """Whether a character is a letter of a script with capitals."""
    return char.lower() != char.upper()


class TextIndex:
    """The views of one Doc, which must not change meanwhile."""

    def __init__(self, doc: Doc) -> None:
        self.doc = doc
        self.text = doc.text
        self.lang = doc.lang_

    @cached_property
    def folded(self) -> Folded:
        """The text as `fold` folds it."""
        return fold(self.text)

    @cached_property
    def hyphenless(self) -> Folded:
        """The text as `fold_hyphens` folds it."""
        return fold_hyphens(self.text)

    @cached_property
    def starts(self) -> dict[int, int]:
        """Character where a token begins, to the token."""
        return {token.idx: token.i for token in self.doc}

    @cached_property
    def ends(self) -> dict[int, int]:
        """Character where a token ends (exclusive), to the token."""
        return {token.idx + len(token): token.i for token in self.doc}

    @cached_property
    def word_tokens(self) -> list[int]:
        """Token numbers of the tokens that count in an alignment."""
        return [token.i for token in self.doc if is_word(token)]

    @cached_property
    def _pairs(self) -> list[tuple[str, str]]:
        return [token_keys(self.doc[i]) for i in self.word_tokens]

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """A number for every key of the word tokens; texts and lemmas share it."""
        keys = dict.fromkeys(key for pair in self._pairs for key in pair)
        return {key: number for number, key in enumerate(keys)}

    @cached_property
    def keys(self) -> NDArray[np.int32]:
        """The numbers of the folded texts and of the lemmas. Shape: (2, n_word_tokens)."""
        vocabulary = self.vocabulary
        texts = [vocabulary[text] for text, _ in self._pairs]
        return np.array([texts, [vocabulary[lemma] for _, lemma in self._pairs]], dtype=np.int32)

    @cached_property
    def words(self) -> list[Word]:
        """As `words` gives them."""
        return words(self.text)

    @cached_property
    def word_places(self) -> dict[str, list[int]]:
        """Folded word to its places in `words`."""
        places: dict[str, list[int]] = defaultdict(list)
        for number, word in enumerate(self.words):
            places[word.key].append(number)
        return dict(places)

    @cached_property
    def sentences(self) -> list[Span]:
        """The sentences; none where the pipeline sets none."""
        return sentences_of(self.doc)

    @cached_property
    def sentence_of(self) -> list[int | None]:
        """The number of the sentence that a token stands in, by token."""
        return sentence_numbers(self.doc, self.sentences)

    @cached_property
    def sentence_terms(self) -> list[dict[str, float]]:
        """The terms of each sentence."""
        return [terms(sentence) for sentence in self.sentences]
