"""One run at a time in a folder: a lock that the kernel frees when its process dies."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from nlp_pipeline.errors.run import RunLocked
from nlp_pipeline.run_folder.files import disk_errors

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder until the end of the block.

    Raises:
        RunLocked: Another process holds it; says which.
        OutputNotWritable: There can be no lock in it.
    """
    with ExitStack() as stack:
        with disk_errors(folder):
            file = stack.enter_context((folder / LOCK).open("a+"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "an unknown process"
                raise RunLocked(str(folder), holder) from None
            _show(file)
            file.truncate(0)
            file.write(f"process {os.getpid()}")
            file.flush()
        yield


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder; the look itself takes no lock.

    A shared lock, however short, would make a run fail that begins just then.
    """
    try:
        with (folder / LOCK).open("r") as file:
            return _is_shown(file)
    except OSError:
        return False


if sys.platform == "linux":
    _LOCK_LAYOUT = "hhqqi4x"  # struct flock: type, whence, start, length, process

    def _show(file: IO[str]) -> None:
        """Takes a second lock, of the kind that can be asked about: flock's cannot."""
        wanted = struct.pack(_LOCK_LAYOUT, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        with suppress(OSError):  # a file system without: then `status` says "interrupted"
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, wanted)

    def _is_shown(file: IO[str]) -> bool:
        asked = struct.pack(_LOCK_LAYOUT, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked)
        return bool(struct.unpack(_LOCK_LAYOUT, answer)[0] != fcntl.F_UNLCK)
else:

    def _show(file: IO[str]) -> None:
        """There is no such lock: the process that `locked` writes down is looked for."""

    def _is_shown(file: IO[str]) -> bool:
        try:
            os.kill(int(file.read().removeprefix("process ")), 0)
        except (ValueError, OSError):
            return False
        return True
