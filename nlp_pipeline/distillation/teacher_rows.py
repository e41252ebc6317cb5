"""The rows of a run, read as what the teacher says of each document."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from nlp_pipeline.distillation.teacher_document import (
    FAILED,
    NOT_IN_TEXT,
    UNSURE,
    TeacherDocument,
    TextSpan,
    Values,
)

_IN_THE_TEXT = ("exact", "normalized")


class TeacherRows:
    """Writes what the rows of a run say to their documents.

    Args:
        documents: By id.
        min_confidence: Below it a document is not trained on.
    """

    def __init__(self, documents: Mapping[str, TeacherDocument], min_confidence: float) -> None:
        self._documents = documents
        self._min_confidence = min_confidence
        self.values: Values = {}
        self.labels: dict[str, None] = {}

    def read_labels(
        self,
        rows: Iterable[Mapping[str, Any]],
        scores: Mapping[str, Mapping[str, float]],
        *,
        is_multi_label: bool,
    ) -> None:
        """Of a classifier: a document that got no label is unsure, unless none may fit."""
        for row in rows:
            document = self._documents[row["document_id"]]
            document.labels = tuple(row["labels"] or ())
            self.labels |= dict.fromkeys(document.labels)
            self.values[document.id, ""] = document.labels
            own = scores.get(document.id, {})
            if row["status"] == "error":
                document.problem = FAILED
            elif is_multi_label:
                self._trust(document, min((max(p, 1 - p) for p in own.values()), default=0.0))
            else:
                self._trust(
                    document, max(own.get(label, 0.0) for label in document.labels or ("",))
                )

    def read_objects(
        self, rows: Iterable[Mapping[str, Any]], values: Iterable[Mapping[str, Any]]
    ) -> None:
        """Of an extractor: every property of the object's top level is a label."""
        for row in rows:
            document = self._documents[row["document_id"]]
            if row["status"] == "error":
                document.problem = FAILED
            else:
                self._trust(document, _probability(row["mean_logprob"]))
        for row in values:
            self._add_value(row, top_property(row["field"]), row["value"])

    def read_answers(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Of `llama_qa`: the id of a question is a label, if it is one question's everywhere."""
        answers = list(rows)
        questions: dict[str, set[str]] = defaultdict(set)
        for row in answers:
            questions[row["question_id"]].add(row["question"])
        for row in answers:
            if len(questions[row["question_id"]]) > 1:
                continue
            document = self._documents[row["document_id"]]
            if row["status"] == "error":
                document.problem = FAILED
                continue
            if row["answer"]:
                sure = row["confidence"]
                probability = _probability(row["mean_logprob"]) if sure is None else sure
                self._trust(document, probability)
            self._add_value(row, row["question_id"], row["answer"])

    def read_entities(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Of the pipeline's own entity recognizer."""
        for row in rows:
            self._add_value({**row, "alignment": "exact"}, row["label"], row["text"])

    def _add_value(self, row: Mapping[str, Any], label: str, text: str | None) -> None:
        """Notes a value; one that does not stand in the text keeps its document from training."""
        document = self._documents[row["document_id"]]
        self.labels[label] = None
        texts = self.values.get((document.id, label), ())
        self.values[document.id, label] = (*texts, text) if text else texts
        if not text:
            return
        if row["alignment"] in _IN_THE_TEXT and row["start_char"] is not None:
            document.spans.append(TextSpan(row["start_char"], row["end_char"], label))
        elif document.problem is None:
            document.problem = NOT_IN_TEXT

    def _trust(self, document: TeacherDocument, probability: float) -> None:
        document.confidence = min(document.confidence, probability)
        if document.problem is None and probability < self._min_confidence:
            document.problem = UNSURE


def top_property(field: str) -> str:
    """The property of an object's top level that a JSON pointer leads into."""
    return field.split("/")[1].replace("~1", "/").replace("~0", "~")


def _probability(mean_logprob: float | None) -> float:
    """The geometric mean of the tokens' probabilities; 1 where they are not known."""
    return 1.0 if mean_logprob is None else math.exp(mean_logprob)
