"""Errors of what is not in the format that its file should have."""

from __future__ import annotations

from nlp_pipeline.errors.base import counted
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.records import BadRecord, Place

_JSON_REASONS = {
    "Extra data": "a second value follows the first",
    "Unterminated string starting at": "this string is never closed",
    "Expecting property name enclosed in double quotes": "a name in double quotes should follow",
}


class InvalidJson(BadRecord):
    """A line that is not JSON.

    Attributes:
        byte: Of the file, from which on it is none.
    """

    def __init__(self, place: Place, column: int, byte: int, reason: str) -> None:
        self.byte = byte
        why = _JSON_REASONS.get(reason) or escaped(reason[:1].lower() + reason[1:])
        super().__init__(
            f"{place} is not valid JSON at column {column} (byte {byte} of the file): {why}. "
            "Write one whole object a line."
        )


class InvalidUtf8(BadRecord):
    """A line, a row, a value or a whole file that is not UTF-8.

    Args:
        place: Where.
        byte: Where in the file; None in a format of binary values.
        data: What stands there: it shows what it is instead.
        utf16: Whether it looks like UTF-16.
        windows: Whether the file has Windows-1252 in other places.

    Attributes:
        looks_latin: Whether what stands there may be Latin-1 as well as Windows-1252.
    """

    def __init__(
        self,
        place: Place,
        byte: int | None = None,
        data: bytes = b"",
        *,
        utf16: bool = False,
        windows: bool = False,
    ) -> None:
        self._arguments = (place, byte, data)
        at = "" if byte is None else f" at byte {byte} of the file"
        if utf16:
            at += ": it looks like UTF-16, and none of it is read"
            advice = _iconv("utf-16")
        elif byte is None:
            advice = "Convert the file: write its texts again as UTF-8."
        else:
            advice = _other_encoding(data, windows=windows)
        self.looks_latin = advice == _iconv("latin1")
        super().__init__(f"{place} is not valid UTF-8{at}. {advice}")

    def in_windows_file(self) -> InvalidUtf8:
        """The same with the advice for a file that has Windows-1252 in other places."""
        return InvalidUtf8(*self._arguments, windows=True)


_NOT_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")


def _iconv(encoding: str) -> str:
    return f"Convert the file, such as with `iconv -f {encoding} -t utf-8`."


def _other_encoding(data: bytes, *, windows: bool) -> str:
    """What bytes that are no UTF-8 look like, and what to do about them.

    Windows-1252 has the letters of Latin-1, and dashes, quotes and the euro sign where Latin-1 has
    invisible control characters.
    """
    codes = [ord(char) for char in data.decode("utf-8", "surrogateescape") if char > "\x7f"]
    wrong = [code - 0xDC00 for code in codes if 0xDC80 <= code <= 0xDCFF]
    if not wrong:
        return (
            "It breaks off inside a character: fetch the file again, or convert it with "
            "`iconv -f ENCODING -t utf-8` if it is of another encoding."
        )
    if len(codes) > 2 * len(wrong):
        return (
            "Most of it is UTF-8: mend that place, or leave out what is none with "
            "`iconv -c -f utf-8 -t utf-8`."
        )
    if not _NOT_IN_CP1252.isdisjoint(wrong):
        return (
            "Find out its encoding from who made it, and convert the file with "
            "`iconv -f ENCODING -t utf-8`."
        )
    if windows or min(wrong) < 0xA0:
        return f"It looks like Windows-1252. {_iconv('cp1252')}"
    return _iconv("latin1")


class RowGroupTooLarge(BadRecord):
    """A row group of a Parquet file that unpacks to more than is read into memory."""

    def __init__(self, place: Place, size: int, limit: int) -> None:
        super().__init__(
            f"{place} begins a row group that unpacks to {size:,} bytes, and at most {limit:,} are "
            "read. Its rows were passed over. Split the documents, or write the file with fewer "
            "rows in a row group."
        )


class BadCsvRow(BadRecord):
    """A row that breaks the rules of CSV."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(
            f"{place} is not a row of this CSV file: {escaped(reason, 120)}. Put cells that hold "
            'a delimiter, a quote or a line end between double quotes, and write a quote as "".'
        )


class TruncatedFile(BadRecord):
    """A compressed file that ends too early."""

    def __init__(self, place: Place) -> None:
        super().__init__(
            f"{place} is where the file breaks off: its compressed data is not complete. What "
            "stands before was read; fetch or compress the file again."
        )


class UnreadableFile(BadRecord):
    """A file that is damaged, or is not what its name says."""

    def __init__(self, place: Place, reason: str) -> None:
        why = escaped(reason, 200).rstrip(".")
        super().__init__(
            f"{place} is where reading the file failed: {why}. What stands before was read; check "
            "that the file is whole and that its suffix is right."
        )


class BadSquad(BadRecord):
    """A file or a paragraph that is not of SQuAD's form."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(
            f"{place} is not in SQuAD's format: {escaped(reason)}. It is one object with "
            "'data', a list of articles with 'paragraphs' of 'context' and 'qas'. Name a file "
            "of JSON Lines .jsonl."
        )


class BadConllu(BadRecord):
    """A line of a CoNLL-U file that is none."""

    def __init__(self, place: Place, *, columns: int = 0, id: str = "") -> None:
        reason = (
            f"{counted(columns, 'column')}; a line of CoNLL-U has ten, parted by tabs."
            if columns
            else f"'{escaped(id, 40)}' as its id. Write a number such as 3, a range of words such "
            "as 3-4, or an empty node such as 3.1."
        )
        super().__init__(f"{place} has {reason}")
