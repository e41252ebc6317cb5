"""The linguistic half: records to Docs in their order, one bad document at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from spacy.tokens import Doc

from nlp_pipeline.components.completion_replay import STORED, USED
from nlp_pipeline.components.extensions import new_error, record_id
from nlp_pipeline.components.questions import FURTHER
from nlp_pipeline.corpus import Record, Reject
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.run import AnnotationFailed
from nlp_pipeline.pipeline import is_llama
from nlp_pipeline.run_folder.parts import Casualty, Item
from nlp_pipeline.tables.rows import Origin

if TYPE_CHECKING:
    from spacy.language import Language

logger = logging.getLogger(__name__)

ORIGIN = "nlp_pipeline.origin"
"""The key under which a Doc carries what the corpus says of it, on its way to its rows."""
_TRF_DATA: Any = ("._.", "trf_data", None, None)


@dataclass(frozen=True)
class Annotated:
    """A Doc and what the corpus says of it."""

    doc: Doc
    origin: Origin


def annotate(
    nlp: Language, items: Iterable[Item], *, pipes: list[str], batch_size: int
) -> Generator[Annotated, None, None]:
    """Runs the linguistic pipes over records; a reject becomes an empty Doc with its error.

    A document that spaCy fails on is tried by itself and then becomes an empty Doc with an
    error too: the number and the order of the Docs are those of the records.

    Args:
        nlp: The pipeline.
        items: What the corpus reader yields.
        pipes: Names of the pipes to run.
        batch_size: Documents handed to spaCy at a time.
    """
    for batch in annotate_batches(nlp, items, pipes=pipes, batch_size=batch_size):
        yield from batch


def annotate_batches(
    nlp: Language, items: Iterable[Item], *, pipes: list[str], batch_size: int
) -> Generator[list[Annotated], None, None]:
    """`annotate`, batch by batch: no Doc of a batch is made before the batch is asked for."""
    stream = iter(items)
    while batch := list(islice(stream, batch_size)):
        docs = iter(_annotate_batch(nlp, [i for i in batch if isinstance(i, Record)], pipes))
        pairs = ((item, _doc_of(nlp, item, docs)) for item in batch)
        yield [annotated(doc, item) for item, doc in pairs]


def _doc_of(nlp: Language, item: Item, docs: Iterator[Doc]) -> Doc:
    return next(docs) if isinstance(item, Record) else stand_in(nlp, item)


def _annotate_batch(nlp: Language, records: list[Record], pipes: list[str]) -> list[Doc]:
    disabled = [name for name in nlp.pipe_names if name not in pipes]
    texts = (record.text for record in records)
    try:
        docs = list(nlp.pipe(texts, disable=disabled, batch_size=max(1, len(records))))
    except Exception:  # any component may raise anything: find the culprit
        docs = []
    # A component may drop a Doc as well as raise: no record may get its neighbour's.
    if len(docs) != len(records):
        docs = [_annotate_one(nlp, record, disabled) for record in records]
    return docs


def _annotate_one(nlp: Language, record: Record, disabled: list[str]) -> Doc:
    try:
        return nlp(record.text, disable=disabled)
    except Exception as error:
        return failed_doc(nlp, annotation_failed(record.id, error))


def annotation_failed(document_id: str, error: Exception) -> AnnotationFailed:
    """What a pipe raised about one document; its traceback goes to the debug log."""
    failed = AnnotationFailed(document_id, str(error) or type(error).__name__)
    logger.debug("%s", failed, exc_info=error)
    return failed


def failed_doc(nlp: Language, error: NlpPipelineError) -> Doc:
    """The empty Doc that stands for a document spaCy failed on."""
    return _with_error(nlp, error.stage, error.kind, str(error), retryable=error.retryable)


def stand_in(nlp: Language, item: Reject | Casualty) -> Doc:
    """The empty Doc that stands for a record that is not annotated."""
    return failed_doc(nlp, item.error) if isinstance(item, Casualty) else _rejected(nlp, item)


def _rejected(nlp: Language, reject: Reject) -> Doc:
    return _with_error(nlp, "read", reject.kind, reject.message, retryable=False)


def _with_error(nlp: Language, stage: str, kind: str, message: str, *, retryable: bool) -> Doc:
    doc = Doc(nlp.vocab)
    doc._.errors = [new_error(stage, None, kind, message, retryable=retryable, question_id=None)]
    return doc


def annotated(doc: Doc, item: Item) -> Annotated:
    """A Doc with what the corpus says of it, on it and beside it."""
    source = item.record if isinstance(item, Casualty) else item
    return Annotated(dress(doc, source), origin_of(source))


def dress(doc: Doc, item: Record | Reject) -> Doc:
    """Puts what the record says on its Doc, and takes a transformer's activations off it.

    `trf_data` is what listeners listened to: with it every Doc that waits for an answer would
    hold megabytes of tensors.
    """
    doc.user_data.pop(_TRF_DATA, None)
    doc._.record_id = item.id
    if isinstance(item, Record):
        doc._.meta = dict(item.meta)
        doc._.questions = [{"id": q.id, "text": q.text} for q in item.questions]
    return doc


def origin_of(item: Record | Reject) -> Origin:
    """What the corpus says of an item."""
    if isinstance(item, Reject):
        return Origin(item.id, item.index, source=item.source, line=item.line)
    return Origin(
        item.id,
        item.index,
        source=item.source,
        line=item.line,
        text=item.text,
        meta=dict(item.meta),
        layout=item.layout,
    )


def chain(
    nlp: Language, pipes: list[str], docs: Iterable[Doc], *, in_order: bool = True
) -> Iterator[Doc]:
    """Runs the second half, pipe after pipe, over a stream of Docs.

    A Llama component looks after its failures itself; of any other pipe a document that it
    fails on keeps what it has and gets an error.

    Args:
        nlp: The pipeline.
        pipes: Names of the pipes to run.
        docs: What they are run over.
        in_order: Whether the Docs come out in their order, or each as soon as it is done.
    """
    stream: Iterable[Doc | None] = docs
    for name in pipes:
        pipe: Any = nlp.get_pipe(name)
        if not is_llama(pipe):
            stream = _one_by_one(name, pipe, stream)
        else:
            stream = pipe.pipe(stream) if in_order else pipe.as_completed(stream)
    return (doc for doc in stream if doc is not None)


def _one_by_one(
    name: str, pipe: Callable[[Doc], Doc], docs: Iterable[Doc | None]
) -> Iterator[Doc | None]:
    for doc in docs:
        yield None if doc is None else _annotate_alone(name, pipe, doc)


def _annotate_alone(name: str, pipe: Callable[[Doc], Doc], doc: Doc) -> Doc:
    """The Doc that a pipe returns; where it fails the same Doc, with an error."""
    try:
        result = pipe(doc)
        if not isinstance(result, Doc):
            raise TypeError(f"the pipe returns {result!r:.80} and not a Doc")
    except Exception as reason:
        error = annotation_failed(record_id(doc) or "?", reason)
        failure = new_error(
            error.stage, name, error.kind, str(error), retryable=False, question_id=None
        )
        errors = doc._.errors
        doc._.errors = [*(errors if isinstance(errors, list | tuple) else ()), failure]
        return doc
    if result is not doc:  # its rows need what the corpus says of it
        for key in (ORIGIN, STORED, USED, FURTHER):
            if key in doc.user_data:
                result.user_data[key] = doc.user_data[key]
    return result
