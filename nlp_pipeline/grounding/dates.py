"""Dates of a text as (year, month, day), whatever their form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from nlp_pipeline.grounding.folding import visible
from nlp_pipeline.grounding.languages import LanguageData, language_data

Fields = tuple[int | None, int | None, int | None]


class Date(NamedTuple):
    """A date of a text.

    Attributes:
        readings: What it may mean, as (year, month, day) with None for what is not said:
            "12/03/2024" has two readings.
        start: First character.
        end: One past the last.
    """

    readings: frozenset[Fields]
    start: int
    end: int


def find_dates(text: str, lang: str) -> list[Date]:
    """The dates of a text, in their order: ISO, in figures, and with a month's name.

    Months are known by name in the languages of `language_coverage`; a month by itself is no date.
    A list of days before a month ("10 and 12 May") gives one date each.
    """
    date_list: list[Date] = []
    used: set[int] = set()
    visible_text = visible(text)
    for pattern in _patterns(lang):
        for match in pattern.finditer(visible_text.text):
            if match.start() in used:
                continue
            dates = list(_read(match, lang))
            date_list += dates
            used.update(*(range(date.start, date.end) for date in dates))
    date_list.sort(key=lambda date: date.start)
    if visible_text.places is None:
        return date_list
    places = (visible_text.span(date.start, date.end) for date in date_list)
    return [d._replace(start=a, end=b) for d, (a, b) in zip(date_list, places, strict=True)]


def agrees(claimed: Iterable[Fields], document: Iterable[Fields]) -> bool:
    """Whether a date says nothing that another does not say too."""
    return any(
        all(a is None or a == b for a, b in zip(fields, candidate, strict=True))
        for fields in claimed
        for candidate in document
    )


@lru_cache
def _patterns(lang: str) -> tuple[re.Pattern[str], ...]:
    data = language_data(lang)
    patterns = [
        r"(?<!\d)(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?!\d)",
        r"(?P<y>\d{4})年(?P<m>\d{1,2})月(?:(?P<d>\d{1,2})日)?",
        r"(?P<y>\d{4})년\s*(?P<m>\d{1,2})월(?:\s*(?P<d>\d{1,2})일)?",
        r"(?<![\d/.])(?P<a>\d{1,2})(?P<sep>[/.])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d{2})(?![\d/])",
    ]
    if data.months:
        patterns += _named_months(data)
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


def _named_months(data: LanguageData) -> list[str]:
    """The forms that name their month, those with more parts first."""
    longest = sorted(data.months, key=len, reverse=True)
    month = rf"(?P<month>{'|'.join(map(re.escape, longest))})(?!\w)\.?"
    links = "|".join(map(re.escape, data.date_links))
    ranges = "|".join(data.range_links)
    ordinal = rf"(?:{data.day_marks})?"
    year_links = "|".join(map(re.escape, data.year_links))
    year_link = rf"(?:(?:{year_links})\s+)?" if year_links else ""
    year = rf"(?:,?\s+{year_link}(?P<y>\d{{4}})(?!\d))"
    dash = rf"(?:[–—,&-]|\b(?:{ranges})\b)" if ranges else "[–—,&-]"
    month_links = "|".join(map(re.escape, dict.fromkeys(("of", "de", *data.year_links))))
    patterns = [
        rf"(?<![\d.,/-])(?:(?P<d0>\d{{1,2}}){ordinal}\s*{dash}\s*)?"
        rf"(?:the\s+)?(?P<d>\d{{1,2}}){ordinal}\s+(?:(?:{links})\s*)?{month}{year}?",
        rf"\b{month},?\s+(?:(?:{month_links})\s+)?(?P<y>\d{{4}})(?!\d)",
    ]
    if data.month_first:
        day = rf"(?:the\s+)?(?P<d>\d{{1,2}}){ordinal}(?![\d.:])"
        patterns.insert(1, rf"\b{month}\s+{day}\b{year}?")
    if data.year_first:
        marks = "|".join(map(re.escape, data.year_marks))
        mark = rf"(?:\s(?:{marks}))?" if marks else ""
        before = rf"(?<![\d.,/-])(?P<y>\d{{4}})[.,]?{mark}[.,]?\s+"
        patterns.insert(0, rf"{before}{month}\s+(?P<d>\d{{1,2}})(?!\d)")
    return patterns


def _read(match: re.Match[str], lang: str) -> Iterator[Date]:
    """The dates of one match; none where the figures are no date."""
    groups = match.groupdict()
    start, end = match.start(), match.start() + len(match[0].rstrip("."))
    year = int(groups["y"]) if groups.get("y") else None
    if groups.get("sep"):
        a, b = int(groups["a"]), int(groups["b"])
        years = [year + 2000, year + 1900] if year is not None and year < 100 else [year]
        orders = [(b, a), (a, b)]  # day first, month first
        yield from _date([(y, m, d) for y in years for m, d in orders], start, end)
        return
    named = groups.get("month")
    month = _month(named, lang) if named else int(groups["m"])
    day = int(groups["d"]) if groups.get("d") else None
    if groups.get("d0"):
        yield from _date([(year, month, int(groups["d0"]))], match.start("d0"), match.end("d0"))
        yield from _date([(year, month, day)], match.start("d"), end)
    else:
        yield from _date([(year, month, day)], start, end)


def _month(name: str, lang: str) -> int:
    """The number of a month that a pattern has matched, whatever the case of its letters."""
    months = language_data(lang).months
    if name.casefold() in months:
        return months[name.casefold()]
    # Without the dot of the Turkish I, which a pattern does not tell apart, as by casefold.
    return next(n for key, n in months.items() if re.fullmatch(re.escape(key), name, re.IGNORECASE))


def _date(readings: Iterable[Fields], start: int, end: int) -> Iterator[Date]:
    real = frozenset(
        fields
        for fields in readings
        if 1 <= (fields[1] or 1) <= 12 and 1 <= (1 if fields[2] is None else fields[2]) <= 31
    )
    if real:
        yield Date(real, start, end)
