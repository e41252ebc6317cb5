"""`errors.jsonl`: the rows of the table `errors`, a line each, as one file for the whole run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from nlp_pipeline.run_folder.files import Format, write_atomically
from nlp_pipeline.run_folder.receipts import Receipt, read_table_of

ERRORS = "errors.jsonl"


class ErrorsFile:
    """The file, which grows by a part's errors before the part has its receipt.

    Args:
        run: The run's folder.
        format_: Of the parts.
    """

    def __init__(self, run: Path, format_: Format) -> None:
        self._run = run
        self._path = run / ERRORS
        self._format = format_
        self._end: int | None = None

    def distrust(self) -> None:
        """A part has changed: what the file says of it is out of date."""
        self._end = None

    def mend(self, receipts: Iterable[Receipt]) -> None:
        """Writes the file again from the finished parts, where it says something else."""
        if self._end is not None:
            return
        if not self.is_right(receipts):
            write_atomically(self._path, lambda path: self._write(path, receipts))
        self._end = self._path.stat().st_size

    def append(self, errors: pa.Table, receipts: Iterable[Receipt]) -> None:
        """Adds a part's errors after those of the finished parts."""
        self.mend(receipts)
        end = self._end or 0
        try:
            with self._path.open("ab") as file:
                file.truncate(end)  # what a part that could not be finished has left
                file.write(_lines(errors))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            os.truncate(self._path, end)
            raise
        self._end = self._path.stat().st_size

    def is_right(self, receipts: Iterable[Receipt]) -> bool:
        """Whether the file says what the finished parts say."""
        if not self._path.is_file():
            return False
        with self._path.open("rb") as file:
            is_equal = all(file.read(len(lines)) == lines for lines in self._parts(receipts))
            return is_equal and not file.read(1)

    def _write(self, path: Path, receipts: Iterable[Receipt]) -> None:
        with path.open("wb") as file:
            for lines in self._parts(receipts):
                file.write(lines)

    def _parts(self, receipts: Iterable[Receipt]) -> Iterator[bytes]:
        for receipt in receipts:
            if receipt.rows.get("errors"):
                yield _lines(read_table_of(self._run, receipt, "errors", self._format))


def _lines(errors: pa.Table) -> bytes:
    rows = (json.dumps(row, ensure_ascii=False).encode() for row in errors.to_pylist())
    return b"".join(row + b"\n" for row in rows)
