"""A run's folder: who may write to it, what run it holds, and which parts are done.

The layout, in the order in which a part comes to be:

- `.lock`, held for the whole run; `manifest.json`: what ran, its fingerprint, its state
- `<table>/part-00012.parquet`, one per table
- `errors.jsonl`, grown by the part's errors
- `_receipts/part-00012.json`, written last: the part is done once it is there
- `_wip/part-00013.jsonl`, the finished documents of the part that is being made
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_pipeline.errors.run import DifferentRun, OutputNotARun
from nlp_pipeline.runs.differences import differences
from nlp_pipeline.runs.files import (
    TEMPORARY,
    Format,
    disk_errors,
    write_json,
    write_table,
    write_text,
)
from nlp_pipeline.runs.journal import WIP, Journal, holds_documents, sweep
from nlp_pipeline.runs.lock import LOCK, locked
from nlp_pipeline.runs.recount import error_lines, mend_errors, recount, sizes, sound
from nlp_pipeline.runs.spool import INPUT
from nlp_pipeline.tables.schemas import TABLES

MANIFEST = "manifest.json"
CONFIG = "config.cfg"
FINISHED = "finished"
"""The state of a run whose every record is in a part."""
CLEARED = "cleared"
"""The state of a run that was thrown away."""
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
        bytes: Size of each table's file.
        errors_bytes: Size of `errors.jsonl` once the part's errors were added.
    """

    part: int
    documents: int
    failed: int
    output_tokens: int
    rows: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
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
        with disk_errors(self.path, self.documents_done):
            write_json(self.path / MANIFEST, manifest)

    def write_config(self, text: str) -> None:
        """Keeps the resolved pipeline config beside the tables."""
        with disk_errors(self.path, self.documents_done):
            write_text(self.path / CONFIG, text)

    def journal(self) -> Journal:
        """The journal of the next part."""
        return Journal(self.path, len(self.receipts), self.documents_done)

    def commit(
        self, tables: Mapping[str, pa.Table], *, documents: int, failed: int, output_tokens: int
    ) -> Receipt:
        """Writes the next part: every table, then the errors, then the receipt."""
        number = len(self.receipts)
        with disk_errors(self.path, self.documents_done):
            for name, table in tables.items():
                folder = self.path / name
                folder.mkdir(exist_ok=True)
                write_table(table, folder / f"part-{number:05}.{self.format}", self.format)
            size = self._append_errors(tables["errors"])
            rows = {name: table.num_rows for name, table in tables.items()}
            weights = sizes(self.path, number, self.format)
            receipt = Receipt(number, documents, failed, output_tokens, rows, weights, size)
            write_json(self.path / RECEIPTS / f"part-{number:05}.json", asdict(receipt))
        self.receipts.append(receipt)
        return receipt

    def recount(self) -> None:
        """Counts every part again.

        Raises:
            PartDamaged: One does not hold what its receipt says.
        """
        with disk_errors(self.path, self.documents_done):
            for receipt in self.receipts:
                recount(self.path, receipt, self.format)

    def _append_errors(self, errors: pa.Table) -> int:
        """Adds lines to `errors.jsonl` after those of the last finished part."""
        path = self.path / ERRORS
        end = self.receipts[-1].errors_bytes if self.receipts else 0
        try:
            with path.open("ab") as file:
                file.truncate(end)
                file.write(error_lines(errors))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            os.truncate(path, end)
            raise
        return path.stat().st_size


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
    refuse_strangers(path)
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        manifest = read_manifest(path)
        if manifest is not None and (fresh or _is_empty(path, manifest)):
            _clear(path)
        elif manifest is not None and (found := differences(manifest["fingerprint"], fingerprint)):
            raise DifferentRun(str(path), found)
        with disk_errors(path):
            _sweep(path)
            (path / RECEIPTS).mkdir(exist_ok=True)
            receipts = _sound_receipts(path, format_)
            sweep(path, len(receipts))
        yield RunFolder(path, format_, receipts)


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a run's folder; None where there is none, or one of something else."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(manifest, dict) and isinstance(manifest.get("fingerprint"), dict)
    return manifest if ours else None


def refuse_strangers(path: Path) -> None:
    """Checks that a run may use a folder; makes none.

    Raises:
        OutputNotWritable: It is no folder, or cannot be read.
        OutputNotARun: It holds something else than a run.
    """
    if read_manifest(path) is not None:
        return
    with disk_errors(path):
        found = sorted(path.iterdir()) if path.exists() else []
        others = [entry.name for entry in found if not _is_beginning(entry)]
    if others:
        raise OutputNotARun(str(path), others)


def _is_beginning(entry: Path) -> bool:
    """Whether a run that was killed before it had a manifest may have left this."""
    if entry.name == RECEIPTS:
        return not any(entry.iterdir())
    return entry.name in (LOCK, INPUT) or TEMPORARY in entry.name


def _is_empty(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether no part of the run is done, so that there is nothing that could be lost."""
    nothing = not read_receipts(path) and not holds_documents(path)
    return manifest.get("state") == CLEARED or nothing


def _clear(path: Path) -> None:
    """Removes what a run has written, and nothing that anybody else has put beside it."""
    with disk_errors(path):
        # A process killed in the middle of this leaves a run that the next one clears again.
        write_json(path / MANIFEST, {"state": CLEARED, "fingerprint": {}})
        for name in (RECEIPTS, WIP, *TABLES):
            if (path / name).exists():
                shutil.rmtree(path / name)
        for name in (ERRORS, CONFIG):
            (path / name).unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Removes the temporary files of killed processes."""
    for name in ("", RECEIPTS, *TABLES):
        for file in (path / name).glob(f".*{TEMPORARY}*"):
            file.unlink()


def read_receipts(path: Path) -> list[Receipt]:
    """The receipts of the parts that are done, up to the first that is not."""
    found: list[Receipt] = []
    for file in sorted((path / RECEIPTS).glob("part-*.json")):
        receipt = _receipt(file)
        if receipt is None or receipt.part != len(found):
            break
        found.append(receipt)
    return found


def _receipt(file: Path) -> Receipt | None:
    """A receipt; None where the file is cut or empty, as after a crash of the machine."""
    try:
        return Receipt(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        return None


def _sound_receipts(path: Path, format_: Format) -> list[Receipt]:
    """The receipts of the parts that are whole; those from the first damaged one on go.

    They go from the last to the first, so that a process killed here leaves no gap: a part that
    is made anew must not meet a receipt of an earlier one behind it.
    """
    receipts = read_receipts(path)
    receipts = receipts[: sound(path, receipts, format_)]
    for file in sorted((path / RECEIPTS).glob("part-*.json"), reverse=True):
        if int(file.stem.removeprefix("part-")) >= len(receipts):
            file.unlink()
    if receipts:
        mend_errors(path, path / ERRORS, receipts[-1].errors_bytes, len(receipts), format_)
    return receipts
