"""A stream, copied into the run's folder first: it comes once, and a run may resume."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from nlp_pipeline.run_folder.files import disk_errors, rename_durably, temporary_name

INPUT = "_input"
CONVERSIONS = "_conversions"
"""Where the texts of converted documents lie, by digest of file and converter."""
FETCHED = "_fetched"
"""Where what was fetched of the stores of a corpus lies."""
COPY = "stdin.jsonl"
RECORDS = "records.jsonl"


class Stream(Protocol):
    """Bytes that come once: standard input."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many; none at the end."""
        ...

    def isatty(self) -> bool:
        """Whether someone types them."""
        ...


class LineStream:
    """Lines that a program makes, as a stream.

    Args:
        lines: Each with its end.
    """

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines

    def read(self, size: int = -1, /) -> bytes:
        """The next lines, together about as long as asked for."""
        chunk = bytearray()
        for line in self._lines:
            chunk += line
            if 0 <= size <= len(chunk):
                break
        return bytes(chunk)

    def isatty(self) -> bool:
        """Nobody types them."""
        return False


@contextmanager
def spooled(out: Path, stream: Stream, *, fresh: bool = False, name: str = COPY) -> Iterator[Path]:
    """Copies a stream into the run's folder and yields the copy, which `keep` makes the run's.

    Where nothing comes, or a terminal waits for someone to type, the copy of an interrupted run
    is taken: the same command, without the stream, resumes it. Records that a program gives
    (`RECORDS`) are what they are, also where there are none.

    Args:
        out: The run's folder; made where it is missing.
        stream: What to copy.
        fresh: Take no earlier copy.
        name: Of the copy.

    Raises:
        DiskFull: There is no space for the copy.
        OutputNotWritable: The folder cannot be made or written to.
    """
    copy_path = out / INPUT / name
    has_copy = copy_path.is_file() and not fresh and name == COPY
    if has_copy and stream.isatty():
        yield copy_path
        return
    incoming = temporary_name(copy_path)
    try:
        with disk_errors(out):
            copy_path.parent.mkdir(parents=True, exist_ok=True)
            with incoming.open("wb") as file:
                shutil.copyfileobj(stream, file, 2**20)
        yield copy_path if has_copy and not incoming.stat().st_size else incoming
    finally:
        with suppress(OSError):
            incoming.unlink(missing_ok=True)
            copy_path.parent.rmdir()


def keep(copy: Path, name: str = COPY) -> Path:
    """Makes a copy the run's input, and removes what killed runs have left beside it."""
    copy_path = copy.with_name(name)
    with disk_errors(copy.parents[1]):
        if copy != copy_path:
            rename_durably(copy, copy_path)
        for stale_copy in copy_path.parent.iterdir():
            if stale_copy != copy_path:
                stale_copy.unlink()
    return copy_path
