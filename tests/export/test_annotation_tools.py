"""A run for annotation tools and back: what a person has changed there becomes a review."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from parrot_pipeline import parrot_pipeline
from spacy.tokens import Doc, Span

from nlp_pipeline import read_run, review_run, run
from nlp_pipeline.export.job import export_run
from nlp_pipeline.reviews.review import Review, reviews_of
from nlp_pipeline.run_folder.review_table import read_reviews

ASTRAL = "Greetings 😀 from\nTurin. Ada wrote to Babbage 😀😀😀"
NAMES = {"Ada": "PERSON", "Turin": "GPE", "Oslo": "ORG"}


def marks(doc: Doc) -> Doc:
    """Names and two labels, without a model."""
    doc.ents = [Span(doc, t.i, t.i + 1, NAMES[t.text]) for t in doc if t.text in NAMES]
    doc.cats = {"letter": 0.8, "<travel>": 0.2}
    return doc


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run of two documents and a reject, the first with emoji and a line break."""
    pipeline = parrot_pipeline(tmp_path, marks, question='Who is \\"it\\"?')
    records = [{"id": "a", "text": ASTRAL}, {"id": "empty"}, {"id": "b", "text": "Left for Oslo"}]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "corpus.jsonl").write_text(lines, "utf-8")
    run(tmp_path / "corpus.jsonl", tmp_path / "out", pipeline=pipeline)
    return tmp_path / "out"


def taken(run_folder: Path) -> dict[tuple[Any, ...], Review]:
    """The reviews of a run by what they judge."""
    rows = reviews_of(read_reviews(run_folder, "parquet"))
    return {
        (
            r.document_id,
            r.question_id or (r.target, r.answer if r.target == "entities" else None),
        ): r
        for r in rows
    }


def check_corrections(run_folder: Path, reviewer: str) -> None:
    """Whether the same corrections have come back by whichever way."""
    reviews = taken(run_folder)
    answer = reviews["a", "who"]
    assert (answer.verdict, answer.text) == ("correct", "😀 from\nTurin")
    assert (answer.start_char, answer.end_char) == (10, 22)
    assert answer.reviewer == reviewer
    ada = reviews["a", ("entities", "Ada")]
    assert (ada.verdict, ada.label, ada.start_char) == ("correct", "AUTHOR", 24)
    assert reviews["a", ("entities", "Turin")].verdict == "reject"
    new = reviews["a", ("entities", None)]
    assert (new.text, new.label, new.entity_id) == ("Babbage", "PERSON", None)
    label = reviews["a", ("categories", None)]
    assert (label.verdict, label.label, label.text) == ("correct", "letter", "<travel>")
    assert not any(document == "b" for document, _ in reviews), "nobody has looked at it"


def written(file: Path, value: Any) -> Path:
    file.write_text(json.dumps(value), "utf-8")
    return file


def test_label_studio_and_back(out: Path, tmp_path: Path) -> None:
    tasks_file, interface = export_run(out, tmp_path / "ls", "label-studio")
    first, second = json.loads(tasks_file.read_text("utf-8"))
    (prediction,) = first["predictions"]
    for item in prediction["result"]:
        if item["type"] == "labels":
            value = item["value"]
            assert ASTRAL[value["start"] : value["end"]] == value["text"]
    assert [item["from_name"] for item in prediction["result"]] == [
        *("answers", "entities", "entities", "label")
    ]
    view = ET.fromstring(interface.read_text("utf-8"))
    assert [label.attrib["value"] for label in view.iter("Label")] == [
        *("answer:who", "answer:fails", "GPE", "PERSON", "ORG")
    ]
    assert next(view.iter("Label")).attrib["hint"] == 'Who is "it"?'
    assert [choice.attrib["value"] for choice in view.iter("Choice")] == ["<travel>", "letter"]

    def region(start: int, end: int, label: str) -> dict[str, Any]:
        value = {"start": start, "end": end, "text": ASTRAL[start:end].replace("\n", "\\n")}
        return {"type": "labels", "value": {**value, "labels": [label]}}

    choice = {"type": "choices", "value": {"choices": ["<travel>"]}}
    result = [region(10, 22, "answer:who"), region(24, 27, "AUTHOR"), region(37, 44, "PERSON")]
    person = {"completed_by": {"id": 1, "email": "ada@x.org"}}
    annotation = {**person, "updated_at": "2024-05-31T12:00:00.123456Z"}
    first["annotations"] = [{**annotation, "result": [*result, choice]}]
    skipped = {**annotation, "was_cancelled": True, "result": []}
    file = written(tmp_path / "project.json", [first, {**second, "annotations": [skipped]}])
    outcome = review_run(out, file)
    assert (outcome.n_open, outcome.problems) == (1, ())
    check_corrections(out, "ada@x.org")
    assert taken(out)["a", "who"].reviewed_at == "2024-05-31T12:00:00.123+00:00"


