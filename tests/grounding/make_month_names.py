"""Writes nlp_pipeline/grounding/month_names.json: `python tests/grounding/make_month_names.py`.

The months, and the order of a date's parts, of the languages that spaCy has, out of Unicode's CLDR
by the package babel, which only this script needs (`pip install babel`). English and French have
tables of their own in `nlp_pipeline/grounding/languages.py`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

TARGET = Path(__file__).parents[2] / "nlp_pipeline" / "grounding" / "month_names.json"

OWN_TABLES = ("en", "fr")
CLDR_NAMES = {"kmr": "ku", "tl": "fil"}
"""What CLDR calls a language that spaCy calls otherwise."""
FURTHER_LOCALES = {"de": ("de_AT",), "pt": ("pt_PT",), "sr": ("sr_Latn",)}
"""Of countries and scripts that have other names for months."""


def codes() -> list[str]:
    """The languages that spaCy has rules for."""
    import spacy.lang

    modules = iter_modules(spacy.lang.__path__)
    return sorted(m.name for m in modules if m.ispkg and m.name not in (*OWN_TABLES, "xx"))


def entry(code: str) -> dict[str, Any] | None:
    """What a date of a language looks like; None where CLDR has no names of its months."""
    from babel import Locale, UnknownLocaleError

    try:
        name = CLDR_NAMES.get(code, code)
        locales = [Locale.parse(one) for one in (name, *FURTHER_LOCALES.get(code, ()))]
    except (UnknownLocaleError, ValueError):
        return None
    months = [sorted(names(locales, number)) for number in range(1, 13)]
    if not all(months):
        return None
    patterns = [str(locale.date_formats[width].pattern) for locale in locales for width in WIDTHS]
    order = re.sub("[^dMy]", "", re.sub("'[^']*'", "", patterns[0]))
    return {
        "name": locales[0].english_name,
        "months": months,
        "month_first": order.startswith("M"),
        "year_first": order.startswith("yM"),
        "date_links": links(patterns, "d", "M"),
        "year_links": links(patterns, "M", "y"),
        "year_marks": links(patterns, "y", "M"),
    }


WIDTHS = ("long", "full")


def names(locales: list[Any], number: int) -> set[str]:
    """The names of a month and their short forms, in small letters, without full stops."""
    texts = {
        locale.months[context][width][number].casefold().rstrip(".")
        for locale in locales
        for context in ("format", "stand-alone")
        for width in ("wide", "abbreviated")
    }
    return {text for text in texts if text[:1].isalpha() and not re.fullmatch(r"m\d\d", text)}


def links(patterns: list[str], first: str, second: str) -> list[str]:
    """The words that stand between two parts of a date."""
    literals = set()
    for pattern in patterns:
        between = re.search(rf"{first}+([^dMy]*('[^']*'[^dMy]*)?){second}", pattern)
        if between:
            literals |= set(re.findall(r"'([^']+)'", between[1]))
            literals |= set(re.findall(r"[^\W\d_A-Za-z]+", between[1]))
    words = {word.strip(" .,").casefold() for word in literals}
    return sorted(word for word in words if word)


def text() -> str:
    """The file: a line for each language."""
    entries = {code: made for code in codes() if (made := entry(code))}
    lines = (
        f"{json.dumps(code)}: {json.dumps(made, ensure_ascii=False)}"
        for code, made in entries.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
