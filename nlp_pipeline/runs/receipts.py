"""The receipts: a part is done once its receipt is there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

RECEIPTS = "_receipts"


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
    """

    part: int
    documents: int
    failed: int
    output_tokens: int
    rows: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)


def receipt_path(run: Path, part: int) -> Path:
    """Where the receipt of a part lies."""
    return run / RECEIPTS / f"part-{part:05}.json"


def read_receipts(run: Path) -> list[Receipt]:
    """The receipts of the parts that are done, up to the first that is not."""
    found: list[Receipt] = []
    for file in sorted((run / RECEIPTS).glob("part-*.json")):
        receipt = _receipt(file)
        if receipt is None or receipt.part != len(found):
            break
        found.append(receipt)
    return found


def drop_receipts(run: Path, first: int) -> None:
    """Removes the receipts from one part on.

    They go from the last to the first, so that a process killed here leaves no gap: a part that
    is made anew must not meet a receipt of an earlier one behind it.
    """
    for file in sorted((run / RECEIPTS).glob("part-*.json"), reverse=True):
        if int(file.stem.removeprefix("part-")) >= first:
            file.unlink()


def _receipt(file: Path) -> Receipt | None:
    """A receipt; None where the file is cut or empty, as after a crash of the machine."""
    try:
        return Receipt(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        return None
