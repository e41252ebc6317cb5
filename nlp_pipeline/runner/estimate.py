"""What a run will take, from a sample of its documents on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_pipeline.corpus import Record
from nlp_pipeline.pipeline import generators
from nlp_pipeline.runner.corpus_sample import CorpusSample, ReadCorpus, draw_sample, size_of
from nlp_pipeline.runner.projection import LEVEL, Projected, TwoStepProjection
from nlp_pipeline.runner.request import RunRequest
from nlp_pipeline.runner.sample_run import (
    NO_TIME,
    MeasuredDocuments,
    Seconds,
    empty_part_size,
    first_prompt_tokens,
    peak_gpu_memory,
    peak_memory,
    run_sample,
)

if TYPE_CHECKING:
    from spacy.language import Language

SECONDS = 60.0
"""What an estimate may take for the documents that it generates for, roughly."""

BRIEF_SECONDS = 10.0
"""The same of the estimate before a long run."""

ESTIMATED_ABOVE = 1000
"""A run over more documents says beforehand what it will take."""

ANNOTATED = 64
"""Documents whose prompts are counted."""

_WARM_UP = 2
"""Documents that go first: their time holds what happens once."""

_GENERATED = (4, 32)
"""Documents whose time is measured, at least and at most."""

_OUTPUT_WEIGHT = 4
"""The work of an output token, as that of so many prompt tokens; only how documents compare."""

_PACE_DEVIATION = (0.15, 0.2)
"""Standard deviation of the time of a whole run about that of its sample, relative to it: on a
machine that does nothing else, where a longer run fills its batches better, and on one that others
keep busy, where even CPU seconds change from minute to minute (benchmarks/estimate.py)."""


@dataclass(frozen=True)
class RunEstimate:
    """What a run will take.

    Attributes:
        n_documents: Records of the corpus that can be read.
        n_rejects: Places where none can.
        n_annotated: Documents whose prompts were counted.
        n_generated: Documents that were answered.
        tokens: By `prompt`, `shared` (prompt tokens that were computed already) and `output`.
        seconds: Of the clock, with the loading of the models.
        cpu_seconds: Of all threads of this process, without worker processes.
        memory_bytes: The most that this process has had, its models and the corpus' largest
            document included; None where the system does not say.
        gpu_memory_bytes: The same of the GPU; None without one.
        disk_bytes: Of the parts: tables, and what the run keeps beside them to go on.
        money: In the currency of the prices; None without prices.
    """

    n_documents: int
    n_rejects: int
    n_annotated: int
    n_generated: int
    tokens: Mapping[str, Projected]
    seconds: Projected
    cpu_seconds: Projected
    memory_bytes: int | None
    gpu_memory_bytes: int | None
    disk_bytes: int
    money: Projected | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"level": LEVEL, **asdict(self)}


@dataclass(frozen=True)
class TokenPrices:
    """What a server takes for a million tokens, in any currency."""

    prompt: float
    output: float


def estimate_documents(
    request: RunRequest,
    nlp: Language,
    read: ReadCorpus,
    *,
    seconds: float = SECONDS,
    loaded_in: Seconds = NO_TIME,
    prices: TokenPrices | None = None,
) -> RunEstimate:
    """Estimates a run from a sample of its corpus.

    Args:
        request: The run.
        nlp: Its pipeline.
        read: Reads the corpus.
        seconds: What the measured documents may take, roughly; a few are measured in any case.
        loaded_in: What it took to build the pipeline.
        prices: Of a server's tokens.
    """
    start = Seconds.at_present()
    for generator in generators(nlp):
        _ = generator.info  # loads its model
    loading = Seconds(*(a + b for a, b in zip(loaded_in, Seconds.since(start), strict=True)))
    start = Seconds.at_present()
    sample = draw_sample(read, ANNOTATED)
    reading = Seconds.since(start)
    if not sample.records:
        return _of_nothing(sample, loading)
    fixed = Seconds(*(a + b for a, b in zip(loading, reading, strict=True)))
    middle = first_prompt_tokens(request, nlp, sample.records)
    measured = _measure(request, nlp, sample.records, seconds)
    if sample.longest is not None:
        first_prompt_tokens(request, nlp, [sample.longest])  # for the memory that it takes
    projection = TwoStepProjection(
        sample.sizes,
        np.array([size_of(record) for record in sample.records], dtype=float),
        np.array(middle, dtype=float),
    )
    tokens = {
        name: projection.total(np.array([counts[name] for counts in measured.tokens], dtype=float))
        for name in ("prompt", "shared", "output")
    }
    deviation = _pace_deviation()
    wall, cpu = (
        projection.total(_shares(measured, duration), fixed=constant, deviation=deviation)
        for duration, constant in zip(measured.seconds, fixed, strict=True)
    )
    return RunEstimate(
        sample.n_documents,
        sample.n_rejects,
        n_annotated=len(middle),
        n_generated=len(measured.tokens),
        tokens=tokens,
        seconds=wall,
        cpu_seconds=cpu,
        memory_bytes=peak_memory(),
        gpu_memory_bytes=peak_gpu_memory(),
        disk_bytes=_disk_bytes(request, sample, measured),
        money=None if prices is None else _money(tokens, prices),
    )


def _pace_deviation() -> float:
    """By how much a run may be slower or faster than its sample, as busy as the machine is now."""
    quiet, busy = _PACE_DEVIATION
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):  # not known on Windows, or here
        return busy
    # This process is part of the load.
    work_of_others = max(0.0, load - 1.0) / (os.cpu_count() or 1)
    return quiet + (busy - quiet) * min(1.0, work_of_others)


def _measure(
    request: RunRequest, nlp: Language, records: tuple[Record, ...], seconds: float
) -> MeasuredDocuments:
    """Runs the first documents of a sample, as many as the time allows.

    The last ones go before them: others, so that no prompt is there already.
    """
    warm_up = records[-_WARM_UP:] if len(records) >= 2 * _WARM_UP else records[-1:]
    warm_up_seconds = run_sample(request, nlp, warm_up).seconds.wall
    least, most = _GENERATED
    affordable = int(seconds * len(warm_up) / max(warm_up_seconds, 1e-6))
    sample = records[: len(records) - len(warm_up)] or records
    return run_sample(request, nlp, sample[: max(least, min(most, affordable))])


def _shares(measured: MeasuredDocuments, duration: float) -> np.ndarray:
    """The time of all documents as that of each, by the work that it was. Shape: (n,)."""
    work = np.array(
        [
            1 + counts["prompt"] - counts["shared"] + _OUTPUT_WEIGHT * counts["output"]
            for counts in measured.tokens
        ],
        dtype=float,
    )
    shares: np.ndarray = duration * work / work.sum()
    return shares


def _disk_bytes(request: RunRequest, sample: CorpusSample, measured: MeasuredDocuments) -> int:
    """The tables of all documents, those without a row counted for every part."""
    empty = empty_part_size(request.format)
    n_sampled = sum(size_of(record) for record in sample.records[: len(measured.tokens)])
    n_parts = ceil((sample.n_documents + sample.n_rejects) / request.part_size)
    sampled_parts = ceil(len(measured.tokens) / request.part_size)
    rows = (
        (measured.n_bytes - sampled_parts * empty) * float(sample.sizes.sum()) / max(1, n_sampled)
    )
    return int(rows + n_parts * empty)


def _money(tokens: Mapping[str, Projected], prices: TokenPrices) -> Projected:
    parts = (
        tokens["prompt"].scaled(prices.prompt / 1e6),
        tokens["output"].scaled(prices.output / 1e6),
    )
    return Projected(*(sum(values) for values in zip(*map(_numbers, parts), strict=True)))


def _numbers(projected: Projected) -> tuple[float, float, float]:
    return projected.value, projected.low, projected.high


def _of_nothing(sample: CorpusSample, loading: Seconds) -> RunEstimate:
    """A corpus without a document."""
    zero = Projected(0.0, 0.0, 0.0)
    return RunEstimate(
        0,
        sample.n_rejects,
        n_annotated=0,
        n_generated=0,
        tokens=dict.fromkeys(("prompt", "shared", "output"), zero),
        seconds=zero.scaled(1.0, plus=loading.wall),
        cpu_seconds=zero.scaled(1.0, plus=loading.cpu),
        memory_bytes=peak_memory(),
        gpu_memory_bytes=peak_gpu_memory(),
        disk_bytes=0,
    )
