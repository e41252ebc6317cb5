"""What the page says of the run as a whole, counted while its documents pass by."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from nlp_pipeline.report.documents import Row
from nlp_pipeline.run_folder.receipt_blocks import receipt_file
from nlp_pipeline.run_folder.receipt_list import read_receipts

BINS = 20
SNIPPET = 90


class Overview:
    """Counts, and the line of each document in the page's list."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._entities: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._alignments: Counter[str] = Counter()
        self._supported: Counter[str] = Counter()
        self._confidence = [0] * BINS
        self._questions: dict[str, dict[str, Any]] = {}
        self._categories: Counter[str] = Counter()
        self._lengths = array("q")
        self._lines: list[list[Any]] = []

    def add(self, document: Row) -> None:
        """Counts a document in the totals of the overview."""
        self._counts["documents"] += 1
        self._counts["failed"] += document["status"] != "ok"
        self._counts["tokens"] += document["n_tokens"] or 0
        self._counts["sentences"] += document["n_sentences"] or 0
        self._counts["entities"] += len(document["entities"])
        self._lengths.append(document["n_tokens"] or 0)
        self._entities.update(entity["label"] for entity in document["entities"])
        self._errors.update(error["type"] for error in document["errors"])
        labels = chosen_labels(document)
        self._labels.update(labels)
        self._categories.update(row["label"] for row in document["categories"])
        answers = [self._answer(answer) for answer in document["answers"]]
        for summary in document["summaries"]:
            self._counts["summaries"] += 1
            self._book_confidence(summary)
        unsupported = any(not item["supported"] for item in document["answer_entities"])
        self._supported.update(
            "supported" if item["supported"] else "unsupported"
            for item in document["answer_entities"]
        )
        self._lines.append(
            [
                document["document_id"],
                int(document["status"] != "ok"),
                document["n_tokens"],
                sorted({entity["label"] for entity in document["entities"]} | set(labels)),
                answers,
                int(unsupported),
                " ".join((document["text"] or document["error"] or "")[: 2 * SNIPPET].split())[
                    :SNIPPET
                ],
                review_items(document),
            ]
        )

    def _answer(self, answer: Row) -> list[Any]:
        """Question and status, for the filters; how sure it is and who answered, for the review."""
        question = self._questions.setdefault(
            answer["question_id"],
            {"id": answer["question_id"], "text": answer["question"], "statuses": Counter()},
        )
        question["statuses"][answer["status"]] += 1
        self._counts["answers"] += 1
        if answer["status"] == "ok":
            self._alignments[answer["alignment"] or "none"] += 1
            self._book_confidence(answer)
        return [
            *(answer["question_id"], answer["status"], _sureness(answer), answer["component"]),
            _interest(
                answer, bool(answer["unsupported_entities"] or answer["unsupported_numbers"])
            ),
        ]

    def _book_confidence(self, row: Row) -> None:
        mean = row["mean_logprob"]
        if row["status"] == "ok" and mean is not None:
            self._confidence[min(BINS - 1, int(math.exp(mean) * BINS))] += 1

    @property
    def lines(self) -> list[list[Any]]:
        """Per document: id, failed, tokens, labels, answers, unsupported, begin, review.

        An answer is its question's id, its status, how sure it is, its component and how much it
        is worth a look (`_interest`). `labels` are those of its entities and those that were
        chosen for it, `begin` is how the text begins, `review` as `review_items` gives it.
        """
        return self._lines

    def as_dict(self) -> dict[str, Any]:
        """Everything, as plain values; counts come with the most frequent first."""
        return {
            "counts": {"documents": 0, "failed": 0, **self._counts},
            "entities": self._entities.most_common(),
            "labels": self._labels.most_common(),
            "categories": [label for label, _ in self._categories.most_common()],
            "errors": self._errors.most_common(),
            "alignment": self._alignments.most_common(),
            "supported": dict(self._supported),
            "confidence": self._confidence,
            "lengths": histogram(self._lengths),
            "questions": [
                {**question, "statuses": dict(question["statuses"])}
                for question in self._questions.values()
            ],
        }


