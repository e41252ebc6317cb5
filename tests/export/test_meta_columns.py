"""The fields of `meta` as columns."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from nlp_pipeline.errors.export import TooManyMetaFields
from nlp_pipeline.export.job import export_run
from nlp_pipeline.export.meta_columns import MOST_FIELDS, MetaColumns


def test_each_field_is_a_column_of_its_own_type(meta_run: Path, tmp_path: Path) -> None:
    (file,) = export_run(meta_run, tmp_path, "parquet", ["documents"], flatten_meta=True)
    table = pa.parquet.read_table(file)
    types = {f.name: str(f.type) for f in table.schema if f.name.startswith("meta")}
    assert types == {
        "meta.Author": "int64",
        "meta.author_2": "string",
        "meta.n": "double",
        "meta.at.x": "int64",
        "meta.tags": "string",
        "meta.ok": "bool",
        "meta.at.y": "string",
    }
    assert table["meta.author_2"].to_pylist() == ["Ada", None, "7", None]
    assert table["meta.n"].to_pylist() == [1.0, 2.5, None, None]
    assert table["meta.at.x"].to_pylist() == [1, None, 2, None]
    assert table["meta.tags"].to_pylist() == [None, '["=x", "y"]', None, None]
    assert table["meta.at.y"].to_pylist() == [None, None, "{}", None]
    assert table.schema.names.index("meta.author_2") < table.schema.names.index("error")
    assert "meta" not in table.schema.names


def test_what_a_spreadsheet_would_run_is_quoted_there_too(tmp_path: Path, quick, corpus) -> None:
    from nlp_pipeline.runner.run import run

    run(corpus({"text": "Ada.", "note": "=1+1"}), tmp_path / "out", pipeline=quick())
    (file,) = export_run(tmp_path / "out", tmp_path, "csv", ["documents"], flatten_meta=True)
    assert pd.read_csv(file)["meta.note"].tolist() == ["'=1+1"]


def test_an_integer_of_more_than_64_bits_is_text() -> None:
    columns = MetaColumns([pa.array([json.dumps({"n": 2**63}), json.dumps({"n": 1})])])
    table = pa.table({"meta": [json.dumps({"n": 2**63})]})
    assert columns.flattened(table)["meta.n"].to_pylist() == ["9223372036854775808"]


def test_keys_that_are_data_make_no_columns() -> None:
    meta = [json.dumps({f"day {number}": 1}) for number in range(MOST_FIELDS + 1)]
    with pytest.raises(TooManyMetaFields, match=r"more than 500 different fields \(day 0, day 1, "):
        MetaColumns([pa.array(meta)])
