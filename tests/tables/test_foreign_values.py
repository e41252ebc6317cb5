"""Whatever a pipe puts on a Doc: its rows are made, or an error says which are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, Span

from nlp_pipeline.tables import TABLES, to_frames
from nlp_pipeline.tables.frames import to_arrow
from nlp_pipeline.tables.rows import Origin, doc_rows


def answer(**values: Any) -> dict[str, Any]:
    return {
        "component": "qa",
        "question_id": "q1",
        "status": "ok",
        "start_char": 8,
        "end_char": 15,
        **values,
    }


@pytest.fixture
def doc() -> Doc:
    doc = spacy.blank("en")("Ada met Charles.")
    doc._.record_id = "d1"
    return doc


def made(doc: Doc) -> dict[str, list[dict[str, Any]]]:
    rows = doc_rows(doc, Origin("d1", 0, text=doc.text))
    for name in TABLES:
        to_arrow(name, rows[name])  # every row fits its schema
    assert len(rows["documents"]) == 1
    return rows


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no name")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not even this")


def score(doc: Doc, cats: dict[Any, Any]) -> None:
    """Gives a Doc scores, whether or not they are any."""
    doc.cats = cats


def hook(doc: Doc) -> None:
    """Gives a Doc sentences that cannot be listed."""
    doc.user_hooks["sents"] = lambda _: 1 / 0
    doc[1].is_sent_start = True


ODD: dict[str, tuple[Callable[[Doc], Any], str]] = {
    "a score that is no number": (lambda d: score(d, {"good": "high"}), "'high'"),
    "no score": (lambda d: score(d, {"good": None}), "NoneType"),
    "a label that is no text": (lambda d: score(d, {1: 0.5}), "'label' is 1 and not a string"),
    "answers that are no list": (lambda d: d._.set("answers", "none"), "not a list"),
    "an answer that is no object": (lambda d: d._.set("answers", ["Ada"]), "AttributeError"),
    "an answer without its keys": (lambda d: d._.set("answers", [{}]), "'question_id' has no"),
    "an answer of another type": (lambda d: d._.set("answers", [answer(answer=5)]), "'answer' is"),
    "a huge number": (lambda d: d._.set("answers", [answer(prompt_tokens=2**70)]), "64 bits"),
    "errors that are none": (lambda d: d._.set("errors", ["oops"]), "'errors'"),
    "a number for errors": (lambda d: d._.set("errors", 7), "doc._.errors is 7 and not a list"),
    "a summary that is none": (lambda d: d._.set("summary_details", 3), "'summaries'"),
    "a chunk that is none": (lambda d: d._.set("chunks", [None]), "'chunks'"),
    "extractions of nothing": (lambda d: d._.set("extractions", [{}]), "'extractions'"),
    "an object that has no name": (lambda d: d._.set("generations", [Unprintable()]), "Runtime"),
    "a hook that fails": (lambda d: hook(d), "ZeroDivisionError"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_value_is_an_error_of_that_document(doc: Doc, name: str) -> None:
    spoil, reason = ODD[name]
    spoil(doc)
    rows = made(doc)
    assert rows["documents"][0]["status"] == "error"
    assert rows["documents"][0]["text"] == "Ada met Charles."
    messages = [error["message"] for error in rows["errors"]]
    assert any(reason in message for message in messages), messages
    assert {error["stage"] for error in rows["errors"]} == {"write"}
    assert {error["type"] for error in rows["errors"]} == {"row_failed"}
    if name != "a hook that fails":
        assert len(rows["tokens"]) == 4


def test_the_message_names_document_table_value_and_what_to_do(doc: Doc) -> None:
    score(doc, {"good": "high"})
    (error,) = made(doc)["errors"]
    assert error["message"] == (
        "Document 'd1' has a row of the table 'categories' that cannot be written: ValueError: "
        "could not convert string to float: 'high'. A pipe of this pipeline has put it there; "
        "--debug-log FILE keeps the traceback."
    )


def test_the_rows_beside_an_odd_one_are_there(doc: Doc) -> None:
    score(doc, {"good": 0.5, "bad": None, "fair": 0.25})
    doc._.answers = [answer(), {"oops": 1}, answer(question_id="q2")]
    rows = made(doc)
    assert [row["label"] for row in rows["categories"]] == ["good", "fair"]
    assert [row["question_id"] for row in rows["answers"]] == ["q1", "q2"]
    tables = [error["message"].split("'")[3] for error in rows["errors"]]
    assert tables == ["categories", "answers"]


def test_numbers_of_other_libraries_and_halves_of_pairs_are_written(doc: Doc) -> None:
    score(doc, {"a": np.float32(0.5), "b": float("nan"), "c": True, "d": np.int64(1)})
    doc._.answers = [answer(answer="A\ud800", prompt_tokens=np.int32(3), evidence=(np.int64(0),))]
    rows = made(doc)
    assert rows["errors"] == []
    assert [row["score"] for row in rows["categories"]][::2] == [0.5, 1.0]
    assert rows["answers"][0]["answer"] == "A\ufffd"
    assert type(rows["answers"][0]["prompt_tokens"]) is int


class TestTokensThatChange:
    """Characters are the truth: a pipe behind may merge and split tokens."""

    @pytest.fixture
    def doc(self) -> Doc:
        nlp = spacy.blank("en")
        nlp.add_pipe("sentencizer")
        doc = nlp("Mara Quill knows Graz. She left Graz-Nord.")
        doc.spans["answers"] = [Span(doc, 3, 4, "ANSWER", span_id="q1")]
        doc.spans["sc"] = [Span(doc, 0, 2, "X"), Span(doc, 7, 10, "Y", kb_id="Q1")]
        place = {"start_char": 17, "end_char": 21, "start_token": 3, "end_token": 4}
        doc._.answers = [answer(**place, evidence=[0], evidence_starts=[0])]
        doc._.chunks = [
            {
                "component": "qa",
                "chunk_id": 0,
                "start_char": 23,
                "end_char": 42,
                "start_token": 5,
                "end_token": 11,
                "start_sentence": 1,
                "end_sentence": 2,
            }
        ]
        return doc

    def rows(self, doc: Doc) -> dict[str, list[dict[str, Any]]]:
        rows = made(doc)
        assert rows["errors"] == []
        for name in ("answers", "spans", "chunks"):
            for row in rows[name]:
                piece = doc[row["start_token"] : row["end_token"]]
                assert piece.start_char <= row["start_char"] < row["end_char"] <= piece.end_char
        return rows

    def test_a_merge_before_a_span(self, doc: Doc) -> None:
        with doc.retokenize() as retokenizer:
            retokenizer.merge(doc[0:2])
        rows = self.rows(doc)
        assert [row["text"] for row in rows["spans"]] == ["Graz", "Mara Quill", "Graz-Nord"]
        assert [row["component"] for row in rows["spans"]] == ["qa", None, None]
        assert (rows["answers"][0]["start_token"], rows["answers"][0]["end_token"]) == (2, 3)
        assert (rows["chunks"][0]["start_token"], rows["chunks"][0]["end_token"]) == (4, 10)

    def test_a_merge_over_a_span_and_at_the_end(self, doc: Doc) -> None:
        with doc.retokenize() as retokenizer:
            retokenizer.merge(doc[2:4])
            retokenizer.merge(doc[5:11])
        rows = self.rows(doc)
        assert (rows["answers"][0]["start_token"], rows["answers"][0]["end_token"]) == (2, 3)
        assert rows["spans"][0]["text"] == "Graz"

    def test_a_split_of_a_span(self, doc: Doc) -> None:
        with doc.retokenize() as retokenizer:
            retokenizer.split(doc[3], ["Gr", "az"], heads=[(doc[3], 0), (doc[3], 0)])
            retokenizer.split(doc[0], ["Ma", "ra"], heads=[(doc[0], 0), (doc[0], 0)])
        rows = self.rows(doc)
        assert (rows["answers"][0]["start_token"], rows["answers"][0]["end_token"]) == (4, 6)

    def test_all_of_it_one_token(self, doc: Doc) -> None:
        with doc.retokenize() as retokenizer:
            retokenizer.merge(doc[:])
        rows = self.rows(doc)
        assert {row["start_token"] for row in rows["spans"]} == {0}
        assert rows["answers"][0]["evidence"] == [0]
        assert (rows["chunks"][0]["start_sentence"], rows["chunks"][0]["end_sentence"]) == (0, 1)

    def test_sentences_that_come_later(self, doc: Doc) -> None:
        del doc._.answers[0]["evidence_starts"]
        doc._.answers[0]["evidence"] = []
        assert self.rows(doc)["answers"][0]["evidence"] == [0]

    def test_sentences_that_change(self, doc: Doc) -> None:
        doc._.answers[0]["evidence_starts"] = [23]
        doc[2].is_sent_start = True
        assert self.rows(doc)["answers"][0]["evidence"] == [2]

    def test_frames_of_docs_in_memory(self, doc: Doc) -> None:
        with doc.retokenize() as retokenizer:
            retokenizer.merge(doc[0:2])
        frames = to_frames([doc])
        assert frames["answers"].start_token.tolist() == [2]
        assert frames["spans"].start_token.tolist() == [2, 0, 6]
