"""A file a table: the rows are those of the run, in every form."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from nlp_pipeline import read_run
from nlp_pipeline.export.job import export_run
from nlp_pipeline.tables.frames import to_frame


def test_arrow_holds_the_rows_of_all_parts(meta_run: Path, tmp_path: Path) -> None:
    for file in export_run(meta_run, tmp_path, "arrow", ["documents", "answers"]):
        with pa.memory_map(str(file)) as source:
            frame = to_frame(pa.ipc.open_file(source).read_all())
        pd.testing.assert_frame_equal(frame, read_run(meta_run)[file.stem])


def test_json_lines_nest_what_is_json(meta_run: Path, tmp_path: Path) -> None:
    (file,) = export_run(meta_run, tmp_path, "jsonl", ["documents"])
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [row["meta"] for row in rows[:2]] == [
        {"author": "Ada", "Author": 1, "n": 1, "at": {"x": 1}},
        {"n": 2.5, "tags": ["=x", "y"], "ok": True},
    ]
    assert [row["document_id"] for row in rows] == ["a", "b", "c", "d"]


def test_the_tables_are_those_of_the_time_when_it_began(meta_run: Path, tmp_path: Path) -> None:
    from nlp_pipeline.export.job import ExportJob

    job = ExportJob(meta_run, tmp_path, ("documents",))
    receipts = job.receipts
    assert job.receipts is receipts
    assert sum(part.num_rows for part in job.parts("documents")) == 4


@pytest.mark.parametrize("form", ["parquet", "arrow", "jsonl", "csv", "sqlite", "xlsx"])
def test_a_run_without_a_finished_part_has_its_columns(
    tmp_path: Path, quick, corpus, form: str
) -> None:
    from nlp_pipeline.runner.run import run

    if form == "xlsx":
        pytest.importorskip("openpyxl")
    run(corpus(), tmp_path / "out", pipeline=quick())
    target = tmp_path / ("tables" if form not in ("sqlite", "xlsx") else f"run.{form}")
    for file in export_run(tmp_path / "out", target, form, ["answers"], flatten_meta=True):
        assert file.is_file()
