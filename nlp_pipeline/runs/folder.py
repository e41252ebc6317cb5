"""A run's folder: who may write to it, what run it holds, and which parts are done.

The layout, in the order in which a part comes to be:

- `.lock`, held for the whole run; `manifest.json`: what ran, its fingerprint, its state
- `<table>/part-00012.parquet`, one per table
- `errors.jsonl`, grown by the part's errors
- `_receipts/part-00012.json`, written last: the part is done once it is there
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_pipeline.errors.run import (
    DifferentRun,
    DiskFull,
    OutputNotARun,
    OutputNotWritable,
    RunLocked,
)
from nlp_pipeline.runs.files import Format, write_json, write_table

MANIFEST = "manifest.json"
RECEIPTS = "_receipts"
ERRORS = "errors.jsonl"


@dataclass
class Receipt:
    """What a part holds.

    Attributes:
        part: 0-based number.
        documents: Records of the corpus in it, rejects counted.
        failed: How many of them have the status `error`.
        output_tokens: Tokens generated for them.
        rows: Rows of each table.
        errors_bytes: Size of `errors.jsonl` once the part's errors were added.
    """

    part: int
    documents: int
    failed: int
    output_tokens: int
    rows: dict[str, int] = field(default_factory=dict)
    errors_bytes: int = 0


class RunFolder:
    """The folder of one run, open for writing.

    Args:
        path: The folder; made by `open_run` where it is missing.
        format_: Of the parts.
        receipts: Of the parts that are done already.
    """

    def __init__(self, path: Path, format_: Format, receipts: list[Receipt]) -> None:
        self.path = path
        self.format = format_
        self.receipts = receipts

    @property
    def documents_done(self) -> int:
        """Records in the parts that are done."""
        return sum(receipt.documents for receipt in self.receipts)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replaces the manifest."""
        with self._disk_errors():
            write_json(self.path / MANIFEST, manifest)

    def write_config(self, text: str) -> None:
        """Keeps the resolved pipeline config beside the tables."""
        with self._disk_errors():
            (self.path / "config.cfg").write_text(text, encoding="utf-8")

    def commit(
        self, tables: Mapping[str, pa.Table], *, documents: int, failed: int, output_tokens: int
    ) -> Receipt:
        """Writes the next part: every table, then the errors, then the receipt."""
        number = len(self.receipts)
        with self._disk_errors():
            for name, table in tables.items():
                folder = self.path / name
                folder.mkdir(exist_ok=True)
                write_table(table, folder / f"part-{number:05}.{self.format}", self.format)
            size = self._append_errors(tables["errors"].to_pylist())
            rows = {name: table.num_rows for name, table in tables.items()}
            receipt = Receipt(number, documents, failed, output_tokens, rows, size)
            write_json(self.path / RECEIPTS / f"part-{number:05}.json", asdict(receipt))
        self.receipts.append(receipt)
        return receipt

    def _append_errors(self, errors: list[dict[str, Any]]) -> int:
        """Adds lines to `errors.jsonl` after those of the last finished part."""
        end = self.receipts[-1].errors_bytes if self.receipts else 0
        with (self.path / ERRORS).open("ab") as file:
            file.truncate(end)
            for error in errors:
                file.write(json.dumps(error, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return (self.path / ERRORS).stat().st_size

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(str(self.path), self.documents_done) from error
            raise OutputNotWritable(str(self.path), error.strerror or str(error)) from error


@contextmanager
def open_run(
    path: Path, fingerprint: Mapping[str, Any], format_: Format, *, fresh: bool = False
) -> Iterator[RunFolder]:
    """Opens a folder for a run and holds it until the end of the block.

    Args:
        path: The folder; made where it is missing.
        fingerprint: Everything that can change a row; JSON values.
        format_: Of the parts.
        fresh: Throw away the run that is there.

    Raises:
        OutputNotWritable: The folder cannot be made or written to.
        OutputNotARun: It holds something else.
        DifferentRun: It holds a run with another fingerprint, and not `fresh`.
        RunLocked: Another process holds it.
    """
    _make(path)
    with _lock(path):
        manifest = read_manifest(path)
        if manifest is None:
            _refuse_strangers(path)
        elif fresh:
            _clear(path)
        else:
            _compare(path, manifest["fingerprint"], fingerprint)
        (path / RECEIPTS).mkdir(exist_ok=True)
        yield RunFolder(path, format_, _receipts(path))


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a run's folder; None where there is none."""
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return manifest


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / ".lock").touch()
    except OSError as error:
        raise OutputNotWritable(str(path), error.strerror or str(error)) from error


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """The kernel frees a `flock` when its process dies, however it dies."""
    with (path / ".lock").open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunLocked(str(path), file.read().strip() or "unknown process") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


def _refuse_strangers(path: Path) -> None:
    others = sorted(entry.name for entry in path.iterdir() if entry.name != ".lock")
    if others:
        raise OutputNotARun(str(path), others)


def _clear(path: Path) -> None:
    for entry in path.iterdir():
        if entry.name == ".lock":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _compare(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    names = [*then, *(name for name in now if name not in then)]
    plain = json.loads(json.dumps(now, default=str))
    differences = {
        name: (then.get(name), plain.get(name))
        for name in names
        if then.get(name) != plain.get(name)
    }
    if differences:
        raise DifferentRun(str(path), differences)


def _receipts(path: Path) -> list[Receipt]:
    files = sorted((path / RECEIPTS).glob("part-*.json"))
    return [Receipt(**json.loads(file.read_text(encoding="utf-8"))) for file in files]
