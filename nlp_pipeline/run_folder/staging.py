"""A part that is whole before it is in its place: made anew, or made ahead of those before it.

The files lie in `_wip/part-00003/`, the receipt last: from then on the part is sealed. One that
replaces a finished part, or is the next, is moved file by file into its place, and whoever opens
the folder next finishes the move where a killed process has left it. One that is further ahead
waits there for the parts before it.
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
from nlp_pipeline.run_folder.ledger import STAGED_LEDGER, Entry, ledger_path, write_ledger
from nlp_pipeline.run_folder.receipts import (
    Receipt,
    read_receipt,
    read_receipts,
    read_unguarded,
    receipt_path,
    write_receipt,
)
from nlp_pipeline.tables.schemas import TABLES

_RECEIPT, _LEDGER = "receipt.json", STAGED_LEDGER


class Staging:
    """Where the files of a part wait until all of them are there.

    Args:
        run: The run's folder.
        part: 0-based number of the part.
        format_: Of its tables.
    """

    def __init__(self, run: Path, part: int, format_: Format) -> None:
        self._folder = staging_folder(run, part)
        self._format = format_

    def __enter__(self) -> Staging:
        shutil.rmtree(self._folder, ignore_errors=True)  # what a killed process has left
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


def staging_folder(run: Path, part: int) -> Path:
    """Where the files of a part wait."""
    return run / WIP / f"part-{part:05}"


def roll_forward(run: Path) -> None:
    """Puts sealed parts in their places, and removes those that were never whole.

    A part whose predecessors are not all there stays where it is.
    """
    folders = [path for path in (run / WIP).glob("part-*") if path.is_dir()]
    n_done = len(read_receipts(run)) if folders else 0
    for part, folder in sorted((int(path.name.removeprefix("part-")), path) for path in folders):
        if not (folder / _RECEIPT).exists():
            shutil.rmtree(folder)
        elif part <= n_done:
            put_in_place(run, part)
            n_done = max(n_done, part + 1)


def sealed_parts(run: Path) -> dict[int, Receipt]:
    """The receipts of the parts that wait for their places, by number."""
    receipts = {}
    for file in sorted((run / WIP).glob(f"part-*/{_RECEIPT}")):
        receipt = read_receipt(file)
        if receipt is not None:
            receipts[receipt.part] = receipt
    return receipts


def read_sealed(run: Path, receipt: Receipt, table: str, format_: Format) -> pa.Table:
    """A table of a sealed part as it was before it was written."""
    file = staging_folder(run, receipt.part) / f"{table}.{format_}"
    return read_unguarded(file, receipt, table, format_)


def discard_sealed(run: Path, part: int) -> None:
    """Removes a sealed part: what it was made of has changed."""
    shutil.rmtree(staging_folder(run, part))


def put_in_place(run: Path, part: int) -> None:
    """Moves the files of a sealed part, the receipt last."""
    folder = staging_folder(run, part)
    _move(run, folder, part)
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
