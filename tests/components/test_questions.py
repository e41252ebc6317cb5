from __future__ import annotations

from typing import Any

import pytest
import spacy

from nlp_pipeline.components.questions import parse_questions, questions_of
from nlp_pipeline.errors.config import DuplicateQuestion, QuestionsInvalid

OWN = [{"id": "q1", "text": "Who?"}]


def test_texts_get_ids_by_their_place() -> None:
    given = ["Who?", {"id": "when", "text": " When? "}, " What?\n"]
    assert parse_questions("llama_qa", given) == [
        {"id": "q1", "text": "Who?"},
        {"id": "when", "text": "When?"},
        {"id": "q3", "text": "What?"},
    ]
    assert parse_questions("llama_qa", ()) == []


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        ("Who?", "'Who?' is not a list"),
        (None, "None is not a list"),
        ({"id": "a", "text": "b"}, "{'id': 'a', 'text': 'b'} is not a list"),
        ([3], "3 is no question"),
        ([None], "None is no question"),
        ([{"text": "b"}], "{'text': 'b'} is no question"),
        ([{"id": "a", "text": "b", "more": 1}], "is no question"),
        ([""], "has no text under 'text'"),
        (["  "], "has no text under 'text'"),
        ([{"id": 1, "text": "b"}], "has no text under 'id'"),
        ([{"id": "", "text": "b"}], "has no text under 'id'"),
        ([{"id": "a", "text": ["b"]}], "has no text under 'text'"),
    ],
)
def test_what_is_no_question(questions: Any, said: str) -> None:
    with pytest.raises(QuestionsInvalid) as caught:
        parse_questions("llama_qa", questions)
    assert str(caught.value).startswith("components.llama_qa.questions: ")
    assert f"{said}. A question is a text, or an object with 'id' and 'text'." in str(caught.value)


def test_two_of_one_id() -> None:
    with pytest.raises(DuplicateQuestion) as caught:
        parse_questions("llama_qa", ["a", {"id": "q1", "text": "b"}])
    assert str(caught.value) == (
        "The question id 'q1' is used twice in 'llama_qa'. Give each question an id of its own: "
        '{"id": "…", "text": "…"}.'
    )


def test_two_of_one_id_about_a_document() -> None:
    doc = spacy.blank("en").make_doc("a")
    doc._.record_id = "doc-7"
    doc._.questions = [{"id": "q1", "text": "Again?"}]
    with pytest.raises(
        DuplicateQuestion, match=r"is used twice in 'llama_qa' for document 'doc-7'"
    ):
        questions_of("llama_qa", OWN, doc)


def test_those_of_a_document_follow() -> None:
    doc = spacy.blank("en").make_doc("a")
    doc._.questions = ["Where?"]
    assert questions_of("llama_qa", OWN, doc) == [*OWN, {"id": "r1", "text": "Where?"}]
    assert [q["id"] for q in OWN] == ["q1"], "the pipeline's own list stays as it is"


def test_a_documents_questions_are_its_own() -> None:
    nlp = spacy.blank("en")
    one, two = nlp.make_doc("a"), nlp.make_doc("b")
    one._.questions.append("Where?")
    assert two._.questions == []
