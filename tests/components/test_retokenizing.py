"""Pipes that merge and split tokens, before, between and behind the Llama components."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from nlp_pipeline.tables import to_frames

TEXT = "Mara Quill knows Graz very well. Graz is old."
TEMPLATE = "{% block user %}{{ question }}{% endblock %}"
"""With which the echo answers with the question."""


def merged_entities(doc: Doc) -> Doc:
    with doc.retokenize() as retokenizer:
        for entity in doc.ents:
            retokenizer.merge(entity)
    return doc


def split_names(doc: Doc) -> Doc:
    with doc.retokenize() as retokenizer:
        for token in doc:
            if token.text == "Graz":
                retokenizer.split(token, ["Gr", "az"], heads=[(token, 0), (token, 0)])
    return doc


def merged_all(doc: Doc) -> Doc:
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[:])
    return doc


CHANGES: dict[str, Callable[[Doc], Doc]] = {
    "merged_entities": merged_entities,
    "split_names": split_names,
    "merged_all": merged_all,
}
for change, function in CHANGES.items():
    Language.component(change, func=function)


@pytest.fixture
def build(tmp_path) -> Callable[..., Language]:
    path = tmp_path / "question.jinja"
    path.write_text(TEMPLATE)
    config = {
        "template": str(path),
        "stop": [],
        "generator": {"@llama_generators": "nlp_pipeline.echo.v1"},
    }

    def make(*changes: str | None) -> Language:
        nlp = spacy.blank("en")
        nlp.add_pipe("sentencizer")
        ruler: Any = nlp.add_pipe("entity_ruler")
        ruler.add_patterns([{"label": "PERSON", "pattern": "Mara Quill"}])
        for number, pipe in enumerate([changes[0], "qa", changes[1], "qa", changes[2]]):
            if pipe == "qa":
                name = f"qa{number}"
                questions = [{"id": "a", "text": "Graz"}, {"id": "b", "text": "Mara Quill"}]
                nlp.add_pipe("llama_qa", name, config={**config, "questions": questions})
            elif pipe is not None:
                nlp.add_pipe(pipe, f"{pipe}{number}")
        return nlp

    return make


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_places_are_those_of_the_characters(
    build: Callable[..., Language], change: str, place: int
) -> None:
    changes: list[str | None] = [None, None, None]
    changes[place] = change
    doc = build(*changes)(TEXT)
    assert doc._.errors == []
    assert doc.text == TEXT
    frames = to_frames([doc])
    answers, spans = frames["answers"], frames["spans"]
    assert frames["errors"].empty
    assert answers.component.tolist() == ["qa1", "qa1", "qa3", "qa3"]
    assert spans.component.tolist() == answers.component.tolist()
    for row in answers.to_dict("records"):
        piece = doc[row["start_token"] : row["end_token"]]
        assert row["answer"] in piece.text
        assert TEXT[row["start_char"] : row["end_char"]] == row["answer"]
        assert row["evidence"][0] == 0
        if change != "merged_all":
            assert piece.text == row["answer"]
    assert spans.start_token.tolist() == answers.start_token.tolist()


def test_spans_of_others_in_the_group_stay(build: Callable[..., Language]) -> None:
    nlp = build(None, "merged_entities", None)
    doc = nlp.make_doc(TEXT)
    doc.spans["answers"] = [Span(doc, 4, 6, "OWN", span_id="x")]
    doc = nlp(doc)
    assert [span.text for span in doc.spans["answers"]] == [
        "very well",
        *("Graz", "Mara Quill", "Graz", "Mara Quill"),
    ]


def test_what_a_second_component_cannot_read_stays_as_it_is(build: Callable[..., Language]) -> None:
    nlp = build(None, None, None)
    doc = nlp.make_doc(TEXT)
    doc._.answers = ["odd", {"component": "x"}]
    doc._.chunks = 5
    doc = nlp(doc)
    assert list(doc._.answers)[:2] == [
        "odd",
        {"component": "x", "start_token": None, "end_token": None},
    ]
    assert [answer["component"] for answer in list(doc._.answers)[2:]] == [
        "qa1",
        "qa1",
        "qa3",
        "qa3",
    ]
