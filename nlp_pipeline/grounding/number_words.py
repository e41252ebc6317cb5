"""Numbers in words of the languages that have no table here, as the package text2num reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

LANGUAGES = {
    "de": "German",
    "es": "Spanish",
    "it": "Italian",
    "nl": "Dutch",
    "pt": "Portuguese",
}
"""The languages that text2num is asked about."""

SCALES_AFTER_FIGURES = {
    "de": {
        **{"tausend": 10**3, "million": 10**6, "millionen": 10**6, "mio": 10**6},
        **{"milliarde": 10**9, "milliarden": 10**9, "mrd": 10**9},
        **{"billion": 10**12, "billionen": 10**12},
    },
    "es": {
        **{"mil": 10**3, "millón": 10**6, "millones": 10**6},
        **{"billón": 10**12, "billones": 10**12},
    },
    "it": {
        **{"mila": 10**3, "milione": 10**6, "milioni": 10**6, "mln": 10**6},
        **{"miliardo": 10**9, "miliardi": 10**9, "mld": 10**9},
    },
    "nl": {
        **{"duizend": 10**3, "miljoen": 10**6, "mln": 10**6},
        **{"miljard": 10**9, "mrd": 10**9, "biljoen": 10**12},
    },
    "pt": {
        **{"mil": 10**3, "milhão": 10**6, "milhões": 10**6},
        **{"bilhão": 10**9, "bilhões": 10**9},
    },
}
"""Scales behind figures, as in "3,8 Millionen": these need no text2num."""

_WORDS = re.compile(r"[^\W\d_]+(?:[ \u00a0\n‐‑-][^\W\d_]+)*")
_LETTERS = re.compile(r"[^\W\d_]+")


class SpelledNumber(NamedTuple):
    """A number in words: its value, its first character, and one past the last."""

    value: Decimal
    start: int
    end: int


class _Word:
    """A word as text2num asks for it."""

    def __init__(self, match: re.Match[str], shift: int) -> None:
        self._text = match[0]
        self.start, self.end = shift + match.start(), shift + match.end()

    def text(self) -> str:
        return self._text

    def nt_separated(self, previous: object) -> bool:
        return False

    def not_a_number_part(self) -> bool:
        return False


def spelled_numbers(text: str, code: str) -> Iterator[SpelledNumber]:
    """The numbers in words of a text, in their order; none where text2num is not installed.

    Ordinals count from the third on: the first two are ordinary words too often.
    """
    finder = number_finder() if code in LANGUAGES else None
    if finder is None:
        return
    for run in _WORDS.finditer(text):
        words = [_Word(match, run.start()) for match in _LETTERS.finditer(run[0])]
        for number in finder(words, code, 0.0):
            if not (number.is_ordinal and number.value < 3):
                value = Decimal(str(number.value)).normalize()
                yield SpelledNumber(value, words[number.start].start, words[number.end - 1].end)


@lru_cache(maxsize=1)
def number_finder() -> Callable[..., list[Any]] | None:
    """text2num's function that finds numbers among words; None where it is not installed."""
    try:
        from text_to_num import find_numbers
    except ImportError:
        return None
    finder: Callable[..., list[Any]] = find_numbers
    return finder
