"""A file of a store, fetched as far as it is read, and kept so that no byte is fetched twice."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, TypeVar, cast

from nlp_pipeline.errors.corpus import CorpusError, CorpusNotFound
from nlp_pipeline.errors.escapes import described
from nlp_pipeline.errors.run_folder import OutputError
from nlp_pipeline.errors.stores import (
    CopyDiskFull,
    CopyNotWritable,
    StoreChanged,
    StoreFailed,
    StoreRefused,
    UrlNotTaken,
)

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each further try, where a store does not answer."""
CHUNK_BYTES = 4 * 2**20
"""So much is fetched at a time, and is in memory."""
_IDENTITY = (
    *("ETag", "etag", "Content-MD5", "md5", "md5Hash", "md5_hash", "crc32c", "checksum", "Digest"),
    *("generation", "version_id", "VersionId", "sha"),
    *("Last-Modified", "LastModified", "last_modified", "mtime", "updated", "modify", "created"),
)
"""What the stores call that by which a file is known to be the same."""
_NO_CREDENTIALS = ("credential", "refresherror", "tokenretrieval", "authentication", "forbidden")
_REFUSALS = (401, 403)
_GONE = (404, 410)
_TRANSIENT = (408, 425, 429)


def patiently(url: str, action: Callable[[], _Result]) -> _Result:
    """Does what asks a store, again where it fails in a way that may pass.

    Args:
        url: What is asked for.
        action: Asks.

    Raises:
        CorpusError: It fails for good, or however often it is tried.
    """
    for wait in (*WAITS_S, None):
        try:
            return action()
        except OutputError:
            raise
        except Exception as error:  # each store has its own
            problem = store_error(url, error)
            if wait is None or not problem.retryable:
                raise problem from error
            _log.debug("%s: trying again in %s s.", url, wait, exc_info=True)
            time.sleep(wait)
    raise AssertionError


def store_error(url: str, error: BaseException) -> CorpusError:
    """What a store raised, in our words."""
    protocol = url.partition(":")[0].lower()
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, CorpusError):
            return cause
    statuses = [status for cause in causes if (status := _status(cause)) is not None]
    status = statuses[-1] if statuses else None
    names = " ".join(type(cause).__name__.lower() for cause in causes)
    reason = described(causes[-1])
    is_denied = any(isinstance(cause, PermissionError) for cause in causes)
    if status in _REFUSALS or is_denied or any(name in names for name in _NO_CREDENTIALS):
        return StoreRefused(url, protocol, reason)
    if status in _GONE or isinstance(causes[-1], FileNotFoundError):
        return CorpusNotFound(url)
    if status is not None and 400 <= status < 500 and status not in _TRANSIENT:
        return StoreRefused(url, protocol, f"HTTP {status}")
    if type(causes[-1]) is ValueError or "paramvalidation" in names:
        return UrlNotTaken(url, reason)
    return StoreFailed(url, reason)


def _status(error: BaseException) -> int | None:
    """The number of HTTP that an error stands for, wherever its library keeps it."""
    response = getattr(error, "response", None)
    facts = response.get("ResponseMetadata") if isinstance(response, Mapping) else None
    if isinstance(facts, Mapping):
        number = facts.get("HTTPStatusCode")
    else:
        keepers = [(error, "status"), (response, "status_code")]
        # aiohttp gives a number also to what broke off, where the server has answered nothing.
        if not type(error).__module__.startswith("aiohttp"):
            keepers.append((error, "code"))
        number = next((n for holder, name in keepers if (n := getattr(holder, name, None))), None)
    return int(str(number)) if str(number).isdigit() else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        problem = CopyDiskFull if is_full else CopyNotWritable
        raise problem(str(folder), error.strerror or str(error)) from error


def identity_of(facts: Mapping[str, Any]) -> str | None:
    """By what a file is known to be the same; None where the store says nothing to that."""
    marks = {name: str(facts[name]) for name in _IDENTITY if facts.get(name)}
    return json.dumps({"size": facts.get("size"), **marks}, sort_keys=True) if marks else None


