"""Parts in CSV are opened in spreadsheets too: guarded like an export, read back as they were."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline import read_run, retry
from nlp_pipeline.export.job import export_run
from nlp_pipeline.report import write_report
from nlp_pipeline.run_folder.spreadsheet import guarded, unguarded, would_run
from nlp_pipeline.runner.run import run

TEXTS = ["=1+1", "'=1+1", "''=1+1", "'quoted'", "@SUM(A1)", "-12", "- a dash", "+cmd|' /C calc'!A0"]
FAILING = ["=UNSPEAKABLE()"]


@pytest.fixture
def runs(tmp_path: Path, quick: Any, corpus: Any) -> Path:
    """The same run in CSV and in Parquet."""
    source = corpus(*({"id": text, "text": f"{text} "} for text in (*TEXTS, *FAILING)))
    for format_ in ("csv", "parquet"):
        run(source, tmp_path / format_, pipeline=quick(), format=format_, part_size=4)
    return tmp_path


def test_a_run_in_csv_holds_no_formula_and_reads_back_as_it_was(runs: Path) -> None:
    raw = "".join(file.read_text() for file in sorted((runs / "csv").glob("documents/*.csv")))
    assert '"\'=1+1"' in raw
    assert '"=1+1' not in raw
    assert '"-12 "' in raw
    left, right = read_run(runs / "csv"), read_run(runs / "parquet")
    for name in left:
        pd.testing.assert_frame_equal(left[name], right[name], check_exact=True, obj=name)
    assert left["documents"].document_id.tolist() == [*TEXTS, *FAILING]
    lines = [(runs / format_ / "errors.jsonl").read_text() for format_ in ("csv", "parquet")]
    assert lines[0] == lines[1]


def test_what_failed_is_tried_again_from_guarded_tables(runs: Path) -> None:
    result = retry(runs / "csv")
    assert (result.documents, result.failed, result.resumed) == (9, 1, 8)
    assert read_run(runs / "csv", "documents")["documents"].text.tolist() == [
        f"{text} " for text in (*TEXTS, *FAILING)
    ]


def test_a_run_in_csv_of_before_is_read_as_it_stands(runs: Path) -> None:
    """Its parts were not guarded: a quote in front is the document's own."""
    file = runs / "csv" / "documents" / "part-00000.csv"
    file.write_text(file.read_text().replace("\"'=1+1", '"=1+1').replace("\"''=1+1", "\"'=1+1"))
    receipt = json.loads((runs / "csv" / "_receipts" / "part-00000.json").read_text())
    for name in ("guarded", "digests", "check", "bytes"):
        del receipt[name]
    (runs / "csv" / "_receipts" / "part-00000.json").write_text(json.dumps(receipt))
    found = read_run(runs / "csv", "documents")["documents"].text.tolist()
    assert found[:2] == ["=1+1 ", "'=1+1 "]


cells = st.text(st.sampled_from("'=+-@ \t1Aa()|"), max_size=6) | st.text(max_size=5)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.none() | cells, max_size=6))
def test_what_is_guarded_comes_back(values: list[str | None]) -> None:
    table = pa.table({"text": pa.array(values, pa.string()), "document_id": ["x"] * len(values)})
    found = guarded("tokens", table)
    assert not any(value and would_run(value) for value in found.table["text"].to_pylist())
    assert unguarded("tokens", found.table).equals(table)


def test_what_killed_exports_and_reports_left_is_swept(runs: Path, tmp_path: Path) -> None:
    target = tmp_path / "tables"
    target.mkdir()
    gone, alive = 2**22 + 1, os.getppid()
    names = {"tables/.answers.parquet.tmp-{}", "parquet/.report.html.tmp-{}"}
    for name in names:
        for process in (gone, alive):
            (tmp_path / name.format(process)).write_text("half")
    theirs = target / ".answers.parquet.tmp-x"
    theirs.write_text("somebody's")
    export_run(runs / "parquet", target)
    write_report(runs / "parquet")
    for name in names:
        assert not (tmp_path / name.format(gone)).exists()
        assert (tmp_path / name.format(alive)).exists()
    assert theirs.exists()
