"""Scores of Llama components against references on Docs, for `nlp.evaluate` and `spacy evaluate`.

A reference is what a component would have written, on the Doc that the corpus brings:
`doc._.answers` (each with `question_id` or `question`, and `answer`, or `answers` where several are
right), `doc.spans["answers"]`, `doc._.summary`, `doc.cats`, `doc._.extraction`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from spacy.language import Language
from spacy.training import Example

from nlp_pipeline.components.answer_overlap import exact_match, f1

if TYPE_CHECKING:
    from spacy.tokens import Doc

_HOOK = "evaluate"


def evaluate_with_references(nlp: Language) -> None:
    """Lets a pipeline's `evaluate` leave out Llama components that nothing is compared with.

    spaCy runs all pipes over the Docs before it scores them, and no pipe sees the references. So
    does this, after it has looked which Llama components have any; the others would generate for
    nothing. Questions of a reference Doc are asked of the Doc that is evaluated.
    """
    if _HOOK not in vars(nlp):
        setattr(nlp, _HOOK, partial(_evaluate, nlp))


def _evaluate(nlp: Language, examples: Iterable[Example], **options: Any) -> dict[str, Any]:
    scored_examples = list(examples)
    for example in scored_examples:
        if isinstance(example, Example) and example.reference._.questions:
            example.predicted._.questions = example.reference._.questions
    idle = [
        name
        for name, pipe in nlp.pipeline
        if hasattr(pipe, "has_reference")
        and not any(
            isinstance(e, Example) and pipe.has_reference(e.reference) for e in scored_examples
        )
    ]
    with nlp.select_pipes(disable=idle):
        return type(nlp).evaluate(nlp, scored_examples, **options)


def reference_answers(doc: Doc, component: str) -> list[tuple[str | None, str | None, list[str]]]:
    """Question id, question and right answers of each reference answer for a component.

    Args:
        doc: The reference.
        component: An answer that names another component is none of its.
    """
    answers = doc._.answers if isinstance(doc._.answers, list | tuple) else ()
    references = []
    for answer in answers:
        if not isinstance(answer, Mapping) or answer.get("component", component) != component:
            continue
        right = answer.get("answers", answer.get("answer"))
        if right is None or isinstance(right, str):
            right = [] if right is None else [right]
        references.append((answer.get("question_id"), answer.get("question"), list(right)))
    return references


def answer_scores(examples: Iterable[Example], component: str) -> dict[str, float]:
    """Exact match and F1 of a component's answers, from 0 to 1; nothing without references."""
    matches, overlaps = [], []
    for example in examples:
        predicted = [a for a in example.predicted._.answers if a["component"] == component]
        by_id = {answer["question_id"]: answer["answer"] for answer in predicted}
        by_text = {answer["question"]: answer["answer"] for answer in predicted}
        for question_id, question, right in reference_answers(example.reference, component):
            answer = by_id.get(question_id, by_text.get(question))
            matches.append(exact_match(answer, right))
            overlaps.append(f1(answer, right))
    if not matches:
        return {}
    return {"answers_em": mean(matches), "answers_f1": mean(overlaps)}


def mean(values: Sequence[float]) -> float:
    """The mean of values, of which there is one at least."""
    return sum(values) / len(values)
