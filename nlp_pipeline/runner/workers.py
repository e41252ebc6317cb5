"""The linguistic pipes in worker processes, which may die without taking the run with them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from spacy.tokens import Doc

from nlp_pipeline.corpus import Record
from nlp_pipeline.errors.run import AnnotationFailed, DocumentTimedOut, WorkerDied, WorkersFailed
from nlp_pipeline.pipeline import PipelineSpec, load_pipeline
from nlp_pipeline.run_folder.parts import Item
from nlp_pipeline.runner.annotate import (
    Annotated,
    annotate_batches,
    annotated,
    annotation_failed,
    failed_doc,
    stand_in,
)
from nlp_pipeline.runner.memory_zones import memory_zones

if TYPE_CHECKING:
    from spacy.language import Language

logger = logging.getLogger(__name__)

Failure = WorkerDied | DocumentTimedOut

_worker: dict[str, Any] = {}


class _Batch(NamedTuple):
    """What a worker sends: Docs as bytes, and what it has to say for the debug log."""

    docs: list[bytes]
    debug: list[str]


def annotate_in_workers(
    nlp: Language,
    items: Iterable[Item],
    *,
    spec: PipelineSpec,
    pipes: list[str],
    batch_size: int,
    n_process: int,
    document_timeout: float | None = None,
) -> Generator[list[Annotated], None, None]:
    """`annotate_batches` in spawned processes that load the pipeline by themselves.

    spaCy's own `n_process` hangs for ever when a child is killed. Here the batches of a dead
    worker are tried again one document at a time, and the culprit becomes an error; so does a
    document that no worker is done with in `document_timeout` seconds.
    """
    with _Workers(spec, pipes, n_process, limit=document_timeout) as workers:
        stream = iter(items)
        waiting: deque[tuple[list[Item], Future[_Batch]]] = deque()
        while True:
            while len(waiting) < 2 * n_process and (batch := list(islice(stream, batch_size))):
                waiting.append((batch, workers.submit(_records(batch))))
            if not waiting:
                return
            batch, future = waiting.popleft()
            try:
                docs: Iterator[bytes | Failure] = iter([*_result(future)])
            except BrokenProcessPool:
                docs = iter(workers.one_by_one(_records(batch)))
                waiting = deque((b, workers.submit(_records(b))) for b, _ in waiting)
            pairs = ((item, _doc(nlp, item, docs)) for item in batch)
            yield [annotated(doc, item) for item, doc in pairs]


def _result(future: Future[_Batch]) -> list[bytes]:
    try:
        batch = future.result()
    except BrokenProcessPool:
        raise
    except RuntimeError as error:
        raise WorkersFailed(str(error)) from error
    for line in batch.debug:
        logger.debug("%s", line)
    return batch.docs


def _records(batch: list[Item]) -> list[Record]:
    return [item for item in batch if isinstance(item, Record)]


def _doc(nlp: Language, item: Item, docs: Iterator[bytes | Failure]) -> Doc:
    if not isinstance(item, Record):
        return stand_in(nlp, item)
    packed = next(docs)
    if not isinstance(packed, bytes):
        return failed_doc(nlp, packed)
    try:
        return Doc(nlp.vocab).from_bytes(packed)
    except Exception as error:
        return failed_doc(nlp, annotation_failed(item.id, error))


class _Workers:
    """A pool that is made anew when one of its processes dies."""

    def __init__(
        self, spec: PipelineSpec, pipes: list[str], n_process: int, limit: float | None
    ) -> None:
        self._arguments = (spec, pipes, limit)
        self._limit = limit
        self._n_process = n_process
        self._pool = self._new()

    def _new(self) -> ProcessPoolExecutor:
        """A pool whose first process has loaded the pipeline.

        Raises:
            WorkersFailed: It could not. Else every document would seem to kill its worker.
        """
        # Spawned, not forked: a fork would share the model's memory, its threads and its locks.
        pool = ProcessPoolExecutor(
            self._n_process,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=self._arguments,
        )
        try:
            with _no_interrupts():
                started = pool.submit(_problem)
            problem = started.result()
        except BrokenProcessPool:
            problem = "the first one ended while it started"
        if problem is not None:
            pool.shutdown(wait=True, cancel_futures=True)
            raise WorkersFailed(problem)
        return pool

    def submit(self, records: list[Record]) -> Future[_Batch]:
        """Hands a batch of texts to the next free worker."""
        try:
            with _no_interrupts():
                return self._pool.submit(_annotate, records)
        except BrokenProcessPool:
            self._restart()
            return self.submit(records)

    def one_by_one(self, records: list[Record]) -> list[bytes | Failure]:
        """A dead worker's batch, a document at a time, and why the one that kills it does."""
        self._restart()
        docs: list[bytes | Failure] = []
        for record in records:
            future, started = self.submit([record]), time.monotonic()
            try:
                docs += _result(future)
            except BrokenProcessPool:
                docs.append(self._why(record, time.monotonic() - started))
                self._restart()
        return docs

    def _why(self, record: Record, seconds: float) -> Failure:
        if self._limit is not None and seconds >= self._limit:
            return DocumentTimedOut(record.id, self._limit)
        return WorkerDied(record.id)

    def _restart(self) -> None:
        # A process that was being started when another one died is waited for, but never ended,
        # by a broken pool (concurrent.futures up to Python 3.13): the interpreter could not exit.
        self._end_processes()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._new()

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:  # nobody waits for what they are at
            self._end_processes()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _end_processes(self) -> None:
        """What Python 3.14 calls `terminate_workers()`."""
        for process in list((self._pool._processes or {}).values()):
            process.terminate()


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """A process started in here never sees Ctrl-C, which is for its parent to obey.

    The mask of blocked signals is inherited, so it holds from the first instruction.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _start(spec: PipelineSpec, pipes: list[str], limit: float | None) -> None:
    """In the worker: builds the pipeline; its Llama is never loaded there."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        _worker.update(nlp=load_pipeline(spec), pipes=pipes, limit=limit, debug=_Debug())
    except Exception as error:  # as text: not every exception can be sent to the parent
        _worker.update(problem=str(error) or type(error).__name__)


