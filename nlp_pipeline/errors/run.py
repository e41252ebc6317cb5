"""Errors of a run: the output folder, the documents that fail on the way, the disk."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nlp_pipeline.errors.base import NlpPipelineError, listing
from nlp_pipeline.errors.escapes import described, escaped


class AnnotationFailed(NlpPipelineError):
    """spaCy failed on one document, after it was tried by itself."""

    stage = "annotate"

    def __init__(self, document_id: str, reason: str) -> None:
        super().__init__(
            f"spaCy failed on document '{escaped(document_id)}': "
            f"{escaped(' '.join(reason.split()), 300)}"
        )


class ComponentFailed(NlpPipelineError):
    """A Llama component failed on one document, by an exception that nobody foresaw."""

    stage = "generate"

    def __init__(self, component: str, document_id: str | None, error: Exception) -> None:
        super().__init__(
            f"The component '{escaped(component)}' failed on document "
            f"'{escaped(document_id or '?')}': {_reason(error)}. --debug-log FILE keeps the "
            "traceback; other documents are not touched."
        )


class RowFailed(NlpPipelineError):
    """A row of one document that cannot be made of what components have put on its Doc."""

    stage = "write"

    def __init__(self, document_id: str, table: str, error: Exception) -> None:
        super().__init__(
            f"Document '{escaped(document_id)}' has a row of the table '{table}' that cannot be "
            f"written: {_reason(error)}. A pipe of this pipeline has put it there; "
            "--debug-log FILE keeps the traceback."
        )


class WorkerDied(NlpPipelineError):
    """A worker process died on one document, after it was tried by itself."""

    stage = "annotate"

    def __init__(self, document_id: str) -> None:
        super().__init__(
            f"The worker process died on document '{escaped(document_id)}' (out of memory, or a "
            "crash in a library). Its text may be too long for the pipeline."
        )


class DocumentTimedOut(NlpPipelineError):
    """A document that a worker process was not done with in time, tried by itself."""

    stage = "annotate"
    retryable = True

    def __init__(self, document_id: str, seconds: float) -> None:
        super().__init__(
            f"spaCy was not done with document '{escaped(document_id)}' in {seconds:g} seconds, "
            "and its worker process was ended. Give it more with --document-timeout, or find the "
            "component that goes on for ever."
        )


class TimeoutNeedsWorkers(NlpPipelineError):
    """A time limit for documents in a run without worker processes."""

    stage = "config"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"--document-timeout {seconds:g} needs worker processes, which can be ended: add "
            "--n-process 2."
        )


class InvalidTimeout(NlpPipelineError):
    """A time limit that is no positive number of seconds."""

    stage = "config"

    def __init__(self, seconds: object, most: int, name: str = "document_timeout") -> None:
        super().__init__(
            f"{name} (--{name.replace('_', '-')}) is {escaped(repr(seconds), 40)}; give seconds "
            f"above 0 and up to {most:,}, or None."
        )


class InvalidNumber(NlpPipelineError):
    """A number of documents, characters or processes that no run could have."""

    stage = "config"

    def __init__(self, name: str, value: object, least: int, most: int) -> None:
        typed = "max-chars" if name == "max_length" else name.replace("_", "-")
        option = name if "." in name else f"{name} (--{typed})"
        super().__init__(
            f"{option} is {escaped(repr(value), 40)}; give an integer from {least:,} to {most:,}."
        )


class RecordsLost(NlpPipelineError):
    """A run that came to its end without the rows of some records."""

    def __init__(self, missing: int | None) -> None:
        what = "some records were never asked for" if missing is None else f"{missing} are missing"
        super().__init__(
            f"The run has not the rows of all its records: {what}. What is done is safe; a "
            "component of the pipeline drops documents, or a batch holds none."
        )


class WorkersFailed(NlpPipelineError):
    """Worker processes that cannot even load the pipeline."""

    stage = "annotate"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The worker processes cannot load the pipeline: {escaped(reason, 400)}. Run without "
            "--n-process; in Python, register components in a module that the processes import, "
            "and start the run under `if __name__ == '__main__':`."
        )


class WorkersUnsupported(NlpPipelineError):
    """Worker processes on a platform that has no signal masks, on which they rely."""

    stage = "config"

    def __init__(self, n_process: int) -> None:
        super().__init__(
            f"--n-process {n_process} is not possible on Windows, where an interrupt cannot be "
            "kept from the worker processes. Leave it out: one process annotates in a thread."
        )


class DocumentFailed(NlpPipelineError):
    """A document that failed before the language model saw it."""

    stage = "annotate"

    def __init__(self, message: str) -> None:
        super().__init__(message)


class InvalidMaxErrors(NlpPipelineError):
    """A limit of failures that is neither a number nor a share."""

    def __init__(self, value: str, documents: int) -> None:
        super().__init__(
            f"--max-errors {escaped(value, 40)}: give a number of documents, such as 10, or a "
            f"share, such as 5%, which counts from the {documents}th document on."
        )


class TooManyErrors(NlpPipelineError):
    """More documents failed than the user will have."""

    def __init__(self, failed: int, documents: int, limit: str | None) -> None:
        why = "--on-error stop" if limit is None else f"--max-errors {limit}"
        super().__init__(
            f"Stopped: {failed} of {documents} documents failed ({why}). What is done is safe, and "
            "`nlp-pipeline errors` says what failed. The same command goes on and tries it again."
        )


class CorpusNeeded(NlpPipelineError):
    """Failed documents that the run's folder alone cannot give back."""

    def __init__(self, path: str, corpus: str, document_id: str | None = None) -> None:
        reason = (
            "its books are damaged"
            if document_id is None
            else (f"the document '{escaped(document_id)}' cannot be read back from its tables")
        )
        super().__init__(
            f"The run in '{path}' cannot be tried again without its corpus: {reason}. Type the "
            f"command of the run again, with the corpus '{escaped(corpus)}'."
        )


