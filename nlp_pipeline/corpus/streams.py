"""Bytes and lines: opens plain and compressed files, and cuts lines of bounded length."""

from __future__ import annotations

import gzip
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, BinaryIO, NamedTuple, cast

from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.remote_copy import RemoteCopy
from nlp_pipeline.errors.corpus import ZstdNotInstalled
from nlp_pipeline.errors.file_formats import InvalidUtf8
from nlp_pipeline.errors.records import BadRecord, LineTooLong, Place

MAX_LINE_BYTES = 16 * 2**20
"""The longest line that is read, unless `max_length` asks for longer texts."""
BOM = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Line(NamedTuple):
    """One line of a file.

    Attributes:
        number: 1-based.
        offset: Byte of the (uncompressed) file at which `data` starts.
        data: The line with its line end, or the reason why it was not kept.
    """

    number: int
    offset: int
    data: bytes | BadRecord


@contextmanager
def open_stream(path: Any, compression: str) -> Iterator[BinaryIO]:
    """Opens a file, here or in a store, for reading; standard input where `path` is `None`.

    A compressed file that ends too early raises `EOFError` once all that is whole was read, any
    other damage an `OSError`.

    Args:
        path: The file.
        compression: `".gz"`, `".zst"` or `""`.
    """
    if path is None:
        yield sys.stdin.buffer
        return
    with path.open() if isinstance(path, RemoteCopy) else open(path, "rb") as stored:
        if compression == ".gz":
            with gzip.open(stored, "rb") as stream:
                yield cast("BinaryIO", stream)
        elif compression == ".zst":
            zstd = require_zstd(str(path))
            try:
                with zstd.open(stored, "rb") as stream:
                    yield stream
            except zstd.ZstdError as error:
                raise OSError(str(error)) from error
        else:
            yield stored


def require_zstd(source: str) -> Any:
    """The module that reads Zstandard: the standard library's, or its backport.

    `zstandard.stream_reader` is no choice: it loses the end of a truncated file without a word.

    Raises:
        ZstdNotInstalled: Neither is there.
    """
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ZstdNotInstalled(source)


def line_limit(max_length: int) -> int:
    """How many bytes a line may have so that a text of `max_length` fits, all of it escaped."""
    return max(MAX_LINE_BYTES, 12 * max_length)


def read_lines(
    stream: BinaryIO, source: str, limit: int, notes: Notes, *, crlf_is_usual: bool = False
) -> Iterator[Line]:
    r"""Cuts a stream at `\n` only, and never holds more than `limit` bytes of it.

    U+2028, U+0085 and a lone carriage return stand inside texts, so they end no line.

    Args:
        stream: What to read.
        source: The file's name for messages.
        limit: The most bytes a line may have.
        notes: Takes the warnings about byte order marks and CR LF.
        crlf_is_usual: Whether the format has such line ends by its own rules.

    Raises:
        InvalidUtf8: The first bytes say UTF-16, in which no line can be told from another.
    """
    offset = 0
    for number in count(1):
        data = stream.readline(limit + 1)
        if not data:
            return
        size = len(data)
        place = Place(source, number)
        if number == 1:
            data = checked_start(data, place, notes)
        if data.endswith(b"\r\n") and not crlf_is_usual:
            notes.once("crlf", place)
        if size > limit and not data.endswith(b"\n"):
            size += _skip_line(stream)
            yield Line(number, offset, LineTooLong(place, limit, size))
        else:
            yield Line(number, offset + size - len(data), data)
        offset += size


def checked_start(data: bytes, place: Place, notes: Notes) -> bytes:
    """The first bytes of a file without their byte order mark.

    Raises:
        InvalidUtf8: They are UTF-16: its mark, or a zero byte beside each of the first letters;
            or they are all zero, as the machine leaves a file when it goes down.
    """
    if data.startswith(_UTF16_MARKS) or _looks_like_utf16(data):
        raise InvalidUtf8(place, 0, utf16=True)
    if data.startswith(BOM):
        notes.once("byte_order_mark", place)
        return data[len(BOM) :]
    return data


def has_windows_bytes(path: Any, compression: str) -> bool:
    """Whether a line of a file that is no UTF-8 has bytes that only Windows-1252 has letters for.

    One line alone may look like Latin-1, which would make control characters of the others' dashes
    and euro signs. Only the first 16 MiB are looked at.
    """
    with open_stream(path, compression) as stream:
        for line in stream.read(MAX_LINE_BYTES).splitlines():
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                if any(0x80 <= byte < 0xA0 for byte in line):
                    return True
    return False


def _looks_like_utf16(data: bytes) -> bool:
    """Whether every other byte is zero; a single zero byte is a control character like others."""
    zeros = [byte == 0 for byte in data[:4]]
    return zeros in ([True, False] * 2, [False, True] * 2) or (len(data) > 1 and not any(data))


def _skip_line(stream: BinaryIO) -> int:
    """Reads to the end of the line and keeps nothing; returns how many bytes that was."""
    skipped = 0
    while chunk := stream.readline(2**16):
        skipped += len(chunk)
        if chunk.endswith(b"\n"):
            break
    return skipped
