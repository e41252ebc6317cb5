"""The receipts: a part is done once its receipt is there."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from nlp_pipeline.errors.run import PartDamaged
from nlp_pipeline.run_folder.files import Format, read_table
from nlp_pipeline.tables.schemas import TABLES

logger = logging.getLogger(__name__)

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


def part_file(run: Path, table: str, part: int, format_: Format) -> Path:
    """Where a table of a part lies."""
    return run / table / f"part-{part:05}.{format_}"


def sizes(run: Path, part: int, format_: Format) -> dict[str, int]:
    """Bytes of each table's file of a part that was just written."""
    return {name: part_file(run, name, part, format_).stat().st_size for name in TABLES}


def weigh(run: Path, receipt: Receipt, format_: Format) -> None:
    """Looks whether every file of a part is there, and as long as it was; opens none.

    Raises:
        PartDamaged: One is not.
    """
    for name, rows in receipt.rows.items():
        file = part_file(run, name, receipt.part, format_)
        weight = receipt.bytes.get(name)
        if not file.is_file():
            raise PartDamaged(str(run), _short(file), f"{rows} rows", "the file is missing")
        if weight is not None and file.stat().st_size != weight:
            found = f"it has {file.stat().st_size}"
            raise PartDamaged(str(run), _short(file), f"{weight} bytes", found)


def recount(run: Path, receipt: Receipt, format_: Format) -> None:
    """Counts bytes and rows of a part again.

    Raises:
        PartDamaged: They are not those of its receipt.
    """
    weigh(run, receipt, format_)
    for name, rows in receipt.rows.items():
        file = part_file(run, name, receipt.part, format_)
        try:
            counted = _rows(file, TABLES[name], format_)
        except (OSError, ValueError, pa.ArrowException) as error:
            reason = f"it cannot be read ({' '.join(str(error).split())[:200]})"
            raise PartDamaged(str(run), _short(file), f"{rows} rows", reason) from error
        if counted != rows:
            raise PartDamaged(str(run), _short(file), f"{rows} rows", f"it has {counted}")


def sound(run: Path, receipts: Sequence[Receipt], format_: Format) -> int:
    """How many parts, from the first, are as their receipts say.

    The first that is not is logged: it and those after it are made anew.
    """
    for number, receipt in enumerate(receipts):
        try:
            recount(run, receipt, format_)
        except PartDamaged as error:
            logger.warning("%s Now: it and what follows it.", error)
            return number
    return len(receipts)


def _rows(file: Path, schema: pa.Schema, format_: Format) -> int:
    if format_ == "parquet":
        import pyarrow.parquet as pq

        return int(pq.read_metadata(file).num_rows)
    return int(read_table(file, schema, format_).num_rows)


def _short(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"