def _die_with_parent() -> None:
    """In the worker: a parent that is killed cannot end its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _problem() -> str | None:
    """In the worker: why it cannot work, if it cannot."""
    return _worker.get("problem")


class _Debug(logging.Handler):
    """In the worker: keeps what the package says for the debug log, until it is taken."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: list[str] = []
        package = logging.getLogger("nlp_pipeline")
        package.addHandler(self)
        package.setLevel(logging.DEBUG)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.DEBUG:
            self._lines.append(self.format(record))

    def take(self) -> list[str]:
        """The lines that were logged since the last call."""
        lines, self._lines = self._lines, []
        return lines


def _annotate(records: list[Record]) -> _Batch:
    """In the worker: Docs as bytes, in order."""
    if "problem" in _worker:
        raise RuntimeError(_worker["problem"])
    nlp, pipes, size = _worker["nlp"], _worker["pipes"], max(1, len(records))
    with _ended_after(_worker["limit"]):
        batches = annotate_batches(nlp, records, pipes=pipes, batch_size=size)
        packed = [_packed(nlp, item) for zone in memory_zones(nlp, batches) for item in zone]
        return _Batch(packed, _worker["debug"].take())


@contextmanager
def _ended_after(seconds: float | None) -> Iterator[None]:
    """Ends this process if the block takes longer.

    The kernel does it, by the alarm's default action: a loop that never lets go of the
    interpreter cannot keep it from that.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _packed(nlp: Language, item: Annotated) -> bytes:
    try:
        return item.doc.to_bytes(exclude=["tensor"])
    except Exception as error:  # a component may have put anything into `doc._`
        logger.debug("A Doc that cannot be sent from a worker process", exc_info=error)
        reason = f"it cannot be sent from a worker process: {error}"
        return failed_doc(nlp, AnnotationFailed(item.origin.document_id, reason)).to_bytes()
