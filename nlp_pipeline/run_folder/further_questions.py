"""Questions that a run was asked after it had begun: of all its documents, or of some.

They lie in a file of their own, which is written before anything is computed: whatever goes on
with the run, `run`, `retry` or `ask`, asks them of the documents that have no answer yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from nlp_pipeline.run_folder.files import disk_errors, write_json

FILE = "further_questions.json"


@dataclass(frozen=True)
class FurtherQuestion:
    """A question that was asked later.

    Attributes:
        id: Its id among all questions of its component.
        text: What is asked.
        component: Who is asked.
        documents: The ids of those that it is asked of; None for all, also those to come.
    """

    id: str
    text: str
    component: str
    documents: tuple[str, ...] | None = None


class FurtherQuestions:
    """Those of a run, by document.

    Args:
        questions: In the order in which they were asked.
    """

    def __init__(self, questions: Iterable[FurtherQuestion] = ()) -> None:
        self.questions = tuple(questions)
        self._documents = [
            None if question.documents is None else frozenset(question.documents)
            for question in self.questions
        ]

    def of(self, document_id: str) -> list[dict[str, str]]:
        """What a document is asked beside its own, each as `component`, `id` and `text`."""
        return [
            {"component": question.component, "id": question.id, "text": question.text}
            for question, documents in zip(self.questions, self._documents, strict=True)
            if documents is None or document_id in documents
        ]

    def digest(self, document_id: str) -> str:
        """A digest of what a document is asked; empty where it is nothing."""
        questions = self.of(document_id)
        if not questions:
            return ""
        return blake2b(json.dumps(questions).encode("ascii"), digest_size=8).hexdigest()

    def plus(self, question: FurtherQuestion) -> FurtherQuestions:
        """With one more, or with one asked of more documents than before."""
        matches = [
            q for q in self.questions if (q.id, q.component) == (question.id, question.component)
        ]
        if not matches:
            return FurtherQuestions((*self.questions, question))
        (earlier,) = matches
        documents: Sequence[str] | None = None
        if earlier.documents is not None and question.documents is not None:
            documents = list(dict.fromkeys((*earlier.documents, *question.documents)))
        merged = FurtherQuestion(
            earlier.id,
            earlier.text,
            earlier.component,
            documents=None if documents is None else tuple(documents),
        )
        return FurtherQuestions(merged if q is earlier else q for q in self.questions)


def read_further_questions(run: Path) -> FurtherQuestions:
    """The questions that a run was asked later; none where there is no file that can be read."""
    try:
        items = json.loads((run / FILE).read_text(encoding="utf-8"))
        return FurtherQuestions(
            FurtherQuestion(
                item["id"],
                item["text"],
                item["component"],
                documents=None if item["documents"] is None else tuple(item["documents"]),
            )
            for item in items
        )
    except (OSError, ValueError, KeyError, TypeError):
        return FurtherQuestions()


def write_further_questions(run: Path, questions: FurtherQuestions) -> None:
    """Writes them atomically."""
    with disk_errors(run):
        write_json(run / FILE, [asdict(question) for question in questions.questions])
