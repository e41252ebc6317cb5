"""Fresh processes that begin at once: forks of one that has imported the heavy libraries.

Nothing of spaCy and nothing of ours is imported there, nor are entry points looked up: what a new
process finds by itself, and what it has to import, is as in one that was started with `python`.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import warnings
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "pandas",
        "pyarrow.parquet",
        "sympy",
        "torch",
        "transformers.models.auto.auto_factory",
        "transformers.tokenization_utils",
    ]
)


class Ended(NamedTuple):
    """What a program left behind."""

    returncode: int | None
    stdout: str
    stderr: str


def start(
    code: str, cwd: Path, *, strict: bool = False, env: dict[str, str] | None = None
) -> Fresh:
    """Starts a program; `strict` turns warnings into errors, as `python -W error` does."""
    return Fresh(code, cwd, strict, env or {})


def run(code: str, cwd: Path, *, strict: bool = False, timeout: float = 200) -> Ended:
    """Runs a program to its end.

    Raises:
        TimeoutError: It took more than `timeout` seconds.
    """
    return start(code, cwd, strict=strict).wait(timeout)


class Fresh:
    """A program in a process of its own."""

    def __init__(self, code: str, cwd: Path, strict: bool, env: dict[str, str]) -> None:
        self._files = cwd / "fresh.out", cwd / "fresh.err"
        options = (code, str(cwd), [str(file) for file in self._files], strict, env)
        self.process: BaseProcess = CONTEXT.Process(target=_main, args=options)
        self.process.start()

    def wait(self, timeout: float) -> Ended:
        """Its end."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise TimeoutError(timeout)
        out, err = (file.read_text(encoding="utf-8") for file in self._files)
        return Ended(self.process.exitcode, out, err)


def _main(code: str, cwd: str, files: list[str], strict: bool, env: dict[str, str]) -> None:
    """In the process."""
    gc.freeze()  # what was imported before is not searched for garbage again
    os.environ.update(env)
    os.chdir(cwd)
    for name, handle in zip(files, (1, 2), strict=True):
        with open(name, "w") as file:
            os.dup2(file.fileno(), handle)
    if strict:
        warnings.simplefilter("error")
    sys.argv = ["-c"]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
