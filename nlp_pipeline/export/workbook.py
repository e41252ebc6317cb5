"""A run as one Excel workbook, a sheet a table, within what a workbook can hold."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.export import ExtraMissing, SheetFull, cells_cut
from nlp_pipeline.export.job import ExportJob
from nlp_pipeline.run_folder.files import lists_as_json, sweep_beside, write_atomically

logger = logging.getLogger(__name__)

MOST_ROWS = 1_048_575
"""Of a sheet, its header not counted."""
MOST_CHARACTERS = 32_767
"""Of a cell."""
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML 1.0 cannot hold."""


def write_xlsx(job: ExportJob) -> list[Path]:
    """A workbook with a sheet a table. No text is a formula, whatever it begins with.

    A text longer than a cell is cut there, and control characters become U+FFFD; a warning says
    how many.

    Raises:
        ExtraMissing: The package `openpyxl` is not installed.
        SheetFull: A table has more rows than a sheet can.
    """
    try:
        import openpyxl
    except ImportError:
        raise ExtraMissing("Exporting to Excel", "xlsx") from None
    changed: Counter[str] = Counter()

    def write(file: Path) -> None:
        book = openpyxl.Workbook(write_only=True)
        for table in job.tables:
            _write_sheet(book, job, table, changed)
        book.save(file)
        book.close()

    sweep_beside(job.target)
    write_atomically(job.target, write)
    for table, cells in changed.items():
        logger.warning("%s", cells_cut(table, cells, MOST_CHARACTERS))
    return [job.target]


def _write_sheet(book: Any, job: ExportJob, table: str, changed: Counter[str]) -> None:
    rows = sum(receipt.rows.get(table, 0) for receipt in job.receipts)
    if rows > MOST_ROWS:
        raise SheetFull(table, rows, MOST_ROWS)
    sheet = book.create_sheet(table)
    sheet.freeze_panes = "A2"
    sheet.append([_cell(sheet, name) for name in job.schema(table).names])
    for part in job.parts(table):
        flat = lists_as_json(part)
        for row in zip(*(column.to_pylist() for column in flat.columns), strict=True):
            values = [_fitting(value) for value in row]
            cut = sum(new is not old for new, old in zip(values, row, strict=True))
            if cut:
                changed[table] += cut
            sheet.append([_cell(sheet, value) for value in values])


def _fitting(value: Any) -> Any:
    """The value, or as much of it as a cell can hold."""
    if isinstance(value, str):
        text = _FORBIDDEN.sub("\ufffd", value)[:MOST_CHARACTERS]
        return value if text == value else text
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _cell(sheet: Any, value: Any) -> Any:
    """A cell that is of the value's type: a text that begins with `=` is a text."""
    if not isinstance(value, str):
        return value
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, value)
    cell.data_type = "s"
    return cell
