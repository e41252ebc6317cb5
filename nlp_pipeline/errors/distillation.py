"""Errors of distilling a run into a spaCy component."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nlp_pipeline.errors.base import NlpPipelineError, counted, listing, noun_form
from nlp_pipeline.errors.escapes import escaped


class DistillationError(NlpPipelineError):
    """A run that cannot be distilled."""


class InvalidDistilSetting(DistillationError):
    """A setting of the wrong type or out of its range."""

    stage = "config"

    def __init__(self, name: str, value: object, allowed: str) -> None:
        option = name.replace("_", "-")
        super().__init__(f"--{option} is {value!r} and must be {allowed}.")


class NothingToDistil(DistillationError):
    """A run without what a component could be trained on."""

    def __init__(self, run: str, kind: str, *, needed: str, rows: Mapping[str, int]) -> None:
        counts = listing(f"{name} ({counted(n, 'row')})" for name, n in rows.items() if n)
        super().__init__(
            f"{_place(run)} holds nothing that a {kind} could be trained on: it needs {needed}. "
            f"The run has: {counts}."
        )


class TeacherNotNamed(DistillationError):
    """Several components that could be the teacher, or none of the name."""

    def __init__(self, run: str, names: Iterable[str], name: str | None) -> None:
        wrong = "" if name is None else f"; '{escaped(name, 60)}' is not among them"
        super().__init__(
            f"{_place(run)} has rows of these components: {listing(names)}{wrong}. Name one with "
            "--component."
        )


class TooFewExamples(DistillationError):
    """Too few documents that may be trained on."""

    def __init__(self, n: int, needed: int, left_out: Mapping[str, int]) -> None:
        reasons = listing(f"{reason}: {count}" for reason, count in left_out.items() if count)
        super().__init__(
            f"{counted(n, 'document')} of the run can be trained on, and at least {needed} are "
            f"needed. Left out are: {reasons}. Run more documents, or lower --min-confidence."
        )


class OneLabelOnly(DistillationError):
    """A teacher that says the same of every document."""

    def __init__(self, label: str | None) -> None:
        value = "no label" if label is None else f"the label '{escaped(label, 60)}'"
        super().__init__(
            f"All documents that can be trained on have {value}: there is nothing to tell apart. "
            "Lower --min-confidence, or run other documents."
        )


class LabelledUnfit(DistillationError):
    """Labelled documents without labels of this kind."""

    def __init__(self, corpus: str, table: str, needed: str) -> None:
        super().__init__(
            f"{_place(corpus)} holds no references to score the {table} of a run by: it needs "
            f"{needed}. Name another file with --labelled, or leave it out: then only the "
            "agreement of student and teacher is measured."
        )


class NoneHeldOut(DistillationError):
    """Labelled documents all of which are for the training."""

    def __init__(self, corpus: str, n: int, held_out: float) -> None:
        super().__init__(
            f"The run has all {counted(n, 'labelled document')} of {_place(corpus)}, and by "
            f"--held-out {held_out} none of them is kept from the training. Raise --held-out, or "
            "label documents that the run does not have."
        )


class TeacherBelowBar(DistillationError):
    """A teacher that is too often wrong to learn from."""

    def __init__(self, value: float, bar: float, *, n: int, commonest: float | None) -> None:
        guess = "" if commonest is None else f" (the commonest label alone: {100 * commonest:.1f}%)"
        super().__init__(
            f"The teacher is right in {100 * value:.1f}% of {counted(n, 'labelled case')}{guess}, "
            f"and the bar is {100 * bar:.1f}%: a student learns its errors too. Better the run "
            "first (another model, `nlp-pipeline train`, other labels), set another --bar, or type "
            "--anyway."
        )


class StudentExists(DistillationError):
    """A folder that holds a finished student."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"'{_place(path)}' holds a component that was distilled before. Name another folder "
            "with --out, or throw that one away with --fresh."
        )


class NotAStudent(DistillationError):
    """A folder with something else in it."""

    def __init__(self, path: str, names: Iterable[str]) -> None:
        super().__init__(
            f"'{_place(path)}' is not empty and holds no distilled component; there is: "
            f"{listing(map(escaped, names))}. Name another folder with --out."
        )


class StudentNotTrained(DistillationError):
    """A config that spaCy cannot train by."""

    def __init__(self, config: str, reason: str) -> None:
        short = escaped(" ".join(reason.split()), limit=400)
        super().__init__(f"spaCy cannot train by '{_place(config)}': {short}")


def agreement_only(n: int) -> str:
    """What agreement does not prove.

    Args:
        n: Documents that it was measured on.
    """
    return (
        f"No labelled documents were given. That the student says what the teacher says (on {n} "
        "documents of the run that it was not trained on) does not prove that either is right: "
        "they share their errors. --labelled FILE scores both."
    )


def few_labelled(n: int) -> str:
    """That a gate on few documents shows little.

    Args:
        n: Labelled documents.
    """
    return (
        f"{counted(n, 'labelled document is', 'labelled documents are')} few: the intervals say "
        "how little they show. Label more, or raise --held-out where the run has them."
    )


def labels_unknown(n: int, labels: Iterable[str]) -> str:
    """That labelled documents are left out of the gate.

    Args:
        n: How many.
        labels: Those of the teacher.
    """
    return (
        f"{counted(n, 'labelled document has', 'labelled documents have')} only labels that the "
        f"teacher does not know, and {noun_form(n, 'is', 'are')} left out; it "
        f"knows: {listing(map(escaped, labels))}."
    )


def _place(name: str) -> str:
    """A path in full: cut short it would name nothing."""
    return escaped(name, 1000)
