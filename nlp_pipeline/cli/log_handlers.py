"""What the library logs, on the terminal and in the file of `--debug-log`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.run import DebugLogNotWritable


class _Notes(logging.Handler):
    """Prints to what is stderr at the time, which is above the bar while there is one."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(escaped(record.getMessage(), limit=1000), err=True)


class _DebugLog(logging.Handler):
    """Adds each record to a file, with nothing in it that a terminal would obey.

    Raises:
        DebugLogNotWritable: The file cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._path = path
        self._append("")

    def emit(self, record: logging.LogRecord) -> None:
        lines = self.format(record).split("\n")
        self._append("".join(escaped(line, 2000) + "\n" for line in lines))

    def _append(self, text: str) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise DebugLogNotWritable(str(self._path), error.strerror or str(error)) from error


def show_notes(*, quiet: bool = False, debug_log: Path | None = None) -> None:
    """What the library has to say (its logger `nlp_pipeline`) goes to stderr, or nowhere.

    Args:
        quiet: Nowhere.
        debug_log: A file that gets all of it, with the traceback of every failure.

    Raises:
        DebugLogNotWritable: The file cannot be written to.
    """
    logger = logging.getLogger("nlp_pipeline")
    logger.handlers[:] = [logging.NullHandler() if quiet else _Notes()]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if debug_log is not None:
        logger.addHandler(_DebugLog(debug_log))
        logger.setLevel(logging.DEBUG)
