"""The names, numbers and dates of a text: what can be looked up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Literal, NamedTuple

from spacy.tokens import Doc, Span, Token

from nlp_pipeline.grounding.dates import Date, find_dates
from nlp_pipeline.grounding.languages import language_data
from nlp_pipeline.grounding.numbers import Number, Pair, find_numbers, find_pairs
from nlp_pipeline.grounding.text import words

Kind = Literal["name", "number", "date"]

_TITLE_LENGTH = 40
"""Characters in front of a name that are looked at for its titles."""

_CAPITALISED_NOUNS = frozenset(["de", "lb"])
"""Languages whose nouns all have a capital: there it tells no name."""

_AMOUNTS = frozenset(["DATE", "TIME", "MONEY", "PERCENT", "QUANTITY", "CARDINAL", "ORDINAL"])


class Unit(NamedTuple):
    """One thing that a text names or counts.

    Attributes:
        kind: How it is looked up.
        label: The entity's label; `PROPN`, `NUMBER` or `DATE` outside of entities.
        start: First character.
        end: One past the last.
        value: What a number, a pair of them or a date means; None for a name.
    """

    kind: Kind
    label: str
    start: int
    end: int
    value: Number | Pair | Date | None = None


def find_units(piece: Doc | Span, lang: str) -> list[Unit]:
    """The units of a piece of generated text, in their order; offsets are those of its Doc.

    Dates come first, then names, then pairs such as "2-1", then the numbers that are part of none.
    Names are the entities that are no amounts, cut to the part with capitals or figures, and runs
    of proper nouns; where the pipeline has no entities and no tags, runs of capitalised words that
    do not begin a sentence and words that mix letters and figures. A title belongs to the name
    after it and is no name by itself. The number one is no unit: it is an article or a pronoun too
    often.
    """
    doc = piece.doc if isinstance(piece, Span) else piece
    begin = piece.start_char if isinstance(piece, Span) else 0
    text = piece.text
    labels = {place: e.label_ for e in piece.ents for place in range(e.start_char, e.end_char)}
    places: set[int] = set()
    units: list[Unit] = []
    for date in find_dates(text, lang):
        units.append(
            Unit("date", "DATE", start=begin + date.start, end=begin + date.end, value=date)
        )
        places.update(range(begin + date.start, begin + date.end))
    titles = {**language_data(lang).polite, **language_data(lang).titles}
    for label, start, end in _titled(doc, _names(doc, piece, places), titles):
        if start and doc.text[start - 1].isdecimal():
            continue  # the G of "5G", where the tokenizer parts them, is the number's
        units.append(Unit("name", label, start=start, end=end))
        places.update(range(start, end))
    for pair in find_pairs(text):
        start, end = begin + pair.start, begin + pair.end
        if places.isdisjoint(range(start, end)):
            units.append(
                Unit("number", labels.get(start, "NUMBER"), start=start, end=end, value=pair)
            )
            places.update(range(start, end))
    for number in find_numbers(text, lang):
        start, end = begin + number.start, begin + number.end
        if start not in places and not number.values <= {1} and number.values:
            units.append(
                Unit("number", labels.get(start, "NUMBER"), start=start, end=end, value=number)
            )
    return sorted(units, key=lambda unit: unit.start)


def _names(doc: Doc, piece: Doc | Span, places: set[int]) -> Iterator[tuple[str, int, int]]:
    """Label and offsets of the names."""
    used = set(places)
    for entity in piece.ents:
        if entity.label_ not in _AMOUNTS:
            for run in _runs(entity, lambda token: not _free(token, places)):
                trimmed = _trim(run)
                if trimmed is not None:
                    used.update(range(*trimmed))
                    yield entity.label_, *trimmed
    tagged = doc.has_annotation("TAG") or doc.has_annotation("POS")
    for run in _runs(piece, lambda token: not (_free(token, used) and _proper(token, tagged))):
        trimmed = _trim(run)
        if trimmed is not None:
            yield "PROPN", *trimmed


def _titled(
    doc: Doc, names: Iterable[tuple[str, int, int]], titles: Collection[str]
) -> Iterator[tuple[str, int, int]]:
    """Names with the titles in front of them, without titles that no name follows."""
    for label, start, end in names:
        if all(word.key in titles for word in words(doc.text[start:end])):
            continue
        previous_words = words(doc.text[max(0, start - _TITLE_LENGTH) : start])
        shift = max(0, start - _TITLE_LENGTH)
        for word in reversed(previous_words):
            if word.key not in titles or doc.text[shift + word.end : start].strip(" .\u00a0"):
                break
            start = shift + word.start
        yield label, start, end


def _free(token: Token, places: set[int]) -> bool:
    return token.idx not in places


def _runs(tokens: Iterable[Token], breaks: object) -> Iterator[list[Token]]:
    """The longest runs of tokens between those that `breaks` is true of."""
    run: list[Token] = []
    for token in tokens:
        if breaks(token):  # type: ignore[operator]
            if run:
                yield run
            run = []
        else:
            run.append(token)
    if run:
        yield run


def _proper(token: Token, tagged: bool) -> bool:
    """Whether a token outside of all entities is part of a name."""
    text = token.text
    mixed = any(map(str.isdigit, text)) and any(map(str.isalpha, text)) and text[0].isupper()
    if mixed:
        return True
    if tagged:
        return token.pos_ == "PROPN" and (text[0].isupper() or _caseless(text))
    if not text[0].isupper() or token.is_stop:
        return False
    if token.doc.lang_ in _CAPITALISED_NOUNS:
        return len(text) > 1 and text.isupper()
    previous = token.nbor(-1) if token.i else None
    opens = (
        previous is None or previous.is_punct or previous.is_space or previous.text[-1] in ".!?:"
    )
    return not opens or (len(text) > 1 and text.isupper())


def _trim(run: list[Token]) -> tuple[int, int] | None:
    """Offsets of a name without what surrounds it: articles, possessives, punctuation."""
    caseless = any(_caseless(token.text) for token in run)
    keep = [token for token in run if caseless or _bears_name(token)]
    if not keep:
        return None
    return keep[0].idx, keep[-1].idx + len(keep[-1])


def _bears_name(token: Token) -> bool:
    elided = len(token) <= 2 and token.text[-1] in "'’"  # the French article
    return (token.text[0].isupper() or token.text[0].isdigit()) and not elided


def _caseless(text: str) -> bool:
    """Whether a text has letters of a script without case, such as Chinese or Arabic."""
    return any(char.isalpha() and char.lower() == char.upper() for char in text)
