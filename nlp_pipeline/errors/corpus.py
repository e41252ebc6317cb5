"""Errors of the corpus room: sources that cannot be read, records that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nlp_pipeline.errors.base import NlpPipelineError, listing
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.packages import pip_install


class Place(NamedTuple):
    """Where a record stands; in a message `file:line`.

    Attributes:
        source: The file as the user named it, `"-"` for standard input.
        line: 1-based line or row.
    """

    source: str
    line: int

    def __str__(self) -> str:
        return f"{_file(self.source)}:{self.line}"


def _file(source: str) -> str:
    return "stdin" if source == "-" else escaped(source, 300)


def _fields(names: Iterable[str]) -> str:
    return listing(escaped(name, 40) for name in names)


class CorpusError(NlpPipelineError):
    """A source that cannot be used at all; nothing of it is read."""

    stage = "read"


class CorpusNotFound(CorpusError):
    """A source that is not there."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"The corpus '{_file(source)}' was not found. Give a file, a folder, or - for "
            "standard input."
        )


class CorpusNotReadable(CorpusError):
    """A source that is there and that the system does not let us open."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"The corpus '{_file(source)}' cannot be opened: {escaped(reason)}. Check its "
            "permissions."
        )


class CorpusNotAFile(CorpusError):
    """A source that is a named pipe, a device or a socket: to open it may wait for ever."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"The corpus '{_file(source)}' is neither a file nor a folder. Send a stream to "
            "standard input and give - as the corpus."
        )


class CorpusIsARun(CorpusError):
    """A folder that a run has written its tables into."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"The corpus '{_file(source)}' is the folder of a run, which is not read as documents. "
            "Name the corpus itself, or one table of the run, such as "
            f"'{_file(source)}/documents'."
        )


class UnsupportedCorpus(CorpusError):
    """A file whose name says no format that can be read."""

    def __init__(self, source: str, supported: Iterable[str]) -> None:
        super().__init__(
            f"The corpus '{_file(source)}' has no format that is read here; there are: "
            f"{listing(supported, 30)}; those of text also with .gz or .zst. Convert or rename it; "
            "JSON Lines is one object a line."
        )


class EmptyCorpusFolder(CorpusError):
    """A folder that holds no file that can be read."""

    def __init__(self, source: str, supported: Iterable[str], other_files: Iterable[str]) -> None:
        super().__init__(
            f"The folder '{_file(source)}' holds nothing to read: looked for "
            f"{listing(supported, 30)}; it has: {_fields(other_files)}."
        )


class NoTextColumn(CorpusError):
    """A table whose columns do not include the text."""

    def __init__(self, source: str, text_key: str, columns: Iterable[str]) -> None:
        super().__init__(
            f"{_file(source)} has no column '{escaped(text_key)}'; it has: {_fields(columns)}. "
            "Name the column with --text-key."
        )


class ZstdNotInstalled(CorpusError):
    """A `.zst` file where nothing is installed that reads it."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"{_file(source)} is compressed with Zstandard, and the package that reads it is not "
            f"installed. Type `{pip_install('zst')}`."
        )


class NoFrameColumn(CorpusError):
    """A column that a frame has none of, or more than one of."""

    def __init__(self, column: object, columns: Iterable[object], count: int = 0) -> None:
        how = f"{count} columns" if count else "no column"
        super().__init__(
            f"The frame has {how} '{escaped(str(column), 60)}'; it has: "
            f"{_fields(map(str, columns))}. Name the one that holds the texts."
        )


