"""One file a table, for other tools."""

from __future__ import annotations

import pandas as pd
import pytest

from nlp_pipeline import read_run
from nlp_pipeline.errors.run import TableNotFound
from nlp_pipeline.run_folder.export import export_run
from nlp_pipeline.runner import run as runner
from nlp_pipeline.tables.schemas import TABLES


@pytest.fixture
def out(tmp_path, quick, corpus):
    """A run in two parts with a text that a spreadsheet would run."""
    source = corpus("=1+1 said Ada.", 'Grace, "quoted"\nwrote it.', "Third.")
    runner.run(source, tmp_path / "out", pipeline=quick(), part_size=2)
    return tmp_path / "out"


def test_parquet_holds_the_rows_of_all_parts(out, tmp_path) -> None:
    files = export_run(out, tmp_path / "tables")
    assert [file.name for file in files] == [f"{name}.parquet" for name in TABLES]
    found = pd.read_parquet(tmp_path / "tables" / "tokens.parquet")
    assert found["text"].tolist() == read_run(out)["tokens"]["text"].tolist()


def test_csv_runs_no_formula(out, tmp_path) -> None:
    (file,) = export_run(out, tmp_path / "tables", "csv", ["documents"])
    texts = pd.read_csv(file)["text"].tolist()
    assert texts == ["'=1+1 said Ada.", 'Grace, "quoted"\nwrote it.', "Third."]


def test_duckdb_joins_the_tables(out, tmp_path) -> None:
    duckdb = pytest.importorskip("duckdb")
    (file,) = export_run(out, tmp_path / "run.duckdb", "duckdb")
    with duckdb.connect(str(file)) as database:
        rows = database.execute(
            "select count(*) from tokens join documents using (document_id)"
        ).fetchall()
    assert rows == [(len(read_run(out)["tokens"]),)]


def test_no_such_table(out, tmp_path) -> None:
    with pytest.raises(TableNotFound, match="There is no table 'token'; the tables are: documents"):
        export_run(out, tmp_path / "tables", tables=["token"])
