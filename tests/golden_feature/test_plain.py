"""Frames become plain JSON values, with pandas' many words for nothing as null."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import spacy

from nlp_pipeline.golden.plain_values import plain_table, plain_tables
from nlp_pipeline.tables import TABLES, to_frames


def test_cells() -> None:
    frame = pd.DataFrame(
        {
            "text": pd.Series(["", None, "é\u2028"], dtype="str"),
            "integer": pd.array([1, None, 3], dtype="Int64"),
            "boolean": pd.array([True, None, False], dtype="boolean"),
            "float": [0.1, float("nan"), float("inf")],
            "list": pd.Series([[1, 2], None, []], dtype=object),
            "vector": pd.Series([np.ones(2, "float32"), None, np.zeros(0)], dtype=object),
            "time": pd.Series(["2021-03-14", None, "2021-03-15"], dtype="datetime64[ns]"),
            7: ["a", "b", "c"],
        }
    )
    table = plain_table(frame)
    assert table.columns == [
        "text", "integer", "boolean", "float", "list", "vector", "time", "7",
    ]  # fmt: skip
    assert [list(row.values()) for row in table.rows] == [
        ["", 1, True, 0.1, [1, 2], [1.0, 1.0], "2021-03-14 00:00:00", "a"],
        [None, None, None, None, None, None, None, "b"],
        ["é\u2028", 3, False, float("inf"), [], [], "2021-03-15 00:00:00", "c"],
    ]
    assert [type(value) for value in table.rows[0].values()][1:4] == [int, bool, float]


def test_tables_of_docs_are_unchanged_by_json() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    tables = plain_tables(to_frames([nlp("One. Two."), nlp("")]))
    assert list(tables) == list(TABLES)
    for table in tables.values():
        assert json.loads(json.dumps(table.rows)) == table.rows


def test_a_frame_without_rows_keeps_its_columns() -> None:
    assert plain_table(pd.DataFrame(columns=["a", "b"])) == (["a", "b"], [])
