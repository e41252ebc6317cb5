"""Runs over documents that are converted: the table `layout`, resuming, trying again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import ask, read_run, retry, run
from nlp_pipeline.corpus.documents import conversion
from nlp_pipeline.export.job import export_run
from nlp_pipeline.run_folder.receipts import _CHECK

pytest.importorskip("kreuzberg")

TEXT = "# The bridge\n\nAda cut it.\n\n## Costs\n\nIt is UNSPEAKABLE.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.md").write_text("# One\n\nKarl left.\n", encoding="utf-8")
    (folder / "b.md").write_text(TEXT, encoding="utf-8")
    (folder / "c.html").write_text("<script>x</script>", encoding="utf-8")
    return folder


def layout(out: Path) -> list[Any]:
    tables = read_run(out, ["documents", "layout"])
    texts = tables["documents"].set_index("document_id")["text"].to_dict()
    return [
        (
            row["document_id"],
            row["kind"],
            row["section"],
            texts[row["document_id"]][row["start_char"] : row["end_char"]],
        )
        for row in tables["layout"].to_dict("records")
    ]


WANTED = [
    ("a.md", "heading", "One", "One"),
    ("a.md", "paragraph", "One", "Karl left."),
    ("b.md", "heading", "The bridge", "The bridge"),
    ("b.md", "paragraph", "The bridge", "Ada cut it."),
    ("b.md", "heading", "The bridge / Costs", "Costs"),
    ("b.md", "paragraph", "The bridge / Costs", "It is UNSPEAKABLE."),
]


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_the_layout_lies_beside_the_text(folder: Path, tmp_path: Path, quick, form: Any) -> None:
    out = tmp_path / "out"
    result = run(folder, out, pipeline=quick(), format=form)
    assert (result.documents, result.failed) == (3, 2)
    assert layout(out) == WANTED


def test_a_run_that_goes_on_converts_nothing_twice(
    folder: Path, tmp_path: Path, quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, pipeline = tmp_path / "out", quick()
    run(folder, out, pipeline=pipeline, limit=1)
    assert len(list((out / "_conversions").iterdir())) == 1
    (folder / "c.html").unlink()
    run(folder, out, pipeline=pipeline)
    monkeypatch.setattr(conversion, "WORKER", ["-c", "raise AssertionError"])
    again = run(folder, out, pipeline=pipeline)
    assert (again.documents, again.failed, again.resumed) == (2, 1, 1)
    assert layout(out) == WANTED


def test_a_fresh_run_converts_nothing_twice(
    folder: Path, tmp_path: Path, quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, pipeline = tmp_path / "out", quick()
    run(folder, out, pipeline=pipeline)
    texts = {file.name: file.read_bytes() for file in (out / "_conversions").iterdir()}
    monkeypatch.setattr(conversion, "WORKER", ["-c", "raise AssertionError"])
    (folder / "c.html").unlink()
    again = run(folder, out, pipeline=pipeline, fresh=True)
    assert (again.documents, again.failed, again.resumed) == (2, 1, 0)
    assert {file.name: file.read_bytes() for file in (out / "_conversions").iterdir()} == texts
    assert layout(out) == WANTED


def test_a_retry_needs_no_document(folder: Path, tmp_path: Path, quick) -> None:
    out = tmp_path / "out"
    run(folder, out, pipeline=quick())
    shutil.rmtree(out / "_conversions")
    shutil.rmtree(folder)
    result = retry(out)
    assert (result.documents, result.failed, result.resumed) == (3, 2, 2)
    assert layout(out) == WANTED


def test_a_run_of_before_the_table_has_an_empty_one(tmp_path: Path, quick, corpus) -> None:
    import json

    out, source, pipeline = tmp_path / "out", corpus("One.", "Two."), quick()
    run(source, out, pipeline=pipeline, part_size=1)
    shutil.rmtree(out / "layout")
    for file in (out / "_receipts").iterdir():
        receipt = json.loads(file.read_text())
        for value in receipt.values():
            if isinstance(value, dict):
                value.pop("layout", None)
        receipt.pop(_CHECK)
        file.write_text(json.dumps(receipt))
    assert len(read_run(out, "layout")["layout"]) == 0
    Path(source).write_text(Path(source).read_text() + '{"text": "Three."}\n')
    result = run(source, out, pipeline=pipeline, part_size=1)
    assert (result.documents, result.resumed) == (3, 2)
    assert len(read_run(out)["layout"]) == 0


def test_an_answer_has_its_page(folder: Path, tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    out = tmp_path / "out"
    run(folder, out, pipeline="en_qa", echo=True)
    export_run(out, tmp_path / "run.sqlite", "sqlite", ["answers", "layout", "entities"])
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as database:
        database.execute("update answers set start_char = 14 where document_id = 'b.md'")
        query = (
            "select document_id, kind, section, page from answers_with_page where start_char = 14"
        )
        rows = set(database.execute(query).fetchall())
    assert rows == {("b.md", "paragraph", "The bridge", None)}


def test_a_further_question_leaves_the_layout_as_it_is(folder: Path, tmp_path: Path, quick) -> None:
    out = tmp_path / "out"
    run(folder, out, pipeline=quick())
    shutil.rmtree(folder)
    ask(out, "Who left?")
    assert layout(out) == WANTED
    answers = read_run(out, "answers")["answers"]
    assert answers[answers.question_id == "f1"].document_id.tolist() == ["a.md", "b.md"]
