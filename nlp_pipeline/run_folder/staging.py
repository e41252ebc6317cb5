"""A finished part made anew: whole beside the old one first, then file by file in its place.

The new files lie in `_wip/part-00003/`, the receipt last: from then on the new part holds, and
whoever opens the folder next finishes the move where a killed process has left it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from nlp_pipeline.run_folder.files import (
    Format,
    rename_durably,
    sync_folder,
    write_table,
)
from nlp_pipeline.run_folder.journal import WIP
from nlp_pipeline.run_folder.ledger import Entry, ledger_path, write_ledger
from nlp_pipeline.run_folder.receipts import (
    Receipt,
    read_receipts,
    receipt_path,
    write_receipt,
)
from nlp_pipeline.tables.schemas import TABLES

_RECEIPT, _LEDGER = "receipt.json", "ledger.jsonl"


class Staging:
    """Where the files of a part wait until all of them are there.

    Args:
        run: The run's folder.
        part: 0-based number of the part.
        format_: Of its tables.
    """

    def __init__(self, run: Path, part: int, format_: Format) -> None:
        self._folder = run / WIP / f"part-{part:05}"
        self._format = format_

    def __enter__(self) -> Staging:
        self._folder.mkdir(parents=True)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None and not (self._folder / _RECEIPT).exists():
            shutil.rmtree(self._folder, ignore_errors=True)

    def add_table(self, name: str, table: pa.Table) -> None:
        """Writes a table's file."""
        write_table(table, self._folder / f"{name}.{self._format}", self._format)

    def add_ledger(self, entries: Iterable[Entry]) -> None:
        """Writes the ledger."""
        write_ledger(self._folder / _LEDGER, entries)

    def files(self) -> dict[str, Path]:
        """Where each table waits."""
        return {name: self._folder / f"{name}.{self._format}" for name in TABLES}

    def seal(self, receipt: Receipt) -> None:
        """Writes the receipt: the part is whole."""
        sync_folder(self._folder.parent)
        write_receipt(self._folder / _RECEIPT, receipt)


def roll_forward(run: Path) -> None:
    """Puts every sealed part in its place, and removes those that were never whole."""
    for folder in [path for path in (run / WIP).glob("part-*") if path.is_dir()]:
        if (folder / _RECEIPT).exists():
            _move(run, folder, int(folder.name.removeprefix("part-")))
        shutil.rmtree(folder)


def was_replaced(run: Path, receipt: Receipt) -> bool:
    """Whether a part is, or has been, made anew since its receipt was read."""
    if (run / WIP / f"part-{receipt.part:05}").is_dir():
        return True
    receipts = read_receipts(run)
    return receipt.part < len(receipts) and receipts[receipt.part] != receipt


def _move(run: Path, folder: Path, part: int) -> None:
    for file in sorted(folder.iterdir()):
        if file.name == _LEDGER:
            target = ledger_path(run, part)
        elif file.name != _RECEIPT:
            target = run / file.stem / f"{folder.name}{file.suffix}"
        else:
            continue
        target.parent.mkdir(exist_ok=True)
        rename_durably(file, target)
    # A copy: until the folder is gone its own receipt says that it is to be moved.
    receipt = receipt_path(run, part)
    temporary = receipt.with_name(f".{receipt.name}.tmp-{os.getpid()}")
    shutil.copyfile(folder / _RECEIPT, temporary)
    rename_durably(temporary, receipt)
