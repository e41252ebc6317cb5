"""A run as spaCy's own training data: DocBins, to train on and to develop on."""

from __future__ import annotations

import logging
from array import array
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path

from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.util import get_lang_class
from spacy.vocab import Vocab

from nlp_pipeline.errors.export import spans_left_out
from nlp_pipeline.export.annotated_documents import AnnotatedDocument, Row, annotated_documents
from nlp_pipeline.export.job import ExportJob
from nlp_pipeline.run_folder.files import sweep_beside, write_atomically
from nlp_pipeline.tables.row_docs import doc_of_rows

logger = logging.getLogger(__name__)

DEV_SHARE = 0.2
"""Of the texts: what is not trained on."""
DOCS_PER_FILE = 1000
"""In memory at once."""


def write_spacy(job: ExportJob) -> list[Path]:
    """Folders `train` and `dev` of `.spacy` files, as spaCy's corpus reader takes them.

    Docs have the tokens, tags, lemmas, parse and sentences of the run, and of the exported tables
    the entities, the spans of all groups (answers under `answers`) and the categories.
    `doc.user_data["document_id"]` says which document it is. A digest of its text decides for
    what a document is used, so that the same text is never in both.
    """
    is_dev = _dev_rule(job)
    vocabs: dict[str, Vocab] = {}
    bins: dict[str, DocBin] = {"train": _bin(), "dev": _bin()}
    files: dict[str, list[Path]] = {"train": [], "dev": []}
    n_left_out = 0
    for document in annotated_documents(job, ("tokens", *job.tables)):
        language = document.language or "xx"
        if language not in vocabs:
            vocabs[language] = get_lang_class(language)().vocab
        doc, misplaced = _doc(vocabs[language], document, job.tables)
        n_left_out += misplaced
        use = "dev" if is_dev(document.text) else "train"
        bins[use].add(doc)
        if len(bins[use]) == DOCS_PER_FILE:
            files[use].append(_write(job, use, len(files[use]), bins[use]))
            bins[use] = _bin()
    for use, docs in bins.items():
        if len(docs) or not files[use]:
            files[use].append(_write(job, use, len(files[use]), docs))
        _remove_older(job.target / use, files[use])
    if n_left_out:
        logger.warning("%s", spans_left_out(n_left_out))
    return [*files["train"], *files["dev"]]


def _bin() -> DocBin:
    return DocBin(store_user_data=True)


def _write(job: ExportJob, use: str, number: int, docs: DocBin) -> Path:
    file = job.target / use / f"docs-{number:05}.spacy"
    file.parent.mkdir(exist_ok=True)
    sweep_beside(file)
    write_atomically(file, partial(_to_disk, docs))
    return file


def _to_disk(docs: DocBin, file: Path) -> None:
    file.write_bytes(docs.to_bytes())


def _remove_older(folder: Path, files: list[Path]) -> None:
    """Removes what a longer export of before has left: the reader takes all that is there."""
    for file in set(folder.glob("docs-*.spacy")) - set(files):
        file.unlink()


def _dev_rule(job: ExportJob) -> Callable[[str], bool]:
    """Says of a text whether it is to develop on. Where there are two, each use has one."""
    # Eight bytes a document, whatever its length.
    ranks = array("Q", (_rank(document.text) for document in annotated_documents(job, ())))
    ranks = array("Q", sorted(set(ranks)))
    if len(ranks) < 2:
        return lambda text: False
    threshold = ranks[max(1, round(DEV_SHARE * len(ranks))) - 1]
    return lambda text: _rank(text) <= threshold


def _rank(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _doc(vocab: Vocab, document: AnnotatedDocument, tables: tuple[str, ...]) -> tuple[Doc, int]:
    """The Doc of a document, and how many spans have no tokens."""
    tokens = document.rows["tokens"]
    entities = document.rows.get("entities", [])
    is_tagged = entities or any(row["ent_iob"] is not None for row in tokens)
    doc = doc_of_rows(vocab, tokens, entities if is_tagged and "entities" in tables else None)
    doc.user_data["document_id"] = document.id
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in document.rows.get("spans", []):
        groups[row["group"]].append(row)
    for name, rows in groups.items():
        doc.spans[name] = SpanGroup(doc, name=name, spans=_spans(doc, rows))
    doc.cats = {row["label"]: float(row["score"]) for row in document.rows.get("categories", [])}
    placed = [*entities, *document.rows.get("spans", [])]
    return doc, sum(row["start_token"] is None for row in placed)


def _spans(doc: Doc, rows: list[Row]) -> list[Span]:
    return [
        Span(
            doc,
            row["start_token"],
            row["end_token"],
            label=row["label"] or "",
            span_id=row["span_id"] or "",
        )
        for row in rows
        if row["start_token"] is not None
    ]
