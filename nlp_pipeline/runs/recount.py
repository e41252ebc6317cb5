"""Whether the parts of a run still hold what their receipts say."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from nlp_pipeline.errors.run import PartDamaged
from nlp_pipeline.runs.files import Format, read_table
from nlp_pipeline.runs.receipts import Receipt
from nlp_pipeline.tables.schemas import TABLES

logger = logging.getLogger(__name__)


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