class QuestionsUnusable(CorpusError):
    """Questions for a frame that cannot be asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f'{reason}. Give a list such as ["Who is named?"], each question once, or a dict from '
            'the name of a column to its question: {"who": "Who is named?"}.'
        )


def rows_without_answer(failed: int, rows: int) -> str:
    """What is said where some rows of a frame could not be asked about.

    Args:
        failed: How many.
        rows: Of so many.
    """
    return (
        f"{failed} of {rows} rows failed and have no answer; details=True gives a column that says "
        "why."
    )


class NotACorpus(CorpusError):
    """An object of a program that holds no records."""

    def __init__(self, type_name: str, keys: Iterable[str] = ()) -> None:
        of = f" with {_fields(keys)}" if keys else ""
        advice = (
            "Give one of its values, or a list of records"
            if keys
            else "Give a path, a table of pandas, polars or Arrow, a data set, or an iterable of "
            "texts, of records or of pairs of a text and its context"
        )
        super().__init__(f"The corpus is a {escaped(type_name, 60)}{of}. {advice}.")


class BadRecord(NlpPipelineError):
    """A record that cannot be used; it becomes a `Reject`, and the reading goes on."""

    stage = "read"


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


class TooDeep(BadRecord):
    """A record nested deeper than any table could hold."""

    def __init__(self, place: Place, limit: int) -> None:
        super().__init__(
            f"{place} is nested deeper than {limit} levels. Flatten its fields or leave them out."
        )


class NotAnObject(BadRecord):
    """A line that is JSON and no object."""

    def __init__(self, place: Place, type_name: str) -> None:
        super().__init__(
            f"{place} is {type_name}, not an object. Write one object a line, such as "
            '{"id": "1", "text": "…"}.'
        )


class ItemNotRecord(BadRecord):
    """An item of an iterable that is neither a text nor a record."""

    def __init__(self, place: Place, what: str) -> None:
        super().__init__(
            f"{place} is {escaped(what, 120)}. Give a text, a dict such as {{'id': '1', 'text': "
            "'…'}, or a pair of a text and its context."
        )


class LineTooLong(BadRecord):
    """A line, or a row of a CSV file, that is too long to be read into memory."""

    def __init__(self, place: Place, limit: int, size: int | None = None) -> None:
        length = f"{size:,} bytes" if size is not None else "more bytes than that"
        super().__init__(
            f"{place} is too long: at most {limit:,} bytes are read as one record and it has "
            f"{length}. Split the document, close an open quote, or raise --max-chars."
        )


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


class MissingText(BadRecord):
    """A record without the field that holds the text."""

    def __init__(self, place: Place, text_key: str, fields: Iterable[str]) -> None:
        super().__init__(
            f"{place} has no '{escaped(text_key)}'; it has: {_fields(fields)}. "
            "Name the field with --text-key."
        )


class NullText(BadRecord):
    """A record whose text is null."""

    def __init__(self, place: Place, text_key: str) -> None:
        super().__init__(
            f"{place} has null as its '{escaped(text_key)}'. Give it a text or leave the record "
            "out."
        )


class TextNotString(BadRecord):
    """A record whose text is a number, an array or the like."""

    def __init__(self, place: Place, text_key: str, type_name: str) -> None:
        super().__init__(
            f"{place} has {type_name} as its '{escaped(text_key)}', not a string. Write the text "
            "between double quotes, or name another field with --text-key."
        )


class EmptyText(BadRecord):
    """A record whose text holds nothing that could be read."""

    def __init__(self, place: Place, text_key: str) -> None:
        super().__init__(
            f"{place} has a '{escaped(text_key)}' that is empty or white space only. Give it a "
            "text or leave the record out."
        )


class TextTooLong(BadRecord):
    """A text over the length limit."""

    def __init__(self, place: Place, text_key: str, length: int, max_length: int) -> None:
        super().__init__(
            f"{place} has {length:,} characters as its '{escaped(text_key)}' and at most "
            f"{max_length:,} are read. Split the document or raise --max-chars."
        )


class BadId(BadRecord):
    """An id that is neither a string nor an integer, or too long for one."""

    def __init__(self, place: Place, id_key: str, reason: str) -> None:
        super().__init__(
            f"{place} has {reason} as its '{escaped(id_key)}'. Give it a string or an integer, or "
            "name another field with --id-key."
        )


class DuplicateId(BadRecord):
    """An id that an earlier record has."""

    def __init__(self, place: Place, id_key: str, id: str) -> None:
        super().__init__(
            f"{place} has the {escaped(id_key)} '{escaped(id)}', which an earlier record has. "
            "Give every record its own, or name another field with --id-key."
        )


class BadQuestions(BadRecord):
    """Questions of a record that cannot be asked."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(
            f"{place} has questions that cannot be asked: {reason}. Write "
            '["Who?", …] or [{"id": "who", "text": "Who?"}, …].'
        )


