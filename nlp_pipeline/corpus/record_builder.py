"""Fields to a `Record`: text, id, questions and meta are checked here, for every format alike."""

from __future__ import annotations

import logging
from hashlib import blake2b
from typing import Any, NamedTuple

from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.documents.document_file import LaidOutFields
from nlp_pipeline.corpus.json_object import type_name
from nlp_pipeline.corpus.nested_fields import lifted
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import ReadOptions
from nlp_pipeline.corpus.record import Record, Reject
from nlp_pipeline.corpus.record_questions import parse_questions
from nlp_pipeline.corpus.xlsx_table import SheetFields
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.escapes import described
from nlp_pipeline.errors.records import (
    BadId,
    BadRecord,
    DuplicateId,
    EmptyText,
    MissingText,
    NullText,
    Place,
    TextNotString,
    TextTooLong,
    UnreadableRecord,
)

_log = logging.getLogger(__name__)

MAX_ID_LENGTH = 500
"""Characters; an id stands in every row of every table and in messages."""


class _Group(NamedTuple):
    """Records among which an id stands once: those of a file, or of a sheet of several.

    Attributes:
        source: How messages name it.
        name: What the ids of its records begin with, where others have the same.
    """

    source: str
    name: str


class Builder:
    """Makes the rows of a corpus, numbers them, and gives each an id that no other has.

    Only 16 bytes are kept of an id, and a number, so that ten million fit into memory.

    Args:
        options: Names of the fields, and the length limit.
        notes: Takes the warning about a field that stands both beside and in `meta`.
    """

    def __init__(self, options: ReadOptions, notes: Notes) -> None:
        self._options = options
        self._notes = notes
        self._ids: dict[bytes, int] = {}
        self._groups: list[_Group] = []
        self._number = -1  # of the group; one object for all of its ids
        self._file: CorpusFile | None = None
        self._sheet = ""
        self._index = 0

    def build(
        self, file: CorpusFile, line: int, fields: dict[str, Any] | BadRecord
    ) -> Record | Reject:
        """The next row: a record where the fields make one, else a reject.

        Args:
            file: Where the row stands.
            line: Its line or row there.
            fields: Its fields, or why there are none.
        """
        self._enter(file, fields.sheet if isinstance(fields, SheetFields) else "")
        if isinstance(fields, BadRecord):
            return self._reject(file, line, fields)
        for key in (self._options.text_key, self._options.id_key):
            fields = lifted(fields, key)
        own = fields.get(self._options.id_key)
        try:
            record = self._record(file, line, fields)
        except BadRecord as error:
            return self._reject(file, line, error, own)
        except Exception as error:  # no record may end the reading, whatever it holds
            _log.debug("%s:%s could not be read.", file.source, line, exc_info=True)
            return self._reject(
                file, line, UnreadableRecord(Place(file.source, line), described(error))
            )
        self._index += 1
        return record

    def reject(self, file: CorpusFile, line: int, error: NlpPipelineError) -> Reject:
        """The next row where no record can be, for the file is at fault.

        Args:
            file: The file.
            line: Where no more of it can be read.
            error: Why.
        """
        self._enter(file, "")
        return self._reject(file, line, error)

    def _reject(
        self, file: CorpusFile, line: int, error: NlpPipelineError, own: Any = None
    ) -> Reject:
        """The next row where no record can be.

        Args:
            file: Where the row stands.
            line: Its line or row there.
            error: Why there is no record.
            own: What the record calls itself; an id that cannot be one, or that another record
                has, is passed over.
        """
        try:
            id = checked_id({"id": own}, Place(file.source, line), "id")
        except BadId:
            id = None
        if id is None or not self._take(id):
            id = self._own_id(file, line)
        row = Reject(
            self._index, id, kind=error.kind, message=str(error), source=file.source, line=line
        )
        self._index += 1
        return row

    def _record(self, file: CorpusFile, line: int, fields: dict[str, Any]) -> Record:
        place = Place(file.source, line)
        layout = fields.layout if isinstance(fields, LaidOutFields) else ()
        text = checked_text(fields, place, self._options)
        id = checked_id(fields, place, self._options.id_key)
        questions = parse_questions(fields.pop("questions", None), place)
        meta = self._meta(fields, place)
        id = self._own_id(file, line) if id is None else self._given_id(id, place)
        return Record(
            self._index,
            id,
            text=text,
            meta=meta,
            questions=questions,
            source=file.source,
            line=line,
            layout=layout,
        )

    def _own_id(self, file: CorpusFile, line: int) -> str:
        """`file-stem:line`; a `~2` behind it where a record calls itself the same."""
        id = base = file.id_at(line)
        repeat = 2
        while not self._take(id):
            id, repeat = f"{base}~{repeat}", repeat + 1
        return id

    def _given_id(self, id: str, place: Place) -> str:
        """The id that a record has; behind the name of its file where one of another has it too.

        Files that were numbered each by itself stand in one folder, and none of their records is
        to be lost for it. The first to have an id keeps it.

        Raises:
            DuplicateId: A record of the same file has it.
        """
        if self._take(id):
            return id
        group, owner = self._groups[self._number], self._groups[self._ids[_digest(id)]]
        longer = f"{group.name}#{id}"
        if owner == group or len(longer) > MAX_ID_LENGTH or not self._take(longer):
            raise DuplicateId(place, self._options.id_key, id)
        self._notes.shared_id(place, self._options.id_key, id, owner=owner.source, name=longer)
        return longer

    def _take(self, id: str) -> bool:
        digest = _digest(id)
        if digest in self._ids:
            return False
        self._ids[digest] = self._number
        return True

    def _enter(self, file: CorpusFile, sheet: str) -> None:
        """Notes which file, or which of its sheets, the rows from here on stand in."""
        if file is self._file and sheet == self._sheet:
            return
        self._file, self._sheet = file, sheet
        suffix = f"#{sheet}" if sheet else ""
        self._groups.append(_Group(file.source + suffix, file.name + suffix))
        self._number += 1

    def _meta(self, fields: dict[str, Any], place: Place) -> dict[str, Any]:
        """The record's `meta` with its other fields folded in; what stands in `meta` wins.

        A `meta` that is not an object is a field like any other, and null is none.
        """
        own = fields.get("meta")
        if type(own) is dict:
            del fields["meta"]
            for name in fields.keys() & own.keys():
                self._notes.once("meta_clash", place, name)
            return fields | own
        if own is None:
            fields.pop("meta", None)
        return fields


