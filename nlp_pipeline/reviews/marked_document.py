"""What a person has marked in a whole document with an annotation tool, as reviews of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from nlp_pipeline.errors.review import ReviewUnusable, mark_misplaced, text_changed
from nlp_pipeline.reviews.review import (
    ACCEPT,
    ANSWERS,
    CATEGORIES,
    CORRECT,
    ENTITIES,
    REJECT,
    Review,
)
from nlp_pipeline.reviews.row_check import ReviewedDocument, Row
from nlp_pipeline.reviews.utf16_offsets import Utf16Offsets

Unit = Literal["code points", "UTF-16", "as its text says"]
"""How a tool counts. Label Studio gives the text of a mark too, and has counted either way."""


class Mark(NamedTuple):
    """A piece of a text with a label.

    Attributes:
        start: Its first character, as the tool counts.
        end: One past the last.
        label: An entity's, or that of a question.
        text: What the tool says stands there.
    """

    start: int
    end: int
    label: str
    text: str | None = None


@dataclass(frozen=True)
class MarkedDocument:
    """A document as a person has left it in a tool.

    Attributes:
        document_id: The document's id.
        text_digest: Of the text that was exported.
        tables: What was judged: of the exported tables those that the tool has an answer to.
        questions: The component and the id of each question that was exported, by its label.
        marks: Answers and entities.
        label: The chosen category.
        unit: How the marks count.
        reviewer: Who marked.
        reviewed_at: When, as in a `Review`.
    """

    document_id: str
    text_digest: str | None
    tables: frozenset[str]
    questions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    marks: Sequence[Mark] = ()
    label: str | None = None
    unit: Unit = "code points"
    reviewer: str | None = None
    reviewed_at: str | None = None

    def reviews(self, document: ReviewedDocument) -> Iterator[Review]:
        """What it says of each row that the person has seen.

        A row that is as it was is accepted. An answer that stood nowhere in the text could not be
        seen, and one that failed was none: nothing is said of these.

        Args:
            document: The run's, of the text that was exported.

        Raises:
            ReviewUnusable: A mark is at no place of the text.
        """
        if self.text_digest not in (None, document.digest):  # before any mark is looked for
            raise ReviewUnusable(text_changed(self.document_id))
        marks = [_placed(mark, document.text, self.unit) for mark in self.marks]
        marks.sort(key=lambda mark: (mark.start, mark.end, mark.label))
        blank = Review(
            self.document_id,
            ACCEPT,
            reviewer=self.reviewer,
            reviewed_at=self.reviewed_at,
            text_digest=self.text_digest,
        )
        if ANSWERS in self.tables:
            yield from self._answers(blank, document.rows.get(ANSWERS, []), marks)
        if ENTITIES in self.tables:
            entities = [mark for mark in marks if mark.label not in self.questions]
            yield from _entities(blank, document.rows.get(ENTITIES, []), entities)
        if CATEGORIES in self.tables and self.label is not None:
            yield from self._category(blank, document.rows.get(CATEGORIES, []))

    def _answers(
        self, blank: Review, rows: Sequence[Row], marks: Sequence[Mark]
    ) -> Iterator[Review]:
        by_question = {(row["component"], row["question_id"]): row for row in rows}
        for label, (component, question_id) in self.questions.items():
            row = by_question.get((component, question_id))
            mark = next((mark for mark in marks if mark.label == label), None)
            if row is None or (mark is None and not _could_be_seen(row)):
                continue
            review = replace(blank, component=component, question_id=question_id)
            if mark is None:
                yield replace(review, verdict=ACCEPT if row["status"] == "no_answer" else CORRECT)
            elif (mark.start, mark.end) == (row["start_char"], row["end_char"]):
                yield review
            else:
                moved = replace(review, start_char=mark.start, end_char=mark.end)
                yield replace(moved, verdict=CORRECT)

    def _category(self, blank: Review, rows: Sequence[Row]) -> Iterator[Review]:
        if not rows:
            return
        likeliest = max(rows, key=lambda row: row["score"] or 0.0)["label"]
        review = replace(blank, target=CATEGORIES, label=likeliest)
        is_same = likeliest == self.label
        yield review if is_same else replace(review, verdict=CORRECT, text=self.label)


def _could_be_seen(row: Row) -> bool:
    return row["status"] == "no_answer" or (row["status"] == "ok" and row["start_char"] is not None)


def _entities(blank: Review, rows: Sequence[Row], marks: Sequence[Mark]) -> Iterator[Review]:
    """Entities that stay are accepted, those that moved or have another label corrected."""
    new_marks = {(mark.start, mark.end, mark.label): mark for mark in marks}
    moved_rows: list[Row] = []
    for row in rows:
        review = replace(blank, target=ENTITIES, entity_id=row["entity_id"])
        if new_marks.pop((row["start_char"], row["end_char"], row["label"]), None):
            yield review
        else:
            moved_rows.append(row)
    for row in moved_rows:
        review = replace(blank, target=ENTITIES, entity_id=row["entity_id"])
        overlapping = (
            key
            for key, mark in new_marks.items()
            if mark.start < row["end_char"] and row["start_char"] < mark.end
        )
        key = next(overlapping, None)
        if key is None:
            yield replace(review, verdict=REJECT)
        else:
            yield replace(review, verdict=CORRECT, **_place_and_label(new_marks.pop(key)))
    for mark in new_marks.values():
        yield replace(blank, target=ENTITIES, verdict=CORRECT, **_place_and_label(mark))


def _place_and_label(mark: Mark) -> dict[str, Any]:
    return {"start_char": mark.start, "end_char": mark.end, "label": mark.label}


def _placed(mark: Mark, text: str, unit: Unit) -> Mark:
    """The mark with offsets in code points.

    Raises:
        ReviewUnusable: It is at no place of the text, or its text stands elsewhere.
    """
    is_piece = 0 <= mark.start < mark.end <= len(text)
    if unit != "UTF-16" and is_piece and _holds(mark, text[mark.start : mark.end]):
        return mark
    if unit != "code points":
        offsets = Utf16Offsets(text)
        start, end = offsets.code_points(mark.start), offsets.code_points(mark.end)
        if start is not None and end is not None:
            moved, is_piece = mark._replace(start=start, end=end), 0 <= start < end <= len(text)
            if is_piece and _holds(mark, text[start:end]):
                return moved
    raise ReviewUnusable(mark_misplaced(mark.label, mark.start, mark.end, mark.text))


def _holds(mark: Mark, piece: str) -> bool:
    """Whether a piece is what the tool says; Label Studio escapes line breaks."""
    return mark.text is None or mark.text in (piece, piece.replace("\n", "\\n"))
