"""Text without what a reader does not see or tell apart: case, kinds of spaces and quotes.

Invisible are the default-ignorable code points of Unicode (soft hyphens, joiners, marks of the
reading direction, variation selectors and the like; Unicode Standard, chapter 5.21), the Arabic
tatweel, which only makes a word longer, and control characters that are no white space.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

INVISIBLE = (
    "\u00ad\u034f\u0640\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
)
"""The members of a character class of a regular expression."""
HYPHENS = "\u002d\u00ad\u2010\u2011"
"""What may part a word at the end of a line."""

_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_KINDS = {
    "'": "’‘`´ʼ′＇",
    '"': "“”„«»″＂",
    "-": "\u2010\u2011\u2012\u2013\u2212\ufe58\ufe63\uff0d",
}
_PLAIN = {char: plain for plain, kinds in _KINDS.items() for char in kinds}
_HALF_WIDTH_MARKS = "\uff9e\uff9f"
LINE_BREAK = f"[{HYPHENS}][{INVISIBLE} \\t\u00a0]*[\\n\\r\\x0b\\x0c\x85\u2028\u2029]"
"""A hyphen and the end of its line: a regular expression."""
_BROKEN_WORD = re.compile(LINE_BREAK)
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


class Folded(NamedTuple):
    """A folded text, and where each of its characters stands.

    Attributes:
        text: Without case and so on.
        starts: Per character, the first character of the original that it stands for.
        ends: One past the last.
    """

    text: str
    starts: list[int]
    ends: list[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original of a piece of the folded text that is not empty."""
        return self.starts[start], self.ends[end - 1]


def fold(text: str) -> Folded:
    """A text without case, runs of white space, kinds of quotes and dashes, and what is invisible.

    Letters of one kind are one (full width, ligatures, composed or not: Unicode's NFKC).
    """
    folded: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end, plain in _pieces(text):
        if plain == " " and folded[-1:] == [" "]:
            continue
        folded += plain  # a character may fold to several
        starts += [start] * len(plain)
        ends += [end] * len(plain)
    return Folded("".join(folded), starts, ends)


def fold_hyphens(text: str) -> Folded:
    """As `fold`, without hyphens between letters, be it in a line or at its end.

    "Lind-" at the end of a line and "qvist" on the next may be "Lindqvist" or "Lind-Qvist": both
    are the same here. A hyphen beside a digit stays, without the line end behind it.
    """
    folded = fold(_mark_line_ends(text))
    keep: list[int] = []
    chars = folded.text
    place = 0
    while place < len(chars):
        follows = place + 1
        if chars[place] == "-" and place:
            while follows < len(chars) and chars[follows] in _MARKS:
                follows += 1
            is_broken = follows > place + 1
            letters = chars[place - 1].isalpha() and chars[follows : follows + 1].isalpha()
            if not letters:
                keep.append(place)
            place = follows if is_broken or letters else place + 1
            continue
        keep.append(place)
        place += 1
    text = "".join(" " if chars[place] in _MARKS else chars[place] for place in keep)
    return _without_double_spaces(
        Folded(text, [folded.starts[p] for p in keep], [folded.ends[p] for p in keep])
    )


_LINE_END_MARK = "\ue000"
"""Of the private use area: stands for a line end while hyphens are looked at."""
_MARKS = frozenset(_LINE_END_MARK)


def _mark_line_ends(text: str) -> str:
    """A text of the same length in which a broken word's line end is one run of marks."""
    chars = list(text)
    for match in _BROKEN_WORD.finditer(text):
        chars[match.start()] = "-"
        place = match.start() + 1
        while place < len(chars) and (chars[place].isspace() or _INVISIBLE.match(chars[place])):
            chars[place] = _LINE_END_MARK
            place += 1
    return "".join(chars)


def _without_double_spaces(folded: Folded) -> Folded:
    keep = [
        place
        for place, char in enumerate(folded.text)
        if char != " " or not place or folded.text[place - 1] != " "
    ]
    text = "".join(folded.text[place] for place in keep)
    return Folded(text, [folded.starts[p] for p in keep], [folded.ends[p] for p in keep])


def _pieces(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and plain form of each character, its combining marks with it."""
    if text.isascii() and not _INVISIBLE.search(text):
        for place, char in enumerate(text.lower()):
            yield place, place + 1, " " if char.isspace() else _PLAIN.get(char, char)
        return
    start, cluster = 0, ""
    for place, char in enumerate(text):
        if cluster and (unicodedata.combining(char) or char in _HALF_WIDTH_MARKS):
            cluster += char
            continue
        if cluster:
            yield start, place, _plain(cluster)
        start, cluster = place, ""
        if not _INVISIBLE.match(char):
            cluster = char
    if cluster:
        yield start, len(text), _plain(cluster)


@lru_cache(maxsize=1 << 14)
def _plain(cluster: str) -> str:
    """The plain form of a character with its combining marks."""
    if cluster.isspace():
        return " "
    if cluster in _PLAIN:
        return _PLAIN[cluster]
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cluster).casefold())


@lru_cache(maxsize=1 << 16)
def fold_word(word: str) -> str:
    """A word without case, accents and what is invisible."""
    if word.isascii() and word.isprintable():
        return word.lower()
    plain = unicodedata.normalize("NFKD", _INVISIBLE.sub("", word).casefold())
    return "".join(char for char in plain if not unicodedata.combining(char))


class Visible(NamedTuple):
    """A text as figures are read in it: nothing invisible, digits and signs of ordinary width.

    Attributes:
        text: What is left.
        places: Where each of its characters stands; None where nothing was left out.
    """

    text: str
    places: list[int] | None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original of a piece that is not empty."""
        if self.places is None:
            return start, end
        return self.places[start], self.places[end - 1] + 1


def visible(text: str) -> Visible:
    """A text without what is invisible, its full-width digits and signs as ordinary ones."""
    if text.isascii() and not _INVISIBLE.search(text):
        return Visible(text, None)
    text = text.translate(_WIDE)
    if not _INVISIBLE.search(text):
        return Visible(text, None)
    places = [place for place, char in enumerate(text) if not _INVISIBLE.match(char)]
    return Visible("".join(text[place] for place in places), places)
