"""Numbers of a text, in figures and in words, as values that can be compared.

Own code for figures, because the rules are a page and the libraries do not give the two readings
of "1.234". Words are read by the tables of `languages`; in further languages by `number_words`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from nlp_pipeline.grounding.folding import visible
from nlp_pipeline.grounding.languages import LanguageData, language_data
from nlp_pipeline.grounding.number_words import spelled_numbers
from nlp_pipeline.grounding.text import has_case

_FRACTIONS = {"½": "0.5", "¼": "0.25", "¾": "0.75", "⅓": "0.333", "⅔": "0.667"}
_FIGURES = re.compile(
    r"(?<!\d)\d+(?:[.,٫٬]\d+|['’\u00a0\u202f ]\d{3}(?!\d))*[½¼¾⅓⅔]?|[½¼¾⅓⅔]",
)
_LETTERS = re.compile(r"[^\W\d_]+")
_NEXT_WORD = re.compile(r"([ \u00a0\u202f]?)([^\W\d_]+)")
_MAX_DIGITS = 40
_PAIR = re.compile(r"(?<![\w.,/:\-–−])(\d{1,4})[-‐‑–−](\d{1,4})(?![\w/:\-–−]|[.,]\d)")


class Number(NamedTuple):
    """A number of a text.

    Attributes:
        values: What it may mean: in English "1.234" is 1.234 or 1234, and "5m" 5 or 5,000,000.
        start: First character.
        end: One past the last.
        spelled: Whether it is written in words.
    """

    values: frozenset[Decimal]
    start: int
    end: int
    spelled: bool


class Pair(NamedTuple):
    """Two numbers with a dash between them: a score, a range, a span of years.

    Attributes:
        first: What the first may mean.
        second: What the second may mean.
        start: First character.
        end: One past the last.
    """

    first: frozenset[Decimal]
    second: frozenset[Decimal]
    start: int
    end: int


def find_pairs(text: str) -> list[Pair]:
    """The pairs of a text, in their order: "2-1", "10–12", "1939-1945".

    Three numbers in a row, as in a date, are none.
    """
    visible_text = visible(text)
    return [
        Pair(
            frozenset({Decimal(match[1])}),
            frozenset({Decimal(match[2])}),
            *visible_text.span(*match.span()),
        )
        for match in _PAIR.finditer(visible_text.text)
    ]


def find_numbers(text: str, lang: str) -> list[Number]:
    """The numbers of a text, in their order; what is invisible in one is no part of it.

    Understood are figures with thousands separators (comma, point, apostrophe, spaces) and a
    decimal point or comma, fractions of one sign, a scale after them ("4.2 million", "£3m"), and
    number words up to the billions in the languages of `language_coverage`.
    """
    data = language_data(lang)
    visible_text = visible(text)
    figures = list(_in_figures(visible_text.text, data))
    used = {place for number in figures for place in range(number.start, number.end)}
    spelled = [number for number in _in_words(visible_text.text, data) if number.start not in used]
    spelled += [
        Number(frozenset({value}), start, end, spelled=True)
        for value, start, end in spelled_numbers(visible_text.text, lang)
        if start not in used
    ]
    numbers = sorted([*figures, *spelled], key=lambda number: number.start)
    if visible_text.places is None:
        return numbers
    places = (visible_text.span(number.start, number.end) for number in numbers)
    return [n._replace(start=a, end=b) for n, (a, b) in zip(numbers, places, strict=True)]


def _in_figures(text: str, data: LanguageData) -> Iterator[Number]:
    for match in _FIGURES.finditer(text):
        start, end = match.span()
        if start and has_case(text[start - 1]):
            continue  # "A320"; a script without case may write no space before a number
        values = _readings(match[0], data)
        next_word = _NEXT_WORD.match(text, end)
        if next_word and not next_word[1] and (word := next_word[2].casefold()) in data.suffixes:
            values |= {value * data.suffixes[word] for value in values}
            end = next_word.end()
        while (scale := _NEXT_WORD.match(text, end)) and scale[2].casefold() in data.scales:
            values = {value * data.scales[scale[2].casefold()] for value in values}
            end = scale.end()
        yield Number(frozenset(values), start, end, spelled=False)


def _readings(figures: str, data: LanguageData) -> set[Decimal]:
    """What a number in figures may mean.

    A mark before three figures parts thousands where it is the language's own mark for that; the
    other mark may be either (people and models mix them), but no decimals are all zeros.
    """
    extra = Decimal(_FRACTIONS[figures[-1]]) if figures[-1] in _FRACTIONS else Decimal(0)
    bare = re.sub(r"['’\u00a0\u202f ½¼¾⅓⅔]", "", figures).replace("٫", ".").replace("٬", ",")
    if not bare:
        return {extra}
    groups, marks = re.split("[.,]", bare), re.findall("[.,]", bare)
    if sum(map(len, groups)) > _MAX_DIGITS:  # an identifier, and no precision would hold it
        return set()
    if not marks:
        return {Decimal(bare) + extra}
    whole = groups[0] + "".join(groups[1:-1])
    threes = len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:-1])
    values = set()
    alike = threes and len(groups[-1]) == 3 and len(set(marks)) == 1
    if alike:
        values.add(Decimal(whole + groups[-1]))
    if alike and (marks[0] == data.thousands or not groups[-1].strip("0")):
        return values
    if len(marks) == 1 or (threes and len(set(marks[:-1])) == 1 and marks[-1] != marks[0]):
        values.add(Decimal(f"{whole}.{groups[-1]}"))
    return values or {Decimal(group) for group in groups}  # a date or a version: each by itself


def _in_words(text: str, data: LanguageData) -> Iterator[Number]:
    run: list[re.Match[str]] = []
    for match in _LETTERS.finditer(text) if data.numbers else ():
        word = match[0].casefold()
        near = run and text[run[-1].end() : match.start()].strip(" -‐‑\u00a0\n") == ""
        if run and not near:
            yield from _spelled(run, data)
            run = []
        if word in data.numbers or word in data.scales or (run and word in data.joiners):
            run.append(match)
        elif run:
            yield from _spelled(run, data)
            run = []
    yield from _spelled(run, data)


def _spelled(run: list[re.Match[str]], data: LanguageData) -> Iterator[Number]:
    """The numbers of neighbouring number words: "two hundred and five", "nineteen, twenty"."""
    total, current = 0, None
    first = last = None
    for place, match in enumerate(run):
        word = match[0].casefold()
        if word in data.joiners:
            next_word = run[place + 1][0].casefold() if place + 1 < len(run) else ""
            small = data.numbers.get(next_word, 100) < 100
            if small and (total or (current or 0) % 100 == 0 or _goes_on(current, 1, "un")):
                continue
            grown = None
        else:
            grown = _grow(total, current, word, data)
        if grown is None and first is not None and last is not None:
            yield _number(total + (current or 0), first, last)
            total, current, first = 0, None, None
        if word in data.joiners:
            continue
        total, current = grown or _grow(0, None, word, data) or (0, None)
        first, last = first or match, match
    if first is not None and last is not None:
        yield _number(total + (current or 0), first, last)


def _grow(
    total: int, current: int | None, word: str, data: LanguageData
) -> tuple[int, int | None] | None:
    """Total and current group after one more word; None where it begins another number."""
    if word in data.scales:
        scale = data.scales[word]
        if scale == 100:
            return (total, (current or 1) * 100) if (current or 1) < 100 else None
        if total and scale >= total:
            return None
        return total + (1 if current is None else current) * scale, None
    value = data.numbers[word]
    if current is None:
        return total, value
    if current == 4 and value == 20 and word.startswith("vingt"):
        return total, 80
    if current > 100 and current % 100 == 4 and word.startswith("vingt"):
        return total, current + 76
    return (total, current + value) if _goes_on(current, value, word) else None


def _goes_on(current: int | None, value: int, word: str) -> bool:
    """Whether a value under 100 goes on with a group: after hundreds, or units after tens."""
    if current is None:
        return False
    rest = current % 100
    if rest == 0:
        return current > 0
    if rest in (60, 80):  # soixante-dix, quatre-vingt-onze
        return value < 20
    return rest % 10 == 0 and rest >= 20 and (value < 10 or word == "onze")


def _number(value: int, first: re.Match[str], last: re.Match[str]) -> Number:
    return Number(frozenset({Decimal(value)}), first.start(), last.end(), spelled=True)
