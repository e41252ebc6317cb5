"""The work itself, the same function for every executor: records in, parts and figures out."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from nlp_pipeline.run_folder.ledger import RetryWhen
from nlp_pipeline.run_folder.part import PartStore
from nlp_pipeline.run_folder.parts import PartRecords, PartWriter
from nlp_pipeline.runner.request import RunRequest
from nlp_pipeline.runner.stream import document_rows

if TYPE_CHECKING:
    from spacy.language import Language


class DocumentFigures(NamedTuple):
    """What is known of a document once its rows are safe.

    Attributes:
        failed: Whether its status is `error`.
        output_tokens: Tokens generated for it.
        answers: Its rows of `answers`, where it was computed in this process.
    """

    failed: bool
    output_tokens: int
    answers: Sequence[Mapping[str, Any]] = ()


def compute_parts(
    request: RunRequest,
    nlp: Language,
    units: Iterable[PartRecords],
    *,
    store: PartStore,
    retry_when: RetryWhen,
) -> Generator[DocumentFigures, None, None]:
    """Makes the parts of units: sends what is not done yet through the pipeline, writes the rows.

    A stream, and not a function of one unit: the records of the next unit follow those of the
    last without a gap, so that the generator never runs dry in between. A part is in the store
    before the document that completes it is given out.

    Args:
        request: The run.
        nlp: Its pipeline.
        units: Taken by a thread that runs ahead; any parts in any order.
        store: Where the parts go.
        retry_when: Which failed documents are tried again.

    Raises:
        RecordsLost: Some records have no rows.
        DiskFull: No space is left.
    """
    parts = PartWriter(store, request.part_size, retry_when)
    try:
        with closing(document_rows(request, nlp, parts.wanted(units), parts.facts)) as documents:
            for rows in documents:
                yield DocumentFigures(*parts.add(rows), answers=rows["answers"])
        parts.finish()
    finally:
        parts.close()