class OutputError(NlpPipelineError):
    """An output folder that cannot be used."""

    stage = "write"


class OutputNotWritable(OutputError):
    """A folder that cannot be made or written to."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"The output folder '{path}' cannot be written to ({reason}). Name another with --out."
        )


class DebugLogNotWritable(NlpPipelineError):
    """A file for the debug log that cannot be opened."""

    stage = "config"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"--debug-log {escaped(path, 200)} cannot be written to ({reason}). Name a file in a "
            "folder that is there."
        )


class OutputNotARun(OutputError):
    """A folder with something else in it."""

    def __init__(self, path: str, names: Iterable[str]) -> None:
        super().__init__(
            f"The output folder '{path}' is not empty and holds no run (it has: "
            f"{listing(names, 5)}). Name another with --out."
        )


class PartDamaged(OutputError):
    """A finished part that does not hold what its receipt says."""

    def __init__(self, path: str, file: str, expected: str, actual: str) -> None:
        super().__init__(
            f"The part {file} of the run in '{path}' is damaged: its receipt says {expected}, and "
            f"{actual}. Run the same command again: it makes the part anew."
        )


class BlockDamaged(OutputError):
    """A file of many receipts that is not what was written.

    Attributes:
        first: The first part of which it held the receipt.
    """

    def __init__(self, path: str, file: str, first: int) -> None:
        self.first = first
        super().__init__(
            f"The receipts {file} of the run in '{path}' are damaged. Run the same command again: "
            f"it makes the parts from {first} on anew."
        )


class ReceiptDamaged(OutputError):
    """A run of which a receipt is missing or cannot be read: a part would pass for the whole."""

    def __init__(
        self,
        path: str,
        receipt: str,
        problem: str,
        documents: int,
        total: int | None,
        command: Sequence[str] = (),
        corpus: str = "",
    ) -> None:
        of = "" if total is None else f" of {total}"
        super().__init__(
            f"The run in '{path}' is damaged: its receipt {receipt} {problem}, and what comes "
            f"before it is {documents}{of} documents. Nothing is shown, for that would look like "
            "all of "
            f"it. To make the rest anew, {_call(command, corpus)}"
        )


class BooksDamaged(OutputError):
    """A file beside the tables of a run that does not say what the tables say."""

    def __init__(self, path: str, file: str, problem: str) -> None:
        super().__init__(
            f"The file {file} of the run in '{path}' is damaged: {problem}. Run the same command "
            "again: it makes it anew."
        )


class RunDamaged(OutputError):
    """All that is damaged in a run."""

    def __init__(
        self, path: str, problems: Sequence[Exception], command: Sequence[str], corpus: str
    ) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(
            f"The run in '{path}' is damaged:{lines}\nTo make anew what is damaged, "
            f"{_call(command, corpus)}"
        )


def _call(command: Sequence[str], corpus: str) -> str:
    """How a run is called again: by its command, or from Python."""
    words = [word for word in command if word not in ("--fresh", "--force")]
    if words and words[0] in ("run", "retry"):
        return f"type:\n  {shlex.join(['nlp-pipeline', *words])}"
    return f"call `run` again as before, with the corpus '{escaped(corpus)}'."


class RunNotFound(OutputError):
    """A folder that should hold a run and does not."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"'{path}' holds no run (there is no manifest.json). Name the folder that "
            "`nlp-pipeline run` printed."
        )


