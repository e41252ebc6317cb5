"""One large JSON text, walked through in bounded memory: values are cut out, not parsed.

What stands in a value is looked at no further than its brackets and quotes, so that a bad byte or a
misplaced comma in one value costs no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import orjson

_CHUNK_BYTES = 2**20
_TOKEN = re.compile(rb'[{\[]|[}\]]|"[^"\\]*(?:\\.[^"\\]*)*("?)', re.DOTALL)
_REST_OF_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*("?)', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]}:]*")
_SPACE = re.compile(rb"\s*")


class JsonBroken(Exception):
    """The text is not JSON from some byte on, so that no further value can be told.

    Attributes:
        offset: Of that byte in the text.
    """

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class JsonValue(NamedTuple):
    """A value as it stands in the text.

    Attributes:
        offset: Byte of the text at which it begins.
        size: Its bytes.
        data: The bytes themselves; None where they are more than the limit.
    """

    offset: int
    size: int
    data: bytes | None


class JsonStream:
    """A place in a JSON text that moves forward only.

    Args:
        stream: The text.
        limit: The most bytes of a value that are kept.
        first: What was read of the stream already.
        offset: Byte of the file at which `first` begins.
    """

    def __init__(self, stream: BinaryIO, limit: int, first: bytes = b"", offset: int = 0) -> None:
        self._stream = stream
        self._limit = limit
        self._buffer = first
        self._position = 0
        self._base = offset

    @property
    def offset(self) -> int:
        """Byte of the file at which the stream stands."""
        return self._base + self._position

    def peek(self) -> bytes:
        """The next byte that is no white space; `b""` at the end."""
        while True:
            self._position = _end(_SPACE, self._buffer, self._position)
            if self._position < len(self._buffer):
                return self._buffer[self._position : self._position + 1]
            if not self._refill():
                return b""

    def members(self) -> Iterator[str]:
        """The keys of the object that follows; a value that is not taken is passed over.

        Raises:
            JsonBroken: It is no object, or one that is not closed.
        """
        for _ in self._entries(b"{", b"}"):
            if self.peek() != b'"':
                raise JsonBroken(self.offset)
            key = self.value()
            self._expect(b":")
            self.peek()
            start = self.offset
            yield _text(key)
            if self.offset == start:
                self.value()

    def items(self) -> Iterator[None]:
        """Stops at every item of the array that follows; one that is not taken is passed over.

        Raises:
            JsonBroken: It is no array, or one that is not closed.
        """
        for _ in self._entries(b"[", b"]"):
            start = self.offset
            yield
            if self.offset == start:
                self.value()

    def value(self) -> JsonValue:
        """Takes the value that follows.

        Raises:
            JsonBroken: There is none, or it is not closed.
        """
        first = self.peek()
        start = self.offset
        text = _BoundedText(self._limit)
        if first in (b"{", b"[", b'"'):
            self._take_nested(text)
        else:
            self._take_scalar(text)
        if not text.size:
            raise JsonBroken(start)
        return JsonValue(start, text.size, text.data)

    def _entries(self, opening: bytes, closing: bytes) -> Iterator[None]:
        self._expect(opening)
        if self.peek() == closing:
            self._position += 1
            return
        while True:
            self.peek()
            yield
            if self.peek() == closing:
                self._position += 1
                return
            self._expect(b",")

    def _expect(self, byte: bytes) -> None:
        if self.peek() != byte:
            raise JsonBroken(self.offset)
        self._position += 1

    def _take_nested(self, text: _BoundedText) -> None:
        """Up to the bracket or the quote that closes what is opened here."""
        depth, in_string = 0, False
        while True:
            start, closed = self._position, False
            if in_string:
                match = _REST_OF_STRING.match(self._buffer, start)
                in_string = not (match and match[1])
                self._position = match.end() if match else start
                closed = not (in_string or depth)
            if not (in_string or closed):
                for match in _TOKEN.finditer(self._buffer, self._position):
                    byte = self._buffer[match.start()]
                    if byte == 0x22:  # a quote
                        in_string = not match[1]
                    else:
                        depth += 1 if byte in b"{[" else -1
                    if in_string or not depth:
                        self._position = match.end()
                        closed = not in_string
                        break
                else:
                    self._position = len(self._buffer)
            text.add(self._buffer[start : self._position])
            if closed:
                return
            # In the middle of a string a backslash may be left, which belongs to the next byte.
            if not self._refill():
                raise JsonBroken(self.offset)

    def _take_scalar(self, text: _BoundedText) -> None:
        while True:
            start = self._position
            self._position = _end(_SCALAR, self._buffer, start)
            text.add(self._buffer[start : self._position])
            if self._position < len(self._buffer) or not self._refill():
                return

    def _refill(self) -> bool:
        """Drops what lies behind and reads on; False at the end of the text."""
        chunk = self._stream.read(_CHUNK_BYTES)
        self._base += self._position
        self._buffer = self._buffer[self._position :] + chunk
        self._position = 0
        return bool(chunk)


class _BoundedText:
    """Bytes of a value, as long as they are not too many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self._limit:
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    @property
    def data(self) -> bytes | None:
        return b"".join(self._pieces) if self.size <= self._limit else None


def _end(pattern: re.Pattern[bytes], text: bytes, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _text(key: JsonValue) -> str:
    """A key; one that is none of ours, whatever it is, where it cannot be read."""
    try:
        return str(orjson.loads(key.data or b'""'))
    except orjson.JSONDecodeError:
        return ""
