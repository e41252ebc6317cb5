"""Errors of reviews: files of corrections, and lines in them that cannot be taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nlp_pipeline.errors.base import NlpPipelineError, counted, listing
from nlp_pipeline.errors.escapes import escaped


class ReviewError(NlpPipelineError):
    """Reviews that cannot be used."""

    stage = "read"


class ReviewFileUnreadable(ReviewError):
    """A file that is no review."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"The review '{escaped(path, 300)}' cannot be read: "
            f"{escaped(reason, 200).rstrip('.')}. "
            "`nlp-pipeline export RUN review.jsonl --to review` writes one to fill in."
        )


class NoReviewFits(ReviewError):
    """A review no line of which is about the run."""

    def __init__(self, path: str, run: str, problems: Sequence[str]) -> None:
        first = f" The first: {problems[0]}" if problems else ""
        super().__init__(
            f"None of the {counted(len(problems), 'review')} in '{escaped(path, 300)}' fits the "
            f"run in '{escaped(run, 300)}'; nothing was taken. Is it the review of another "
            f"run?{first}"
        )


class NoReviews(ReviewError):
    """A run without reviews, where they are wanted."""

    def __init__(self, run: str) -> None:
        super().__init__(
            f"The run in '{escaped(run, 300)}' has no reviews. Write what is to be judged with "
            f"`nlp-pipeline export {escaped(run, 300)} review.jsonl --to review`, fill it in, and "
            f"bring it back with `nlp-pipeline review {escaped(run, 300)} review.jsonl`."
        )


class ReviewsDamaged(ReviewError):
    """A table of reviews that cannot be read."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(
            f"The reviews in '{escaped(file, 300)}' cannot be read ({escaped(reason, 200)}). "
            "Restore the file from a copy, or remove it and bring the reviews in again."
        )


class ReviewUnusable(ReviewError):
    """A review that cannot be taken, for a reason that one of the functions below gives."""


def not_an_object() -> str:
    """Of a line that is no JSON object."""
    return "it is no JSON object. Each line is one review"


def unknown_fields(names: Iterable[str], choices: Iterable[str]) -> str:
    """Of a line with fields that no review has.

    Args:
        names: Of these fields.
        choices: Those that there are.
    """
    fields = listing((f"'{escaped(name, 40)}'" for name in names), 4)
    return f"a review has no field {fields}; there are: {listing(choices, 30)}"


def wrong_value(field: str, value: object, choices: str) -> str:
    """Of a field that holds something else.

    Args:
        field: Its name.
        value: What it holds.
        choices: What it could.
    """
    return f"'{field}' is {escaped(repr(value), 60)}, and has to be {choices}"


def unknown_document(document_id: str) -> str:
    """Of a document that the run has not."""
    return (
        f"the run has no document '{escaped(document_id, 80)}', or it has no text. Is it the "
        "review of another run?"
    )


def text_changed(document_id: str) -> str:
    """Of a document whose text is another than when it was reviewed."""
    return (
        f"the text of '{escaped(document_id, 80)}' is not the one that was reviewed. Review it "
        "again, in the run as it is now"
    )


def unknown_row(document_id: str, kind: str, name: object, choices: Iterable[object]) -> str:
    """Of an answer, a label or an entity that the document has not.

    Args:
        document_id: The document's.
        kind: What it is.
        name: Its id.
        choices: Those that the document has.
    """
    names = listing((escaped(choice, 60) for choice in choices), 8)
    return (
        f"'{escaped(document_id, 80)}' has no {kind} {escaped(repr(name), 60)}; there are: {names}"
    )


def several_components(question_id: str, choices: Iterable[str]) -> str:
    """Of a question that more than one component has asked."""
    return (
        f"several components have asked '{escaped(question_id, 60)}': say in 'component' which is "
        f"meant ({listing(map(escaped, choices))})"
    )


def failed_answer(document_id: str, question_id: str) -> str:
    """Of an answer that is judged and does not exist."""
    return (
        f"the question '{escaped(question_id, 60)}' failed on '{escaped(document_id, 80)}': there "
        "is no answer to accept or reject. Say with 'correct' what is right"
    )


def span_outside(start: int, end: int, length: int) -> str:
    """Of offsets that are no piece of the text.

    Args:
        start: The first character.
        end: One past the last.
        length: Of the text.
    """
    return f"{start} to {end} is no piece of a text of {length:,} characters"


def other_text(text: str, piece: str) -> str:
    """Of offsets that do not hold the text that is said to stand there.

    Args:
        text: What is said.
        piece: What does.
    """
    return (
        f"'text' is '{escaped(text, 80)}', and at its offsets stands '{escaped(piece, 80)}'. They "
        "count Unicode code points, and the end is one past the last"
    )


def right_value_missing(fields: str) -> str:
    """Of a correction that does not say what is right.

    Args:
        fields: Those that would.
    """
    return f"'correct' needs {fields}"


def review_problem(place: str, reason: str) -> str:
    """A review that was not taken, as the command says it.

    Args:
        place: File and line, or task.
        reason: Of one of the functions above.
    """
    return f"{escaped(place, 300)}: {reason}."


def texts_of_reviews_changed(n: int) -> str:
    """How many reviews are left out because their text has changed."""
    return counted(
        n,
        "review is of a text that this run does not have, or has in another form: it is left out.",
        "reviews are of texts that this run does not have, or has in another form: they are left "
        "out.",
    )


def not_an_export() -> str:
    """Of a task, an example or a record that was not exported from a run."""
    return (
        "it does not say which document of a run it is about. Annotate what `nlp-pipeline export "
        "RUN TARGET --to label-studio`, prodigy or argilla writes, and leave the field "
        "'nlp_pipeline' in it"
    )


def mark_misplaced(label: str, start: int, end: int, text: str | None) -> str:
    """Of a piece that an annotation tool gives, and that is not there.

    Args:
        label: Of the piece.
        start: Its first character, as the tool counts.
        end: One past the last.
        text: What the tool says stands there.
    """
    piece = "" if text is None else f" ('{escaped(text, 80)}')"
    return (
        f"the mark '{escaped(label, 60)}' from {start} to {end}{piece} is at no such place of the "
        "text. Has the tool changed the text?"
    )


def damaged_task(reason: str) -> str:
    """Of a task of an annotation tool that is of another form than the tool's.

    Args:
        reason: Of the error that it made.
    """
    return f"it is of another form than the tool's own exports ({escaped(reason, 120)})"


def reviews_outdated(n: int) -> str:
    """How many reviews of a run count for nothing."""
    return f"{n:,} of the reviews " + (
        "is of a document that the run lacks, or of a text that has changed: it counts for "
        "nothing until the text is back."
        if n == 1
        else "are of documents that the run lacks, or of texts that have changed: they count for "
        "nothing until the text is back."
    )
