"""Which documents a student is trained on, chosen by, and compared on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from nlp_pipeline.distillation.distil_settings import DistilSettings
from nlp_pipeline.distillation.teacher import Teacher
from nlp_pipeline.distillation.teacher_document import TeacherDocument
from nlp_pipeline.errors.distillation import OneLabelOnly, TooFewExamples

FEWEST = 20
"""Documents below which nothing is trained."""

_DEV = 0.1
_RAREST = 10
"""A label with fewer documents does not hold the others down to its own number."""


@dataclass
class ExampleSplit:
    """The documents of a run, parted by text: the same text stays together.

    Attributes:
        train: Trained on.
        dev: By which spaCy chooses the best step.
        test: On which student and teacher are compared.
        left_out: How many are not used, by the reason.
    """

    train: list[TeacherDocument]
    dev: list[TeacherDocument]
    test: list[TeacherDocument]
    left_out: dict[str, int]


def split_examples(teacher: Teacher, settings: DistilSettings) -> ExampleSplit:
    """Parts the documents that the teacher is sure of.

    Args:
        teacher: What the run says.
        settings: How much is held out and balanced.

    Raises:
        TooFewExamples: There are fewer than `FEWEST`.
        OneLabelOnly: Nothing differs between them.
    """
    left_out: Counter[str] = Counter()
    by_text: dict[str, TeacherDocument] = {}
    for document in teacher.documents:
        reason = document.problem
        if reason is None and document.text in by_text:
            reason = "of the same text as another"
        if reason is None:
            by_text[document.text] = document
        else:
            left_out[reason] += 1
    documents = sorted(by_text.values(), key=lambda document: draw(document.text))
    if len(documents) < FEWEST:
        raise TooFewExamples(len(documents), FEWEST, left_out)
    n_test = max(1, sum(is_held_out(d.text, settings) for d in documents))
    test, remaining = documents[:n_test], documents[n_test:]
    dev = _dev(teacher, remaining)
    dev_ids = {document.id for document in dev}
    candidates = [document for document in remaining if document.id not in dev_ids]
    _check_labels(teacher, candidates)
    train = _balanced(teacher, candidates, settings.balance)
    left_out["balanced away"] = len(candidates) - len(train)
    left_out_counts = {reason: n for reason, n in left_out.items() if n}
    return ExampleSplit(train, dev, test=test, left_out=left_out_counts)


def is_held_out(text: str, settings: DistilSettings) -> bool:
    """Whether a document of this text is never trained on, whatever the teacher says of it."""
    return draw(text) < settings.held_out


def draw(text: str) -> float:
    """A number from 0 to 1 that is the same on every machine, whatever else is in the corpus."""
    digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _dev(teacher: Teacher, documents: Sequence[TeacherDocument]) -> list[TeacherDocument]:
    """A tenth of the documents of each label: by one label alone no step would look better."""
    return [
        document
        for members in _groups(teacher, documents).values()
        for document in members[: max(1, round(_DEV * len(members)))]
        if len(members) > 1
    ]


def _check_labels(teacher: Teacher, documents: Sequence[TeacherDocument]) -> None:
    if teacher.source != "classifications":
        if not any(document.spans for document in documents):
            raise OneLabelOnly(None)
        return
    kinds = {document.labels for document in documents}
    if len(kinds) < 2:
        (labels,) = kinds
        raise OneLabelOnly(labels[0] if labels else None)


def _balanced(
    teacher: Teacher, documents: Sequence[TeacherDocument], ratio: float
) -> list[TeacherDocument]:
    """The documents without the least sure ones of what is far commoner than the rest."""
    if not ratio:
        return list(documents)
    groups = _groups(teacher, documents)
    if teacher.source == "classifications":
        rarest = min(len(members) for members in groups.values())
        limits = dict.fromkeys(groups, max(rarest, _RAREST) * ratio)
    else:
        limits = {"": len(groups["with"]) * ratio}
    train_ids = {
        document.id
        for name, members in groups.items()
        for document in _surest(members, limits.get(name, len(members)))
    }
    return [document for document in documents if document.id in train_ids]


def _groups(
    teacher: Teacher, documents: Sequence[TeacherDocument]
) -> dict[str, list[TeacherDocument]]:
    """The documents by what is said of them, in their order."""
    groups: dict[str, list[TeacherDocument]] = defaultdict(list)
    for document in documents:
        groups[_group(teacher, document)].append(document)
    return groups


def _group(teacher: Teacher, document: TeacherDocument) -> str:
    if teacher.source == "classifications":
        return document.labels[0] if document.labels else ""
    return "with" if document.spans else ""


def _surest(documents: list[TeacherDocument], limit: float) -> list[TeacherDocument]:
    return sorted(documents, key=_by_trust)[: int(limit)]


def _by_trust(document: TeacherDocument) -> tuple[bool, float]:
    """For sorting: what a person has judged, then what the teacher is sure of."""
    return not document.is_reviewed, -document.confidence
