"""What the package keeps on a Doc is after a `DocBin` what it was: lists are no tuples."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from nlp_pipeline.components.answer_list import Answers
from nlp_pipeline.components.extensions import EXTENSIONS
from nlp_pipeline.tables import to_frames

ECHO = {"generator": {"@llama_generators": "nlp_pipeline.echo.v1"}}


@pytest.fixture(scope="module")
def nlp() -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("llama_qa", config={**ECHO, "questions": ["Who?", "Where?"]})
    nlp.add_pipe("llama_summarizer", "one", config=ECHO)
    nlp.add_pipe("llama_summarizer", "two", config={**ECHO, "max_new_tokens": 3})
    nlp.add_pipe("llama_classifier", config={**ECHO, "labels": ["a", "b"]})
    return nlp


@pytest.fixture
def doc(nlp: Language) -> Doc:
    doc = nlp.make_doc("Ada Marsh met Bo in Graz. Bo left.")
    doc._.meta = {"tags": ["x", ["y", {"z": [1]}]], "n": 1}
    doc._.questions = [{"id": "own", "text": "When?"}]
    return nlp(doc)


def binned(doc: Doc) -> Doc:
    data = DocBin(docs=[doc], store_user_data=True).to_bytes()
    return next(DocBin().from_bytes(data).get_docs(doc.vocab))


@pytest.mark.parametrize(
    "way",
    [
        binned,
        lambda doc: Doc(doc.vocab).from_bytes(doc.to_bytes()),
        lambda doc: pickle.loads(pickle.dumps(doc)),
        lambda doc: doc.copy(),
    ],
)
def test_every_value_is_what_it_was(doc: Doc, way: Any) -> None:
    again = way(doc)
    for name in EXTENSIONS:
        value, read = getattr(doc._, name), getattr(again._, name)
        assert read == value, name
        assert types(read) == types(value), name
    assert isinstance(again._.answers, Answers)
    assert again._.answers._repr_html_() == doc._.answers._repr_html_()
    one, other = to_frames([doc]), to_frames([again])
    assert all(one[name].equals(other[name]) for name in one)


def types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [types(item) for item in value]
    return type(value)


def test_values_of_a_new_doc_are_its_own(nlp: Language) -> None:
    one, other = nlp.make_doc("a"), nlp.make_doc("b")
    one._.errors.append({"stage": "x"})
    one._.meta["k"] = [1]
    assert (one._.errors, other._.errors) == ([{"stage": "x"}], [])
    assert (one._.meta, other._.meta, one._.summary) == ({"k": [1]}, {}, None)
    assert one._.meta is one._.meta


def test_what_is_read_can_be_changed(doc: Doc) -> None:
    again = binned(doc)
    again._.answers[0]["answer"] = "changed"
    again._.meta["tags"].append("new")
    assert again._.answers[0]["answer"] == "changed"
    assert again._.meta["tags"][-1] == "new"


def test_two_summarizers_stay_apart(doc: Doc) -> None:
    one, two = doc._.summaries
    assert (one["component"], two["component"]) == ("one", "two")
    assert one["summary"] != two["summary"] == doc._.summary
    summaries = to_frames([doc])["summaries"]
    assert summaries.component.tolist() == ["one", "two"]
    assert summaries.summary.tolist() == [one["summary"], two["summary"]]
    assert set(to_frames([doc])["summary_sentences"].component) == {"one", "two"}


def test_a_second_time_replaces_only_its_own(nlp: Language, doc: Doc) -> None:
    doc = nlp.get_pipe("one")(doc)
    assert [details["component"] for details in doc._.summaries] == ["two", "one"]
    assert doc._.summary == doc._.summaries[-1]["summary"]


def test_a_doc_from_before_there_were_several(nlp: Language, doc: Doc) -> None:
    doc._.summaries = []
    assert to_frames([doc])["summaries"].component.tolist() == ["two"]
