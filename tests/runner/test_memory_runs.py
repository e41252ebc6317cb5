"""Runs over what a program has at hand, and their rows without a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nlp_pipeline
from nlp_pipeline.errors.config import OptionsOfALoadedPipeline, UnknownKeyword
from nlp_pipeline.errors.corpus import CorpusNotFound, NotACorpus, NoTextColumn, NoTextField
from nlp_pipeline.errors.run_folder import DifferentRun
from nlp_pipeline.pipeline import PipelineSpec, load_pipeline
from nlp_pipeline.tables.schemas import TABLES

FRAME = pd.DataFrame(
    {"id": ["a", "b", "c"], "text": ["Ada met Grace.", None, "Grace left."], "n": [1, 2, 3]}
)


def documents(out: Path) -> list[Any]:
    frame = nlp_pipeline.read_run(out, "documents")["documents"]
    columns = ["document_id", "status", "source", "line", "meta"]
    return [tuple(row) for row in frame[columns].itertuples(index=False)]


def test_a_run_keeps_the_records_and_goes_on(quick, tmp_path: Path) -> None:
    pipeline, out = quick(), tmp_path / "out"
    first = nlp_pipeline.run(FRAME, out, pipeline=pipeline)
    assert (first.documents, first.failed, first.resumed) == (3, 1, 0)
    rows = documents(out)
    assert rows[0] == ("a", "ok", "records", 1, '{"n": 1}')
    assert rows[1][:2] == ("b", "error")
    assert [file.name for file in (out / "_input").iterdir()] == ["records.jsonl"]
    changed = FRAME.assign(text=["Ada met Grace.", "Karl.", "Grace left."])
    again = nlp_pipeline.run(iter(changed.to_dict("records")), out, pipeline=pipeline)
    assert (again.documents, again.failed, again.resumed) == (3, 0, 2)
    assert documents(out)[1][:2] == ("b", "ok")


def test_no_records_are_a_run_of_none(quick, tmp_path: Path) -> None:
    pipeline = quick()
    nlp_pipeline.run(["One."], tmp_path / "out", pipeline=pipeline)
    assert nlp_pipeline.run([], tmp_path / "out2", pipeline=pipeline).documents == 0
    with pytest.raises(DifferentRun, match="corpus: 1 record → 0 records"):
        nlp_pipeline.run([], tmp_path / "out", pipeline=pipeline)


@pytest.mark.parametrize("kind", ["frame", "records", "x.csv", "x.parquet", "x.jsonl"])
def test_without_the_text_nothing_begins(quick, tmp_path: Path, kind: str, monkeypatch) -> None:
    frame, source = pd.DataFrame({"id": [1, 2], "body": ["Ada.", "Grace."]}), tmp_path / kind
    if kind == "x.csv":
        frame.to_csv(source, index=False)
    elif kind == "x.parquet":
        frame.to_parquet(source)
    elif kind == "x.jsonl":
        frame.to_json(source, orient="records", lines=True)
    corpora = {"frame": frame, "records": frame.to_dict("records")}
    pipeline, out, setting = quick(), tmp_path / "out", "--text-key" if "x" in kind else "text_key"
    monkeypatch.setattr("nlp_pipeline.runner.run._EXECUTORS", {})  # no pipeline is built
    error = NoTextField if kind in ("records", "x.jsonl") else NoTextColumn
    with pytest.raises(
        error, match=rf"ha(s|ve): id, body\. Name the (column|field) with {setting}\."
    ):
        nlp_pipeline.run(corpora.get(kind, source), out, pipeline=pipeline)
    assert not out.exists()


def test_limit_takes_no_more_than_it_says(quick, tmp_path: Path) -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "One."

    assert nlp_pipeline.run(endless(), tmp_path / "out", pipeline=quick(), limit=3).documents == 3


def test_what_is_no_corpus_makes_no_folder(quick, tmp_path: Path) -> None:
    with pytest.raises(NotACorpus):
        nlp_pipeline.run(5, tmp_path / "out", pipeline=quick())
    assert not (tmp_path / "out").exists()


def test_the_stream_has_the_rows_of_a_run(quick, tmp_path: Path) -> None:
    pipeline = quick()
    nlp_pipeline.run(FRAME, tmp_path / "out", pipeline=pipeline)
    run = nlp_pipeline.read_run(tmp_path / "out")
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for document in nlp_pipeline.stream(FRAME, pipeline):
        for name, more in document.items():
            rows[name] += more
    for name in ("documents", "sentences", "answers", "errors"):
        assert [list(row) for row in rows[name]] == [TABLES[name].names] * len(rows[name])
        key = "text" if name != "answers" else "answer"
        key = "message" if name == "errors" else key
        values = run[name][key].astype(object)
        assert [row[key] for row in rows[name]] == values.where(values.notna(), None).tolist()


def test_the_stream_takes_files_and_loaded_pipelines(quick, corpus) -> None:
    nlp = load_pipeline(PipelineSpec(quick()))
    (rows,) = nlp_pipeline.stream(corpus({"id": "a", "text": "Ada met Grace."}), nlp)
    assert rows["documents"][0]["document_id"] == "a"
    assert rows["answers"][0]["question"] == "Who is named?"


def test_the_stream_begins_before_the_corpus_ends(quick) -> None:
    def endless() -> Iterator[str]:
        number = 0
        while True:
            yield f"Text {(number := number + 1)}."

    documents = nlp_pipeline.stream(endless(), quick(), questions=["Who?"], batch_size=2)
    texts = [next(documents)["documents"][0]["text"] for _ in range(5)]
    documents.close()
    assert texts == [f"Text {number}." for number in range(1, 6)]


def test_what_a_stream_cannot_do_is_said_by_the_call(quick, corpus) -> None:
    pipeline = quick()
    with pytest.raises(CorpusNotFound):
        nlp_pipeline.stream("nowhere.jsonl", pipeline)
    with pytest.raises(UnknownKeyword, match="modle"):
        nlp_pipeline.stream(["One."], pipeline, modle="x")
    message = r"A loaded pipeline takes no questions: it has settings of its own\."
    with pytest.raises(OptionsOfALoadedPipeline, match=message):
        nlp_pipeline.stream(["One."], load_pipeline(PipelineSpec(pipeline)), questions=["Who?"])
