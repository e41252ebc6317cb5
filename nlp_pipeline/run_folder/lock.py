"""One run at a time in a folder: a lock that the kernel frees when its process dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

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
            file.truncate(0)
            file.write(f"process {os.getpid()}")
            file.flush()
        yield
