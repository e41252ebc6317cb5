"""The journal of the part that is being made: a line for each finished document.

An answer may have cost seconds, and a part holds hundreds: what is not in a part yet lies here,
so that a stop of any kind loses no finished document. A line is a checksum and a document's rows;
reading ends at the first line that is torn or damaged, and the file is cut there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from nlp_pipeline.run_folder.files import disk_errors

WIP = "_wip"
SYNC_EVERY = 1.0
"""Seconds between two `fsync`: a killed process loses nothing, a power cut at most that much."""

Rows = Mapping[str, list[dict[str, Any]]]


class Journal:
    """The finished documents of one part that is not written yet.

    Args:
        run: The run's folder.
        part: 0-based number of the part.
        safe: Documents in finished parts, for what is said when the disk is full.
    """

    def __init__(self, run: Path, part: int, safe: int) -> None:
        self._run = run
        self._path = run / WIP / f"part-{part:05}.jsonl"
        self._safe = safe
        self._file: BinaryIO | None = None
        self._synced = time.monotonic()

    def read(self) -> list[Rows]:
        """The rows of each whole document, in order; what follows a damaged line is cut off."""
        lines, whole = _whole_lines(self._path)
        if self._path.exists():
            with disk_errors(self._run, self._safe):
                os.truncate(self._path, whole)
        return lines

    def append(self, rows: Rows) -> None:
        """Appends a document to the journal of its part."""
        with disk_errors(self._run, self._safe):
            if self._file is None:
                self._path.parent.mkdir(exist_ok=True)
                self._file = self._path.open("ab", buffering=0)
            self._file.write(_encoded(rows))
            if time.monotonic() - self._synced >= SYNC_EVERY:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    def close(self) -> None:
        """Closes the file; its documents stay, whatever happens to the machine."""
        if self._file is not None:
            with disk_errors(self._run, self._safe):
                os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def discard(self) -> None:
        """Removes the file: the part is written."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._path.unlink(missing_ok=True)


def journaled(run: Path, part: int) -> list[Rows]:
    """The finished documents of a part that another process may be making; changes nothing."""
    return _whole_lines(run / WIP / f"part-{part:05}.jsonl")[0]


def journals(run: Path) -> list[int]:
    """The numbers of the parts that have a journal."""
    files = (run / WIP).glob("part-*.jsonl")
    return sorted(int(file.stem.removeprefix("part-")) for file in files)


def holds_documents(run: Path) -> bool:
    """Whether there is a journal with a document in it."""
    return any(file.stat().st_size for file in (run / WIP).glob("part-*.jsonl"))


def _whole_lines(path: Path) -> tuple[list[Rows], int]:
    """The documents up to the first damaged line, and the bytes that they take."""
    lines: list[Rows] = []
    whole = 0
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                rows = _decoded(line)
                if rows is None:
                    break
                lines.append(rows)
                whole += len(line)
    return lines, whole


def _encoded(rows: Rows) -> bytes:
    # ASCII: a line end within a text, of whatever kind, is no line end here.
    payload = json.dumps(rows).encode("ascii")
    return b"%08x %s\n" % (crc32(payload), payload)


def _decoded(line: bytes) -> Rows | None:
    checksum, _, payload = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % crc32(payload):
        return None
    rows: Rows = json.loads(payload)
    return rows
