"""Plain text: the whole file is one document."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.corpus.streams import checked_start, open_stream
from nlp_pipeline.errors.file_formats import InvalidUtf8
from nlp_pipeline.errors.records import Place, TextTooLong

_CHUNK_BYTES = 2**20


def read_plain_text(
    file: CorpusFile, options: ReadOptions, notes: Notes
) -> Iterator[NumberedFields]:
    """The text of a file, its line ends as they stand, so that offsets hold for the file."""
    place = Place(file.source, 1)
    with open_stream(file.path, file.compression) as stream:
        text, length = _read(stream, place, options.max_length, notes)
    if length > options.max_length:
        yield 1, TextTooLong(place, options.text_key, length, max_length=options.max_length)
    else:
        yield 1, {options.text_key: text}


def _read(stream: BinaryIO, place: Place, max_length: int, notes: Notes) -> tuple[str, int]:
    """The text and its length; of a text over the limit only the length is right."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    parts: list[str] = []
    length = offset = 0
    while chunk := stream.read(_CHUNK_BYTES):
        size = len(chunk)
        if offset == 0:
            chunk = checked_start(chunk, place, notes)
        pending = len(decoder.getstate()[0])
        try:
            part = decoder.decode(chunk)
        except UnicodeDecodeError as error:
            byte = offset + size - len(chunk) - pending + error.start
            raise InvalidUtf8(place, byte, chunk) from None
        offset += size
        length += len(part)
        if length <= max_length:
            parts.append(part)
    if rest := decoder.getstate()[0]:
        raise InvalidUtf8(place, offset - len(rest))
    return "".join(parts), length
