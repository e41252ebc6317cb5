"""A file `.json`: an array of records, or SQuAD's object."""

from __future__ import annotations

from collections.abc import Iterator

from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.json_object import parse_object
from nlp_pipeline.corpus.json_stream import JsonBroken, JsonStream
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.corpus.squad import count_paragraphs, read_squad
from nlp_pipeline.corpus.streams import (
    BOM,
    MAX_LINE_BYTES,
    checked_start,
    line_limit,
    open_stream,
)
from nlp_pipeline.errors.file_formats import InvalidJson
from nlp_pipeline.errors.records import BadRecord, LineTooLong, Place

_START_BYTES = 64


def read_json(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The records of an array, in constant memory; of another file as `read_squad` reads it.

    "Line" is the number of the record in the array.
    """
    if not _is_array(file):
        yield from read_squad(file, options, notes)
        return
    limit, number = line_limit(options.max_length), 0
    try:
        with open_stream(file.path, file.compression) as opened:
            first = opened.read(_START_BYTES)
            rest = checked_start(first, Place(file.source, 1), notes)
            stream = JsonStream(opened, limit, rest, offset=len(first) - len(rest))
            for number, _ in enumerate(stream.items(), 1):
                place = Place(file.source, number)
                value = stream.value()
                if value.data is None:
                    yield number, LineTooLong(place, limit, value.size)
                    continue
                try:
                    yield number, parse_object(value.data, place, value.offset, notes)
                except BadRecord as error:
                    yield number, error
            if stream.peek():
                raise JsonBroken(stream.offset)
    except JsonBroken as error:
        place = Place(file.source, number + 1)
        yield number + 1, InvalidJson(place, 1, error.offset, reason="the array ends here")


def count_json(file: CorpusFile) -> Iterator[int]:
    """A 1 for every record of an array, or what `count_paragraphs` counts."""
    if not _is_array(file):
        yield from count_paragraphs(file)
        return
    try:
        with open_stream(file.path, file.compression) as opened:
            first = opened.read(_START_BYTES).removeprefix(BOM)
            stream = JsonStream(opened, MAX_LINE_BYTES, first)
            for _ in stream.items():
                stream.value()
                yield 1
    except JsonBroken:
        yield 1


def _is_array(file: CorpusFile) -> bool:
    """Whether the first thing in a file is `[`."""
    with open_stream(file.path, file.compression) as stream:
        start = stream.read(2**16).removeprefix(BOM).lstrip()
    return start[:1] == b"["
