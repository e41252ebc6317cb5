"""Errors of a run on its way: documents, workers, limits."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import NlpPipelineError, counted, did_you_mean, noun_form
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
        reason = (
            "some records were never asked for"
            if missing is None
            else f"{missing:,} {noun_form(missing, 'is', 'are')} missing"
        )
        super().__init__(
            f"The run has not the rows of all its records: {reason}. What is done is safe; a "
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
            f"Stopped: {failed} of {counted(documents, 'document')} failed ({why}). What is done "
            "is safe, and `nlp-pipeline errors` says what failed. The same command goes on and "
            "tries it again."
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


class DebugLogNotWritable(NlpPipelineError):
    """A file for the debug log that cannot be opened."""

    stage = "config"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"--debug-log {escaped(path, 200)} cannot be written to ({reason}). Name a file in a "
            "folder that is there."
        )


def _reason(error: Exception) -> str:
    return escaped(described(error), 300).rstrip(".")


def cells_quoted(file: str, cells: int) -> str:
    """What is said of a CSV file in which texts got a quote in front.

    Args:
        file: Its name.
        cells: How many texts.
    """
    return (
        f"{file}: a quote (') was put before {counted(cells, 'text')} that a spreadsheet would run "
        "as formulas; --raw leaves them as they are."
    )


def no_errors_of_type(kind: str, types: Iterable[str]) -> str:
    """What is said where no document of a run has an error of a type.

    Args:
        kind: The type that is asked for.
        types: Those that the run has.
    """
    return f"No errors of type {escaped(kind, 60)}.{did_you_mean(kind, types)}"


def records_changed(n: int) -> str:
    """How many records of a run that goes on are not what they were."""
    changed = counted(n, "record has", "records have")
    return f"{changed} changed and {noun_form(n, 'is', 'are')} computed again."


def documents_tried_again(n: int) -> str:
    """How many documents of a run that goes on had failed."""
    return f"{counted(n, 'document')} failed before and {noun_form(n, 'is', 'are')} tried again."
