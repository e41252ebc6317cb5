"""Ctrl-C: the first ends a run so that it can go on, the second ends it at once."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from nlp_pipeline.cli import INTERRUPTED
from nlp_pipeline.errors.base import noun_form
from nlp_pipeline.errors.run import TooManyErrors


@contextmanager
def resumable(out: Path, safe: Callable[[Path], str] | None = None) -> Iterator[None]:
    """Says after an interrupt what is safe and which command goes on.

    Args:
        out: The run's folder.
        safe: Says what is safe there; by default of a run.
    """
    handler = None
    if threading.current_thread() is threading.main_thread():
        handler = signal.signal(signal.SIGINT, _first)
    try:
        yield
    except KeyboardInterrupt:
        click.echo(
            f"Interrupted. {(safe or _safe)(out)} To go on, type:\n  {command_line()}", err=True
        )
        sys.exit(INTERRUPTED)
    except TooManyErrors as error:
        click.echo(f"Error: {error}\n  {command_line()}", err=True)
        sys.exit(error.exit_code)
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


_STARTS_OVER = ("--fresh", "--force")


def command_line(arguments: Sequence[str] | None = None) -> str:
    """The command that goes on with a run, as a shell takes it.

    Args:
        arguments: Those of the command that began; by default of this process. `--fresh`, or
            `--force`, would start over, and is left out.
    """
    words = sys.argv[1:] if arguments is None else arguments
    return shlex.join(["nlp-pipeline", *(word for word in words if word not in _STARTS_OVER)])


def _first(*_: int | FrameType | None) -> NoReturn:
    # What is done is flushed now; whoever cannot wait for that presses again.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _safe(out: Path) -> str:
    from nlp_pipeline.errors.run_folder import OutputError, RunNotFound
    from nlp_pipeline.run_folder.status import run_status

    try:
        n_done = run_status(out).done
        return f"{n_done} {noun_form(n_done, 'document is', 'documents are')} safe in {out}/."
    except RunNotFound:
        return "Nothing was done yet."
    except OutputError as error:
        return str(error)
