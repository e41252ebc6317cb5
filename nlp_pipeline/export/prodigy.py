"""A run as examples for Prodigy; `nlp-pipeline review` reads what `db-out` gives of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.export import spans_left_out
from nlp_pipeline.export.job import ExportJob
from nlp_pipeline.export.json_files import write_texts
from nlp_pipeline.export.tool_documents import Piece, ToolDocument, tool_documents
from nlp_pipeline.reviews.review import ANSWERS, ENTITIES
from nlp_pipeline.reviews.tool_files import ORIGIN

logger = logging.getLogger(__name__)


def write_prodigy(job: ExportJob) -> list[Path]:
    """One file of JSON Lines, an example a document, with its tokens.

    Prodigy marks whole tokens: a piece that has none is left out, and a warning says how many.
    """
    n_left_out = 0

    def lines() -> Iterator[str]:
        nonlocal n_left_out
        for document in tool_documents(job, with_tokens=True):
            pieces = [piece for table in (ANSWERS, ENTITIES) for piece in document.pieces[table]]
            placed = [piece for piece in pieces if piece.row["start_token"] is not None]
            n_left_out += len(pieces) - len(placed)
            yield json.dumps(_example(document, placed)) + "\n"

    file = write_texts(job.target, lines())
    if n_left_out:
        logger.warning("%s", spans_left_out(n_left_out))
    return [file]


def _example(document: ToolDocument, pieces: list[Piece]) -> dict[str, Any]:
    tokens = [
        {
            "text": row["text"],
            "start": row["start_char"],
            "end": row["end_char"],
            "id": number,
            "ws": bool(row["whitespace"]),
        }
        for number, row in enumerate(document.tokens)
    ]
    spans = [
        {
            "start": piece.row["start_char"],
            "end": piece.row["end_char"],
            "token_start": piece.row["start_token"],
            "token_end": piece.row["end_token"] - 1,  # the last token, in Prodigy's way
            "label": piece.label,
            **({} if piece.score is None else {"score": piece.score}),
        }
        for piece in pieces
    ]
    example: dict[str, Any] = {"text": document.text, "tokens": tokens, "spans": spans}
    if document.labels:
        options = [{"id": label, "text": label} for label in sorted(document.labels)]
        example |= {"options": options, "accept": document.labels[:1]}
    scores = [piece.score for piece in pieces if piece.score is not None]
    meta = {"document": document.id, **document.questions}
    return {
        **example,
        "meta": {**meta, "score": min(scores)} if scores else meta,
        ORIGIN: document.origin,
    }
