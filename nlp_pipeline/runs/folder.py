"""A run's folder: who may write to it, what run it holds, and which parts are done.

The layout, in the order in which a part comes to be:

- `.lock`, held for the whole run; `manifest.json`: what ran, its fingerprint, its state
- `<table>/part-00012.parquet`, one per table
- `errors.jsonl`, grown by the part's errors
- `_ledger/part-00012.jsonl`: what each record of the part was, and what became of it
- `_receipts/part-00012.json`, written last: the part is done once it is there
- `_wip/part-00013.jsonl`, the finished documents of the part that is being made
- `_wip/part-00003/`, the files of a part that is being made anew, until they replace the old ones
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_pipeline.errors.run import DifferentRun, OutputNotARun
from nlp_pipeline.runs.differences import differences
from nlp_pipeline.runs.files import (
    TEMPORARY,
    Format,
    disk_errors,
    read_table,
    write_atomically,
    write_json,
    write_table,
    write_text,
)
from nlp_pipeline.runs.journal import WIP, Journal, holds_documents
from nlp_pipeline.runs.ledger import LEDGER, Entry, ledger_path, write_ledger
from nlp_pipeline.runs.lock import LOCK, locked
from nlp_pipeline.runs.receipts import RECEIPTS, Receipt, read_receipts, receipt_path
from nlp_pipeline.runs.recount import recount, sizes, sound
from nlp_pipeline.runs.spool import INPUT
from nlp_pipeline.runs.staging import Staging, roll_forward
from nlp_pipeline.tables.schemas import TABLES

MANIFEST = "manifest.json"
CONFIG = "config.cfg"
FINISHED = "finished"
"""The state of a run whose every record is in a part."""
CLEARED = "cleared"
"""The state of a run that was thrown away."""
ERRORS = "errors.jsonl"


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
        self._errors_end: int | None = None

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

    def journal(self, part: int | None = None) -> Journal:
        """The journal of a part; of the next one by default."""
        return Journal(self.path, len(self.receipts) if part is None else part, self.documents_done)

    def commit(
        self,
        tables: Mapping[str, pa.Table],
        *,
        documents: int,
        failed: int,
        output_tokens: int,
        ledger: Iterable[Entry] = (),
    ) -> Receipt:
        """Writes the next part: every table, the errors, the ledger, then the receipt."""
        number = len(self.receipts)
        rows = {name: table.num_rows for name, table in tables.items()}
        receipt = Receipt(number, documents, failed, output_tokens, rows)
        with disk_errors(self.path, self.documents_done):
            for name, table in tables.items():
                folder = self.path / name
                folder.mkdir(exist_ok=True)
                write_table(table, folder / f"part-{number:05}.{self.format}", self.format)
            self._append_errors(tables["errors"].to_pylist())
            path = ledger_path(self.path, number)
            path.parent.mkdir(exist_ok=True)
            write_ledger(path, ledger)
            receipt.bytes = sizes(self.path, number, self.format)
            write_json(receipt_path(self.path, number), asdict(receipt))
        self.receipts.append(receipt)
        return receipt

    def replace(
        self,
        number: int,
        tables: Mapping[str, pa.Table],
        *,
        documents: int,
        failed: int,
        output_tokens: int,
        ledger: Iterable[Entry] = (),
    ) -> Receipt:
        """Writes a finished part anew: beside the old one first, then in its place.

        A process killed on the way leaves the old part, or a new one that `open_run` puts in its
        place.
        """
        rows = {name: table.num_rows for name, table in tables.items()}
        receipt = Receipt(number, documents, failed, output_tokens, rows)
        with disk_errors(self.path, self.documents_done):
            with Staging(self.path, number, self.format) as staging:
                for name, table in tables.items():
                    staging.add_table(name, table)
                staging.add_ledger(ledger)
                receipt.bytes = staging.sizes()
                staging.seal(receipt)
            self._errors_end = None
            roll_forward(self.path)
        self.receipts[number] = receipt
        return receipt

    def recount(self) -> None:
        """Counts every part again.

        Raises:
            PartDamaged: One does not hold what its receipt says.
        """
        with disk_errors(self.path, self.documents_done):
            for receipt in self.receipts:
                recount(self.path, receipt, self.format)

    def read_part(self, number: int) -> dict[str, pa.Table]:
        """Every table of a finished part."""
        name = f"part-{number:05}.{self.format}"
        return {
            table: read_table(self.path / table / name, schema, self.format)
            for table, schema in TABLES.items()
        }

    def bring_errors_up_to_date(self) -> None:
        """Writes `errors.jsonl` anew from the finished parts, unless it is known to be right."""
        if self._errors_end is not None:
            return
        with disk_errors(self.path, self.documents_done):
            write_atomically(self.path / ERRORS, self._write_errors)
        self._errors_end = (self.path / ERRORS).stat().st_size

    def _write_errors(self, path: Path) -> None:
        with path.open("wb") as file:
            for receipt in self.receipts:
                if receipt.rows.get("errors"):
                    name = f"part-{receipt.part:05}.{self.format}"
                    table = read_table(self.path / "errors" / name, TABLES["errors"], self.format)
                    file.write(_error_lines(table.to_pylist()))

    def _append_errors(self, errors: list[dict[str, Any]]) -> None:
        """Adds lines to `errors.jsonl` after those of the last finished part."""
        self.bring_errors_up_to_date()
        path = self.path / ERRORS
        end = self._errors_end
        try:
            with path.open("ab") as file:
                file.write(_error_lines(errors))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            os.truncate(path, end or 0)
            raise
        self._errors_end = path.stat().st_size


def _error_lines(errors: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(e, ensure_ascii=False).encode() + b"\n" for e in errors)


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
            roll_forward(path)
            receipts = _sound_receipts(path, format_)
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
        for name in (RECEIPTS, LEDGER, WIP, *TABLES):
            if (path / name).exists():
                shutil.rmtree(path / name)
        for name in (ERRORS, CONFIG):
            (path / name).unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Removes the temporary files of killed processes."""
    for name in ("", RECEIPTS, LEDGER, *TABLES):
        for file in (path / name).glob(f".*{TEMPORARY}*"):
            file.unlink()


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
    return receipts
