"""Errors of a run: the output folder, the documents that fail on the way, the disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nlp_pipeline.errors.base import NlpPipelineError, listing


class AnnotationFailed(NlpPipelineError):
    """spaCy failed on one document, after it was tried by itself."""

    stage = "annotate"

    def __init__(self, document_id: str, reason: str) -> None:
        super().__init__(f"spaCy failed on document '{document_id}': {reason}")


class WorkerDied(NlpPipelineError):
    """A worker process died on one document, after it was tried by itself."""

    stage = "annotate"

    def __init__(self, document_id: str) -> None:
        super().__init__(
            f"The worker process died on document '{document_id}' (out of memory, or a crash in "
            "a library). Its text may be too long for the pipeline."
        )


class DocumentFailed(NlpPipelineError):
    """A document that failed before the language model saw it."""

    stage = "annotate"

    def __init__(self, message: str) -> None:
        super().__init__(message)


class OutputError(NlpPipelineError):
    """An output folder that cannot be used."""

    stage = "write"


class OutputNotWritable(OutputError):
    """A folder that cannot be made or written to."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"The output folder '{path}' cannot be written to ({reason}). Name another with --out."
        )


class OutputNotARun(OutputError):
    """A folder with something else in it."""

    def __init__(self, path: str, names: Iterable[str]) -> None:
        super().__init__(
            f"The output folder '{path}' is not empty and holds no run (it has: "
            f"{listing(names, 5)}). Name another with --out."
        )


class RunNotFound(OutputError):
    """A folder that should hold a run and does not."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"'{path}' holds no run (there is no manifest.json). Name the folder that "
            "`nlp-pipeline run` printed."
        )


class TableNotFound(OutputError):
    """A table name that there is none of."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"There is no table '{name}'; the tables are: {listing(known, 20)}.")


class ColumnNotFound(OutputError):
    """A column name that the table has none of."""

    def __init__(self, table: str, name: str, known: Iterable[str]) -> None:
        super().__init__(
            f"The table '{table}' has no column '{name}'; it has: {listing(known, 40)}."
        )


class DifferentRun(OutputError):
    """The folder holds a run with other inputs or settings."""

    exit_code = 65

    def __init__(self, path: str, differences: Mapping[str, tuple[Any, Any]]) -> None:
        lines = "".join(
            f"\n  {name}: {_short(then)} → {_short(now)}"
            for name, (then, now) in differences.items()
        )
        super().__init__(
            f"The output folder '{path}' holds a different run. What differs (then → now):{lines}"
            "\nName another folder with --out, or start over in this one with --fresh."
        )


class RunLocked(OutputError):
    """Another process is writing to the folder."""

    exit_code = 75

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(
            f"Another run holds the output folder '{path}' ({holder}). Wait for it to end, or "
            "name another folder with --out."
        )


class DiskFull(OutputError):
    """No space is left."""

    exit_code = 28
    retryable = True

    def __init__(self, path: str, safe: int) -> None:
        super().__init__(
            f"The disk that holds '{path}' is full. {safe} documents are safe. Make room and run "
            "the same command again: it goes on after them."
        )


def _short(value: Any, limit: int = 80) -> str:
    text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
