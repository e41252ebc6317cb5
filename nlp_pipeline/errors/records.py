"""Errors of single records: what stands there cannot be a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nlp_pipeline.errors.base import NlpPipelineError, counted, did_you_mean, listing
from nlp_pipeline.errors.escapes import escaped


class Place(NamedTuple):
    """Where a record stands; in a message `file:line`.

    Attributes:
        source: The file as the user named it, `"-"` for standard input.
        line: 1-based line or row.
    """

    source: str
    line: int

    def __str__(self) -> str:
        return f"{source_name(self.source)}:{self.line}"


def source_name(source: str) -> str:
    """What messages call a source."""
    return "stdin" if source == "-" else escaped(source, 300)


def field_names(names: Iterable[str]) -> str:
    """Names of fields or columns, bounded."""
    return listing(escaped(name, 40) for name in names)


class BadRecord(NlpPipelineError):
    """A record that cannot be used; it becomes a `Reject`, and the reading goes on."""

    stage = "read"


class TooDeep(BadRecord):
    """A record nested deeper than any table could hold."""

    def __init__(self, place: Place, limit: int) -> None:
        super().__init__(
            f"{place} is nested deeper than {counted(limit, 'level')}. Flatten its fields or leave "
            "them out."
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
        length = counted(size, "byte") if size is not None else "more bytes than that"
        super().__init__(
            f"{place} is too long: at most {limit:,} bytes are read as one record and it has "
            f"{length}. Split the document, close an open quote, or raise --max-chars."
        )


class MissingText(BadRecord):
    """A record without the field that holds the text."""

    def __init__(self, place: Place, text_key: str, fields: Iterable[str]) -> None:
        names = list(fields)
        super().__init__(
            f"{place} has no '{escaped(text_key)}'; it has: {field_names(names)}."
            f"{did_you_mean(text_key, names)} Name the field with --text-key."
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


class UnreadableRecord(BadRecord):
    """A record on which the reader itself fails, in a way that nobody foresaw."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(
            f"{place} cannot be read: {escaped(reason, 200).rstrip('.')}. The other records are "
            "read; leave this one out, or write it in another form."
        )
