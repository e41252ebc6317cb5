"""`read_corpus`: from what the user named to `Record`s and `Reject`s in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from nlp_pipeline.corpus.conllu import read_conllu
from nlp_pipeline.corpus.corpus_file import CorpusFile, Sources
from nlp_pipeline.corpus.csv_table import read_csv
from nlp_pipeline.corpus.data_set import data_set_records, is_data_set
from nlp_pipeline.corpus.database import read_database
from nlp_pipeline.corpus.documents.conversion import Converter
from nlp_pipeline.corpus.documents.document_file import read_document, require_models
from nlp_pipeline.corpus.documents.mail import read_eml, read_mbox
from nlp_pipeline.corpus.json_array import read_json
from nlp_pipeline.corpus.jsonl import read_jsonl
from nlp_pipeline.corpus.memory_records import is_in_memory, memory_fields, read_records
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.parquet_table import read_parquet
from nlp_pipeline.corpus.plain_text import read_plain_text
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.corpus.record import Record, Reject
from nlp_pipeline.corpus.record_builder import Builder
from nlp_pipeline.corpus.remote_store import RemoteStore
from nlp_pipeline.corpus.sources import MEMORY, check_together, find_sources
from nlp_pipeline.corpus.streams import has_windows_bytes
from nlp_pipeline.corpus.text_field import with_text_field
from nlp_pipeline.corpus.xlsx_table import read_xlsx
from nlp_pipeline.errors.corpus import CorpusError
from nlp_pipeline.errors.documents import ConverterUnusable
from nlp_pipeline.errors.escapes import described
from nlp_pipeline.errors.file_formats import InvalidUtf8, TruncatedFile, UnreadableFile
from nlp_pipeline.errors.records import BadRecord, Place
from nlp_pipeline.errors.run_folder import OutputError
from nlp_pipeline.errors.stores import StoreFailed

_log = logging.getLogger(__name__)

FormatReader: TypeAlias = Callable[[CorpusFile, ReadOptions, Notes], Iterator[NumberedFields]]

_Fields = TypeVar("_Fields")

_FIELDS_OF_THEIR_OWN = ("jsonl", "squad")
"""Formats in which every record names its fields: no header says whether there is the text."""

READERS: dict[str, FormatReader] = {
    "jsonl": read_jsonl,
    "csv": read_csv,
    "parquet": read_parquet,
    "text": read_plain_text,
    "squad": read_json,
    "xlsx": read_xlsx,
    "eml": read_eml,
    "mbox": read_mbox,
    "document": read_document,
    "database": read_database,
    "conllu": read_conllu,
    "records": read_records,
}


def read_corpus(
    source: Any,
    *,
    text_key: str = "text",
    id_key: str = "id",
    limit: int | None = None,
    max_length: int = 100_000,
    on_warning: Callable[[str], None] | None = None,
    stdin: Path | None = None,
    named_by_stem: Collection[str] = (),
    converter: Converter | None = None,
    query: str | None = None,
    further_sources: Iterable[str] = (),
    known_files: Collection[str] = (),
    allow_private: bool = False,
    store: RemoteStore | None = None,
) -> Iterator[Record | Reject]:
    """Reads a corpus in constant memory, save for 16 bytes of each id.

    Every place where a record should be gives one item, in order, with its position as `index`:
    what is wrong with one record never costs another.

    Args:
        source: A `.jsonl`, `.ndjson`, `.csv`, `.tsv` or `.txt` file, plain or with `.gz` or
            `.zst`; a `.parquet` or `.xlsx` file; a `.json` file, an array of records or in SQuAD's
            format; a `.conllu` file; a mail (`.eml`) or a mailbox (`.mbox`); a document that is
            converted to text (`.pdf`, `.docx`, `.pptx`, `.html`, `.md`); a pattern such as
            `notes/**/*.pdf`; a folder of these (but `.json`), read recursively and sorted by
            path; the URL of a file, a folder or a pattern that fsspec opens (`s3://…`, `gs://…`,
            `https://…`); a data set (`hf://datasets/NAME`, or a folder of `save_to_disk`); or
            `"-"` for JSON Lines on standard input. Also what a program has at hand: a
            pandas, polars or Arrow table, a `datasets.Dataset`, an iterable of records, of texts
            or of pairs of a text and its context.
        text_key: The field that holds the text.
        id_key: The field that holds the id.
        limit: The most items to give, rejects counted; `None` for all.
        max_length: The longest text in characters (Unicode code points).
        on_warning: Takes the text of each warning, such as about a byte order mark; without it
            they go to the logger `nlp_pipeline.corpus`.
        stdin: As in `find_sources`.
        named_by_stem: As in `find_sources`.
        converter: Makes texts of PDFs and the like, and may remember them.
        query: What is read of a `.sqlite`, `.db` or `.duckdb` file: one SELECT.
        further_sources: Files, folders, patterns and URLs that are read after it. The ids of their
            records begin with the source as it is named here.
        known_files: As in `find_sources`.
        allow_private: Whether a URL may lead into the own network, or be redirected elsewhere.
        store: Opens URLs and remembers what was fetched; by default that goes when it was read.

    Returns:
        An iterator. A damaged file ends with one reject, and the next file follows.

    Raises:
        CorpusError: The source cannot be read at all; raised by the call itself.
    """
    converter = converter or Converter()
    options = ReadOptions(text_key, id_key, max_length, converter=converter, query=query)
    notes = Notes(on_warning)
    further_sources = tuple(further_sources)
    check_together(source, further_sources)
    if stdin is None and is_data_set(source):
        source = data_set_records(str(source), text_key)
    if is_in_memory(source):
        items = memory_fields(source, options, notes)
        return _limited(_read_memory(items, Builder(options, notes)), limit, notes)
    store = store or RemoteStore(allow_private=allow_private)
    sources = find_sources(
        source,
        stdin,
        named_by_stem,
        further_sources=further_sources,
        known_files=known_files,
        store=store,
    )
    notes.passed_over(str(source), sources.passed_over)
    notes.left_out(str(source), sources.left_out)
    for extra, names in sources.unread.items():
        notes.unread(str(source), extra, names)
    require_models(sources, converter)
    rows = _limited(_read(sources, options, notes, store), limit, notes)
    return rows if sources.files[0].path is None else _started(rows)


def _read_memory(items: Iterator[NumberedFields], builder: Builder) -> Iterator[Record | Reject]:
    file = CorpusFile(None, MEMORY, "record", format="records")
    for number, fields in items:
        yield builder.build(file, number, fields)


def _started(rows: Iterator[Record | Reject]) -> Iterator[Record | Reject]:
    """The same rows, the first already read, so that a wrong column name is known at once."""
    for first in rows:
        return chain([first], rows)
    return iter(())


def _limited(
    rows: Iterator[Record | Reject], limit: int | None, notes: Notes
) -> Iterator[Record | Reject]:
    if limit is None or limit > 0:
        for row in rows:
            yield row
            if limit is not None and row.index + 1 >= limit:
                break
    notes.finish()


def _read(
    sources: Sources, options: ReadOptions, notes: Notes, store: RemoteStore
) -> Iterator[Record | Reject]:
    builder = Builder(options, notes)
    try:
        for file in sources.files:
            empty = True
            items = READERS[file.format](file, options, notes)
            if file.format in _FIELDS_OF_THEIR_OWN and not sources.is_folder:
                items = _with_text(items, file, options)
            for row in _read_file(file, items, builder, in_folder=sources.is_folder):
                empty = False
                yield row
            if empty:
                notes.no_documents(file.source)
    finally:
        store.close()
        if options.converter is not None:
            options.converter.close()


def _with_text(
    items: Iterator[NumberedFields], file: CorpusFile, options: ReadOptions
) -> Iterator[NumberedFields]:
    """The same items, once some of them have the text: raises `NoTextField` where none has."""
    yield from with_text_field(items, _fields_of, options.text_key, file.source)


def _fields_of(item: NumberedFields) -> dict[str, Any] | None:
    return item[1] if isinstance(item[1], dict) else None


def _read_file(
    file: CorpusFile, items: Iterator[NumberedFields], builder: Builder, *, in_folder: bool
) -> Iterator[Record | Reject]:
    """The rows of one file; one reject more where the file itself is at fault.

    Whatever its reader raises is that reject, in every format: no file costs another.

    Raises:
        CorpusError: The file is the whole corpus, and nothing of it can be read; in a folder it
            is a reject.
    """
    windows = cache(lambda: file.path is not None and _has_windows_bytes(file))
    line = 0
    fault: CorpusError | BadRecord
    try:
        for line, fields in items:
            yield builder.build(file, line, _advised(fields, windows))
        return
    except (StoreFailed, OutputError, ConverterUnusable):  # what comes after it would fail as well
        raise
    except CorpusError as error:
        if not in_folder:
            raise
        fault = error
    except Exception as error:  # a library may raise anything on what it has not seen before
        _log.debug("%s could not be read.", file.source, exc_info=True)
        fault = _damage(error, Place(file.source, line + 1))
    yield builder.reject(file, line + 1, _advised(fault, windows))


def _advised(fields: _Fields, windows: Callable[[], bool]) -> _Fields:
    """Fields as they are; of bytes that are no UTF-8 with the advice for their whole file."""
    if isinstance(fields, InvalidUtf8) and fields.looks_latin and windows():
        return fields.in_windows_file()  # type: ignore[return-value]
    return fields


def _has_windows_bytes(file: CorpusFile) -> bool:
    try:
        return has_windows_bytes(file.path, file.compression)
    except Exception:  # the reader itself says what is wrong with the file
        return False


def _damage(error: Exception, place: Place) -> BadRecord:
    if isinstance(error, BadRecord):
        return error
    if isinstance(error, EOFError):
        return TruncatedFile(place)
    return UnreadableFile(place, described(error))
