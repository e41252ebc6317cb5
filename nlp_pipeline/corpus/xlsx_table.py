"""Excel workbooks: one document a row, the column names in the first row of each sheet."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from importlib.util import find_spec
from typing import Any

from nlp_pipeline.corpus.column_names import unique_names
from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.documents.conversion import check_packed
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.errors.corpus import NoTextColumn
from nlp_pipeline.errors.documents import ReaderNotInstalled
from nlp_pipeline.errors.records import Place


class SheetFields(dict[str, Any]):
    """The cells of a row of one of several sheets, and the sheet's name as a field.

    Attributes:
        sheet: The sheet's name.
    """

    def __init__(self, cells: dict[str, Any], sheet: str) -> None:
        super().__init__(cells, sheet=sheet)
        self.sheet = sheet


def read_xlsx(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The cells of every row of every sheet that has the text column, by column name.

    A cell that is computed has the value that was saved with it. Where several sheets are read,
    `meta.sheet` is the sheet's name. "Line" is the row in its sheet.

    Raises:
        ReaderNotInstalled: The package `openpyxl` is not there.
        NoTextColumn: No sheet has the column.
        BadRecord: It is no workbook, or unpacks to more than is read.
    """
    if find_spec("openpyxl") is None:
        raise ReaderNotInstalled(file.source, "xlsx")
    import openpyxl

    path = file.local_path()
    check_packed(path, Place(file.source, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what in a workbook is no cell
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        sheets = {sheet.title: _rows(sheet) for sheet in book.worksheets}
        headers = {title: _header(next(rows, ())) for title, rows in sheets.items()}
        usable = [title for title, names in headers.items() if options.text_key in names]
        if not usable and any(headers.values()):
            columns = dict.fromkeys(name for names in headers.values() for name in names)
            raise NoTextColumn(file.source, options.text_key, columns)
        for title in usable:
            names = unique_names(headers[title])
            for column, name in zip(headers[title], names, strict=True):
                if column and column != name:
                    notes.once("repeated_column", Place(file.source, 1), column)
            for number, cells in enumerate(sheets[title], 2):
                fields = _fields(names, cells, options)
                if fields:
                    yield number, SheetFields(fields, title) if len(usable) > 1 else fields
    finally:
        book.close()


def count_sheets(file: CorpusFile) -> Iterator[int]:
    """The rows that the sheets say they have, but for their headers."""
    import openpyxl

    book = openpyxl.load_workbook(file.local_path(), read_only=True)
    try:
        for sheet in book.worksheets:
            yield max(0, (sheet.max_row or 0) - 1)
    finally:
        book.close()


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    """All rows that there are, whatever a sheet says of its size, which is often wrong."""
    sheet.reset_dimensions()
    rows: Iterator[tuple[Any, ...]] = sheet.iter_rows(values_only=True)
    return rows


def _header(cells: tuple[Any, ...]) -> list[str]:
    """The names of the columns, up to the last that has one."""
    names = ["" if cell is None else str(cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def _fields(names: list[str], cells: tuple[Any, ...], options: ReadOptions) -> dict[str, Any]:
    """The cells that hold something by their columns; none of a row that is blank."""
    fields = {n: _plain(c) for n, c in zip(names, cells, strict=False) if c is not None}
    number = fields.get(options.id_key)
    if isinstance(number, float) and number.is_integer():
        fields[options.id_key] = int(number)
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        from openpyxl.utils.escape import unescape

        return unescape(value) if "_x" in value else value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value
