"""What of a language the support check understands: the names of its months, its number words."""

from __future__ import annotations

from typing import NamedTuple

from nlp_pipeline.errors.config import support_is_partial
from nlp_pipeline.grounding.languages import NUMBER_TABLES, OWN_LANGUAGES
from nlp_pipeline.grounding.month_names import languages_with_months
from nlp_pipeline.grounding.number_words import LANGUAGES, number_finder

ANY_LANGUAGE = "xx"
MONTHS_IN_FIGURES = {"ja": "Japanese", "ko": "Korean", "zh": "Chinese"}
"""Languages whose months are numbers."""


class LanguageCoverage(NamedTuple):
    """What the support check understands of a language.

    Attributes:
        language: Its name in English; its code where nothing else is known of it.
        months: Whether it knows the names of the months.
        number_words: Whether it knows numbers in words, with the extra `numbers` at most.
        needs_extra: Whether that extra is needed for it.
    """

    language: str
    months: bool
    number_words: bool
    needs_extra: bool


def language_coverage(code: str) -> LanguageCoverage:
    """What the support check understands of a language.

    Args:
        code: As spaCy has it, such as `de`.
    """
    months = {**OWN_LANGUAGES, **MONTHS_IN_FIGURES, **languages_with_months()}
    numbers = {**NUMBER_TABLES, **LANGUAGES}
    return LanguageCoverage(
        months.get(code) or code,
        months=code in months,
        number_words=code in numbers,
        needs_extra=code in LANGUAGES,
    )


def coverage_table() -> dict[str, LanguageCoverage]:
    """The languages of which the support check understands something, by their codes."""
    codes = {*OWN_LANGUAGES, *NUMBER_TABLES, *LANGUAGES, *MONTHS_IN_FIGURES}
    return {code: language_coverage(code) for code in sorted({*codes, *languages_with_months()})}


def coverage_note(code: str) -> str | None:
    """What a run has to say of its language before it begins; None where all is understood.

    Args:
        code: The pipeline's language. `xx` is none in particular: there is nothing to say.
    """
    if code == ANY_LANGUAGE:
        return None
    coverage = language_coverage(code)
    has_numbers = coverage.number_words and not (coverage.needs_extra and number_finder() is None)
    if coverage.months and has_numbers:
        return None
    return support_is_partial(
        code,
        coverage.language,
        months=coverage.months,
        numbers=has_numbers,
        installable=coverage.needs_extra,
    )
