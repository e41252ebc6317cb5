"""A part that is whole before it is in its place: made anew, or made ahead of those before it.

The files lie in `_wip/part-00003/`, the receipt last: from then on the part is sealed. One that
replaces a finished part, or is the next, is moved file by file into its place, and whoever opens
the folder next finishes the move where a killed process has left it. One that is further ahead
waits there for the parts before it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from nlp_pipeline.run_folder.files import (
    Format,
    rename_durably,
    sync_folder,
    temporary_name,
    write_table,
)
from nlp_pipeline.run_folder.journal import WIP
from nlp_pipeline.run_folder.ledger import STAGED_LEDGER, Entry, ledger_path, write_ledger
from nlp_pipeline.run_folder.receipt_blocks import find_receipt
from nlp_pipeline.run_folder.receipt_list import read_receipts
from nlp_pipeline.run_folder.receipts import (
    Receipt,
    part_file,
    read_receipt,
    read_unguarded,
    receipt_of,
    receipt_path,
    write_receipt,
)
from nlp_pipeline.run_folder.spreadsheet import for_disk

_RECEIPT, _LEDGER = "receipt.json", STAGED_LEDGER


def seal_part(
    run: Path,
    part: int,
    tables: Mapping[str, pa.Table],
    format_: Format,
    *,
    ledger: Iterable[Entry] = (),
    **figures: int,
) -> Receipt:
    """Writes a part whole, beside its place.

    Args:
        run: The run's folder.
        part: 0-based number of the part.
        tables: All of them.
        format_: Of their files.
        ledger: What its records were, and what became of them.
        figures: What `receipt_of` takes.
    """
    folder = staging_folder(run, part)
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process has left
    folder.mkdir(parents=True)
    try:
        files = {name: folder / f"{name}.{format_}" for name in tables}
        for name, table in tables.items():
            write_table(for_disk(name, table, format_), files[name], format_)
        write_ledger(folder / _LEDGER, ledger)
        receipt = receipt_of(part, tables, files, format_, **figures)
        sync_folder(folder.parent)
        write_receipt(folder / _RECEIPT, receipt)
    except BaseException:
        if not (folder / _RECEIPT).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return receipt


def staging_folder(run: Path, part: int) -> Path:
    """Where the files of a part wait."""
    return run / WIP / f"part-{part:05}"


def roll_forward(run: Path, format_: Format) -> None:
    """Puts sealed parts in their places, and removes those that were never whole.

    A part whose predecessors are not all there stays where it is.
    """
    folders = [path for path in (run / WIP).glob("part-*") if path.is_dir()]
    n_done = len(read_receipts(run)) if folders else 0
    for part, folder in sorted((int(path.name.removeprefix("part-")), path) for path in folders):
        receipt = read_receipt(folder / _RECEIPT)
        if receipt is None:
            shutil.rmtree(folder)
        elif part <= n_done:
            put_in_place(run, receipt, format_)
            n_done = max(n_done, part + 1)


def sealed_receipt(run: Path, part: int) -> Receipt | None:
    """The receipt of a part that waits for its place; None where none does."""
    return read_receipt(staging_folder(run, part) / _RECEIPT)


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


def put_in_place(run: Path, receipt: Receipt, format_: Format) -> None:
    """Moves the files of a sealed part, the receipt last."""
    folder = staging_folder(run, receipt.part)
    files = {folder / f"{name}.{format_}": name for name in sorted(receipt.rows)}
    targets = {f: part_file(run, name, receipt.part, format_) for f, name in files.items()}
    for file, target in {**targets, folder / _LEDGER: ledger_path(run, receipt.part)}.items():
        # Asked for by name, as a network file system may still list the folder as it was. What
        # is not there was moved by a process that was killed.
        if file.exists():
            target.parent.mkdir(exist_ok=True)
            rename_durably(file, target)
    # A copy: until the folder is gone its own receipt says that it is to be moved.
    target = receipt_path(run, receipt.part)
    temporary = temporary_name(target)
    shutil.copyfile(folder / _RECEIPT, temporary)
    rename_durably(temporary, target)
    shutil.rmtree(folder)


def was_replaced(run: Path, receipt: Receipt) -> bool:
    """Whether a part is, or has been, made anew since its receipt was read."""
    if (run / WIP / f"part-{receipt.part:05}").is_dir():
        return True
    receipt_now = find_receipt(run, receipt.part)
    return receipt_now is not None and receipt_now != receipt
