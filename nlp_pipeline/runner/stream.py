"""The stream of a run, from top to bottom: records in, the rows of each document out.

A record becomes a Doc (`annotate`, or `workers` where there are several processes), lives in a
memory zone (`memory_zones`), is annotated ahead of the generator (`prefetch`), passes the Llama
components, and ends as rows of plain values.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeAlias

from nlp_pipeline.components.completion_replay import STORED, USED
from nlp_pipeline.components.questions import FURTHER
from nlp_pipeline.pipeline import split
from nlp_pipeline.run_folder.completions import COMPLETIONS, DIGEST
from nlp_pipeline.run_folder.part import DocumentFacts
from nlp_pipeline.run_folder.parts import Item
from nlp_pipeline.runner.annotate import (
    ORIGIN,
    Annotated,
    annotate_batches,
    chain,
)
from nlp_pipeline.runner.limits import batch_size_of
from nlp_pipeline.runner.memory_zones import memory_zones
from nlp_pipeline.runner.prefetch import prefetch
from nlp_pipeline.runner.request import RunRequest
from nlp_pipeline.runner.worker_count import runs_on_cuda, short_switches, worker_count
from nlp_pipeline.runner.workers import annotate_in_workers
from nlp_pipeline.tables.rows import Rows, doc_rows

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

FactsAt: TypeAlias = Callable[[int], DocumentFacts]


def document_rows(
    request: RunRequest,
    nlp: Language,
    records: Iterable[Item],
    facts: FactsAt | None = None,
) -> Generator[Rows, None, None]:
    """The rows of each record, as soon as they are there.

    They come nearly in the order of the records, but a document that takes long holds back none of
    those behind it: by `position` the row of `documents` says which record it is. Where the run
    stops at the first document that fails they are in order, so that it is the corpus' first.

    Args:
        request: How many processes annotate, and how many documents spaCy takes at a time.
        nlp: The pipeline.
        records: Taken by a thread that runs ahead of whoever takes the rows.
        facts: What a run knows of a document, by its position. Where this is given, what the rows
            are made of comes with them, under `COMPLETIONS`.
    """
    linguistic, generating = split(nlp)
    batch_size = batch_size_of(request, nlp)
    batches = _annotated_batches(request, nlp, records, linguistic, batch_size)
    switches = short_switches(enabled=runs_on_cuda(nlp))
    with switches, closing(batches), closing(memory_zones(nlp, batches)) as zones:
        for zone in zones:
            # The thread works inside the zone: it ends with what the zone takes in.
            with closing(prefetch(zone, batch_size)) as annotated:
                docs = (_with_origin(item, facts) for item in annotated)
                for doc in chain(nlp, generating, docs, in_order=request.on_error == "stop"):
                    rows = doc_rows(doc, doc.user_data[ORIGIN])
                    if facts is not None:
                        rows[COMPLETIONS] = _used_completions(doc)
                    yield rows


def _annotated_batches(
    request: RunRequest,
    nlp: Language,
    records: Iterable[Item],
    pipes: list[str],
    batch_size: int,
) -> Generator[list[Annotated], None, None]:
    """The records as annotated Docs, in this process or in workers."""
    n_process = worker_count(request.n_process, nlp)
    if n_process == 1:
        return annotate_batches(nlp, records, pipes=pipes, batch_size=batch_size)
    return annotate_in_workers(
        nlp,
        records,
        spec=request.pipeline,
        pipes=pipes,
        batch_size=batch_size,
        n_process=n_process,
        document_timeout=request.document_timeout,
    )


def _with_origin(item: Annotated, facts: FactsAt | None) -> Doc:
    """The Doc of a record, which carries its own origin: no component has to keep an order."""
    item.doc.user_data[ORIGIN] = item.origin
    if facts is not None:
        completions, questions = facts(item.origin.position)
        item.doc.user_data[STORED] = completions
        item.doc.user_data[FURTHER] = questions
    return item.doc


def _used_completions(doc: Doc) -> list[dict[str, Any]]:
    """The completions that the rows of a document are made of, in an order that says nothing."""
    used: Mapping[str, dict[str, Any]] = doc.user_data.get(USED, {})
    return [{DIGEST: digest, **used[digest]} for digest in sorted(used)]
