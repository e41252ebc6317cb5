"""The linguistic pipes in worker processes, which may die without taking the run with them."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TYPE_CHECKING, Any

from spacy.tokens import Doc

from nlp_pipeline.annotate import Annotated, Item, annotate, broken, dress, origin_of, rejected
from nlp_pipeline.corpus import Record
from nlp_pipeline.errors.run import WorkerDied
from nlp_pipeline.pipeline import PipelineSpec, load_pipeline

if TYPE_CHECKING:
    from spacy.language import Language

_worker: dict[str, Any] = {}


def annotate_in_workers(
    nlp: Language,
    items: Iterable[Item],
    *,
    spec: PipelineSpec,
    pipes: list[str],
    batch_size: int,
    n_process: int,
) -> Iterator[Annotated]:
    """`annotate` in spawned processes that load the pipeline by themselves.

    spaCy's own `n_process` hangs for ever when a child is killed. Here the batches of a dead
    worker are tried again one document at a time, and the culprit becomes an error.
    """
    with _Workers(spec, pipes, n_process) as workers:
        stream = iter(items)
        waiting: deque[tuple[list[Item], Future[list[bytes]]]] = deque()
        while True:
            while len(waiting) < 2 * n_process and (batch := list(islice(stream, batch_size))):
                waiting.append((batch, workers.submit(_records(batch))))
            if not waiting:
                return
            batch, future = waiting.popleft()
            try:
                docs: Iterator[bytes | None] = iter([*future.result()])
            except BrokenProcessPool:
                docs = iter(workers.one_by_one(_records(batch)))
                waiting = deque((b, workers.submit(_records(b))) for b, _ in waiting)
            for item in batch:
                yield Annotated(dress(_doc(nlp, item, docs), item), origin_of(item))


def _records(batch: list[Item]) -> list[Record]:
    return [item for item in batch if isinstance(item, Record)]


def _doc(nlp: Language, item: Item, docs: Iterator[bytes | None]) -> Doc:
    if not isinstance(item, Record):
        return rejected(nlp, item)
    found = next(docs)
    return broken(nlp, WorkerDied(item.id)) if found is None else Doc(nlp.vocab).from_bytes(found)


class _Workers:
    """A pool that is made anew when one of its processes dies."""

    def __init__(self, spec: PipelineSpec, pipes: list[str], n_process: int) -> None:
        self._arguments = (spec, pipes)
        self._n_process = n_process
        self._pool = self._new()

    def _new(self) -> ProcessPoolExecutor:
        # Spawned, not forked: a fork would share the model's memory, its threads and its locks.
        return ProcessPoolExecutor(
            self._n_process,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=self._arguments,
        )

    def submit(self, records: list[Record]) -> Future[list[bytes]]:
        """Hands a batch to a worker."""
        try:
            return self._pool.submit(_annotate, records)
        except BrokenProcessPool:
            self._restart()
            return self._pool.submit(_annotate, records)

    def one_by_one(self, records: list[Record]) -> list[bytes | None]:
        """A dead worker's batch, a document at a time; None for the one that kills it."""
        self._restart()
        docs: list[bytes | None] = []
        for record in records:
            try:
                docs += self.submit([record]).result()
            except BrokenProcessPool:
                docs.append(None)
                self._restart()
        return docs

    def _restart(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._new()

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _start(spec: PipelineSpec, pipes: list[str]) -> None:
    """In the worker: builds the pipeline; its Llama is never loaded there."""
    _worker.update(nlp=load_pipeline(spec), pipes=pipes)


def _annotate(records: list[Record]) -> list[bytes]:
    """In the worker: Docs as bytes, in order."""
    found = annotate(
        _worker["nlp"], records, pipes=_worker["pipes"], batch_size=max(1, len(records))
    )
    return [item.doc.to_bytes(exclude=["tensor"]) for item in found]
