"""The actor: one pipeline with one model, which computes the parts that it is given.

It takes several units at a time and computes them as one stream, so that the generator's batch
does not drain between two of them. It writes into the run's folder, but never a receipt.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from nlp_pipeline.corpus import Record
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.cluster import ActorDied, ActorStalled, DriverGone
from nlp_pipeline.errors.escapes import described
from nlp_pipeline.pipeline import build, execute_code
from nlp_pipeline.run_folder.files import Format
from nlp_pipeline.run_folder.ledger import Entry, entry_of, failed_ones, retry_nothing
from nlp_pipeline.run_folder.part import Part
from nlp_pipeline.run_folder.parts import Casualty, Item, Load, PartRecords
from nlp_pipeline.run_folder.staged_parts import StagedParts
from nlp_pipeline.runner.computation import compute_parts
from nlp_pipeline.runner.executors.model_ranks import with_ranks
from nlp_pipeline.runner.executors.unit import ActorDescription, ActorJob, UnitOutcome, WorkUnit
from nlp_pipeline.runner.limits import batch_size_of
from nlp_pipeline.runner.manifest import fingerprint
from nlp_pipeline.runner.stream import document_rows

if TYPE_CHECKING:
    from spacy.language import Language

GENERATOR_DOCUMENTS = 64
"""Documents that a generator has at a time, about."""

MAX_UNITS = 8
"""Units that an actor has at a time at most: what one has, another cannot take off it."""


class PartActor:
    """Made by Ray, in a process of its own; its methods are called from several threads.

    Args:
        job: What it is made of.
        node: The name of its machine; by default what Ray says.

    Attributes:
        thread: Where it computes.
    """

    def __init__(self, job: ActorJob, node: str | None = None) -> None:
        self._job = job
        self._retry_when = failed_ones if job.request.retry else retry_nothing
        self._queue: SimpleQueue[_PendingUnit] = SimpleQueue()
        self._set_aside: _PendingUnit | None = None
        self._counts = (0, 0, 0)
        self._description = ActorDescription(node or _node_name())
        self._loaded = threading.Event()
        self.thread = threading.Thread(target=self._live, name="stream", daemon=True)
        self.thread.start()

    def description(self) -> ActorDescription:
        """What it is; waits until the model is loaded."""
        self._loaded.wait()
        return self._description

    def compute(self, unit: WorkUnit) -> UnitOutcome:
        """Computes a unit, beside those that it has already."""
        pending = _PendingUnit(unit)
        self._queue.put(pending)
        pending.ended.wait()
        return pending.outcome

    def counts(self) -> tuple[int, int, int]:
        """Documents that it has done, failed ones among them, tokens generated."""
        return self._counts

    def _live(self) -> None:
        """The thread that computes."""
        try:
            with_ranks(self._job.config, self._job.ranks, self._work)
        except Exception as error:
            self._describe(problem=described(error), exit_code=getattr(error, "exit_code", 1))

    def _work(self) -> None:
        request, config = self._job.request, self._job.config
        if os.path.isdir(self._job.folder):
            os.chdir(self._job.folder)
        if not self._job.fence.is_file():
            self._describe()
            return
        execute_code(request.pipeline.code)
        nlp = build(config, request.pipeline.name)
        mark = fingerprint(request, nlp, config)  # loads the model
        self._describe(
            sees_fence=True,
            fingerprint=mark,
            pipes=tuple(nlp.pipe_names),
            units=_units_in_flight(batch_size_of(request, nlp), request.part_size),
        )
        while True:
            pending, self._set_aside = self._set_aside or self._queue.get(), None
            self._compute(nlp, pending)

    def _describe(self, **facts: Any) -> None:
        self._description = ActorDescription(self._description.node, **facts)
        self._loaded.set()

    def _compute(self, nlp: Language, first: _PendingUnit) -> None:
        """Computes a unit, and those that come in before its last record is asked for."""
        stream_units = [first]
        try:
            if first.unit.offsets is None:
                self._compute_stream(nlp, stream_units)
            else:
                self._compute_some(nlp, first.unit)
                first.end(UnitOutcome(first.unit.number))
        except Exception as error:
            is_ours = isinstance(error, NlpPipelineError)
            exit_code = error.exit_code if isinstance(error, NlpPipelineError) else None
            problem = str(error) if is_ours else described(error)
            for pending in stream_units:
                pending.end(UnitOutcome(pending.unit.number, problem=problem, exit_code=exit_code))

    def _compute_stream(self, nlp: Language, stream_units: list[_PendingUnit]) -> None:
        request = self._job.request
        store = _FencedParts(request.out, request.format, self._job.fence)
        documents = compute_parts(
            request, nlp, self._units(stream_units), store=store, retry_when=self._retry_when
        )
        for document in documents:
            self._count(failed=document.failed, tokens=document.output_tokens)
            self._hand_over(stream_units, store)
        self._hand_over(stream_units, store)

    def _units(self, stream_units: list[_PendingUnit]) -> Iterator[PartRecords]:
        """The units that are there; the stream ends where none is, as whoever waits would."""
        pending = stream_units[0]
        while True:
            yield PartRecords(pending.unit.number, _records(pending.unit, self._job))
            try:
                pending = self._queue.get_nowait()
            except Empty:
                return
            if pending.unit.offsets is not None:
                self._set_aside = pending  # it is none of a stream
                return
            stream_units.append(pending)

    def _hand_over(self, stream_units: list[_PendingUnit], store: StagedParts) -> None:
        """Says of units whose parts are written that they are."""
        for pending in list(stream_units):
            receipt = store.receipts.get(pending.unit.number)
            if receipt is not None and not pending.ended.is_set():
                pending.end(UnitOutcome(pending.unit.number, receipt))

    def _compute_some(self, nlp: Language, unit: WorkUnit) -> None:
        """Computes some records of a unit into its journal."""
        request = self._job.request
        store = StagedParts(request.out, request.format)
        part = Part(store, unit.number, request.part_size, retry_when=self._retry_when)
        waiting = [i for i, item in enumerate(unit.items) if not part.take(entry_of(item))]
        to_compute = [unit.items[i] for i in waiting if i in (unit.offsets or ())]
        try:
            size = request.part_size
            for rows in document_rows(request, nlp, to_compute, lambda p: part.facts(p % size)):
                offset = rows["documents"][0]["position"] % request.part_size
                failed, tokens = part.add(offset, rows)
                self._count(failed=failed, tokens=tokens)
        finally:
            part.journal.close()

    def _count(self, *, failed: bool, tokens: int) -> None:
        n_documents, n_failed, n_tokens = self._counts
        self._counts = (n_documents + 1, n_failed + failed, n_tokens + tokens)


class _PendingUnit:
    """A unit that an actor has."""

    def __init__(self, unit: WorkUnit) -> None:
        self.unit = unit
        self.ended = threading.Event()
        self.outcome = UnitOutcome(unit.number)

    def end(self, outcome: UnitOutcome) -> None:
        """Gives the outcome to whoever waits for it; the first one holds."""
        if not self.ended.is_set():
            self.outcome = outcome
            self.ended.set()


class _FencedParts(StagedParts):
    """Writes nothing any more once the run has another driver, or none.

    An actor that lost its driver may live on for a while: on a machine that was cut off, say.
    """

    def __init__(self, path: Path, format_: Format, fence: Path) -> None:
        super().__init__(path, format_)
        self._fence = fence

    def write_part(self, number: int, tables: Mapping[str, Any], **figures: Any) -> None:
        if not self._fence.is_file():
            raise DriverGone(str(self.path))
        super().write_part(number, tables, **figures)


def _units_in_flight(batch_size: int, part_size: int) -> int:
    """Units that an actor has at a time, so that records of the next follow those of the last.

    Two would do if a record were read when there is room for it in the generator. But batches are
    read as a whole, for spaCy, and one ahead: with fewer units a stream would end too soon.
    """
    n_ahead = 2 * batch_size + GENERATOR_DOCUMENTS
    return min(MAX_UNITS, 2 + -(-n_ahead // part_size))


def _records(unit: WorkUnit, job: ActorJob) -> Iterator[tuple[Entry, Load]]:
    for offset, item in enumerate(unit.items):
        yield entry_of(item), lambda item=item, offset=offset: _loaded(unit, offset, item)  # type: ignore[misc]


def _loaded(unit: WorkUnit, offset: int, item: Item) -> Item:
    if offset not in unit.casualties or not isinstance(item, Record):
        return item
    seconds = unit.casualties[offset]
    error = ActorDied(item.id) if seconds is None else ActorStalled(item.id, seconds)
    return Casualty(item, error)


def _node_name() -> str:
    import ray

    return f"{socket.gethostname()}-{ray.get_runtime_context().get_node_id()[:6]}"
