"""How right teacher and student are on labelled documents, and how far they agree on others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nlp_pipeline.components.answer_overlap import exact_match
from nlp_pipeline.corpus import Record, read_corpus
from nlp_pipeline.distillation.distil_settings import DistilSettings
from nlp_pipeline.distillation.example_split import is_held_out
from nlp_pipeline.distillation.teacher import Teacher
from nlp_pipeline.distillation.teacher_document import Values
from nlp_pipeline.errors.distillation import LabelledUnfit
from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.evaluation.references import read_references
from nlp_pipeline.reviews.reviewed_records import reviewed_records
from nlp_pipeline.run_folder.files import write_text
from nlp_pipeline.run_folder.read import is_run

Case = tuple[str, str]
"""A document and the name of a value, as in `Values`."""

_NEEDED = {
    "classifications": "records with a `meta.label` or `meta.labels` that the teacher knows",
    "extractions": "records with `meta.extraction` (an object)",
    "answers": "questions with `answers`, of the ids that the run asked",
    "entities": "a run of answers or of a form, as a corpus cannot name entities",
}


@dataclass(frozen=True)
class LabelledCases:
    """What is right in labelled documents.

    Attributes:
        records: The documents.
        right: By case the texts that are right; none where nothing is.
        all_of_them: Whether all have to be said (the values of a form), or any one (acceptable
            answers, labels).
        n_unknown: Documents that are left out, as they have only labels that the teacher does
            not know.
    """

    records: list[Record]
    right: dict[Case, tuple[str, ...]]
    all_of_them: bool
    n_unknown: int = 0

    def held_out(self, teacher: Teacher, settings: DistilSettings) -> LabelledCases:
        """Those that no student of the teacher is trained on."""
        run_texts = {document.text for document in teacher.documents}
        records = [
            record
            for record in self.records
            if record.text not in run_texts or is_held_out(record.text, settings)
        ]
        ids = {record.id for record in records}
        right = {case: texts for case, texts in self.right.items() if case[0] in ids}
        return LabelledCases(records, right, all_of_them=self.all_of_them)

    def write(self, file: Path) -> None:
        """Writes the documents as a corpus, for `evaluate` and for a run of the teacher."""
        lines = (json.dumps(_fields(record), ensure_ascii=False) for record in self.records)
        write_text(file, "".join(line + "\n" for line in lines))

    def score(self, case: Case, values: Sequence[str]) -> float:
        """Whether what is said of a case is right: 1 or 0."""
        right = self.right[case]
        if self.all_of_them:
            return float({_plain(text) for text in values} == {_plain(text) for text in right})
        best = values[0] if values else None
        return exact_match(best, right) if case[1] else float(best in right)


def read_labelled(corpus: str, teacher: Teacher, **reading: Any) -> LabelledCases:
    """Reads labelled documents of the teacher's kind.

    Args:
        corpus: As for `read_corpus`, with references as for `evaluate`; or a run that people have
            reviewed.
        teacher: Says which references count.
        **reading: As for `read_corpus`.

    Raises:
        LabelledUnfit: There are none of this kind.
        NoReviews: It is a run that nobody has reviewed.
    """
    if is_run(corpus):
        records = reviewed_records(Path(corpus))
    else:
        items = read_corpus(corpus, on_warning=lambda _: None, **reading)
        records = [item for item in items if isinstance(item, Record)]
    references = read_references(records)
    names = set(teacher.labels)
    right: dict[Case, tuple[str, ...]] = {}
    if teacher.source == "classifications":
        known_labels = {name: labels & names for name, labels in references.labels.items()}
        right = {(name, ""): tuple(labels) for name, labels in known_labels.items() if labels}
    elif teacher.source == "answers":
        right = {case: texts for case, texts in references.answers.items() if case[1] in names}
    elif teacher.source == "extractions":
        right = {
            (record.id, label): _leaves(record.meta["extraction"].get(label))
            for record in records
            if isinstance(record.meta.get("extraction"), dict)
            for label in teacher.labels
        }
    if not right:
        raise LabelledUnfit(corpus, teacher.source, _NEEDED[teacher.source])
    ids = {name for name, _ in right}
    used = [record for record in records if record.id in ids]
    n_unknown = len(references.labels) - len(right) if teacher.source == "classifications" else 0
    is_form = teacher.source == "extractions"
    return LabelledCases(used, right, all_of_them=is_form, n_unknown=n_unknown)


def _fields(record: Record) -> dict[str, Any]:
    """A record as a line of a corpus."""
    questions = [
        {"id": q.id, "text": q.text, **({} if q.answers is None else {"answers": list(q.answers)})}
        for q in record.questions
    ]
    fields = {"id": record.id, "text": record.text, "meta": dict(record.meta)}
    return fields | ({"questions": questions} if questions else {})


def _leaves(value: Any) -> tuple[str, ...]:
    """The texts in a value of a form."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return tuple(text for item in value for text in _leaves(item))
    return () if value in (None, "") else (str(value),)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def scores(cases: LabelledCases, values: Values) -> dict[Case, float]:
    """Whether each case is right by what is said; what is not said is as if nothing were."""
    return {case: cases.score(case, values.get(case, ())) for case in cases.right}


def mean(values: Mapping[Case, float], bootstrap: Bootstrap) -> dict[str, Any]:
    """The mean with its interval over documents, as plain JSON."""
    estimate = bootstrap.mean(list(values.values()), [name for name, _ in values])
    assert estimate is not None
    return asdict(estimate)


def commonest_label_share(cases: LabelledCases) -> float:
    """What always the same label would reach."""
    counts = Counter(label for labels in cases.right.values() for label in set(labels))
    return max(counts.values(), default=0) / len(cases.right)


def difference(
    teacher: Mapping[Case, float], student: Mapping[Case, float], bootstrap: Bootstrap
) -> dict[str, Any]:
    """What is lost or gained from teacher to student, case by case, and what that shows."""
    gains = {case: student[case] - teacher[case] for case in teacher}
    gain = mean(gains, bootstrap)
    shows = "better" if gain["low"] > 0 else "worse" if gain["high"] < 0 else "no difference shown"
    return {**gain, "verdict": shows}


def agreement(
    teacher: Values, student: Values, ids: Iterable[str], bootstrap: Bootstrap
) -> dict[str, Any]:
    """How often a student says what its teacher says, of all cases where either says something."""
    documents = set(ids)
    agree = _agree(teacher, student)
    cases = [case for case in dict.fromkeys([*teacher, *student]) if case[0] in documents]
    results = {case: agree(case) for case in cases if teacher.get(case) or student.get(case)}
    # Where neither says anything they agree; one such case keeps a mean of none from being made.
    return mean(results or {(name, ""): 1.0 for name in documents}, bootstrap)


def _agree(teacher: Values, student: Values) -> Callable[[Case], float]:
    def agree(case: Case) -> float:
        first, second = teacher.get(case, ()), student.get(case, ())
        if not case[1]:
            return float(first[:1] == second[:1])
        return float({_plain(text) for text in first} == {_plain(text) for text in second})

    return agree


def in_run(cases: LabelledCases, teacher: Teacher) -> bool:
    """Whether the run has all labelled documents, with the same texts."""
    texts = {document.id: document.text for document in teacher.documents}
    return all(texts.get(record.id) == record.text for record in cases.records)


def student_documents(cases: LabelledCases) -> list[tuple[str, str]]:
    """Id and text of each labelled document."""
    return [(record.id, record.text) for record in cases.records]