def _digest(id: str) -> bytes:
    return blake2b(id.encode("utf-8"), digest_size=16).digest()


def checked_text(fields: dict[str, Any], place: Place, options: ReadOptions) -> str:
    """Takes the text out of the fields.

    Raises:
        BadRecord: There is none, or none that can be annotated.
    """
    key = options.text_key
    if key not in fields:
        raise MissingText(place, key, fields)
    text = fields.pop(key)
    if text is None:
        raise NullText(place, key)
    if type(text) is not str:
        raise TextNotString(place, key, type_name(text))
    if len(text) > options.max_length:
        raise TextTooLong(place, key, len(text), max_length=options.max_length)
    if not text.strip():
        raise EmptyText(place, key)
    return text


def checked_id(fields: dict[str, Any], place: Place, key: str) -> str | None:
    """Takes the id out of the fields; null and an empty string are none.

    Raises:
        BadId: It is neither a string nor an integer, or too long.
    """
    id = fields.pop(key, None)
    if id is None or id == "":
        return None
    if type(id) is int:
        return str(id)
    if type(id) is not str:
        raise BadId(place, key, type_name(id))
    if len(id) > MAX_ID_LENGTH:
        raise BadId(place, key, f"a string of {len(id):,} characters, more than {MAX_ID_LENGTH},")
    return id
