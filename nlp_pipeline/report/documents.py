"""The documents of a run as the page takes them: each with all that was found in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_pipeline.run_folder.read import parts_of
from nlp_pipeline.run_folder.review_table import text_digest

Row = dict[str, Any]

_READ: dict[str, tuple[str, ...]] = {
    "documents": (
        *("document_id", "source", "line", "status", "text", "n_chars", "n_tokens"),
        *("n_sentences", "meta", "error"),
    ),
    "sentences": ("document_id", "start_char", "end_char", "start_token", "end_token"),
    "tokens": ("document_id", "start_char", "end_char", "pos", "dep", "head"),
    "entities": ("document_id", "start_char", "end_char", "label"),
    "categories": ("document_id", "label", "score"),
    "answers": (
        *("document_id", "component", "question_id", "question", "answer", "status", "alignment"),
        *("start_char", "end_char", "alignment_score", "evidence", "support_score"),
        *("unsupported_entities", "unsupported_numbers", "mean_logprob", "confidence"),
        *("n_chunks", "error"),
    ),
    "answer_entities": (
        *("document_id", "component", "question_id", "sentence", "text", "kind"),
        *("answer_start", "answer_end", "supported", "start_char", "end_char"),
    ),
    "summaries": (
        *("document_id", "component", "summary", "status", "support_score"),
        *("mean_logprob", "n_chunks", "error"),
    ),
    "summary_sentences": (
        *("document_id", "component", "sentence", "summary_start", "summary_end", "alignment"),
        *("start_char", "end_char", "evidence"),
    ),
    "extractions": ("document_id", "component", "extraction", "status", "mean_logprob", "error"),
    "extraction_fields": (
        *("document_id", "component", "field", "value", "alignment", "start_char", "end_char"),
    ),
    "classifications": ("document_id", "component", "labels", "status", "error"),
    "generations": ("document_id", "component", "attribute", "text", "status", "mean_logprob"),
    "errors": ("document_id", "stage", "component", "question_id", "type", "message"),
}
"""What the page shows of each table; other columns are not read."""


def read_documents(run: str | Path, limit: int | None = None) -> Iterator[Row]:
    """The documents of a run, in the order of the corpus; one part at a time is in memory.

    Each is its row of `documents` with the digest of its text, and with the rows of every other
    table under that table's name.
    The tokens are `tree`: five integers each (start, end, index into `pos`, index into `dep`,
    head), flat; empty where the pipeline does not parse. JSON stays text: the browser reads it.

    Args:
        run: The run's folder, finished or still going on.
        limit: So many at most.

    Raises:
        RunNotFound: The folder holds no run.
    """
    remaining = limit
    for part in parts_of(run, _READ):
        for document in _joined(part):
            if remaining is not None:
                if remaining <= 0:
                    return
                remaining -= 1
            yield document


def _joined(part: Mapping[str, pa.Table]) -> Iterator[Row]:
    """The documents of a part with their rows of the other tables."""
    rows = {name: _by_document(part[name]) for name in _READ if name not in ("documents", "tokens")}
    tokens = _by_document(part["tokens"])
    for document in part["documents"].to_pylist():
        key = document["document_id"]
        document.update((name, by_id.get(key, [])) for name, by_id in rows.items())
        document.update(_tree(tokens.get(key, [])))
        document["text_digest"] = text_digest(document["text"] or "")
        yield document


def _by_document(table: pa.Table) -> dict[str, list[Row]]:
    by_id: dict[str, list[Row]] = defaultdict(list)
    for row in table.to_pylist():
        by_id[row.pop("document_id")].append(row)
    return by_id


def _tree(tokens: Iterable[Row]) -> Row:
    """The parse, as compact as JSON can have it: most of a report is this."""
    pos: dict[str, int] = {}
    dep: dict[str, int] = {}
    tree: list[int] = []
    for token in tokens:
        if token["dep"] is None or token["head"] is None:
            return {"tree": [], "pos": [], "dep": []}
        tree += (
            token["start_char"],
            token["end_char"],
            pos.setdefault(token["pos"] or "", len(pos)),
            dep.setdefault(token["dep"], len(dep)),
            token["head"],
        )
    return {"tree": tree, "pos": list(pos), "dep": list(dep)}
