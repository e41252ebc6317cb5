"""The rows of a run as people have corrected them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from nlp_pipeline.errors.review import NoReviews
from nlp_pipeline.export.corrected_answers import (
    corrected_answers,
    corrected_names,
    corrected_objects,
    corrected_spans,
    corrected_values,
)
from nlp_pipeline.export.corrected_entities import (
    corrected_categories,
    corrected_documents,
    corrected_entities,
    corrected_labels,
    corrected_tokens,
)
from nlp_pipeline.export.text_places import TextPlaces
from nlp_pipeline.reviews.review import ANSWERS, CATEGORIES, ENTITIES, EXTRACTION_FIELDS, Review
from nlp_pipeline.reviews.run_reviews import run_reviews
from nlp_pipeline.run_folder.review_table import text_digest

Row = dict[str, Any]
ReadTable = Callable[[list[str]], pa.Table]
"""Reads some columns of a table of the same part."""

NEIGHBOURS = ("documents", "tokens", "sentences", "answers", "entities", "extraction_fields")
"""The tables that a correction is placed by."""


class TableCorrection(NamedTuple):
    """What reviews do to a table.

    Attributes:
        target: The reviews that count, by what they judge.
        corrected: Makes the rows of a document anew: of its rows, its reviews and the part.
    """

    target: str
    corrected: Callable[[list[Row], list[Review], TextPlaces], list[Row]]


CORRECTED: dict[str, TableCorrection] = {
    "documents": TableCorrection(ENTITIES, corrected_documents),
    "tokens": TableCorrection(ENTITIES, corrected_tokens),
    "entities": TableCorrection(ENTITIES, corrected_entities),
    "spans": TableCorrection(ANSWERS, corrected_spans),
    "categories": TableCorrection(CATEGORIES, corrected_categories),
    "classifications": TableCorrection(CATEGORIES, corrected_labels),
    "answers": TableCorrection(ANSWERS, corrected_answers),
    "answer_entities": TableCorrection(ANSWERS, corrected_names),
    "extractions": TableCorrection(EXTRACTION_FIELDS, corrected_objects),
    "extraction_fields": TableCorrection(EXTRACTION_FIELDS, corrected_values),
}
"""The tables that reviews change."""


class Corrections:
    """What the reviews of a run change in its tables.

    Args:
        reviews: Of each row the one that counts.
    """

    def __init__(self, reviews: Iterable[Review]) -> None:
        self._by_document: dict[str, list[Review]] = defaultdict(list)
        for review in reviews:
            self._by_document[review.document_id].append(review)

    @classmethod
    def of_run(cls, run: Path) -> Corrections:
        """Those of a run.

        Raises:
            NoReviews: It has none.
        """
        reviews = run_reviews(run)
        if not reviews:
            raise NoReviews(str(run))
        return cls(reviews)

    def corrected(self, table: str, part: pa.Table, near: Mapping[str, ReadTable]) -> pa.Table:
        """A part of a table with every row as people have corrected it.

        A review of a text that has changed since changes nothing.

        Args:
            table: A name of `CORRECTED`.
            part: All columns of the part.
            near: Reads the `NEIGHBOURS` of the same part.
        """
        target, correct = CORRECTED[table]
        texts = near["documents"](["document_id", "text"]).to_pydict()
        reviews: dict[str, list[Review]] = {}
        for document_id, text in zip(texts["document_id"], texts["text"], strict=True):
            own = [r for r in self._by_document.get(document_id, ()) if r.target == target]
            digest = text_digest(text or "") if own else ""
            fitting = [review for review in own if review.text_digest == digest]
            if fitting:
                reviews[document_id] = fitting
        if not reviews:
            return part
        by_document: dict[str, list[Row]] = {name: [] for name in texts["document_id"]}
        for row in part.to_pylist():
            by_document[row["document_id"]].append(row)
        places = TextPlaces(near, reviews)
        for document_id, own in reviews.items():
            by_document[document_id] = correct(by_document[document_id], own, places)
        rows = [row for rows in by_document.values() for row in rows]
        return pa.Table.from_pylist(rows, schema=part.schema)
