"""Ways to change a question about a text so that the text no longer answers it.

The question stays close to the text, which is what makes it hard: after the altered questions of
Jia and Liang, Adversarial Examples for Evaluating Reading Comprehension Systems (2017). Nobody
reads what comes out: now and then it can still be answered.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc, Token

from nlp_pipeline.training.opposite_forms import opposite_forms

OPPOSITE, NEGATION, NUMBER, NOUN = "opposite", "negation", "number", "noun"
OWN_NAME, OTHER_NAME = "own name", "other name"
WEIGHTS: Mapping[str, float] = {
    OPPOSITE: 3.0,
    OWN_NAME: 2.0,
    OTHER_NAME: 1.5,
    NUMBER: 1.5,
    NEGATION: 1.0,
    NOUN: 0.7,
}
"""How often each way is taken, of those that a question allows.

`opposite`: a word for its opposite; `negation`: one more, or the one that is there taken away;
`own name`: a name for another of its kind from the same text; `other name`: for one from another
text; `number`: for one that stands nowhere in the text; `noun`: for one of like form from another
text.
"""

_NUMERIC_LABELS = frozenset(
    ["DATE", "TIME", "CARDINAL", "ORDINAL", "MONEY", "PERCENT", "QUANTITY"],
)
_SHORT_FORMS = {"ca": "can", "wo": "will", "sha": "shall"}
"""What is left of an auxiliary where its "n't" is taken away."""

_NUMBER = re.compile(r"(?<![\d.,])\d+(?![.,]?\d)")
"""A whole number without separators."""

_TRIES = 20
_FARTHEST = 60
"""A number is changed by a third of itself, and by this at most: it stays a likely one."""


@dataclass(frozen=True)
class Words:
    """Names and nouns to put in the place of others, sorted.

    Attributes:
        names: By the label of the entity.
        nouns: By their form (`spacy.tokens.Token.morph`), in small letters.
    """

    names: Mapping[str, Sequence[str]]
    nouns: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, doc: Doc) -> Words:
        """Those of a document."""
        names = ((e.label_, e.text) for e in doc.ents if e.label_ not in _NUMERIC_LABELS)
        nouns = ((str(t.morph), t.text) for t in doc if _is_noun(t) and t.is_alpha)
        return cls(_grouped(names), _grouped(nouns))

    @classmethod
    def joined(cls, words: Iterable[Words]) -> Words:
        """Those of several documents together."""
        words = list(words)
        return cls(
            _grouped((key, name) for own in words for key in own.names for name in own.names[key]),
            _grouped((key, noun) for own in words for key in own.nouns for noun in own.nouns[key]),
        )


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, set[str]] = {}
    for key, text in pairs:
        groups.setdefault(key, set()).add(text)
    return {key: sorted(groups[key]) for key in groups}


def changes(
    question: Doc, text: str, own: Words, corpus: Words, numbers: random.Random
) -> dict[str, list[str]]:
    """The question in other words, by the ways that it allows.

    Args:
        question: As the pipes have read it that read the text; what they do not annotate is not
            changed.
        text: That it is asked about.
        own: Words of the text.
        corpus: Words of all texts.
        numbers: Draws names, nouns and numbers.

    Returns:
        By way, at least one.
    """
    folded = text.casefold()
    ways = {
        OPPOSITE: list(_opposites(question)),
        NEGATION: list(_negations(question)) if question.lang_ == "en" else [],
        OWN_NAME: list(_names(question, folded, own, numbers, is_own=True)),
        OTHER_NAME: list(_names(question, folded, corpus, numbers, is_own=False)),
        NUMBER: list(_numbers(question.text, text, numbers)),
        NOUN: list(_nouns(question, folded, corpus, numbers)),
    }
    return {way: texts for way, texts in ways.items() if texts}


def _opposites(question: Doc) -> Iterator[str]:
    for token in question[_asking(question) :]:
        if token.pos_ == "AUX":  # "has" of "has bought" is not what "lacks" is the opposite of
            continue
        for form in opposite_forms(token.text, question.lang_):
            yield _replaced(question.text, token.idx, len(token), form)


def _asking(question: Doc) -> int:
    """How many words say what is asked for: "how few" asks what "how many" does."""
    return 2 if question[:1].text.lower() == "how" else 1


def _negations(question: Doc) -> Iterator[str]:
    """The English question without its negation, or with one before its predicate."""
    negations = [token for token in question if token.dep_ == "neg" and token.i > 0]
    for token in negations:
        head, tail = question.text[: token.idx], question.text[token.idx + len(token) :]
        auxiliary = question[token.i - 1]
        if auxiliary.lower_ in _SHORT_FORMS and token.lower_ != "not":
            head = head[: auxiliary.idx] + _SHORT_FORMS[auxiliary.lower_]
        yield f"{head.rstrip()} {tail.lstrip()}"
    place = None if negations else _place_of_not(question)
    if place is not None:
        yield f"{question.text[:place]}not {question.text[place:]}"


def _place_of_not(question: Doc) -> int | None:
    """The character before which "not" negates a question; None where it has no auxiliary."""
    root = next((token for token in question if token.dep_ == "ROOT"), None)
    if root is None:
        return None
    if root.pos_ == "AUX":
        subjects = (t for t in root.children if t.dep_.startswith("nsubj") and t.i > root.i)
        subject = next(subjects, root)
        follower = 1 + (root.i if subject is root else max(t.i for t in subject.subtree))
    else:
        if not any(t.dep_.startswith("aux") and t.i < root.i for t in root.children):
            return None
        follower = root.i
    if follower >= len(question) or question[follower].is_punct:
        return None
    return int(question[follower].idx)


def _names(
    question: Doc, text: str, words: Words, numbers: random.Random, *, is_own: bool
) -> Iterator[str]:
    """A name that the text has, for one of its kind: of the text, or one that it has not."""
    folded_question = question.text.casefold()
    for entity in question.ents:
        name = entity.text.casefold()
        if name not in text:
            continue
        names = [
            substitute
            for substitute in words.names.get(entity.label_, ())
            if (substitute.casefold() in text) is is_own
            and substitute.casefold() not in folded_question
            and name not in substitute.casefold()
        ]
        if names:
            substitute = numbers.choice(names)
            yield _replaced(question.text, entity.start_char, len(entity.text), substitute)


def _numbers(question: str, text: str, numbers: random.Random) -> Iterator[str]:
    """A number that the text has, for one near it that the text has not."""
    for match in _NUMBER.finditer(question):
        value = int(match.group())
        if match.group() not in text:
            continue
        farthest = max(2, min(_FARTHEST, value // 3))
        for _ in range(_TRIES):
            substitute = value + numbers.choice((-1, 1)) * numbers.randint(1, farthest)
            if substitute > 0 and str(substitute) not in text:
                yield _replaced(question, match.start(), len(match.group()), str(substitute))
                break


def _nouns(question: Doc, text: str, words: Words, numbers: random.Random) -> Iterator[str]:
    """A noun that the text has, for one of like form that it has not."""
    for token in question[2:]:  # behind "what", "which" and "how many" it says what is asked for
        if not _is_noun(token) or token.lower_ not in text:
            continue
        nouns = [noun for noun in words.nouns.get(str(token.morph), ()) if noun not in text]
        if nouns:
            yield _replaced(question.text, token.idx, len(token), numbers.choice(nouns))


def _is_noun(token: Token) -> bool:
    return token.pos_ == "NOUN" and bool(token.is_lower)


def _replaced(text: str, start: int, length: int, words: str) -> str:
    return text[:start] + words + text[start + length :]
