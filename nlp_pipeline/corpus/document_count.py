"""How many documents a corpus holds, counted without reading any of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from nlp_pipeline.corpus.conllu import count_conllu
from nlp_pipeline.corpus.corpus_file import WHOLE_FILE, CorpusFile
from nlp_pipeline.corpus.database import count_database
from nlp_pipeline.corpus.documents.mail import count_messages
from nlp_pipeline.corpus.json_array import count_json
from nlp_pipeline.corpus.parquet_table import count_rows
from nlp_pipeline.corpus.remote_copy import RemoteCopy
from nlp_pipeline.corpus.remote_store import RemoteStore
from nlp_pipeline.corpus.sources import find_sources
from nlp_pipeline.corpus.streams import open_stream
from nlp_pipeline.corpus.xlsx_table import count_sheets

_log = logging.getLogger(__name__)
_CHUNK_BYTES = 2**20
_BY_READING = {
    "squad": count_json,
    "conllu": count_conllu,
    "parquet": count_rows,
    "xlsx": count_sheets,
    "mbox": count_messages,
}
"""Formats whose documents are no lines."""


def count_documents(
    source: str | Path,
    limit: int | None = None,
    *,
    stdin: Path | None = None,
    query: str | None = None,
    further_sources: Iterable[str] = (),
    store: RemoteStore | None = None,
) -> int | None:
    """A total for a progress bar: lines, rows and text files.

    It is a little high where lines are blank, and as far as the file could be read where it is
    damaged.

    Args:
        source: As in `read_corpus`.
        limit: The most that will be read; counting stops there.
        stdin: As in `read_corpus`.
        query: As in `read_corpus`.
        further_sources: As in `read_corpus`.
        store: As in `read_corpus`.

    Returns:
        The total, never more than `limit`; `None` for standard input without a copy, and where
        files would have to be fetched to be counted.

    Raises:
        CorpusError: As in `read_corpus`.
    """
    total = 0
    listing = find_sources(source, stdin, further_sources=further_sources, store=store)
    for file in listing.files:
        if file.path is None or _is_away(file):
            return None
        total += _count(file, None if limit is None else limit - total, query)
        if limit is not None and total >= limit:
            return limit
    return total


def _is_away(file: CorpusFile) -> bool:
    """Whether a file lies in a store, and only its bytes say how many documents it holds."""
    if file.format in WHOLE_FILE or not isinstance(file.path, RemoteCopy):
        return False
    return not file.path.is_whole


def _count(file: CorpusFile, limit: int | None, query: str | None) -> int:
    if file.format in WHOLE_FILE:
        return 1
    total = 0
    try:
        for documents in _counts(file, query):
            total += documents
            if limit is not None and total > limit:
                break
    except Exception:
        # The reading itself says what is wrong; a progress bar needs no second message.
        _log.debug("%s could not be counted.", file.source, exc_info=True)
    return max(0, total - 1) if file.format == "csv" else total


def _counts(file: CorpusFile, query: str | None) -> Iterator[int]:
    """Numbers of documents, one after the other, whose sum is the file's."""
    if file.format == "database":
        yield from count_database(file, query)
        return
    if file.format in _BY_READING:
        yield from _BY_READING[file.format](file)
        return
    with open_stream(file.path, file.compression) as stream:
        yield from _line_ends(stream, quotes=file.format == "csv")


def _line_ends(stream: BinaryIO, *, quotes: bool) -> Iterator[int]:
    """How many lines end in each chunk; a last line without an end counts as well.

    Args:
        stream: What to count.
        quotes: Whether line ends between double quotes belong to a cell and end no row.
    """
    outside, last = True, b"\n"
    while chunk := stream.read(_CHUNK_BYTES):
        last = chunk[-1:]
        if quotes:
            pieces = chunk.split(b'"')
            yield sum(piece.count(b"\n") for piece in pieces[0 if outside else 1 :: 2])
            outside = outside == bool(len(pieces) % 2)
        else:
            yield chunk.count(b"\n")
    if last != b"\n":
        yield 1
