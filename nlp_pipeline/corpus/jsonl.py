"""JSON Lines: one object a line."""

from __future__ import annotations

from collections.abc import Iterator

from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.json_object import parse_object
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.corpus.streams import line_limit, open_stream, read_lines
from nlp_pipeline.errors.records import BadRecord, Place


def read_jsonl(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The object of every line that is not blank, or the reason why there is none."""
    limit = line_limit(options.max_length)
    with open_stream(file.path, file.compression) as stream:
        for number, offset, data in read_lines(stream, file.source, limit, notes):
            if isinstance(data, BadRecord):
                yield number, data
            elif not data.strip():
                notes.blank_line()
            else:
                try:
                    yield number, parse_object(data, Place(file.source, number), offset, notes)
                except BadRecord as error:
                    yield number, error
