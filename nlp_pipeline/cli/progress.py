"""A run's progress on stderr: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from nlp_pipeline.cli.estimate_text import estimate_line
from nlp_pipeline.errors.base import counted, noun_form
from nlp_pipeline.errors.escapes import escaped

if TYPE_CHECKING:
    from nlp_pipeline.runner.estimate import RunEstimate

PLAIN_EVERY = 10.0
"""Seconds between two plain lines."""


class Figures:
    """Counts and rates of a run that is going on."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done_before = self.ok = self.failed = self.tokens = 0
        self.started = time.monotonic()

    def start(self, total: int | None, done: int) -> None:
        """Begins to count."""
        self.total, self.done_before, self.started = total, done, time.monotonic()

    def add(self, *, failed: bool, output_tokens: int) -> None:
        """One more document."""
        self.ok, self.failed = self.ok + (not failed), self.failed + failed
        self.tokens += output_tokens

    def finish(self) -> None:
        """The run is over, and the total was what is done: blank lines were counted in it."""
        self.total = self.done

    @property
    def done(self) -> int:
        """Documents done, those of an earlier process included."""
        return self.done_before + self.ok + self.failed

    def line(self) -> str:
        """`7/12 documents, 7 ok, 0 failed, 0.5 documents/s, 21 tokens/s, 0:00:10 left`."""
        seconds = max(time.monotonic() - self.started, 1e-9)
        rate = (self.ok + self.failed) / seconds
        of = f"/{self.total}" if self.total is not None else ""
        noun = noun_form(self.total or self.done, "document")
        note = f" ({self.done_before} from before)" if self.done_before else ""
        text = (
            f"{self.done}{of} {noun}{note}, {self.ok} ok, {self.failed} failed, "
            f"{rate:.1f} documents/s, {self.tokens / seconds:.0f} tokens/s"
        )
        if self.total is not None and rate > 0 and self.done < self.total:
            text += f", {_clock((self.total - self.done) / rate)} left"
        return text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


class PlainProgress:
    """A line every few seconds, for logs."""

    def __init__(self) -> None:
        self._figures = Figures()
        self._last_line = time.monotonic()

    def start(self, total: int | None, done: int) -> None:
        """Begins to count, and says where a run that is resumed goes on."""
        self._figures.start(total, done)
        self._last_line = time.monotonic()
        if done:
            click.echo(f"Going on after {counted(done, 'document')}.", err=True)

    def expect(self, estimate: RunEstimate, left: int) -> None:
        """Says what the run will take."""
        click.echo(estimate_line(estimate, left), err=True)

    def document(self, *, failed: bool, output_tokens: int) -> None:
        """Counts a document, and prints a line where it is time for one."""
        self._figures.add(failed=failed, output_tokens=output_tokens)
        if time.monotonic() - self._last_line >= PLAIN_EVERY:
            self._last_line = time.monotonic()
            click.echo(self._figures.line(), err=True)

    def warn(self, message: str) -> None:
        """Passes a warning on."""
        click.echo(f"Warning: {escaped(message, 1000)}", err=True)

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self._figures.finish()
        if self._figures.done:
            click.echo(self._figures.line(), err=True)


class BarProgress:
    """A bar with the same figures, for people."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._figures = Figures()
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=30),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=False,
        )
        self._task: Any = None

    def start(self, total: int | None, done: int) -> None:
        """Shows the bar."""
        self._figures.start(total, done)
        self._task = self._bar.add_task(self._figures.line(), total=total, completed=done)

    def expect(self, estimate: RunEstimate, left: int) -> None:
        """Says what the run will take, above the bar."""
        self._bar.console.print(estimate_line(estimate, left), markup=False, highlight=False)

    def document(self, *, failed: bool, output_tokens: int) -> None:
        """Moves the bar."""
        self._figures.add(failed=failed, output_tokens=output_tokens)
        self._bar.update(self._task, completed=self._figures.done, description=self._figures.line())

    def warn(self, message: str) -> None:
        """Prints a warning above the bar."""
        text = f"Warning: {escaped(message, 1000)}"
        self._bar.console.print(text, markup=False, highlight=False)

    def __enter__(self) -> BarProgress:
        self._bar.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None and self._task is not None:
            self._figures.finish()
            self._bar.update(
                self._task, total=self._figures.total, description=self._figures.line()
            )
        self._bar.stop()