class TableNotFound(OutputError):
    """A table name that there is none of."""

    def __init__(self, name: str, choices: Iterable[str]) -> None:
        super().__init__(f"There is no table '{name}'; the tables are: {listing(choices, 20)}.")


class DocumentNotFound(OutputError):
    """A document id that a run has no row of."""

    def __init__(self, document_id: str, path: str) -> None:
        super().__init__(
            f"The run in '{escaped(path, 300)}' has no document '{escaped(document_id)}' (or has "
            "not come to it yet). The ids are in the column document_id of its table documents."
        )


class ColumnNotFound(OutputError):
    """A column name that the table has none of."""

    def __init__(self, table: str, name: str, choices: Iterable[str]) -> None:
        super().__init__(
            f"The table '{table}' has no column '{name}'; it has: {listing(choices, 40)}."
        )


class DifferentRun(OutputError):
    """The folder holds a run with other inputs or settings."""

    exit_code = 65

    def __init__(
        self, path: str, differences: Mapping[str, tuple[Any, Any]], *, is_old: bool = False
    ) -> None:
        lines = "".join(
            f"\n  {escaped(name, 200)}: {' → '.join(_differing_texts(*values))}"
            for name, values in differences.items()
        )
        if is_old:
            lines += "\nIt was begun before answers were kept: it goes on with no other settings."
        super().__init__(
            f"The output folder '{path}' holds a different run. What differs (then → now):{lines}"
            "\nName another folder with --out, or start over in this one with --fresh."
        )


def settings_changed(
    names: Sequence[str], documents: int, answers: Mapping[str, tuple[int, int]]
) -> str:
    """What a run says beforehand that goes on with other settings.

    Args:
        names: What has changed; nothing where a process before this one said so already.
        documents: Whose rows are made anew.
        answers: Per component that has other questions alone, how many answers are computed and
            how many are kept; empty where something else has changed too.
    """
    what = f" ({listing([escaped(name, 80) for name in names], 4)})" if names else ""
    text = f"The settings are not those of before{what}: {documents:,} documents are made anew. "
    if not answers:
        return text + "What is asked to the letter as before keeps its answer."
    counts = [
        f"{escaped(name)}: {computed:,} of {computed + kept:,} answers are computed, {kept:,} kept."
        for name, (computed, kept) in answers.items()
    ]
    return text + " ".join(counts)


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


def _differing_texts(recorded: Any, current: Any) -> tuple[str, str]:
    """Two values short enough for a line, from about where they begin to differ."""
    old, new = ("(none)" if value is None else str(value) for value in (recorded, current))
    n_common = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
    start = max(0, n_common - 20) if max(len(old), len(new)) > 80 else 0
    mark = "…" if start else ""
    return mark + escaped(old[start:]), mark + escaped(new[start:])


def _reason(error: Exception) -> str:
    return escaped(described(error), 300).rstrip(".")


def cells_quoted(file: str, cells: int) -> str:
    """What is said of a CSV file in which texts got a quote in front.

    Args:
        file: Its name.
        cells: How many texts.
    """
    return (
        f"{file}: a quote (') was put before {cells} texts that a spreadsheet would run as "
        "formulas; --raw leaves them as they are."
    )
