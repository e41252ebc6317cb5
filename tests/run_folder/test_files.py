"""Files are whole or not there, and every format gives back what was written."""

from __future__ import annotations

import errno
import math
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline.errors.run_folder import DiskFull, OutputNotWritable
from nlp_pipeline.run_folder.files import (
    FORMATS,
    disk_errors,
    read_table,
    write_atomically,
    write_json,
    write_table,
)
from nlp_pipeline.tables.schemas import FORMER_COLUMN_NAMES as FORMER
from nlp_pipeline.tables.schemas import INTS

SCHEMA = pa.schema(
    [
        pa.field("s", pa.string()),
        pa.field("i", pa.int64()),
        pa.field("f", pa.float64()),
        pa.field("b", pa.bool_()),
        pa.field("ss", pa.list_(pa.string())),
        pa.field("ii", pa.list_(pa.int64())),
        pa.field("v", pa.list_(pa.float32())),
    ]
)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    [
        "",
        "NULL",
        "null",
        "nan",
        "NaN",
        "N/A",
        "#N/A",
        "-",
        '"',
        '""',
        "\r\n",
        "\r",
        "a,b",
        "[]",
        "1",
    ]
)
ROWS = st.fixed_dictionaries(
    {
        "s": st.none() | WORDS,
        "i": st.none() | st.integers(-(2**63), 2**63 - 1),
        "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "b": st.none() | st.booleans(),
        "ss": st.none() | st.lists(WORDS, max_size=3),
        "ii": st.none() | st.lists(st.integers(-9, 9), max_size=3),
        "v": st.none() | st.lists(st.floats(width=32, allow_nan=False), max_size=3),
    }
)


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows=st.lists(ROWS, max_size=5))
def test_every_format_gives_back_what_was_written(tmp_path_factory, format_, rows) -> None:
    path = tmp_path_factory.mktemp("part") / f"p.{format_}"
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    write_table(table, path, format_)
    assert read_table(path, SCHEMA, format_).equals(table)
    if rows:
        some = read_table(path, SCHEMA, format_, ["b", "s"])
        assert some.equals(table.select(["b", "s"]))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_row_of_megabytes_and_a_folder_that_looks_like_a_partition(tmp_path, format_) -> None:
    folder = tmp_path / "limit=2" / "s=x"
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist([{"s": "東京 \n" * 2**19, "i": 1}, {"s": "x"}], schema=SCHEMA)
    write_table(table, folder / "p", format_)
    assert read_table(folder / "p", SCHEMA, format_).equals(table)


@pytest.mark.parametrize("format_", FORMATS)
def test_numbers_that_are_none(tmp_path, format_) -> None:
    values = [math.inf, -math.inf, 5e-324, -0.0]
    table = pa.Table.from_pylist([{"f": value} for value in values], schema=SCHEMA)
    write_table(table, tmp_path / "p", format_)
    assert read_table(tmp_path / "p", SCHEMA, format_)["f"].to_pylist() == values


def test_a_leading_equals_sign_stays_in_csv(tmp_path) -> None:
    """Tables are lossless; what a spreadsheet makes of them is said in the documentation."""
    table = pa.Table.from_pylist([{"s": "=1+1"}], schema=SCHEMA)
    write_table(table, tmp_path / "p", "csv")
    assert '"=1+1"' in (tmp_path / "p").read_text()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"old": "é\udce9"})

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        assert temporary.name.startswith(".")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomically(path, fail)
    assert path.read_text(encoding="utf-8") == '{\n  "old": "é\\udce9"\n}\n'
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, DiskFull, 28),
        (errno.EDQUOT, DiskFull, 28),
        (errno.EACCES, OutputNotWritable, 1),
        (errno.EROFS, OutputNotWritable, 1),
    ],
)
def test_errors_of_the_disk_have_a_message(number, kind, code) -> None:
    with pytest.raises(kind) as error, disk_errors(Path("out"), safe=7):
        raise OSError(number, "why")
    assert error.value.exit_code == code
    assert ("7 documents are safe" in str(error.value)) == (kind is DiskFull)
    assert "'out'" in str(error.value)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("missing", ["i", "ss"])
def test_a_part_from_before_a_column_was_added_has_nulls_in_it(tmp_path, format_, missing) -> None:
    row = {"s": "a", "i": 1, "f": 0.5, "b": True, "ss": ["x"], "ii": [1], "v": [0.5]}
    old = pa.schema([field for field in SCHEMA if field.name != missing])
    file = tmp_path / f"part.{format_}"
    write_table(pa.Table.from_pylist([row], schema=old), file, format_)
    table = read_table(file, SCHEMA, format_)
    assert table.schema == SCHEMA
    assert table.to_pylist() == [{**row, missing: None}]
    assert read_table(file, SCHEMA, format_, [missing]).to_pylist() == [{missing: None}]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("columns", [None, ["alignment"], ["status", "alignment"], ["status"]])
def test_a_column_of_another_name_before_has_its_name_of_now(tmp_path, format_, columns) -> None:
    now = pa.schema([("status", pa.string()), ("alignment", pa.string()), ("evidence", INTS)])
    before = pa.schema([field.with_name(FORMER.get(field.name, field.name)) for field in now])
    row = {"status": "ok", "alignment": "exact", "evidence": [1, 2]}
    old_row = {FORMER.get(name, name): value for name, value in row.items()}
    for schema, written in ((before, old_row), (now, row)):
        file = tmp_path / f"part.{format_}"
        write_table(pa.Table.from_pylist([written], schema=schema), file, format_)
        table = read_table(file, now, format_, columns)
        assert table.to_pylist() == [{name: row[name] for name in columns or row}]
