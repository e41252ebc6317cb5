"""A corpus much larger than the memory it is read in."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS, TEXT = 30_000, "All work and no play makes a long document. " * 100
"""Of 132 MB, which packs into less than one."""

READ = """\
import resource, sys
from nlp_pipeline.corpus import read_corpus

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if MAC else 2**10)

MAC = sys.platform == "darwin"
for _ in read_corpus(sys.argv[1], limit=500):
    pass
before = peak()
rows = sum(bool(row.text) for row in read_corpus(sys.argv[1]))
print(rows, round(peak() - before))
"""
"""Prints the rows, and by how many MB the process grew after the first 500 of them."""


def lines() -> Iterator[bytes]:
    row = json.dumps({"text": TEXT}).encode() + b"\n"
    return (row for _ in range(ROWS))


def write_gz(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.writelines(lines())


def write_zst(path: Path) -> None:
    from backports import zstd

    with zstd.open(path, "wb") as file:
        file.writelines(lines())


def write_csv(path: Path) -> None:
    with gzip.open(path, "wt", compresslevel=1, newline="") as file:
        csv.writer(file).writerow(["text"])
        row = io.StringIO(newline="")
        csv.writer(row).writerow([TEXT])
        file.writelines(row.getvalue() for _ in range(ROWS))


def write_parquet(path: Path) -> None:
    table = pa.table({"text": [f"{n} {TEXT}" for n in range(1000)]})
    with pq.ParquetWriter(path, table.schema, compression="zstd") as file:
        for _ in range(ROWS // 1000):
            file.write_table(table)


def write_folder(path: Path) -> None:
    path.mkdir()
    for part in range(3):
        with gzip.open(path / f"{part}.jsonl.gz", "wb", compresslevel=1) as file:
            file.writelines(line for number, line in enumerate(lines()) if number % 3 == part)


@pytest.mark.skipif(sys.platform == "win32", reason="counts with the module resource")
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.jsonl.gz", write_gz),
        ("x.jsonl.zst", write_zst),
        ("x.csv.gz", write_csv),
        ("x.parquet", write_parquet),
        ("folder", write_folder),
    ],
)
def test_reading_takes_the_same_memory_for_many_records(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=True,
    )
    rows, megabytes = map(int, done.stdout.split())
    assert rows == ROWS
    assert megabytes < 40