def _sureness(answer: Mapping[str, Any]) -> float | None:
    """How likely an answer is right, as far as the run knows: else how likely its tokens were."""
    confidence: float | None = answer["confidence"]
    if confidence is not None:
        return round(confidence, 4)
    mean: float | None = answer["mean_logprob"]
    return None if mean is None else round(math.exp(mean), 4)


def _interest(row: Mapping[str, Any], is_doubtful: bool) -> int:
    """2 where the other run says something else, 1 where the text does not bear it out, else 0."""
    return 2 if "other" in row else int(is_doubtful)


def review_items(document: Mapping[str, Any]) -> list[Any] | None:
    """What can be reviewed of a document beside its answers; None of one without a text.

    Labels are those that were chosen, else the likeliest, each with its score; values of objects
    their component and field, each with how much it is worth a look. Then come the number of
    entities, the numbers of those that the other run lacks, and whether the other run says
    anything else.
    """
    if document["text"] is None:
        return None
    scores = {row["label"]: row["score"] or 0.0 for row in document["categories"]}
    labels = [label for label in chosen_labels(document) if label in scores]
    labels = labels or sorted(scores, key=lambda label: -scores[label])[:1]
    interest = 2 if "other_labels" in document else 0
    values = [
        [row["component"], row["field"], _interest(row, bool(row["value"]) and _is_nowhere(row))]
        for row in document["extraction_fields"]
    ]
    entities = document["entities"]
    differing = [number for number, entity in enumerate(entities) if "other" in entity]
    rows = [*document["answers"], *document["extraction_fields"]]
    differs = bool(differing) or interest == 2 or any("other" in row for row in rows)
    return [
        [[label, round(scores[label], 4), interest] for label in labels],
        values,
        *(len(entities), differing, int(differs)),
    ]


def _is_nowhere(row: Mapping[str, Any]) -> bool:
    return row["alignment"] in (None, "none")


def chosen_labels(document: Mapping[str, Any]) -> list[str]:
    """The labels of a document: those a classifier chose, else categories of at least 0.5."""
    labels = [label for row in document["classifications"] for label in row["labels"] or []]
    if labels or document["classifications"]:
        return labels
    return [row["label"] for row in document["categories"] if (row["score"] or 0) >= 0.5]


def histogram(lengths: array[int]) -> list[tuple[int, int, int]]:
    """At most 20 bins of equal width, a round number: from, to (excluded), how many."""
    if not lengths:
        return []
    width = _round_up((max(lengths) + 1) / BINS)
    counts = Counter(length // width for length in lengths)
    return [(i * width, (i + 1) * width, counts[i]) for i in range(max(counts) + 1)]


def _round_up(number: float) -> int:
    """The next of numbers 1, 2, 5, 10, 20, 50 and so on."""
    magnitude = 10 ** max(0, math.floor(math.log10(max(number, 1))))
    return next(int(step * magnitude) for step in (1, 2, 5, 10) if step * magnitude >= number)


def pace(run: Path) -> list[tuple[float, int]]:
    """When the parts of a run were written: seconds after the first, and documents by then.

    Receipts hold no time, so that a resumed run equals another; their files have one. Empty
    where these are no times of a run, as in a copy that has not kept them.
    """
    points: list[tuple[float, int]] = []
    n_documents, start, last_file = 0, None, None
    for receipt in read_receipts(run):
        file = receipt_file(run, receipt.part)
        if file != last_file:
            modified = file.stat().st_mtime
            start = modified if start is None else start
            points.append((round(modified - start, 3), 0))
        n_documents += receipt.documents
        points[-1] = (points[-1][0], n_documents)
        last_file = file
    in_order = all(a[0] < b[0] for a, b in pairwise(points))
    return points if len(points) > 2 and in_order else []
