"""A person's verdicts become a table of the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import read_run, review_run
from nlp_pipeline.errors.review import NoReviewFits, ReviewFileUnreadable, ReviewsDamaged
from nlp_pipeline.errors.run_folder import ColumnNotFound, RunLocked, RunNotFound
from nlp_pipeline.export.job import export_run
from nlp_pipeline.run_folder.lock import locked
from nlp_pipeline.run_folder.review_table import read_reviews, text_digest

WriteReview = Callable[..., Path]
PLAIN = {"document_id": "plain", "question_id": "who"}


def reviews(run: Path) -> list[dict[str, Any]]:
    """The rows of the table."""
    rows: list[dict[str, Any]] = read_reviews(run, "parquet").to_pylist()
    return rows


def test_a_sheet_that_is_filled_in_becomes_a_table(out: Path, tmp_path: Path) -> None:
    (file,) = export_run(out, tmp_path / "review.jsonl", "review")
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    # Four answers of documents that have a text fail or not; a document has one label, two names.
    assert [line["target"] for line in lines].count("answers") == 6
    assert [line["label"] for line in lines if line["target"] == "categories"] == ["letter"] * 3
    by_row = {(n["document_id"], n.get("question_id") or n.get("entity_id")): n for n in lines}
    by_row["plain", "who"] |= {"verdict": "accept", "note": "well"}
    by_row["astral", "who"] |= {"verdict": "correct", "start_char": 10, "end_char": 22}
    by_row["plain", 1] |= {"verdict": "correct", "label": "GPE"}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    result = review_run(out, file, reviewer="ada")
    assert (result.n_taken, result.n_open, result.problems) == (3, len(lines) - 3, ())
    astral, plain, oslo = reviews(out)
    assert (plain["text"], plain["answer"]) == ("for Oslo", "for Oslo")
    assert (plain["start_char"], plain["end_char"], plain["note"]) == (11, 19, "well")
    assert (astral["text"], astral["answer"]) == ("😀 from\nTurin", "to Babbage")
    assert (oslo["text"], oslo["label"], oslo["start_char"]) == ("Oslo", "GPE", 15)
    assert {row["reviewer"] for row in reviews(out)} == {"ada"}
    assert astral["reviewed_at"].endswith("+00:00")


def test_a_text_alone_is_found_where_it_stands_once(out: Path, review_file: WriteReview) -> None:
    line = {**PLAIN, "verdict": "correct", "text": "Oslo"}
    review_run(out, review_file(line))
    (row,) = reviews(out)
    assert (row["start_char"], row["end_char"]) == (15, 19)
    assert row["component"] == "llama_qa"
    assert row["text_digest"] == text_digest("Grace left for Oslo")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "it is no JSON object. Each line is one review."),
        ("{", "it is no JSON object. Each line is one review."),
        ({**PLAIN, "verdit": "accept"}, "a review has no field 'verdit'; there are: document_id,"),
        ({**PLAIN, "verdict": "yes"}, "'verdict' is 'yes', and has to be one of accept, reject"),
        ({**PLAIN, "verdict": "accept", "target": "tokens"}, "'target' is 'tokens', and has to be"),
        ({**PLAIN, "verdict": "accept", "note": 3}, "'note' is 3, and has to be a text."),
        ({**PLAIN, "verdict": "correct", "end_char": 3}, "'correct' needs both 'start_char' and"),
        ({"verdict": "accept"}, "'document_id' is None, and has to be a document's id."),
        (
            {"document_id": "gone", "question_id": "who", "verdict": "accept"},
            "the run has no document 'gone', or it has no text. Is it the review of another run?.",
        ),
        (
            {"document_id": "empty", "question_id": "who", "verdict": "reject"},
            "the run has no document 'empty', or it has no text.",
        ),
        ({**PLAIN, "verdict": "accept", "text_digest": "00"}, "the text of 'plain' is not the one"),
        (
            {**PLAIN, "verdict": "accept", "question_id": "why"},
            "'plain' has no question 'why'; there are: who, fails.",
        ),
        (
            {**PLAIN, "verdict": "accept", "question_id": "fails"},
            "the question 'fails' failed on 'plain': there is no answer to accept or reject.",
        ),
        (
            {**PLAIN, "verdict": "correct", "start_char": 15, "end_char": 20},
            "15 to 20 is no piece of a text of 19 characters.",
        ),
        (
            {**PLAIN, "verdict": "correct", "start_char": 14, "end_char": 18, "text": "Oslo"},
            "'text' is 'Oslo', and at its offsets stands ' Osl'. They count Unicode code points",
        ),
        (
            {"document_id": "plain", "target": "categories", "label": "x", "verdict": "accept"},
            "'plain' has no label 'x'; there are: letter, travel.",
        ),
        (
            {
                **{"document_id": "plain", "target": "categories", "label": "letter"},
                "verdict": "correct",
            },
            "'correct' needs 'text': the right label.",
        ),
        (
            {"document_id": "plain", "target": "entities", "entity_id": 7, "verdict": "accept"},
            "'plain' has no entity 7; there are: 0, 1.",
        ),
        (
            {"document_id": "plain", "target": "entities", "verdict": "accept"},
            "'correct' needs 'start_char', 'end_char' and 'label' of an entity that the run lacks",
        ),
        (
            {"document_id": "plain", "target": "entities", "entity_id": 1, "verdict": "correct"},
            "'correct' needs another 'label', or a span of the text.",
        ),
        (
            {
                **{"document_id": "plain", "target": "extraction_fields", "field": "/when"},
                "verdict": "accept",
            },
            "'plain' has no field '/when'; there are: /who, /n, /places/0, /places/1.",
        ),
        ({**PLAIN, "verdict": "accept", "reviewed_at": "now"}, "'reviewed_at' is 'now', and has"),
    ],
)
def test_a_line_that_does_not_fit_is_named(
    out: Path, review_file: WriteReview, line: Any, reason: str
) -> None:
    good = {"document_id": "none", "question_id": "who", "verdict": "reject"}
    result = review_run(out, review_file(good, line))
    (problem,) = result.problems
    assert problem.startswith(f"review.jsonl:2: {reason}"), problem
    assert len(reviews(out)) == 1, "the good one is taken"


def test_nothing_of_another_run_is_taken(out: Path, review_file: WriteReview) -> None:
    file = review_file({"document_id": "x", "question_id": "who", "verdict": "accept"})
    with pytest.raises(NoReviewFits, match="Is it the review of another run") as caught:
        review_run(out, file)
    assert "None of the 1 review in" in str(caught.value)
    assert not (out / "reviews").exists()


def test_what_cannot_be_read(out: Path, tmp_path: Path, review_file: WriteReview) -> None:
    with pytest.raises(RunNotFound):
        review_run(tmp_path, review_file())
    with pytest.raises(ReviewFileUnreadable, match="No such file"):
        review_run(out, tmp_path / "no.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xe9")
    with pytest.raises(ReviewFileUnreadable, match="it is no UTF-8"):
        review_run(out, tmp_path / "latin.jsonl")
    (out / "reviews").mkdir()
    (out / "reviews" / "part-00000.parquet").write_bytes(b"no")
    with pytest.raises(ReviewsDamaged, match="Restore the file from a copy"):
        read_run(out, "reviews")
    with pytest.raises(ColumnNotFound):
        read_run(out, "reviews", {"reviews": ["verdit"]})


def test_a_run_that_is_going_on_takes_none(out: Path, review_file: WriteReview) -> None:
    with locked(out), pytest.raises(RunLocked):
        review_run(out, review_file({**PLAIN, "verdict": "accept"}))


def test_the_later_review_of_a_person_counts(out: Path, review_file: WriteReview) -> None:
    early, late = "2024-05-31T12:00:00Z", "2024-05-31T14:30:00+02:00"  # 12:30 in UTC
    line = {**PLAIN, "reviewer": "ada", "reviewed_at": late, "verdict": "reject"}
    review_run(out, review_file(line))
    older = {**line, "reviewed_at": early, "verdict": "accept"}
    other = {**older, "reviewer": "grace"}
    result = review_run(out, review_file(older, other))
    assert (result.n_taken, result.n_reviews) == (2, 2)
    assert [(row["reviewer"], row["verdict"]) for row in reviews(out)] == [
        ("ada", "reject"),
        ("grace", "accept"),
    ]
    before = (out / "reviews" / "part-00000.parquet").read_bytes()
    review_run(out, review_file(older, other))
    assert (out / "reviews" / "part-00000.parquet").read_bytes() == before


def test_the_command_says_what_it_took(
    out: Path, review_file: WriteReview, cli: Callable[..., Any]
) -> None:
    sure, blank = {**PLAIN, "verdict": "accept"}, {**PLAIN, "verdict": None}
    done = cli("review", out, review_file(sure, blank), "--reviewer", "ada")
    assert (done.code, done.err) == (0, "")
    assert done.out == "1 review taken, 1 left open, 0 not usable; the run has 1.\n"
    done = cli("review", out, review_file(sure, "{"))
    assert done.code == 3
    assert done.err == "review.jsonl:2: it is no JSON object. Each line is one review.\n"
    assert cli("review", out, review_file("{")).code == 1
