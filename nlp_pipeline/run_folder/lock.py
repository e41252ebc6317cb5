"""One run at a time in a folder: a lock that the kernel frees when its process dies."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from nlp_pipeline.errors.run_folder import RunLocked
from nlp_pipeline.run_folder.files import disk_errors

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder until the end of the block.

    Raises:
        RunLocked: Another process holds it; says which.
        OutputNotWritable: There can be no lock in it.
    """
    lock = _lock(folder)
    with ExitStack() as stack:
        with disk_errors(folder):
            holder = _holder(folder)
            try:
                lock.acquire()
            except Timeout:
                _write_holder(folder, holder)
                raise RunLocked(str(folder), holder or "an unknown process") from None
            stack.callback(lock.release)
            _write_holder(folder, f"process {os.getpid()}")
            stack.enter_context(_visible_lock(folder))
        yield


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder; on Linux the look itself takes no lock.

    A lock that is taken to look, however short, would make a run fail that begins just then.
    """
    try:
        return _is_visible(folder)
    except OSError:
        return False


def _lock(folder: Path) -> FileLock:
    # Not tied to a thread: a run may be begun in one and closed in another.
    return FileLock(folder / LOCK, timeout=0, thread_local=False)


def _holder(folder: Path) -> str:
    """What the process that holds the folder has written into the lock's file."""
    with suppress(OSError):  # it is not there, or Windows lets nobody read a locked file
        return (folder / LOCK).read_text(encoding="utf-8").strip()
    return ""


def _write_holder(folder: Path, holder: str) -> None:
    """Writes that text; again after a vain try, as filelock 3 empties a file that it opens."""
    with suppress(OSError):
        (folder / LOCK).write_text(holder, encoding="utf-8")


if sys.platform == "linux":
    import fcntl

    _LOCK_LAYOUT = "hhqqi4x"  # struct flock: type, whence, start, length, process

    @contextmanager
    def _visible_lock(folder: Path) -> Iterator[None]:
        """Takes a second lock, of the kind that can be asked about: filelock's cannot."""
        write_lock = struct.pack(_LOCK_LAYOUT, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        with (folder / LOCK).open("r+") as file:
            with suppress(OSError):  # a file system without: then `status` says "interrupted"
                fcntl.fcntl(file, fcntl.F_OFD_SETLK, write_lock)
            yield

    def _is_visible(folder: Path) -> bool:
        read_lock = struct.pack(_LOCK_LAYOUT, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        with (folder / LOCK).open("r") as file:
            answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, read_lock)
        return bool(struct.unpack(_LOCK_LAYOUT, answer)[0] != fcntl.F_UNLCK)
else:

    @contextmanager
    def _visible_lock(folder: Path) -> Iterator[None]:
        """There is no such lock: whoever looks takes the lock itself for a moment."""
        yield

    def _is_visible(folder: Path) -> bool:
        if not (folder / LOCK).exists():
            return False
        holder = _holder(folder)
        try:
            with _lock(folder):
                return False
        except Timeout:
            _write_holder(folder, holder)
            return True
