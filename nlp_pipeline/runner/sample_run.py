"""Runs some documents the way of a run, and measures what they take; nothing of it stays."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from nlp_pipeline.corpus import Record
from nlp_pipeline.pipeline import is_llama, split
from nlp_pipeline.run_folder.files import Format
from nlp_pipeline.run_folder.folder import open_run
from nlp_pipeline.run_folder.ledger import entry_of, retry_nothing
from nlp_pipeline.run_folder.parts import in_parts
from nlp_pipeline.runner.annotate import annotate
from nlp_pipeline.runner.computation import compute_parts
from nlp_pipeline.runner.limits import batch_size_of
from nlp_pipeline.runner.metered_generator import metered
from nlp_pipeline.runner.request import RunRequest

if TYPE_CHECKING:
    from spacy.language import Language


class Seconds(NamedTuple):
    """Of the clock, and of all threads of this process together."""

    wall: float
    cpu: float

    @classmethod
    def at_present(cls) -> Seconds:
        """The clocks; only differences mean anything."""
        return cls(time.perf_counter(), time.process_time())

    @classmethod
    def since(cls, start: Seconds) -> Seconds:
        """What has passed."""
        end = cls.at_present()
        return cls(end.wall - start.wall, end.cpu - start.cpu)


NO_TIME = Seconds(0.0, 0.0)


@dataclass(frozen=True)
class MeasuredDocuments:
    """Documents that went the whole way, and what they took.

    Attributes:
        tokens: Of each document `prompt`, `shared` and `output` tokens, in their order.
        seconds: Of all together, from the first to the receipt of the last part.
        n_bytes: Of their parts on disk.
    """

    tokens: tuple[Counter[str], ...]
    seconds: Seconds
    n_bytes: int


def first_prompt_tokens(request: RunRequest, nlp: Language, records: Sequence[Record]) -> list[int]:
    """How many model tokens the prompts have that each document is asked first.

    The prompts are the components' own, and so is the count. What is asked only after an answer
    is there does not count. Of a document that spaCy fails on it is 0.

    Args:
        request: How the documents are annotated.
        nlp: The pipeline.
        records: The documents.
    """
    linguistic, generating = split(nlp)
    batch_size = batch_size_of(request, nlp)
    pipes: list[Any] = [pipe for name in generating if is_llama(pipe := nlp.get_pipe(name))]
    sums = []
    for item in annotate(nlp, records, pipes=linguistic, batch_size=batch_size):
        asks = [(pipe, ask) for pipe in pipes if item.doc.text for ask in pipe.asks(item.doc)]
        sums.append(sum(pipe.generator.count_tokens(a.chat) for pipe, a in asks if a.error is None))
    return sums


def run_sample(request: RunRequest, nlp: Language, records: Sequence[Record]) -> MeasuredDocuments:
    """Runs documents into a folder that is gone afterwards, with all that a run does.

    Args:
        request: The run.
        nlp: Its pipeline, the models loaded.
        records: The documents.
    """
    in_order = replace(request, on_error="stop")
    renumbered = [replace(record, index=place) for place, record in enumerate(records)]
    items = ((entry_of(record), partial(_identity, record)) for record in renumbered)
    start = Seconds.at_present()
    with TemporaryDirectory() as folder, metered(nlp) as counts:
        with open_run(Path(folder), {}, request.format) as store:
            units = in_parts(items, request.part_size)
            for _ in compute_parts(in_order, nlp, units, store=store, retry_when=retry_nothing):
                pass
        seconds = Seconds.since(start)
        n_bytes = _bytes_of_parts(Path(folder))
    tokens = tuple(counts[place] for place in range(len(records)))
    return MeasuredDocuments(tokens, seconds, n_bytes)


def empty_part_size(format_: Format) -> int:
    """Bytes that a part has before there is a row in it."""
    with TemporaryDirectory() as folder:
        with open_run(Path(folder), {}, format_) as store:
            store.close_books()
        return _bytes_of_parts(Path(folder))


def _bytes_of_parts(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("part-*") if file.is_file())


def _identity(record: Record) -> Record:
    return record


def peak_memory() -> int | None:
    """The most memory that this process has had, in bytes; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_gpu_memory() -> int | None:
    """The most memory that torch has taken on the GPU, in bytes; None without one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated())
