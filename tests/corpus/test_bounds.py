"""Small files that unpack to far more than they are: the memory stays what one record may take."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nlp_pipeline.corpus import Record, Reject, count_documents, read_corpus
from nlp_pipeline.corpus.parquet_memory import batch_rows, unpacked_size

MIB = 2**20

READ = """\
import resource, sys
import pyarrow.parquet
from nlp_pipeline.corpus import Record, count_documents, read_corpus

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if MAC else 2**10)

MAC = sys.platform == "darwin"
before = peak()
rows = [getattr(row, "kind", "ok") for row in read_corpus(sys.argv[1], on_warning=lambda _: None)]
count_documents(sys.argv[1])
print(*rows)
print(round(peak() - before))
"""
"""Prints what became of each record, and by how many MB the process grew."""


def write_squad(path: Path, big: bytes, times: int) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'{"data": [{"title": "T", "paragraphs": [{"context": "a"}, {"context": "')
        for _ in range(times):
            file.write(big)
        file.write(b'"}, {"context": "c"}]}]}')


def squad_text(path: Path) -> None:
    write_squad(path, b"x" * MIB, 60)


def squad_escapes(path: Path) -> None:
    write_squad(path, b'\\"[{\\\\' * 2000 + b"x" * MIB, 60)


def squad_spaces(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'{"data": [{"title": "T", "paragraphs": [{"context": "a"}, ')
        for _ in range(60):
            file.write(b" " * MIB)
        file.write(b'{"context": 2}, {"context": "c"}]}]}')


def squad_other_key(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'{"other": [')
        for _ in range(60):
            file.write(b'{"data": ["%s"]},' % (b"x" * MIB))
        file.write(b'1], "data": [{"paragraphs": [{"context": "a"}, {}, {"context": "c"}]}]}')


def conllu_document(path: Path) -> None:
    line = b"1\tword\t_\t_\t_\t_\t_\t_\t_\t%s\n" % (b"A=x|" * 100)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(line + b"# newdoc\n")
        for _ in range(60):
            file.write(line * (MIB // len(line)))
        file.write(b"\n# newdoc\n" + line)


def conllu_line(path: Path) -> None:
    line = b"1\tword\t_\t_\t_\t_\t_\t_\t_\t_\n"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(line + b"# newdoc\n")
        for _ in range(60):
            file.write(b"x" * MIB)
        file.write(b"\n# newdoc\n" + line)


def parquet_value(path: Path) -> None:
    schema = pa.schema([("text", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for text in ("a", "x" * 100 * MIB, "c"):
            file.write_table(pa.table({"text": [text]}, schema))


def parquet_repeats(path: Path) -> None:
    """A thousand rows that point to one text."""
    index = pa.repeat(pa.scalar(0, pa.int32()), 1000)
    long = pa.DictionaryArray.from_arrays(index, pa.array(["x" * 15 * MIB]))
    schema = pa.schema([("text", long.type)])
    with pq.ParquetWriter(
        path, schema, compression="zstd", dictionary_pagesize_limit=2**30
    ) as file:
        for texts in (pa.array(["a"]).dictionary_encode(), long.slice(0, 40)):
            file.write_table(pa.table({"text": texts}, schema))


def parquet_list(path: Path) -> None:
    numbers = pa.repeat(pa.scalar(7, pa.int64()), 20_000_000)
    schema = pa.schema([("text", pa.string()), ("n", pa.list_(pa.int64()))])
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for text, values in (("a", [1]), ("b", None), ("c", [2])):
            big = pa.ListArray.from_arrays(pa.array([0, 20_000_000], pa.int32()), numbers)
            column = big if values is None else pa.array([values])
            file.write_table(pa.table({"text": [text], "n": column}, schema))


@pytest.mark.skipif(sys.platform == "win32", reason="counts with the module resource")
@pytest.mark.parametrize(
    ("name", "write", "kinds", "most"),
    [
        ("x.json.gz", squad_text, "ok line_too_long ok", 50),
        ("x.json.gz", squad_escapes, "ok line_too_long ok", 50),
        ("x.json.gz", squad_spaces, "ok text_not_string ok", 20),
        ("x.json.gz", squad_other_key, "ok bad_squad ok", 60),
        ("x.conllu.gz", conllu_document, "ok line_too_long ok", 70),
        ("x.conllu.gz", conllu_line, "ok line_too_long ok", 50),
        ("x.parquet", parquet_value, "ok row_group_too_large ok", 40),
        ("x.parquet", parquet_repeats, "ok" + " text_too_long" * 40, 140),
        ("x.parquet", parquet_list, "ok row_group_too_large ok", 40),
    ],
)
def test_what_unpacks_to_many_times_its_size_takes_no_more_than_a_record(
    tmp_path: Path, name: str, write: Callable[[Path], None], kinds: str, most: int
) -> None:
    write(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 2 * MIB
    command = [sys.executable, "-c", READ, str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, megabytes = done.stdout.splitlines()
    assert found == kinds
    assert int(megabytes) < most


def test_the_message_of_a_row_group(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["x" * 20_000_000]}), path, compression="zstd")
    (reject,) = read_corpus(path)
    assert (reject.id, reject.line) == ("x:1", 1)
    assert isinstance(reject, Reject)
    assert reject.message == (
        f"{path}:1 begins a row group that unpacks to 20,000,052 bytes, and at most 16,777,216 are "
        "read. Its rows were passed over. Split the documents, or write the file with fewer rows "
        "in a row group."
    )
    (record,) = read_corpus(path, max_length=20_000_000)
    assert isinstance(record, Record)
    assert count_documents(path) == 1


def test_rows_after_a_row_group_that_is_too_large_keep_their_numbers(tmp_path):
    path = tmp_path / "x.parquet"
    schema = pa.schema([("text", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for texts in (["a"], ["x" * 40_000_000, "b"], ["c", "d"]):
            file.write_table(pa.table({"text": texts}, schema))
    rows = list(read_corpus(path))
    assert [(row.line, row.index) for row in rows] == [(1, 0), (2, 1), (4, 2), (5, 3)]
    assert [getattr(row, "text", None) for row in rows] == ["a", None, "c", "d"]


def test_a_large_table_of_many_texts_is_read(tmp_path, monkeypatch):
    """A row group over the limit that is no more compressed than texts are is no bomb."""
    monkeypatch.setattr("nlp_pipeline.corpus.parquet_memory._ANY_RATIO_BYTES", 1000)
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": [f"{n}" * 5 for n in range(3000)]}), path, compression="zstd")
    assert sum(isinstance(row, Record) for row in read_corpus(path)) == 3000
    pq.write_table(
        pa.table({"text": [f"{'x' * 999}{n}" for n in range(3000)]}), path, compression="zstd"
    )
    (reject,) = read_corpus(path)
    assert isinstance(reject, Reject)
    assert reject.kind == "row_group_too_large"


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["aa", None, "b"]),
        pa.array(["aa", None, "b"]).dictionary_encode(),
        pa.array([["aa", "aa"], None, []], pa.list_(pa.string())),
        pa.array([[("k", "vv")], None, []], pa.map_(pa.string(), pa.string())),
        pa.array([{"a": "x"}, None, {"a": None}]),
        pa.array([1, None, 3]),
        pa.array([b"x", None, b"y" * 100]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_rows_are_the_same_together_and_one_by_one(column):
    batch = pa.record_batch({"x": column, "y": [1, 2, 3]}).slice(1)
    size = unpacked_size(batch)
    together, one_by_one = list(batch_rows(batch, size)), list(batch_rows(batch, size - 1))
    assert together == one_by_one == [list(row.values()) for row in batch.to_pylist()]
    assert sum(unpacked_size(batch.slice(n, 1)) for n in range(2)) >= 16


def test_a_row_over_the_limit_costs_itself():
    batch = pa.record_batch({"x": pa.array(["a", "b" * 500, "c"]).dictionary_encode()})
    first, second, third = batch_rows(batch, 100)
    assert (first, third) == (["a"], ["c"])
    assert isinstance(second, int)
    assert second > 500
