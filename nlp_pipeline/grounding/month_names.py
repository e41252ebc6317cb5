"""What dates look like in the languages that have no table of their own here, out of CLDR.

`tests/grounding/make_month_names.py` writes the data; where it is changed, it is changed there.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import orjson

_FILE = "month_names.json"
RANGE_LINKS = {
    "de": ("bis", "und", "oder"),
    "es": ("al", "a", "y", "o"),
    "it": ("al", "e", "o"),
    "nl": ("tot", "en", "of"),
    "pt": ("a", "e", "ou"),
}
"""Words between two days of one month, where they are known."""


class DateForms(NamedTuple):
    """The months of a language, and the order of a date's parts.

    Attributes:
        language: Its name in English.
        months: Names and abbreviations in small letters, to 1 to 12.
        month_first: Whether the month stands before the day: "March 12, 2024".
        year_first: Whether the year does, with the month behind it.
        date_links: Words between a day and its month.
        year_links: Words between a month and its year.
        year_marks: Words behind a year that stands before its month.
    """

    language: str
    months: dict[str, int]
    month_first: bool
    year_first: bool
    date_links: tuple[str, ...]
    year_links: tuple[str, ...]
    year_marks: tuple[str, ...]


def date_forms(code: str) -> DateForms | None:
    """The forms of a language's dates; None where there is no data for it."""
    entry = _entries().get(code)
    if entry is None:
        return None
    months = {name: number for number, names in enumerate(entry["months"], 1) for name in names}
    return DateForms(
        entry["name"],
        months,
        month_first=entry["month_first"],
        year_first=entry["year_first"],
        date_links=tuple(entry["date_links"]),
        year_links=tuple(entry["year_links"]),
        year_marks=tuple(entry["year_marks"]),
    )


def languages_with_months() -> dict[str, str]:
    """The codes of the languages that the data covers, to their names in English."""
    return {code: entry["name"] for code, entry in _entries().items()}


@lru_cache(maxsize=1)
def _entries() -> dict[str, Any]:
    data: dict[str, Any] = orjson.loads(files(__package__).joinpath(_FILE).read_bytes())
    return data
