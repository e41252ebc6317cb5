"""What reviews do to evaluation, export and training, and what a run does to them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nlp_pipeline import evaluate_run, read_run, review_run, run
from nlp_pipeline.errors.review import NoReviews
from nlp_pipeline.export.job import export_run
from nlp_pipeline.reviews.reviewed_records import reviewed_records
from nlp_pipeline.run_folder.files import Format

WriteReview = Callable[..., Path]
LINES: list[dict[str, Any]] = [
    {"document_id": "plain", "question_id": "who", "verdict": "accept"},
    {"document_id": "astral", "question_id": "who", "verdict": "correct", "text": "Ada"},
    {"document_id": "none", "question_id": "who", "verdict": "correct"},
    {"document_id": "plain", "question_id": "fails", "verdict": "correct", "text": "Grace"},
    {"document_id": "plain", "target": "categories", "label": "letter", "verdict": "accept"},
    {
        **{"document_id": "none", "target": "categories", "label": "letter"},
        **{"verdict": "correct", "text": "travel"},
    },
    {"document_id": "plain", "target": "entities", "entity_id": 0, "verdict": "accept"},
    {
        **{"document_id": "plain", "target": "entities", "entity_id": 1},
        **{"verdict": "correct", "label": "GPE"},
    },
    {"document_id": "astral", "target": "entities", "entity_id": 1, "verdict": "reject"},
    {
        **{"document_id": "astral", "target": "entities", "start_char": 10, "end_char": 22},
        **{"label": "PLACE", "verdict": "correct"},
    },
]


@pytest.fixture(scope="module")
def shared(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with reviews. Shared: copy it."""
    folder = tmp_path_factory.mktemp("reviewed")
    shutil.copytree(finished, folder / "out")
    lines = "".join(json.dumps(line) + "\n" for line in LINES)
    (folder / "review.jsonl").write_text(lines, encoding="utf-8")
    result = review_run(folder / "out", folder / "review.jsonl", reviewer="ada")
    assert result.problems == ()
    return folder / "out"


def test_a_run_is_evaluated_by_its_own_reviews(shared: Path, cli: Callable[..., Any]) -> None:
    report = evaluate_run(shared, shared)
    overall = report["answers"]["overall"]
    assert (overall["n"], overall["failed"]) == (4, 1)
    assert overall["exact_match"]["value"] == pytest.approx(1 / 4), "one of four was accepted"
    assert overall["no_answer_accuracy"] == pytest.approx({**overall["no_answer_accuracy"], "n": 1})
    assert report["labels"]["accuracy"]["value"] == pytest.approx(1 / 2)
    # Grace is right; Oslo has another label, Ada was rejected and stands there, a place is missing.
    assert report["entities"]["n"] == 4
    assert report["entities"]["accuracy"]["value"] == pytest.approx(1 / 4)
    done = cli("evaluate", shared)
    assert done.code == 0
    assert "Judged entities" in done.out


def test_another_run_is_evaluated_by_them(
    shared: Path, tmp_path: Path, quick: Callable[..., str], corpus: Callable[..., str]
) -> None:
    records = [
        {"id": "plain", "text": "Grace left for Oslo"},
        {"id": "astral", "text": "Another text by now."},
    ]
    run(corpus(*records), tmp_path / "other", pipeline=quick())
    report = evaluate_run(tmp_path / "other", shared)
    assert report["answers"]["overall"]["n"] == 1
    assert report["warnings"] == [
        "5 reviews are of texts that this run does not have, or has in another form: they are "
        "left out."
    ]


def test_what_was_rejected_is_wrong_wherever_it_is_said_again(
    out: Path, review_file: WriteReview
) -> None:
    line = {"document_id": "plain", "question_id": "who", "verdict": "reject"}
    label = {"document_id": "plain", "target": "categories", "label": "letter"}
    review_run(out, review_file(line, {**label, "verdict": "reject"}))
    report = evaluate_run(out, out)
    assert report["answers"]["overall"]["exact_match"]["value"] == 0.0
    assert report["answers"]["overall"]["exact_match_of_answerable"] is None, "nobody knows that"
    assert report["labels"]["accuracy"]["value"] == 0.0
    # Another answer than the one that was rejected is neither right nor wrong.
    review_run(out, review_file({**line, "answer": "to Bergen", "reviewed_at": "2999-01-01"}))
    assert evaluate_run(out, out)["answers"] is None


