from __future__ import annotations

import pytest

from nlp_pipeline.grounding.dates import agrees, find_dates

MARCH = (2024, 3, 12)


@pytest.mark.parametrize(
    ("lang", "text", "readings"),
    [
        ("en", "2024-03-12", {MARCH}),
        ("en", "12 March 2024", {MARCH}),
        ("en", "March 12, 2024", {MARCH}),
        ("en", "12/03/2024", {MARCH, (2024, 12, 3)}),
        ("en", "the 12th of March, 2024", {MARCH}),
        ("en", "12th day of March 2024", {MARCH}),
        ("en", "12 Mar", {(None, 3, 12)}),
        ("en", "March 2024", {(2024, 3, None)}),
        ("fr", "12 mars 2024", {MARCH}),
        ("fr", "1er mars 2024", {(2024, 3, 1)}),
        ("ja", "2024年3月12日", {MARCH}),
        ("xx", "2024-03-12", {MARCH}),
    ],
)
def test_forms(lang: str, text: str, readings: set) -> None:
    (date,) = find_dates(f"on {text}.", lang)
    assert set(date.readings) == readings
    assert text.endswith(f"on {text}."[date.start : date.end])


@pytest.mark.parametrize("text", ["in May", "he may 12.5", "45 March", "2024-13-40", "March on 5"])
def test_what_is_no_date(text: str) -> None:
    assert find_dates(text, "en") == []


def test_a_list_of_days() -> None:
    dates = find_dates("from 10 to 12 May 2021", "en")
    assert [set(date.readings) for date in dates] == [{(2021, 5, 10)}, {(2021, 5, 12)}]


@pytest.mark.parametrize(
    ("said", "written", "same"),
    [
        ((None, 3, 12), MARCH, True),
        (MARCH, (None, 3, 12), False),
        ((2024, 3, 13), MARCH, False),
        (MARCH, MARCH, True),
    ],
)
def test_a_date_may_say_less_but_not_more(said: tuple, written: tuple, same: bool) -> None:
    assert agrees([said], [written]) == same
