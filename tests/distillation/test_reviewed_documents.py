"""What people have judged of a run comes before the teacher's word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_run import records, teacher_run

from nlp_pipeline import review_run
from nlp_pipeline.distillation.distil_settings import DistilSettings
from nlp_pipeline.distillation.example_split import split_examples
from nlp_pipeline.distillation.gate import read_labelled
from nlp_pipeline.distillation.reviewed_documents import REJECTED, take_reviews
from nlp_pipeline.distillation.teacher import Teacher, read_teacher
from nlp_pipeline.distillation.teacher_document import UNSURE, TeacherDocument, TextSpan

LABELS = DistilSettings("textcat")
ANSWERS = DistilSettings("spancat", source="answers")


@pytest.fixture(scope="module")
def reviewed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 documents; the teacher is sure of none of the first four."""
    folder = tmp_path_factory.mktemp("reviewed")
    documents = records(60)
    for record in documents[:4]:
        record["orders"]["sure"] = 0.4
    run = teacher_run(folder, documents)
    label: dict[str, Any] = {"target": "categories", "label": "sport"}
    answer: dict[str, Any] = {"target": "answers", "component": "stamp", "question_id": "name"}
    lines = [
        {"document_id": "d0", **label, "verdict": "accept"},
        {"document_id": "d2", **label, "verdict": "correct", "text": "money"},
        {"document_id": "d4", **label, "verdict": "reject"},
        {"document_id": "d0", **answer, "verdict": "accept"},
        {"document_id": "d1", **answer, "verdict": "correct", "start_char": 0, "end_char": 2},
        {"document_id": "d4", **answer, "verdict": "reject"},
    ]
    file = folder / "review.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    result = review_run(run, file, reviewer="ada")
    assert result.problems == ()
    return run


def _reviewed(run: Path, settings: DistilSettings) -> tuple[Teacher, dict[str, TeacherDocument]]:
    teacher = read_teacher(run, settings)
    assert take_reviews(run, teacher) == 3
    return teacher, {document.id: document for document in teacher.documents}


def test_labels(reviewed_run: Path) -> None:
    teacher, documents = _reviewed(reviewed_run, LABELS)
    assert (documents["d0"].labels, documents["d0"].problem) == (("sport",), None)
    assert (documents["d2"].labels, documents["d2"].problem) == (("money",), None)
    assert (documents["d4"].labels, documents["d4"].problem) == ((), REJECTED)
    assert documents["d1"].problem == UNSURE, "nobody has looked at its label"
    assert teacher.values["d2", ""] == ("sport",), "what the teacher says stays what it says"


def test_answers(reviewed_run: Path) -> None:
    _, documents = _reviewed(reviewed_run, ANSWERS)
    assert [len(documents[name].spans) for name in ("d0", "d1", "d4")] == [1, 1, 0]
    assert documents["d1"].spans == [TextSpan(0, 2, "name")]
    assert [documents[name].problem for name in ("d0", "d1", "d4")] == [None, None, REJECTED]


def test_they_are_the_last_to_be_balanced_away(reviewed_run: Path) -> None:
    teacher, documents = _reviewed(reviewed_run, LABELS)
    split = split_examples(teacher, DistilSettings("textcat", balance=0.1))
    reviewed_ids = {name for name in ("d0", "d2") if documents[name] not in split.test}
    reviewed_ids -= {document.id for document in split.dev}
    assert len(split.train) < 10, "a tenth of the documents of each label"
    assert reviewed_ids, "else nothing is tried"
    assert reviewed_ids <= {document.id for document in split.train}


def test_a_reviewed_run_is_a_file_of_labels(reviewed_run: Path) -> None:
    cases = read_labelled(str(reviewed_run), read_teacher(reviewed_run, LABELS))
    assert cases.right["d2", ""] == ("money",), "in place of the label of the corpus"
    assert cases.right["d0", ""] == ("sport",)
    assert ("d4", "") not in cases.right, "what is right was not said"


def test_values_of_forms(tmp_path: Path) -> None:
    documents = records(5)
    documents[1]["orders"]["value"] = "nobody here"
    documents[2]["orders"]["value"] = "nobody else"
    run = teacher_run(tmp_path, documents)
    value = {"target": "extraction_fields", "field": "/who"}
    lines = [
        {"document_id": "d0", **value, "verdict": "accept"},
        {"document_id": "d1", **value, "verdict": "correct", "start_char": 0, "end_char": 2},
        {"document_id": "d2", **value, "verdict": "correct"},
        {"document_id": "d3", **value, "verdict": "reject"},
    ]
    file = tmp_path / "review.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert review_run(run, file).problems == ()
    teacher = read_teacher(run, DistilSettings("spancat", source="extractions"))
    assert take_reviews(run, teacher) == 4
    spans = [[(s.start, s.end) for s in document.spans] for document in teacher.documents]
    assert [len(those) for those in spans] == [1, 1, 0, 0, 1]
    assert spans[1] == [(0, 2)]
    assert [d.problem for d in teacher.documents] == [None, None, None, REJECTED, None]
    cases = read_labelled(str(run), teacher)
    assert cases.right == {("d0", "who"): ("Anna Berg",), ("d1", "who"): ("On",), ("d2", "who"): ()}
