"""Where in a document a review's text stands, and what else the run says of the document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

import pyarrow as pa

from nlp_pipeline.reviews.review import Review
from nlp_pipeline.tables.schemas import SCHEMAS

Row = dict[str, Any]


class TextPlaces:
    """The reviewed documents of a part, as far as corrections depend on them.

    Args:
        near: Reads some columns of a table of the part.
        document_ids: Of the reviewed documents.
    """

    def __init__(
        self,
        near: Mapping[str, Callable[[list[str]], pa.Table]],
        document_ids: Collection[str],
    ) -> None:
        self._near = near
        self._ids = document_ids

    def place(self, review: Review) -> Row | None:
        """The columns of a place; None where the review names none."""
        start, end = review.start_char, review.end_char
        if start is None or end is None:
            return None
        tokens = [
            number
            for number, token in enumerate(self._tokens.get(review.document_id, ()))
            if token["start_char"] < end and token["end_char"] > start
        ]
        return {
            "start_char": start,
            "end_char": end,
            "start_token": tokens[0] if tokens else None,
            "end_token": tokens[-1] + 1 if tokens else None,
        }

    def sentence_ids(self, review: Review) -> list[int] | None:
        """Of the sentences that hold it; None where it has no place, or the run no sentences."""
        start, end = review.start_char, review.end_char
        sentences = self._sentences.get(review.document_id, ())
        if start is None or end is None or not sentences:
            return None
        return [
            sentence["sentence_id"]
            for sentence in sentences
            if sentence["start_char"] < end and sentence["end_char"] > start
        ]

    def answer(self, review: Review) -> Row | None:
        """The run's answer that a review judges; None where it has it no more."""
        return self._answers.get((review.document_id, review.component, review.question_id))

    def entities(self, document_id: str) -> list[Row]:
        """All rows of the entities of a document."""
        return self._entities.get(document_id, [])

    def values(self, document_id: str) -> list[Row]:
        """What the objects of a document hold."""
        return self._values.get(document_id, [])

    @cached_property
    def _entities(self) -> dict[str, list[Row]]:
        return self._rows("entities", SCHEMAS["entities"].names)

    @cached_property
    def _values(self) -> dict[str, list[Row]]:
        return self._rows("extraction_fields", SCHEMAS["extraction_fields"].names)

    @cached_property
    def _tokens(self) -> dict[str, list[Row]]:
        return self._rows("tokens", ["document_id", "start_char", "end_char"])

    @cached_property
    def _sentences(self) -> dict[str, list[Row]]:
        return self._rows("sentences", ["document_id", "sentence_id", "start_char", "end_char"])

    @cached_property
    def _answers(self) -> dict[tuple[Any, ...], Row]:
        columns = ["document_id", "component", "question_id", "answer", "status", "start_char"]
        return {
            (row["document_id"], row["component"], row["question_id"]): row
            for rows in self._rows("answers", columns).values()
            for row in rows
        }

    def _rows(self, table: str, columns: list[str]) -> dict[str, list[Row]]:
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in self._near[table](columns).to_pylist():
            if row["document_id"] in self._ids:
                rows[row["document_id"]].append(row)
        return rows