def test_label_studio_of_before_counted_units(out: Path, tmp_path: Path) -> None:
    (tasks_file, _) = export_run(out, tmp_path / "ls", "label-studio", ["answers"])
    first, _ = json.loads(tasks_file.read_text("utf-8"))
    value = {"start": 25, "end": 28, "text": "Ada", "labels": ["answer:who"]}  # an emoji before it
    first["annotations"] = [{"completed_by": 7, "result": [{"type": "labels", "value": value}]}]
    outcome = review_run(out, written(tmp_path / "project.json", [first]))
    assert outcome.problems == ()
    (review,) = taken(out).values()  # nothing of entities, which were not exported
    assert (review.text, review.start_char, review.reviewer) == ("Ada", 24, "7")


def test_marks_that_are_nowhere_are_named(out: Path, tmp_path: Path) -> None:
    (tasks_file, _) = export_run(out, tmp_path / "ls", "label-studio", ["answers"])
    first, second = json.loads(tasks_file.read_text("utf-8"))
    value = {"start": 24, "end": 27, "text": "Eve", "labels": ["answer:who"]}
    first["annotations"] = [{"result": [{"type": "labels", "value": value}]}]
    second["annotations"] = [{"result": []}]
    changed = {**second, "data": {**second["data"], "nlp_pipeline": {}}}
    file = written(tmp_path / "project.json", [first, changed, second])
    outcome = review_run(out, file)
    misplaced, stranger = outcome.problems
    assert misplaced == (
        "project.json, item 1: the mark 'answer:who' from 24 to 27 ('Eve') is at no such place of "
        "the text. Has the tool changed the text?."
    )
    assert stranger.startswith("project.json, item 2: it does not say which document of a run")
    (review,) = taken(out).values()
    assert (review.document_id, review.verdict, review.text) == ("b", "correct", None)


def test_prodigy_and_back(out: Path, tmp_path: Path) -> None:
    (file,) = export_run(out, tmp_path / "examples.jsonl", "prodigy")
    first, second = (json.loads(line) for line in file.read_text("utf-8").splitlines())
    for span in first["spans"]:
        tokens = first["tokens"][span["token_start"] : span["token_end"] + 1]
        assert (tokens[0]["start"], tokens[-1]["end"]) == (span["start"], span["end"])
    text = "".join(t["text"] + " " * t["ws"] for t in first["tokens"])
    assert text == first["text"] == ASTRAL
    assert (first["accept"], len(first["options"])) == (["letter"], 2)
    first["spans"] = [
        {"start": 10, "end": 22, "label": "answer:who"},
        {"start": 24, "end": 27, "label": "AUTHOR"},
        {"start": 37, "end": 44, "label": "PERSON"},
    ]
    first |= {"answer": "accept", "accept": ["<travel>"], "_annotator_id": "ada"}
    first |= {"_timestamp": 1717156800}
    second["answer"] = "ignore"
    lines = "".join(json.dumps(line) + "\n" for line in (first, second))
    (tmp_path / "db.jsonl").write_text(lines, "utf-8")
    outcome = review_run(out, tmp_path / "db.jsonl")
    assert (outcome.n_open, outcome.problems) == (1, ())
    check_corrections(out, "ada")
    assert taken(out)["a", "who"].reviewed_at == "2024-05-31T12:00:00.000+00:00"


