"""A question as a document is searched for it: plain texts, which outlive every memory zone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spacy.tokens import Doc, Span, Token

from nlp_pipeline.chunking.question_kinds import kinds_asked_for, kinds_of

STEM = 5
"""Characters that two words share at their beginning where one is derived from the other."""


@dataclass(frozen=True, slots=True)
class Query:
    """What of a question is looked for.

    A Doc cannot be kept: that of a memory zone is gone when the zone ends.

    Attributes:
        words: Per word that is no stop word its forms without case: as it stands, and its lemma.
        names: Its entities without case.
        forms: The forms of all its words, stop words too.
        kinds: The kinds of things that it asks for (`question_kinds`); none where it does not say.
    """

    words: tuple[frozenset[str], ...]
    names: tuple[str, ...] = ()
    forms: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()

    @classmethod
    def of(cls, question: Doc) -> Query:
        """The query of an annotated question; stop words and punctuation are left out."""
        words = [token for token in question if not (token.is_punct or token.is_space)]
        return cls(
            tuple(token_forms(token) for token in words if counts(token)),
            tuple(entity.text.casefold() for entity in question.ents),
            forms=all_forms(words),
            kinds=kinds_asked_for([token.lower_ for token in words], question.lang_),
        )


def token_forms(token: Token) -> frozenset[str]:
    """A word as it stands and its lemma, without case."""
    return frozenset((token.lower_, token.lemma_.casefold() or token.lower_))


def all_forms(tokens: Iterable[Token]) -> frozenset[str]:
    """The forms of some words, stop words too."""
    return frozenset(form for token in tokens for form in token_forms(token))


def counts(token: Token) -> bool:
    """Whether a word says something: no stop word, no punctuation, no white space."""
    return not (token.is_stop or token.is_punct or token.is_space)


def content_forms(tokens: Doc | Span) -> set[str]:
    """The forms of the words that say something."""
    return {form for token in tokens if counts(token) for form in token_forms(token)}


def kinds_in(piece: Span) -> frozenset[str]:
    """The kinds of things that stand in a piece of a document."""
    return kinds_of(
        [entity.label_ for entity in piece.ents],
        has_number=any(token.like_num for token in piece),
        has_year=any(token.shape_ == "dddd" for token in piece),
    )
