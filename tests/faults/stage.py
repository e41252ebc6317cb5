"""Runs the command line in forked children of a process that has imported everything, and harms
them on the way. Started by `conftest.py`: a job a line on stdin, its outcome a line on stdout.

A job is `{"argv": […]}` with one of

- `"kill": N`: SIGKILL at the Nth event (a line of the journal, which is half written by then, an
  fsync, a rename),
- `"kill_after": S`: SIGKILL after so many seconds,
- `"full": N`: no space is left on the device from the Nth event on.
"""

from __future__ import annotations

import errno
import functools
import gc
import io
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DOCUMENTS = 36
PART_SIZE = 8

events = 0
at: int | None = None
full = False


def event(half: Any = None) -> None:
    """Counts what a run does to the disk, and strikes when its time has come."""
    global events
    events += 1
    if at is None or events < at:
        return
    if full:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if half is not None:
        half()
    os.kill(os.getpid(), signal.SIGKILL)


def eventful(call: Any) -> Any:
    @functools.wraps(call)
    def counted(*arguments: Any, **options: Any) -> Any:
        event()
        return call(*arguments, **options)

    return counted


class Torn(io.FileIO):
    """A journal that a kill tears in the middle of a line, and a full disk too."""

    def write(self, data: Any) -> int:
        write = super().write
        try:
            event(half=lambda: write(data[: len(data) // 2]))
        except OSError:
            write(data[: len(data) // 2])
            raise
        return write(data)


def prepare() -> None:
    """Imports all that a run needs; then a child begins at once."""
    import spacy  # noqa: F401
    import torch

    from nlp_pipeline.runner import request
    from nlp_pipeline.runner import run as runner

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:  # imports what is imported on the way
        (Path(name) / "a.jsonl").write_text('{"text": "a"}\n')
        runner.run(Path(name) / "a.jsonl", Path(name) / "out", pipeline=sys.argv[1])
    small = functools.partial(request.RunRequest, part_size=PART_SIZE)
    request.RunRequest = small  # type: ignore[misc,assignment]
    os.fsync, os.replace = eventful(os.fsync), eventful(os.replace)
    opened = Path.open

    def torn(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if mode == "ab" and options.get("buffering") == 0:
            return Torn(path, "ab")
        return opened(path, mode, *rest, **options)

    Path.open = torn  # type: ignore[method-assign,assignment]
    gc.freeze()  # else each child searches all that is imported for garbage, and copies it


def child(job: dict[str, Any], said: str) -> None:
    """Runs the command; never returns."""
    global at, full
    at, full = job.get("kill", job.get("full")), "full" in job
    with open(said, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["nlp-pipeline", *job["argv"]]
    from nlp_pipeline.cli import main

    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        os._exit(code)
    os._exit(70)


def main() -> None:
    """The loop of jobs."""
    prepare()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        said = job["said"]
        pid = os.fork()
        if pid == 0:
            child(job, said)
        if "kill_after" in job:
            time.sleep(job["kill_after"])
            os.kill(
                pid, signal.SIGKILL
            )  # a child that has ended is a zombie until it is waited for
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": code}), flush=True)


if __name__ == "__main__":
    main()
