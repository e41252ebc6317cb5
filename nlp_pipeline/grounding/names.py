"""Looks a name up in a document."""

from __future__ import annotations

from typing import NamedTuple

from nlp_pipeline.grounding.folding import fold, fold_hyphens
from nlp_pipeline.grounding.languages import LanguageData, language_data
from nlp_pipeline.grounding.text import TextIndex, Word, cuts_word, words

_NEAR = 12
"""Words between the parts of a name that the document gives apart ("Ada and Peter Marsh")."""


class Match(NamedTuple):
    """How a unit was found: the way, a score in [0, 1], and where in the document, if anywhere."""

    how: str | None
    score: float
    start: int | None = None
    end: int | None = None


def find_name(index: TextIndex, name: str) -> Match:
    """The best way in which a document supports a name.

    Args:
        index: The document.
        name: As the answer has it.

    Returns:
        `exact` (score 1): these very words; `normalized` (1): but for case, accents, possessive
        or plural; `title` (0.9): with another form of address, or none, in front; `acronym` (0.9):
        the initials of capitalised words; `words` (0.8): all its words, in one run of names. Else
        None, with half of the share of its words that the document has. A title that the document
        never gives to a person whom it gives others of the kind is not supported, nor is a rank or
        an office that it never speaks of.
    """
    data = language_data(index.lang)
    parts = words(name)
    if not parts:
        return Match("exact", 1.0)
    whole = _contiguous(index, parts) or _anywhere(index, name)
    if whole is not None:
        start, end = whole
        exact = index.text[start:end] == name
        return Match("exact" if exact else "normalized", 1.0, start=start, end=end)
    title, bare = _split_title(parts, data)
    if title and bare:
        match = _titled(index, title, bare, data)
        if match is not None:
            return match
    return _acronym(index, name, data) or _scattered(index, bare or parts, data)


def _variants(key: str) -> tuple[str, ...]:
    """A word, its singular and its plural."""
    return (key, key[:-1], f"{key}s") if key.endswith("s") and len(key) > 3 else (key, f"{key}s")


def _places(index: TextIndex, part: Word) -> list[int]:
    if part.key in index.word_places:
        return index.word_places[part.key]
    if part.key.isdigit():
        return []
    return [p for key in _variants(part.key)[1:] for p in index.word_places.get(key, ())]


def _contiguous(index: TextIndex, parts: list[Word]) -> tuple[int, int] | None:
    """Offsets of the first place where the words follow each other."""
    tails = [set(_places(index, part)) for part in parts[1:]]
    for first in _places(index, parts[0]):
        if all(first + n in tail for n, tail in enumerate(tails, 1)):
            last = index.words[first + len(parts) - 1]
            # Of an adjective or a common noun of the same letters it is no mention.
            if parts[0].capital <= (index.words[first].capital or len(parts) > 1):
                return index.words[first].start, last.end
    return None


def _anywhere(index: TextIndex, name: str) -> tuple[int, int] | None:
    """Offsets of a mention that need not be whole words, as in scripts without spaces.

    First as it stands, for no piece of the document is unsupported; then folded, over hyphens.
    """
    for view, piece in (
        (None, name),
        (index.folded, fold(name).text),
        (index.hyphenless, fold_hyphens(name).text),
    ):
        text = index.text if view is None else view.text
        start = text.find(piece)
        while piece and start >= 0:
            end = start + len(piece)
            place = (start, end) if view is None else view.span(start, end)
            # Of an adjective or a common noun of the same letters it is no mention.
            capital = index.text[place[0]].isupper() or " " in piece or not name[:1].isupper()
            if capital and not cuts_word(index.text, *place):
                return place
            start = text.find(piece, start + 1)
    return None


def _title_of(key: str, data: LanguageData) -> tuple[str, str] | None:
    """The class of a title and its one spelling."""
    if key in data.polite:
        return "polite", data.polite[key]
    return ("title", data.titles[key]) if key in data.titles else None


def _split_title(parts: list[Word], data: LanguageData) -> tuple[list[Word], list[Word]]:
    """Splits a name into its titles and the rest."""
    count = 0
    while count < len(parts) - 1 and _title_of(parts[count].key, data):
        count += 1
    return parts[:count], parts[count:]


def _titled(
    index: TextIndex, title: list[Word], bare: list[Word], data: LanguageData
) -> Match | None:
    """A name with titles whose bare form stands in the document."""
    place = _contiguous(index, bare)
    if place is None:
        return None
    claimed_titles = {_title_of(word.key, data) for word in title}
    document_titles: set[tuple[str, str] | None] = set()
    for last in _places(index, bare[-1]):
        document_titles |= _titles_before(index, last, data)
    classes = {title_class[0] for title_class in claimed_titles - document_titles if title_class}
    if classes & {title_class[0] for title_class in document_titles if title_class}:
        return Match(None, 0.5)
    everywhere = {_title_of(word.key, data) for word in index.words}
    if any(found and found[0] == "title" and found not in everywhere for found in claimed_titles):
        return Match(None, 0.5)  # a rank or an office that the document never speaks of
    return Match("title", 0.9, *place)


def _titles_before(index: TextIndex, place: int, data: LanguageData) -> set[tuple[str, str] | None]:
    """The titles in front of a last name, over its given names."""
    titles: set[tuple[str, str] | None] = set()
    for position in range(place - 1, max(-1, place - 5), -1):
        word = index.words[position]
        gap = index.text[word.end : index.words[position + 1].start]
        title = _title_of(word.key, data)
        if len(gap) > 2 or not (title or word.capital):
            break
        if title:
            titles.add(title)
    return titles


def _acronym(index: TextIndex, name: str, data: LanguageData) -> Match | None:
    """A name of capitals that are the initials of words in the document."""
    letters = [char.casefold() for char in name if char.isalpha()]
    plain = all(char.isupper() or char in ".& " for char in name)
    if not (2 <= len(letters) <= 8 and plain):
        return None
    for place, word in enumerate(index.words):
        if not word.capital or word.key[0] != letters[0]:
            continue
        last, need = place, 1
        for next_place in range(place + 1, min(len(index.words), place + 2 * len(letters))):
            if need == len(letters):
                break
            following = index.words[next_place]
            if following.capital and following.key[0] == letters[need]:
                last, need = next_place, need + 1
            elif following.key not in data.particles:
                break
        if need == len(letters):
            return Match("acronym", 0.9, start=word.start, end=index.words[last].end)
    return None


def _scattered(index: TextIndex, parts: list[Word], data: LanguageData) -> Match:
    """A name whose words all stand in the document, near each other; else how many do."""
    named = [part for part in parts if part.capital or part.key[0].isdigit()] or parts
    matches = [_places(index, part) for part in named]
    share = sum(map(bool, matches)) / len(named)
    if share < 1:
        return Match(None, share / 2)
    rarest = min(matches, key=len)
    for place in rarest:
        near = [min(places, key=lambda p: abs(p - place)) for places in matches]
        if max(near) - min(near) <= _NEAR and _one_list(index, near, data):
            start, end = min(near), max(near)
            return Match("words", 0.8, start=index.words[start].start, end=index.words[end].end)
    return Match(None, 0.5)


def _one_list(index: TextIndex, near: list[int], data: LanguageData) -> bool:
    """Whether nothing but names and particles stands between the words: "Ada and Peter Marsh"."""
    between = index.words[min(near) : max(near) + 1]
    return all(word.capital or word.key in data.particles for word in between)
