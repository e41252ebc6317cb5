from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline.grounding.numbers import find_numbers


def found(text: str, lang: str = "en") -> list[tuple[str, set[Decimal]]]:
    return [(text[n.start : n.end], set(n.values)) for n in find_numbers(text, lang)]


@pytest.mark.parametrize(
    ("lang", "text", "values"),
    [
        ("en", "4,000", ["4000"]),
        ("en", "1.234", ["1.234", "1234"]),
        ("en", "2.000", ["2000"]),
        ("en", "1,234.56", ["1234.56"]),
        ("en", "12\u202f500", ["12500"]),
        ("en", "12’500", ["12500"]),
        ("en", "7.4 million", ["7400000"]),
        ("en", "3m", ["3", "3000000"]),
        ("en", "2½", ["2.5"]),
        ("en", "seventeen", ["17"]),
        ("en", "forty-eight", ["48"]),
        ("en", "Two Hundred and Five", ["205"]),
        ("en", "two million three hundred thousand", ["2300000"]),
        ("en", "seven hundred and eighty-two thousand", ["782000"]),
        ("en", "fourteenth", ["14"]),
        ("fr", "3,8 millions", ["3800000"]),
        ("fr", "12.500", ["12500"]),
        ("fr", "12 500,75", ["12500.75"]),
        ("fr", "quatre-vingt-dix-neuf", ["99"]),
        ("fr", "soixante et onze", ["71"]),
        ("fr", "vingt et un", ["21"]),
        ("fr", "cent quatre-vingt-deux", ["182"]),
        ("fr", "mille neuf cent quatre-vingt-quatre", ["1984"]),
        ("fr", "trois millions deux cent mille", ["3200000"]),
        ("ar", "٣٤", ["34"]),
        ("de", "1.234,5", ["1234.5"]),
    ],
)
def test_values(lang: str, text: str, values: list[str]) -> None:
    assert found(f"({text})", lang) == [(text, {Decimal(v) for v in values})]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("three or four, five and six", ["three", "four", "five", "six"]),
        ("shade A2 and the B12 ward", []),
        ("one hand", ["one"]),
        ("often, weight, tension", []),
        ("", []),
        ("1" * 60, ["1" * 60]),
    ],
)
def test_pieces(text: str, pieces: list[str]) -> None:
    assert [piece for piece, _ in found(text)] == pieces


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(
            ["12", ".", ",", "½", " ", "m", "two", "-", "and", "hundred", "²", "٣", "x"]
        ),
        max_size=9,
    ).map("".join),
    st.sampled_from(["en", "fr", "xx"]),
)
def test_any_text_gives_ordered_pieces(text: str, lang: str) -> None:
    numbers = find_numbers(text, lang)
    for number in numbers:
        assert 0 <= number.start < number.end <= len(text)
    assert [n.start for n in numbers] == sorted({n.start for n in numbers})


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 10**9))
def test_thousands_separators_change_nothing(value: int) -> None:
    for text in (str(value), f"{value:,}", f"{value:,}".replace(",", "\u00a0")):
        assert Decimal(value) in find_numbers(text, "en")[0].values
