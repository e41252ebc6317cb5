"""What a reader does not see, and hyphens at line ends, hide no answer."""

from __future__ import annotations

import sys
import unicodedata
from functools import cache

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language

from nlp_pipeline.grounding.align import ground
from nlp_pipeline.grounding.answer_checker import Checker
from nlp_pipeline.grounding.folding import fold, fold_hyphens, fold_word, visible
from nlp_pipeline.grounding.text import words

NLP = spacy.blank("en")
INVISIBLE = [
    *range(0x00AD, 0x00AE),
    *(0x034F, 0x061C, 0x0640, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0),
    *range(0x180B, 0x1810),
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xFFF0, 0xFFF9),
    *range(0x1BCA0, 0x1BCA4),
    *range(0x1D173, 0x1D17B),
    *range(0xE0000, 0xE1000, 7),
    *range(0x00, 0x09),
    *range(0x0E, 0x1C),
    *range(0x7F, 0x85),
    *range(0x86, 0xA0),
]


@cache
def tokenizer_and_checker(lang: str) -> tuple[Language, Checker]:
    """Both take tens of milliseconds to make, as English has a thousand special cases."""
    return spacy.blank(lang), Checker(None, "qa")


def checked(text: str, answer: str, lang: str = "en") -> dict:
    nlp, checker = tokenizer_and_checker(lang)
    (found,) = checker.check_answers(nlp(text), [({}, answer, None)])
    return found


@pytest.mark.parametrize("code", INVISIBLE, ids=hex)
def test_no_invisible_character_hides_an_answer(code: int) -> None:
    char = chr(code)
    text = f"In May {char}the bank hired Martha Lind{char}qvist{char} for 1{char}200 euros."
    found = checked(text, "Martha Lindqvist for 1200")
    assert found["alignment"] == "normalized"
    piece = text[found["start_char"] : found["end_char"]]
    assert piece == f"Martha Lind{char}qvist{char} for 1{char}200"
    assert (found["unsupported_entities"], found["unsupported_numbers"]) == ([], [])
    assert checked("Martha Lindqvist left.", f"Martha{char} Lind{char}qvist")["start_char"] == 0


@pytest.mark.parametrize(
    ("text", "answer", "piece"),
    [
        ("hired Martha Lind-\nqvist.", "Martha Lindqvist", "Martha Lind-\nqvist"),
        ("hired Martha Lind-  \r\n   qvist.", "Martha Lindqvist", "Martha Lind-  \r\n   qvist"),
        ("hired Martha Lind\u00ad\nqvist.", "Martha Lindqvist", "Martha Lind\u00ad\nqvist"),
        ("hired Martha Lind\u2010\n\tqvist.", "Martha Lindqvist", "Martha Lind\u2010\n\tqvist"),
        ("a well-\nknown bank", "well-known bank", "well-\nknown bank"),
        ("a well-\nknown Lind-\nqvist", "well-known Lindqvist", "well-\nknown Lind-\nqvist"),
        ("Jean-\nPierre Du-\nmont left", "Jean-Pierre Dumont", "Jean-\nPierre Du-\nmont"),
        ("from 1939-\n1945 on", "1939-1945", "1939-\n1945"),
        ("Martha Lindqvist left", "Martha Lind\u00adqvist", "Martha Lindqvist"),
        ("it was \u221212 degrees", "-12 degrees", "\u221212 degrees"),
        ("the twenty\u2011first day", "twenty-first day", "twenty\u2011first day"),
        ("from 5\u20126 weeks", "5-6 weeks", "5\u20126 weeks"),
        ("Jose\u0301 lives here", "jos\u00e9 lives", "Jose\u0301 lives"),
        ("料金は１２００円です", "1200円", "１２００円"),
        ("ﬁrst ﬂoor", "first floor", "ﬁrst ﬂoor"),
        ("مـــحـــمد غادر", "محمد", "مـــحـــمد"),
        ("می\u200cخواهم بروم", "میخواهم", "می\u200cخواهم"),
        ("a 👩\u200d💻 left", "👩💻", "👩\u200d💻"),
        ("I \u2764\ufe0f it", "i \u2764 it", "I \u2764\ufe0f it"),
    ],
)
def test_an_answer_stands_there_however_it_is_spelled(text: str, answer: str, piece: str) -> None:
    found = checked(text, answer)
    assert found["alignment"] == "normalized"
    assert text[found["start_char"] : found["end_char"]] == piece
    assert (found["unsupported_entities"], found["unsupported_numbers"]) == ([], [])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("won 2-\n1 there", "21"),
        ("from 10-12 on", "1012"),
        ("Lind- und Bach", "Lindund"),
        ("a b", "ab"),
        ("", "\u200b"),
    ],
)
def test_what_is_another_thing_stays_one(text: str, answer: str) -> None:
    assert checked(text, answer)["alignment"] == "none"


def test_a_word_of_combining_marks_alone() -> None:
    found = checked("In 2021 he bought a bar.", "Jose \u0301 Lopez of Madrid bought it")
    assert "Madrid" in "".join(found["unsupported_entities"])
    assert (
        words("Jose \u0301 Lopez \u200b")
        == words("Jose    Lopez")[:1] + words("Jose \u0301 Lopez")[1:]
    )


def test_every_character_folds_to_something_with_its_place() -> None:
    for code in range(0, sys.maxunicode, 97):
        char = chr(code)
        if unicodedata.category(char) == "Cs":
            continue
        folded = fold(f"a{char}b")
        assert folded.text.endswith("b")
        assert folded.text == fold(fold(f"a{char}b").text).text
        assert folded.span(0, len(folded.text)) == (0, 3)
        assert isinstance(fold_word(char), str)


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("-\u00ad\n a1"), max_size=30)
)
def test_places_are_in_order_and_in_the_text(text: str) -> None:
    for folded in (fold(text), fold_hyphens(text)):
        assert len(folded.text) == len(folded.starts) == len(folded.ends)
        assert folded.starts == sorted(folded.starts)
        assert all(0 <= a < b <= len(text) for a, b in zip(folded.starts, folded.ends, strict=True))
    seen = visible(text)
    for number in range(len(seen.text)):
        start, end = seen.span(number, number + 1)
        assert 0 <= start < end <= len(text)


def test_a_mention_at_tokens_goes_before_one_inside_a_word() -> None:
    doc = NLP("Annabel met ANN\u00adA here.")
    found = ground(doc, "anna.")
    assert doc.text[found.start_char : found.end_char] == "ANN\u00adA"
