"""An answer that stands in the text has nothing unsupported; a number that is not there has."""

from __future__ import annotations

from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, Span

from nlp_pipeline.grounding.answer_checker import Checker
from nlp_pipeline.grounding.support import Support
from nlp_pipeline.grounding.text import TextIndex


def checked(doc: Doc, answer: str) -> dict[str, Any]:
    checker = Checker(None, "qa")
    (found,) = checker.check_answers(doc, [({}, answer, None)])
    (sentence,) = checker.check_summary(doc, answer)["sentences"] or [found]
    assert sentence["unsupported_numbers"] == found["unsupported_numbers"]
    return found


CASES = [
    ("ja", "料金は1200円です。", "1200円"),
    ("ja", "料金は１２００円です。", "１２００円"),
    ("ja", "第3回大会は2024年5月3日に東京で開かれた。", "第3回大会"),
    ("zh", "他在1998年去了北京。", "1998年"),
    ("th", "ราคา1200บาท", "1200บาท"),
    ("ko", "가격은 1200원입니다.", "1200원"),
    ("ar", "دفع ١٢٠٠ دينار وغادر", "١٢٠٠ دينار"),
    ("en", "In May the bank of Graz hired Martha Lindqvist¹ for good.", "Martha Lindqvist"),
    ("en", "Hired was Martha Lindqvist[12] for good.", "Martha Lindqvist"),
    ("en", "Martha Lindqvist* and Bo Ek† left.", "Martha Lindqvist* and Bo Ek"),
    ("en", "The 5G network of Oslo costs 12kg, 30% and €4.5m.", "5G network"),
    ("en", "The 5G network of Oslo costs 12kg, 30% and €4.5m.", "12kg, 30% and €4.5m"),
    ("en", "It weighs 10MB and runs USB-C at 3.5GHz.", "10MB and runs USB-C at 3.5GHz"),
    (
        "en",
        "On the 3rd of May, O'Brien-Smith's CO₂ fell by 10².",
        "O'Brien-Smith's CO₂ fell by 10²",
    ),
    ("en", "They won 2-1 on 12/03/2024.", "2-1 on 12/03/2024"),
    ("de", "Im Jahr 1943. kam Müller.", "1943"),
]


@pytest.mark.parametrize(("lang", "text", "answer"), CASES)
def test_exact_and_nothing_unsupported(lang: str, text: str, answer: str) -> None:
    nlp = spacy.blank(lang) if lang not in ("ja", "th", "ko") else spacy.blank("xx")
    found = checked(nlp(text), answer)
    assert found["alignment"] == "exact"
    assert (found["unsupported_entities"], found["unsupported_numbers"]) == ([], [])
    for unit in found["entities"]:
        assert answer[unit["answer_start"] : unit["answer_end"]] == unit["text"]
        assert text[unit["start_char"] : unit["end_char"]] == unit["text"]
        assert (unit["supported"], unit["score"]) == (True, 1.0)


@pytest.mark.parametrize(
    ("text", "answer", "numbers"),
    [
        ("料金は1200円です。", "1300円", ["1300"]),
        ("料金は1200円です。", "料金は1300円です", ["1300"]),
        ("料金は１２００円です。", "１３００円", ["１３００"]),
        ("It cost 1,200 euros.", "200 euros", ["200"]),
        ("It cost 1200 euros.", "200", ["200"]),
        ("The 5G network.", "6G network", ["6"]),
        ("They won 2-1.", "They won 3-1", ["3-1"]),
        ("They shot 2 goals, and 1,000 came.", "They won 2-1", ["2-1"]),
    ],
)
def test_a_number_that_is_not_there_stays_unsupported(
    text: str, answer: str, numbers: list[str]
) -> None:
    assert checked(spacy.blank("en")(text), answer)["unsupported_numbers"] == numbers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("They won 2–1 at home.", "They won 2-1."),
        ("They lost 1-2.", "The others won 2-1."),
        ("Two goals to one decided it.", "They won 2-1."),
        ("From 1939 to 1945 it lay idle.", "It lay idle 1939–1945."),
        ("Between five and six weeks.", "For 5-6 weeks."),
    ],
)
def test_pairs_that_are_said_in_other_words(text: str, said: str) -> None:
    assert checked(spacy.blank("en")(text), said)["unsupported_numbers"] == []


def test_a_number_is_found_wherever_a_script_writes_no_spaces() -> None:
    doc = spacy.blank("xx")("料金は1200円です。")
    found = checked(doc, "合計1200円になります")
    assert (found["unsupported_numbers"], found["entities"][0]["matched"]) == ([], "number")


def test_names_over_tokens_of_one_character() -> None:
    nlp = spacy.blank("zh")
    doc, answer = nlp("王小明昨天去了北京。"), nlp("王小明去了上海")
    for piece, places in ((doc, ((0, 3), (7, 9))), (answer, ((0, 3), (5, 7)))):
        for start, end in places:
            for token in piece[start:end]:
                token.pos_ = "PROPN"
    units = Support(TextIndex(doc)).check(answer)
    assert [(unit.text, unit.supported) for unit in units] == [("王小明", True), ("上海", False)]


def test_entities_of_the_document_itself_are_those_of_its_pieces(en) -> None:
    doc = en("Dr. Ada Marsh of the World Seed Bank met Peter Quade on 3 May 2024.")
    found = checked(doc, "Ada Marsh of the World Seed Bank")
    assert [(unit["text"], unit["matched"]) for unit in found["entities"]] == [
        ("Ada Marsh", "exact"),
        ("World Seed Bank", "exact"),
    ]
    doc.ents = [Span(doc, 0, 3, "PERSON")]
    assert [unit["label"] for unit in checked(doc, "Ada Marsh met")["entities"]] != []


@pytest.mark.parametrize(
    ("text", "said", "unsupported"),
    [
        ("Okafor left.", "General Okafor left.", ["General Okafor"]),
        ("Okafor left.", "Mr Okafor left.", []),
        ("Okafor, a general, left.", "General Okafor left.", []),
        ("General Okafor left.", "Okafor left.", []),
        ("Detective Okafor left.", "Constable Okafor left.", ["Constable Okafor"]),
    ],
)
def test_ranks_that_are_not_there(en, text: str, said: str, unsupported: list[str]) -> None:
    units = Support(TextIndex(en(text))).check(en(said))
    assert [unit.text for unit in units if not unit.supported] == unsupported
