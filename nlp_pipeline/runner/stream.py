"""Sends records through both halves of a pipeline and their rows into parts."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from nlp_pipeline.errors.run import InvalidTimeout, TimeoutNeedsWorkers, WorkersUnsupported
from nlp_pipeline.pipeline import split
from nlp_pipeline.run_folder.error_limit import ErrorLimit
from nlp_pipeline.run_folder.ledger import Entry
from nlp_pipeline.run_folder.parts import Assembler, Load
from nlp_pipeline.run_folder.writer import RunFolder
from nlp_pipeline.runner.annotate import Annotated, Item, annotate_batches, chain
from nlp_pipeline.runner.memory_zones import in_zones
from nlp_pipeline.runner.prefetch import ahead
from nlp_pipeline.runner.request import Progress, RunRequest, RunResult
from nlp_pipeline.runner.workers import annotate_in_workers
from nlp_pipeline.tables.rows import Rows, doc_rows

if TYPE_CHECKING:
    from spacy.language import Language


def check_limits(request: RunRequest) -> None:
    """Checks the limits of a request, before anything is loaded.

    Raises:
        InvalidMaxErrors: `max_errors` is no limit.
        InvalidTimeout: `document_timeout` is no time.
        TimeoutNeedsWorkers: There is a time limit and no process that could be ended.
        WorkersUnsupported: This platform cannot keep its interrupts from worker processes.
    """
    ErrorLimit(request.max_errors)
    if request.n_process > 1 and sys.platform == "win32":
        raise WorkersUnsupported(request.n_process)
    seconds = request.document_timeout
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise InvalidTimeout(seconds)
    if request.n_process < 2:
        raise TimeoutNeedsWorkers(seconds)


def write_parts(
    request: RunRequest,
    nlp: Language,
    parts: Assembler,
    records: Iterable[tuple[Entry, Load]],
    progress: Progress,
) -> None:
    """Sends the records that are not done yet through the pipeline and commits them.

    Raises:
        TooManyErrors: More documents failed than the request allows; what is done is safe.
        PartDamaged: A part does not hold what its receipt says.
    """
    limit = ErrorLimit(request.max_errors, stop=request.on_error == "stop")
    try:
        with closing(_rows(request, nlp, parts.wanted(records))) as documents:
            for rows in documents:
                failed, tokens = parts.add(rows)
                progress.document(failed=failed, output_tokens=tokens)
                limit.count(failed=failed)
        parts.finish()
    finally:
        parts.close()


def result_of(folder: RunFolder, kept: int, seconds: float) -> RunResult:
    """How a run stands after a process.

    Args:
        folder: The run.
        kept: Documents that the process left as they were.
        seconds: That it took.
    """
    receipts = folder.receipts
    return RunResult(
        out=folder.path,
        documents=sum(r.documents for r in receipts),
        failed=sum(r.failed for r in receipts),
        output_tokens=sum(r.output_tokens for r in receipts),
        seconds=seconds,
        resumed=kept,
    )


def _rows(request: RunRequest, nlp: Language, items: Iterable[Item]) -> Generator[Rows, None, None]:
    """The rows of each record, in order."""
    first, second = split(nlp)
    batch_size = request.batch_size or nlp.batch_size
    if request.n_process > 1:
        batches: Generator[list[Annotated], None, None] = annotate_in_workers(
            nlp,
            items,
            spec=request.pipeline,
            pipes=first,
            batch_size=batch_size,
            n_process=request.n_process,
            document_timeout=request.document_timeout,
        )
    else:
        batches = annotate_batches(nlp, items, pipes=first, batch_size=batch_size)

    def rows(annotated: Generator[Annotated, None, None]) -> Iterator[Rows]:
        origins: deque[Any] = deque()

        def docs(stream: Iterator[Annotated]) -> Iterator[Any]:
            for item in stream:
                origins.append(item.origin)
                yield item.doc

        # The thread works inside the zone: it ends with what the zone takes in.
        with closing(ahead(annotated, batch_size)) as stream:
            for doc in chain(nlp, second, docs(stream)):
                yield doc_rows(doc, origins.popleft())

    with closing(batches):
        yield from in_zones(nlp, batches, rows)