def test_argilla_and_back(out: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records_file, settings_file = export_run(out, tmp_path / "rg", "argilla")
    first, second = json.loads(records_file.read_text("utf-8"))
    units = ASTRAL.encode("utf-16-le")

    def piece(span: dict[str, Any]) -> str:
        return units[2 * span["start"] : 2 * span["end"]].decode("utf-16-le")

    spans = first["suggestions"]["entities"]["value"]
    assert [piece(span) for span in spans] == ["Turin", "Ada"]
    # The answer, "😀😀😀" and a word before, ends where the server counts no character.
    assert "answers" not in first["suggestions"]
    assert "1 piece of texts with characters beyond U+FFFF" in caplog.text
    assert second["suggestions"]["answers"]["value"] == [
        {"start": 5, "end": 13, "label": "answer:who"}
    ]
    settings = json.loads(settings_file.read_text("utf-8"))
    assert [q["name"] for q in settings["questions"]] == ["answers", "entities", "label"]
    entities = [
        {"start": 25, "end": 28, "label": "AUTHOR"},
        {"start": 38, "end": 45, "label": "PERSON"},
    ]
    answers = [{"start": 10, "end": 23, "label": "answer:who"}]
    first["responses"] = {
        "answers": [{"value": answers, "user_id": "u1"}],
        "entities": [{"value": entities, "user_id": "u1"}],
        "label": [{"value": "<travel>", "user_id": "u1"}],
    }
    outcome = review_run(out, written(tmp_path / "back.json", [first, second]))
    assert (outcome.n_open, outcome.problems) == (1, ())
    check_corrections(out, "u1")


def test_what_nobody_has_answered_in_argilla_says_nothing(out: Path, tmp_path: Path) -> None:
    records_file, _ = export_run(out, tmp_path / "rg", "argilla")
    first, second = json.loads(records_file.read_text("utf-8"))
    second["responses"] = {"label": [{"value": "letter", "user_id": "u1"}]}
    review_run(out, written(tmp_path / "back.json", [first, second]))
    assert [(r.target, r.verdict) for r in taken(out).values()] == [("categories", "accept")]


def test_argillas_own_classes_read_records_and_settings(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argilla = pytest.importorskip("argilla", reason="a heavy package: for whoever has it")
    # Its settings want a server to be put on, which nothing here asks.
    monkeypatch.setattr(argilla.Argilla, "_get_default", MagicMock)
    records_file, settings_file = export_run(out, tmp_path / "rg", "argilla")
    settings = argilla.Settings.from_json(settings_file)
    assert [question.name for question in settings.questions] == ["answers", "entities", "label"]
    records = [argilla.Record.from_dict(r) for r in json.loads(records_file.read_text("utf-8"))]
    assert records[1].suggestions["answers"].value[0]["label"] == "answer:who"
    assert records[0].id == "a"


def test_label_studios_own_classes_read_tasks(out: Path, tmp_path: Path) -> None:
    label_interface = pytest.importorskip(
        "label_studio_sdk.label_interface", reason="a heavy package: for whoever has it"
    )
    tasks_file, interface = export_run(out, tmp_path / "ls", "label-studio")
    label_config = label_interface.LabelInterface(interface.read_text("utf-8"))
    label_config.validate()
    for task in json.loads(tasks_file.read_text("utf-8")):
        assert label_config.validate_task({"data": task["data"]})
        for prediction in task["predictions"]:
            assert label_config.validate_prediction(prediction, return_errors=True) == []


@pytest.mark.parametrize("form", ["label-studio", "prodigy", "argilla"])
def test_an_accepted_document_accepts_its_rows(out: Path, tmp_path: Path, form: str) -> None:
    """What comes back as it went out says that the run is right."""
    target = tmp_path / ("x.jsonl" if form == "prodigy" else "folder")
    file = export_run(out, target, form)[0]
    text = file.read_text("utf-8")
    if form == "prodigy":
        lines = [{**json.loads(line), "answer": "accept"} for line in text.splitlines()]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    else:
        items = json.loads(text)
        for item in items:
            if form == "label-studio":
                item["annotations"] = [{"result": item["predictions"][0]["result"]}]
            else:
                item["responses"] = {
                    name: [{"value": suggestion["value"], "user_id": "u"}]
                    for name, suggestion in item["suggestions"].items()
                }
        written(file, items)
    outcome = review_run(out, file)
    assert (outcome.problems, outcome.n_taken > 5) == ((), True)
    assert {review.verdict for review in taken(out).values()} == {"accept"}
    assert len(read_run(out, "reviews")["reviews"]) == outcome.n_taken


def test_the_command_exports_and_takes_back(
    out: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    done = cli("export", out, tmp_path / "x.jsonl", "--to", "prodigy", "--table", "answers")
    assert done.code == 0
    line = json.loads((tmp_path / "x.jsonl").read_text("utf-8").splitlines()[1])
    (tmp_path / "back.jsonl").write_text(json.dumps({**line, "answer": "accept"}), "utf-8")
    done = cli("review", out, tmp_path / "back.jsonl", "--reviewer", "ada")
    assert done.out == "1 review taken, 0 left open, 0 not usable; the run has 1.\n"