class RemoteCopy:
    """A file of a store, of which lies here what was read.

    Args:
        filesystem: Of fsspec.
        path: In it.
        url: The whole, for messages.
        facts: What the store says of the file.
        folder: Where the copy lies.
        suffixes: Of the copy.

    Attributes:
        identity: By what the file is known to be the same; None where that cannot be known.
    """

    def __init__(
        self,
        filesystem: Any,
        path: str,
        url: str,
        *,
        facts: Mapping[str, Any],
        folder: Path,
        suffixes: str,
    ) -> None:
        self._filesystem = filesystem
        self._path = path
        self._url = url
        self._size: int | None = facts.get("size")
        self.identity = identity_of(facts)
        name = sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self._data = folder / f"{name}{suffixes}"
        self._note = folder / f"{name}.facts"
        self._lock = Lock()
        self._length: int | None = None
        self._is_whole = False
        self._remote: Any = None
        self._streams = False

    def __str__(self) -> str:
        return self._url

    @property
    def is_whole(self) -> bool:
        """Whether all of the file lies here."""
        with self._lock:
            self._begin()
        return self._is_whole

    def open(self) -> BinaryIO:
        """The file from its beginning, fetched as far as it is read."""
        return cast("BinaryIO", io.BufferedReader(_CopyStream(self), 2**20))

    def whole(self) -> Path:
        """Fetches all of the file, and says where it lies.

        Raises:
            CorpusError: The store does not give it.
        """
        with self._lock:
            self._begin()
            while not self._is_whole:
                self._fetch()
            self.close()
        return self._data

    def read_at(self, offset: int, size: int) -> bytes:
        """At most so many bytes of the file; none at its end.

        Raises:
            CorpusError: The store does not give them.
        """
        with self._lock:
            length = self._begin()
            while offset >= length and not self._is_whole:
                length = self._fetch()
            with self._data.open("rb") as file:
                file.seek(offset)
                return file.read(size)

    def close(self) -> None:
        """Lets go of the store."""
        remote, self._remote = self._remote, None
        if remote is not None:
            with suppress(Exception):  # it may be what has failed
                remote.close()

    def _begin(self) -> int:
        """How much lies here: what an earlier process has fetched of the same file, or nothing."""
        if self._length is None:
            if self.identity is None:  # a list of files may say less than the file itself
                facts = patiently(self._url, lambda: self._filesystem.info(self._path))
                self._size, self.identity = facts.get("size"), identity_of(facts)
            with _disk_errors(self._data.parent):
                self._data.parent.mkdir(parents=True, exist_ok=True)
                note = self._read_note()
                is_same = self.identity is not None and note.get("identity") == self.identity
                if not (is_same and self._data.is_file()):
                    self._data.write_bytes(b"")
                    self._write_note()
                self._length = self._data.stat().st_size
                self._is_whole = is_same and bool(note.get("whole") == self._length)
        return self._length

    def _fetch(self) -> int:
        """Fetches the next bytes and returns how much lies here then."""
        assert self._length is not None
        data = patiently(self._url, self._next_bytes)
        with _disk_errors(self._data.parent):
            if data:
                with self._data.open("r+b") as file:
                    file.seek(self._length)
                    file.write(data)
                self._length += len(data)
            if not data or self._length == self._size:
                with self._data.open("r+b") as file:
                    os.fsync(file.fileno())
                self._is_whole = True
                self._write_note()
        return self._length

    def _next_bytes(self) -> bytes:
        assert self._length is not None
        if self._length == self._size:
            return b""
        try:
            if self._remote is None:
                self._remote = self._opened(self._length)
            elif not self._streams:
                self._remote.seek(self._length)
            data: bytes = self._remote.read(CHUNK_BYTES)
            if not data and self._size is not None:
                raise OSError(f"it ended after {self._length:,} of {self._size:,} bytes")
        except Exception as error:
            self.close()
            if not self._streams and isinstance(error, ValueError):
                # A web server that knows no ranges: everything has to come again from the start.
                self._streams = True
                return self._next_bytes()
            raise
        return data

    def _opened(self, offset: int) -> Any:
        """The file of the store, at an offset."""
        if offset:
            self._filesystem.invalidate_cache()
            if identity_of(self._filesystem.info(self._path)) != self.identity:
                raise StoreChanged(self._url)
        options: dict[str, Any] = {"block_size": 0 if self._streams else CHUNK_BYTES}
        if not self._streams:
            options["cache_type"] = "none"
        remote = self._filesystem.open(self._path, "rb", **options)
        self._streams = self._streams or not _can_seek(remote)
        if not self._streams:
            remote.seek(offset)
            return remote
        while offset:
            skipped = len(remote.read(min(offset, CHUNK_BYTES)))
            if not skipped:
                raise OSError("it ended before where it was left")
            offset -= skipped
        return remote

    def _read_note(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note.read_bytes())
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def _write_note(self) -> None:
        temporary = self._note.with_suffix(".facts.tmp")
        facts = {"url": self._url, "identity": self.identity}
        whole = {"whole": self._length} if self._is_whole else {}
        temporary.write_text(json.dumps(facts | whole), encoding="ascii")
        temporary.replace(self._note)


def _can_seek(remote: Any) -> bool:
    """Whether a file of a store can be read from the middle; fsspec's streams say so wrongly."""
    return "Stream" not in type(remote).__name__ and bool(remote.seekable())


class _CopyStream(io.RawIOBase):
    """The bytes of a copy, in order."""

    def __init__(self, copy: RemoteCopy) -> None:
        self._copy = copy
        self._offset = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._copy.read_at(self._offset, len(buffer))
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)
