"""CSV: one document a row, the column names in the first row."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from nlp_pipeline.corpus.column_names import unique_names
from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.json_object import parse_value
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.corpus.streams import Line, line_limit, open_stream, read_lines
from nlp_pipeline.errors.base import counted
from nlp_pipeline.errors.corpus import NoTextColumn
from nlp_pipeline.errors.file_formats import BadCsvRow, InvalidUtf8
from nlp_pipeline.errors.records import BadRecord, LineTooLong, Place

DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=([^\"\r\n\w])\"?\s*", re.IGNORECASE)
"""What spreadsheets write above the first row to name the delimiter."""
_REREAD_ROWS = 4
"""How many rows of the greatest length may be read twice, before a file counts as damaged."""


def read_csv(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The cells of every row by column name, or the reason why a row has none.

    An empty cell in the text or id column counts as not there. The delimiter is the one that a
    line `sep=;` of a spreadsheet names, else the first of `,` `;` tab `|` with which the first row
    names the text column.

    Raises:
        NoTextColumn: With none of them it does.
        BadRecord: The first row cannot be read.
        OSError: The file is not CSV from some row on.
    """
    limit = line_limit(options.max_length)
    # The limit is the process's own, so it is only ever raised; `_Lines` holds ours.
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    with open_stream(file.path, file.compression) as stream:
        # RFC 4180 ends rows with CR LF, as Python's own csv module and spreadsheets do.
        read = read_lines(stream, file.source, limit, notes, crlf_is_usual=True)
        lines = _Lines(read, file.source, limit)
        header, delimiter = _header(lines, file.source, options.text_key)
        if not header:
            return
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            try:
                cells = _next_row(rows, lines)
                fields = _fields(header, cells, options, lines.place, notes) if cells else None
            except StopIteration:
                return
            except BadRecord as error:
                yield lines.place.line, error
            else:
                if fields is None:
                    notes.blank_line()
                else:
                    yield lines.place.line, fields


def _header(lines: _Lines, source: str, text_key: str) -> tuple[list[str], str]:
    """The column names and the delimiter; no names for a file without a row."""
    first = lines.first_with_text()
    candidates = DELIMITERS
    if separator := _SEPARATOR_LINE.fullmatch(first.strip("\r\n")):
        next(lines)
        lines.start_row()
        first, candidates = lines.first_with_text(), separator[1] + DELIMITERS
    if not first:
        return [], ","
    delimiter = _delimiter(first, text_key, candidates)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    header = _column_names(_next_row(rows, lines))
    if text_key not in header:
        raise NoTextColumn(source, text_key, header)
    return header, delimiter


def _delimiter(first: str, text_key: str, candidates: str) -> str:
    for delimiter in candidates:
        try:
            names = _column_names(next(csv.reader([first], delimiter=delimiter)))
        except csv.Error:
            continue
        if text_key in names:
            return delimiter
    return candidates[0]


def _column_names(cells: list[str]) -> list[str]:
    """The first row as names."""
    return unique_names(cell.strip() for cell in cells)


def _next_row(rows: Iterator[list[str]], lines: _Lines) -> list[str]:
    """The next row; after a bad one the reading goes on at its second line, so none is lost."""
    lines.start_row()
    try:
        cells = next(rows)
    except csv.Error as error:
        place, at_end = lines.place, lines.at_end
        lines.take_back(1)
        reason = "a quote is opened and never closed" if at_end else str(error)
        if "new-line character" in reason:  # the advice of Python's own module is for programs
            reason = "its lines end with CR alone, which `tr '\\r' '\\n'` makes LF"
        raise BadCsvRow(place, reason) from None
    except LineTooLong:
        lines.take_back(1)
        raise
    if lines.bad_byte is not None:
        raise InvalidUtf8(lines.place, lines.bad_byte, lines.bad_bytes)
    return cells


def _fields(
    header: list[str], cells: list[str], options: ReadOptions, place: Place, notes: Notes
) -> dict[str, Any]:
    if len(cells) != len(header):
        reason = (
            f"the first row names {counted(len(header), 'column')} and this one has {len(cells)}"
        )
        raise BadCsvRow(place, reason)
    fields: dict[str, Any] = dict(zip(header, cells, strict=True))
    for key in (options.text_key, options.id_key, "questions"):
        if fields.get(key) == "":
            del fields[key]
    if "questions" in fields and options.text_key != "questions":
        fields["questions"] = _questions(fields["questions"], place, notes)
    return fields


def _questions(cell: str, place: Place, notes: Notes) -> Any:
    """A cell's questions: a JSON array, or one question as it stands."""
    if not cell.lstrip().startswith("["):
        return [cell]
    try:
        return parse_value(cell.encode("utf-8"), place, 0, notes)
    except BadRecord:
        return cell


class _Lines:
    """The lines under a `csv.reader`, of bounded length together, which can be taken back.

    Attributes:
        place: The first line of the current row.
        bad_byte: Byte of the file at which the current row stops being UTF-8.
        bad_bytes: The lines of the current row that are not UTF-8.
        at_end: Whether the current row ran into the end of the file.
    """

    def __init__(self, lines: Iterator[Line], source: str, limit: int) -> None:
        self._lines = lines
        self._source = source
        self._limit = limit
        self._reread_left = _REREAD_ROWS * limit
        self._lookahead: deque[Line] = deque()
        self._row: list[Line] = []
        self._size = 0
        self.start_row()

    def start_row(self) -> None:
        self._row.clear()
        self._size = 0
        self.place = Place(self._source, 0)
        self.bad_byte: int | None = None
        self.bad_bytes = b""
        self.at_end = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._lookahead.popleft() if self._lookahead else next(self._lines, None)
        if line is None:
            self.at_end = True
            raise StopIteration
        if not self._row:
            self.place = Place(self._source, line.number)
        self._row.append(line)
        if isinstance(line.data, BadRecord):
            raise line.data
        self._size += len(line.data)
        if self._size > self._limit:
            raise LineTooLong(self.place, self._limit)
        return self._decoded(line.data, line.offset)

    def _decoded(self, data: bytes, offset: int) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            if self.bad_byte is None:
                self.bad_byte = offset + error.start
            self.bad_bytes += data
            return data.decode("utf-8", "replace")

    def take_back(self, first: int) -> None:
        """Gives the lines of the row out again, from the `first`-th on.

        Raises:
            OSError: So much was read twice that going on would take without end.
        """
        rest = self._row[first:]
        self._reread_left -= sum(len(line.data) for line in rest if isinstance(line.data, bytes))
        if self._reread_left < 0:
            raise OSError("too many quotes are opened and never closed")
        self._lookahead.extendleft(reversed(rest))

    def first_with_text(self) -> str:
        """The first line that is not blank, which stays to be read; `""` where there is none."""
        for text in self:
            if text.strip():
                self.take_back(0)
                return text
            self.start_row()
        return ""