def test_a_run_without_reviews_is_no_reference(out: Path, tmp_path: Path) -> None:
    with pytest.raises(NoReviews, match="--to review"):
        evaluate_run(out, out)
    with pytest.raises(NoReviews):
        export_run(out, tmp_path / "tables", "csv", reviewed=True)
    assert not (tmp_path / "tables").exists()


def exported(run_folder: Path, target: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table as they are exported with corrections."""
    (file,) = export_run(run_folder, target, "jsonl", [table], reviewed=True)
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_the_export_writes_corrected_answers(shared: Path, tmp_path: Path) -> None:
    rows = {(r["document_id"], r["question_id"]): r for r in exported(shared, tmp_path, "answers")}
    assert len(rows) == 8, "no row is lost"
    astral = rows["astral", "who"]
    names = ("answer", "status", "alignment", "start_char", "end_char", "start_token", "end_token")
    assert [astral[name] for name in names] == ["Ada", "ok", "exact", 24, 27, 6, 7]
    assert (astral["evidence"], astral["mean_logprob"], astral["model"]) == ([1], None, None)
    assert astral["question"] == "Who is it?"
    none = rows["none", "who"]
    assert [none[name] for name in names] == [None, "no_answer", *[None] * 5]
    assert rows["plain", "fails"]["answer"] == "Grace"
    before = read_run(shared)["answers"].set_index(["document_id", "question_id"])
    assert rows["plain", "who"]["answer"] == before.loc[("plain", "who"), "answer"]
    assert rows["plain", "who"]["output_tokens"] == 2, "an accepted row is the run's own"
    spans = exported(shared, tmp_path, "spans")
    assert [(s["document_id"], s["span_id"], s["text"]) for s in spans] == [
        ("astral", "who", "Ada"),
        ("plain", "who", "for Oslo"),
        ("plain", "fails", "Grace"),
    ]
    assert {s["label"] for s in spans} == {"ANSWER"}


def test_the_export_writes_corrected_labels_and_entities(shared: Path, tmp_path: Path) -> None:
    labels = exported(shared, tmp_path, "categories")
    scores = {(r["document_id"], r["label"]): r["score"] for r in labels}
    assert scores["plain", "letter"] == 1.0
    assert (scores["none", "letter"], scores["none", "travel"]) == (0.0, 1.0)
    assert scores["astral", "letter"] == 0.8
    entities = exported(shared, tmp_path, "entities")
    names = ("document_id", "text", "label", "start_token", "end_token", "sentence_id")
    assert [tuple(row[name] for name in names) for row in entities] == [
        # It reaches over the Turin that the run has, which gives way; Ada was rejected.
        ("astral", "😀 from\nTurin", "PLACE", 1, 5, 0),
        ("plain", "Grace", "PERSON", 0, 1, 0),
        ("plain", "Oslo", "GPE", 3, 4, 0),
    ]
    assert len({(row["document_id"], row["entity_id"]) for row in entities}) == 3
    (file,) = export_run(shared, tmp_path, "csv", ["entities"])
    assert pd.read_csv(file)["label"].tolist() == ["GPE", "PERSON", "PERSON", "ORG"]


def test_what_tells_of_entities_and_labels_follows_them(shared: Path, tmp_path: Path) -> None:
    tokens = exported(shared, tmp_path, "tokens")
    tags = {
        name: [(t["text"], t["ent_iob"], t["ent_type"]) for t in tokens if t["document_id"] == name]
        for name in ("astral", "plain")
    }
    assert [tag[1:] for tag in tags["astral"]] == [
        *[("O", None), ("B", "PLACE"), *[("I", "PLACE")] * 3, *[("O", None)] * 5]
    ], "over the emoji and the line break; Ada was rejected"
    assert tags["plain"][3] == ("Oslo", "B", "GPE")
    before = read_run(shared, ["tokens", "documents"])
    assert len(tokens) == len(before["tokens"]), "no token is lost"
    documents = exported(shared, tmp_path, "documents")
    assert [d["n_entities"] for d in documents] == [1, None, 2, 0]
    assert before["documents"]["n_entities"].tolist()[0] == 2
    labels = {r["document_id"]: r["labels"] for r in exported(shared, tmp_path, "classifications")}
    assert labels == {"astral": ["letter"], "plain": ["letter"], "none": ["travel"]}


def test_reviews_are_exported_where_there_are_any(
    shared: Path, finished: Path, tmp_path: Path
) -> None:
    names = [file.stem for file in export_run(shared, tmp_path / "a", "csv")]
    assert names[-1] == "reviews"
    assert len(pd.read_csv(tmp_path / "a" / "reviews.csv")) == len(LINES)
    assert "reviews" not in [file.stem for file in export_run(finished, tmp_path / "b", "csv")]


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_reviews_have_the_format_of_their_run(
    finished: Path, tmp_path: Path, review_file: WriteReview, format_: Format
) -> None:
    source, config = finished.parent / "corpus.jsonl", finished.parent / "named.cfg"
    run(source, tmp_path / "out", pipeline=str(config), format=format_)
    line = {"document_id": "plain", "question_id": "who", "verdict": "accept", "note": "=1+1"}
    review_run(tmp_path / "out", review_file(line, LINES[2]))
    frame = read_run(tmp_path / "out", "reviews")["reviews"]
    assert frame["note"][0] == "=1+1"
    assert frame["text"].isna().tolist() == [False, True]


def test_a_run_that_begins_anew_keeps_them(shared: Path, tmp_path: Path) -> None:
    shutil.copytree(shared, tmp_path / "out")
    source, config = shared.parent / "corpus.jsonl", shared.parent / "named.cfg"
    if not source.exists():
        source.write_text(json.dumps({"id": "plain", "text": "Grace left for Oslo"}) + "\n")
    manifest = json.loads((shared / "manifest.json").read_text("utf-8"))
    run(source, tmp_path / "out", pipeline=manifest["pipeline"], fresh=True)
    assert not config.exists()
    assert len(read_run(tmp_path / "out", "reviews")["reviews"]) == len(LINES)
    assert len(read_run(tmp_path / "out", "documents")["documents"]) == 1


def test_the_records_to_train_on(shared: Path) -> None:
    astral, plain, none = reviewed_records(shared)
    (who,) = astral.questions
    assert (who.id, who.text, who.answers) == ("who", "Who is it?", ("Ada",))
    assert none.questions[0].answers == ()
    assert {q.id: q.answers for q in plain.questions} == {"who": ("for Oslo",), "fails": ("Grace",)}
    assert (plain.meta["labels"], none.meta["labels"]) == (["letter"], ["travel"])
    # A question that the pipeline asks anyway does not ride on the record too.
    records = reviewed_records(shared, ["who"])
    assert [q.id for record in records for q in record.questions] == ["fails"]
    assert records[0].meta["answers"] == {"who": ["Ada"]}


def test_a_training_reads_them(shared: Path, tiny_llama: str) -> None:
    from nlp_pipeline.pipeline import PipelineSpec
    from nlp_pipeline.training.materials import read_materials
    from nlp_pipeline.training.train import _inputs
    from nlp_pipeline.training.training_settings import TrainingSettings

    generator = {"@llama_generators": "nlp_pipeline.Llama.v1", "model": tiny_llama}
    settings = (f"components.llama_qa.generator={json.dumps(generator)}",)
    spec = PipelineSpec(str(shared / "config.cfg"), settings=settings)
    split = read_materials(str(shared), spec, {}, TrainingSettings()).split
    records = (*split.training, *split.stopping, *split.held_out)
    assert {record.id for record in records} == {"astral", "plain", "none"}
    assert list(_inputs(str(shared))) == ["reviews/part-00000.parquet"]
