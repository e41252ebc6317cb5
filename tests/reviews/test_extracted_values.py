"""The values of an extractor's objects are judged as answers are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import evaluate_run, review_run
from nlp_pipeline.errors.review import NoReviews
from nlp_pipeline.export.job import export_run
from nlp_pipeline.reviews.extracted_objects import with_values
from nlp_pipeline.reviews.review import reviews_of
from nlp_pipeline.reviews.reviewed_records import reviewed_records
from nlp_pipeline.run_folder.review_table import read_reviews

WriteReview = Callable[..., Path]


def value(document_id: str, field: str, verdict: str, **more: Any) -> dict[str, Any]:
    """A line that judges a value of an object."""
    keys = {"document_id": document_id, "target": "extraction_fields", "field": field}
    return {**keys, "verdict": verdict, **more}


LINES = [
    value("plain", "/who", "accept"),
    value("plain", "/n", "correct", text="12"),
    value("plain", "/places/0", "correct", start_char=15, end_char=19),
    value("plain", "/places/1", "correct"),
    value("astral", "/who", "correct", start_char=10, end_char=22),
    value("astral", "/places/1", "reject"),
]


@pytest.fixture
def judged(out: Path, review_file: WriteReview) -> Path:
    """The run with judged values."""
    result = review_run(out, review_file(*LINES), reviewer="ada")
    assert result.problems == ()
    return out


def test_the_table_says_what_is_right_and_where(judged: Path) -> None:
    reviews = reviews_of(read_reviews(judged, "parquet"))
    assert {review.component for review in reviews} == {"form"}
    rows = {(review.document_id, review.field): review for review in reviews}
    who = rows["astral", "/who"]
    assert (who.answer, who.text) == ("Ada", "😀 from\nTurin")
    accepted = rows["plain", "/who"]
    assert (accepted.text, accepted.start_char, accepted.end_char) == ("Grace", 0, 5)


def test_a_sheet_has_a_line_for_each_value(out: Path, tmp_path: Path) -> None:
    (file,) = export_run(out, tmp_path / "review.jsonl", "review", ["extraction_fields"])
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert len(lines) == 3 * 4
    assert [line["answer"] for line in lines[4:8]] == ["Grace", "3", "Oslo", "Rome"]
    lines[4]["verdict"] = "accept"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    assert review_run(out, file).n_taken == 1


def test_the_export_corrects_values_and_objects(judged: Path, tmp_path: Path) -> None:
    tables = ["extraction_fields", "extractions"]
    fields, objects = (
        [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        for file in sorted(export_run(judged, tmp_path, "jsonl", tables, reviewed=True))
    )
    values = {(row["document_id"], row["field"]): row for row in fields}
    assert len(fields) == 3 * 4, "no row is lost"
    who = values["astral", "/who"]
    assert (who["value"], who["alignment"], who["start_token"]) == ("😀 from\nTurin", "exact", 1)
    gone = values["astral", "/places/1"]
    assert (gone["value"], gone["alignment"], gone["start_char"]) == (None, "none", None)
    by_document = {row["document_id"]: row for row in objects}
    plain = by_document["plain"]
    assert plain["extraction"] == {"who": "Grace", "n": 12, "places": ["Oslo", None]}
    assert (plain["status"], plain["mean_logprob"]) == ("ok", None)
    assert by_document["astral"]["extraction"]["places"] == ["Oslo", None]
    assert by_document["none"]["mean_logprob"] == -0.1, "nobody has judged it"


def test_they_are_references(judged: Path, cli: Callable[..., Any]) -> None:
    score = evaluate_run(judged, judged)["values"]
    # Right are Grace and Oslo; another n, a Rome too many, another person, and the rejected Rome.
    assert (score["n"], score["accuracy"]["value"]) == (6, pytest.approx(2 / 6))
    assert "Judged values of objects" in cli("evaluate", judged).out


def test_an_object_is_trained_on_once_all_of_it_was_judged(
    judged: Path, review_file: WriteReview
) -> None:
    (record,) = reviewed_records(judged)
    assert record.id == "plain"
    assert record.meta["extraction"] == {"who": "Grace", "n": 12, "places": ["Oslo", None]}
    review_run(judged, review_file(value("plain", "/n", "reject", reviewed_at="2999-01-01")))
    with pytest.raises(NoReviews):
        reviewed_records(judged)


def test_a_value_keeps_its_type_and_its_place() -> None:
    text = json.dumps({"a/b": [1.5, True, None], "c~": {"d": "x"}})
    changes = {"/a~1b/0": "2", "/a~1b/1": "false", "/a~1b/2": "new", "/c~0/d": "7", "/no/0": "y"}
    assert with_values(text, changes) == {"a/b": [2, False, "new"], "c~": {"d": "7"}}
    assert with_values(text, {"/a~1b/0": "many", "/a~1b/1": "1"})["a/b"] == ["many", "1", None]
