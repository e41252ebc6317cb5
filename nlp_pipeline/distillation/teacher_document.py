"""A document and what the teacher says of it."""

from __future__ import annotations

from dataclasses import dataclass, field

Values = dict[tuple[str, str], tuple[str, ...]]
"""What is said of a document (its id) under a name, such as a question's id: texts, best first.

Of labels the name is empty.
"""

FAILED, UNSURE, NOT_IN_TEXT = "failed", "not sure enough", "not in the text"


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A piece of a text.

    Attributes:
        start: First character.
        end: One past the last.
        label: What it is: a property of a form, a question's id, an entity's label.
    """

    start: int
    end: int
    label: str


@dataclass
class TeacherDocument:
    """A document and what the teacher says of it.

    Attributes:
        id: The document's.
        text: Its text.
        labels: Of a classifier, the chosen ones.
        spans: Of the others, the values that stand in the text.
        confidence: The lowest probability of what is said; 1 where none is known.
        problem: Why it is not trained on; None where it may be.
        is_reviewed: Whether a person has judged it: it comes before all others.
    """

    id: str
    text: str
    labels: tuple[str, ...] = ()
    spans: list[TextSpan] = field(default_factory=list)
    confidence: float = 1.0
    problem: str | None = None
    is_reviewed: bool = False
