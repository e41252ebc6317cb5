"""A sample spread over a corpus: of every length of text its share."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from nlp_pipeline.corpus import Record, Reject

ReadCorpus = Callable[[], Iterable[Record | Reject]]
"""Reads a corpus from its first record; may be called several times."""


@dataclass(frozen=True)
class CorpusSample:
    """What one look at every record of a corpus tells, and some records of it.

    Attributes:
        sizes: How much there is to read of each record (`size_of`). Shape: (n_documents,).
        n_rejects: Places where no record could be read.
        records: The sample, in an order of which every beginning is spread over the sizes.
        longest: The largest record; None where there is none.
    """

    sizes: np.ndarray
    n_rejects: int
    records: tuple[Record, ...]
    longest: Record | None

    @property
    def n_documents(self) -> int:
        """Records that can be read."""
        return len(self.sizes)


def size_of(record: Record) -> int:
    """Code points, times the record's own questions: each of these is asked of the text."""
    return len(record.text) * max(1, len(record.questions))


def draw_sample(read: ReadCorpus, n_records: int) -> CorpusSample:
    """Reads a corpus twice: for the sizes of all records, and for those in the sample.

    The records are sorted by size and one is taken from the middle of each of `n_records` equal
    stretches (systematic sampling), so that the sample has the sizes of the corpus. It is the
    same each time.

    Args:
        read: Reads the corpus.
        n_records: Records in the sample, where the corpus has as many.
    """
    positions, all_sizes, n_rejects = array("q"), array("q"), 0
    for item in read():
        if isinstance(item, Record):
            positions.append(item.index)
            all_sizes.append(size_of(item))
        else:
            n_rejects += 1
    sizes = np.array(all_sizes, dtype=np.int64)
    order = np.argsort(sizes, kind="stable")
    n_records = min(n_records, len(sizes))
    middles = ((np.arange(n_records) + 0.5) * len(sizes) / max(1, n_records)).astype(int)
    sampled = [positions[place] for place in order[middles]]
    largest = positions[order[-1]] if len(sizes) else None
    positions_read = {*sampled, largest}
    records = {r.index: r for r in read() if isinstance(r, Record) and r.index in positions_read}
    spread = [sampled[place] for place in _spread(n_records)]
    return CorpusSample(
        sizes,
        n_rejects,
        records=tuple(records[position] for position in spread if position in records),
        longest=None if largest is None else records.get(largest),
    )


def _spread(n: int) -> list[int]:
    """The numbers below `n` in an order of which every beginning is spread (van der Corput)."""
    return sorted(range(n), key=lambda number: int(f"{number:032b}"[::-1], 2))