class TruncatedFile(BadRecord):
    """A compressed file that ends too early."""

    def __init__(self, place: Place) -> None:
        super().__init__(
            f"{place} is where the file breaks off: its compressed data is not complete. What "
            "stands before was read; fetch or compress the file again."
        )


class UnreadableRecord(BadRecord):
    """A record on which the reader itself fails, in a way that nobody foresaw."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(
            f"{place} cannot be read: {escaped(reason, 200).rstrip('.')}. The other records are "
            "read; leave this one out, or write it in another form."
        )


class UnreadableFile(BadRecord):
    """A file that is damaged, or is not what its name says."""

    def __init__(self, place: Place, reason: str) -> None:
        why = escaped(reason, 200).rstrip(".")
        super().__init__(
            f"{place} is where reading the file failed: {why}. What stands before was read; check "
            "that the file is whole and that its suffix is right."
        )


CORPUS_WARNINGS = {
    "byte_order_mark": "{place} starts with a byte order mark, which was left out.",
    "crlf": "{place} ends with CR LF; such line ends are read like LF.",
    "not_finite": "{place} holds NaN or an infinite number, which was read as null.",
    "control_character": "{place} holds a control character that JSON wants escaped; it was kept.",
    "lone_surrogate": "{place} holds half a surrogate pair, which was read as U+FFFD.",
    "huge_integer": "{place} holds an integer of more than 64 bits, which was read as a string.",
    "bytes": "{place} holds bytes that are not UTF-8 in its other fields, which were read as null.",
    "no_python_value": "{place} holds a value that cannot be read, such as a date out of range or "
    "a time of an unknown zone, which was read as null.",
    "meta_clash": "{place} has '{name}' both beside and in its 'meta'; the one in 'meta' was kept.",
    "repeated_column": "{place} has two columns '{name}'; the second is read as '{name}_2'.",
    "no_documents": "{file} holds no documents.",
    "blank_lines": "Blank lines passed over: {count}.",
    "files_passed_over": "Files of other formats in '{file}' were passed over: {names}.",
    "folders_left_out": "Folders in '{file}' were left out: {names}.",
}
"""What a reader says while it goes on; each is said once in a corpus, where it is first met."""

SAID_ONCE = frozenset(CORPUS_WARNINGS) - {
    "no_documents",
    "blank_lines",
    "files_passed_over",
    "folders_left_out",
}
"""The warnings that close with a hint that further places are not named."""


def corpus_warning(
    name: str,
    place: Place | None = None,
    *,
    source: str = "",
    count: int = 0,
    names: Iterable[str] = (),
) -> str:
    """The text of a warning.

    Args:
        name: A key of `CORPUS_WARNINGS`.
        place: The first record it holds for.
        source: The file or folder it holds for, where it is not a single record.
        count: How many things it speaks of.
        names: Names found in the corpus; escaped and bounded here.
    """
    text = CORPUS_WARNINGS[name].format(
        place=place,
        file=_file(source),
        count=f"{count:,}",
        names=_fields(names),
        name=_fields(names),
    )
    return f"{text} Said once; there may be more." if name in SAID_ONCE else text


def files_unread(source: str, extra: str, names: Iterable[str]) -> str:
    """What is said of files in a folder that only lack the package that reads them.

    Args:
        source: The folder.
        extra: Its packages read them.
        names: Of the files.
    """
    return (
        f"Files in '{_file(source)}' were not read, as a package is not installed: "
        f"{_fields(names)}. Type `{pip_install(extra)}`."
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
            f"{columns} columns; a line of CoNLL-U has ten, parted by tabs."
            if columns
            else f"'{escaped(id, 40)}' as its id. Write a number such as 3, a range of words such "
            "as 3-4, or an empty node such as 3.1."
        )
        super().__init__(f"{place} has {reason}")
