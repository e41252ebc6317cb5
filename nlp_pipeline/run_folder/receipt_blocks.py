"""Blocks of receipts: one file in place of a thousand, each of which is opened and parsed.

A receipt is written in a file of its own; once a thousand in a row are there, the block is written
and then they are removed. Where there are both, as for a part that was made anew or after a kill in
between, the receipt in its own file holds. The first line of a block has its sums, so that the
figures of a run of a million parts take a thousand short lines.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from nlp_pipeline.run_folder.files import write_atomically
from nlp_pipeline.run_folder.receipts import RECEIPTS, Receipt, read_receipt, receipt_path

BLOCK = 1000
"""Receipts in a block."""


@dataclass
class Totals:
    """Sums over parts.

    Attributes:
        documents: Records, rejects counted.
        failed: How many of them have the status `error`.
        output_tokens: Tokens generated.
        rows: Rows of each table.
    """

    documents: int = 0
    failed: int = 0
    output_tokens: int = 0
    rows: dict[str, int] = field(default_factory=dict)

    def add(self, part: Receipt | Totals, sign: int = 1) -> None:
        """Adds a part, or several; takes them away with the sign -1."""
        self.documents += sign * part.documents
        self.failed += sign * part.failed
        self.output_tokens += sign * part.output_tokens
        for name, rows in part.rows.items():
            self.rows[name] = self.rows.get(name, 0) + sign * rows


def block_path(run: Path, block: int) -> Path:
    """Where a block of receipts lies."""
    return run / RECEIPTS / f"block-{block:05}.jsonl"


def write_block(run: Path, block: int, receipts: Iterable[Receipt]) -> Totals:
    """Writes a block durably, and returns its sums.

    Args:
        run: The run's folder.
        block: 0-based number of the block.
        receipts: `BLOCK` of them, in their order.
    """
    totals, lines, written = Totals(), [], 0.0
    for receipt in receipts:
        totals.add(receipt)
        lines.append(orjson.dumps(asdict(receipt)) + b"\n")
        written = max(written, _modified(receipt_path(run, receipt.part)))
    body = b"".join(lines)
    header = {"block": block, **asdict(totals), "digest": _digest(body)}
    first = orjson.dumps({**header, "check": _digest(orjson.dumps(header))}) + b"\n"
    path = block_path(run, block)

    def write(temporary: Path) -> None:
        temporary.write_bytes(first + body)
        if written:  # the report shows when parts were done
            os.utime(temporary, (written, written))

    write_atomically(path, write)
    return totals


def read_totals(run: Path, block: int) -> Totals | None:
    """The sums of a block, from its first line; None where that cannot be read."""
    try:
        with block_path(run, block).open("rb") as file:
            header = _header(file.readline(), block)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    del header["block"], header["digest"]
    return Totals(**header)


def read_block(run: Path, block: int) -> list[Receipt] | None:
    """The receipts of a block; None where it is not there, or not as it was written."""
    try:
        with block_path(run, block).open("rb") as file:
            digest = _header(file.readline(), block)["digest"]
            body = file.read()
        if _digest(body) != digest:
            return None
        return [Receipt(**orjson.loads(line)) for line in body.splitlines()]
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None


def find_receipt(run: Path, part: int) -> Receipt | None:
    """The receipt of one part, wherever it lies; None where there is none."""
    receipt = read_receipt(receipt_path(run, part))
    if receipt is not None:
        return receipt
    block = read_block(run, part // BLOCK)
    return None if block is None else block[part % BLOCK]


def receipt_file(run: Path, part: int) -> Path:
    """The file that the receipt of a part that is done lies in."""
    file = receipt_path(run, part)
    return file if file.exists() else block_path(run, part // BLOCK)


def _header(line: bytes, block: int) -> dict[str, Any]:
    """The first line of a block.

    Raises:
        ValueError: It is not what was written.
    """
    header: dict[str, Any] = orjson.loads(line)
    if header.pop("check") != _digest(orjson.dumps(header)) or header["block"] != block:
        raise ValueError
    return header


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
