"""What people have said of a run's rows as references, for that run or another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.components.answer_overlap import exact_match
from nlp_pipeline.errors.review import NoReviews, texts_of_reviews_changed
from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.evaluation.references import EntityKey, FieldKey, References
from nlp_pipeline.reviews.review import ANSWERS, CATEGORIES, EXTRACTION_FIELDS, REJECT, Review
from nlp_pipeline.reviews.run_reviews import run_reviews
from nlp_pipeline.run_folder.read import parts_of
from nlp_pipeline.run_folder.review_table import text_digest

if TYPE_CHECKING:
    import pandas as pd


def read_review_references(run: Path, *reviewed: Path) -> tuple[References, list[str]]:
    """The references that the reviews of some runs make, and warnings.

    Of each row of a run the latest review counts; where two runs have an answer each to the same
    question that is right, both are. An answer that was rejected without a better one makes no
    reference, but whoever gives it again is wrong.

    Args:
        run: The one that is evaluated: reviews of texts that it does not have are left out.
        *reviewed: The runs that have the reviews.

    Raises:
        RunNotFound: There is no such run.
        NoReviews: None has any.
    """
    reviews = [review for folder in reviewed for review in run_reviews(folder)]
    if not reviews:
        raise NoReviews(str(reviewed[0]))
    digests = _digests(run, {review.document_id for review in reviews})
    fitting = [r for r in reviews if digests.get(r.document_id) == r.text_digest]
    n_left_out = len(reviews) - len(fitting)
    return _references(fitting), [texts_of_reviews_changed(n_left_out)] if n_left_out else []


def _digests(run: Path, document_ids: set[str]) -> dict[str, str]:
    """The digests of the texts of some documents of a run."""
    digests: dict[str, str] = {}
    for part in parts_of(run, {"documents": ("document_id", "text")}):
        columns = part["documents"].to_pydict()
        for name, text in zip(columns["document_id"], columns["text"], strict=True):
            if name in document_ids and text is not None:
                digests[name] = text_digest(text)
    return digests


def _references(reviews: Iterable[Review]) -> References:
    answers: dict[tuple[str, str], dict[str | None, None]] = defaultdict(dict)
    wrong_answers: dict[tuple[str, str], dict[str | None, None]] = defaultdict(dict)
    labels: dict[str, set[str]] = defaultdict(set)
    wrong_labels: dict[str, set[str]] = defaultdict(set)
    entities: dict[str, dict[EntityKey, bool]] = defaultdict(dict)
    values: dict[FieldKey, str | None] = {}
    wrong_values: dict[FieldKey, str | None] = {}
    for review in reviews:
        is_wrong = review.verdict == REJECT
        if review.target == ANSWERS:
            key = (review.document_id, str(review.question_id))
            if is_wrong:
                wrong_answers[key][review.answer] = None
            else:
                answers[key][review.answer_is_right] = None
        elif review.target == EXTRACTION_FIELDS:
            name = (review.document_id, review.component, review.field)
            if is_wrong:
                wrong_values[name] = review.answer
            else:
                values[name] = review.answer_is_right
        elif review.target == CATEGORIES:
            if review.text != review.label:
                wrong_labels[review.document_id].add(str(review.label))
            if review.text is not None:
                labels[review.document_id].add(review.text)
        elif review.start_char is not None and review.end_char is not None:
            entity = (review.start_char, review.end_char, str(review.label))
            entities[review.document_id][entity] = not is_wrong
    return References(
        # Two components may have been judged on one question: any answer is better than none.
        answers={key: tuple(filter(None, texts)) for key, texts in answers.items()},
        labels={name: frozenset(right) for name, right in labels.items()},
        wrong_answers={key: tuple(texts) for key, texts in wrong_answers.items()},
        wrong_labels={n: frozenset(w) for n, w in wrong_labels.items() if n not in labels},
        entities=dict(entities),
        values=values,
        wrong_values=wrong_values,
    )


def entity_score(
    tables: dict[str, pd.DataFrame], references: References, bootstrap: Bootstrap
) -> dict[str, Any] | None:
    """The share of the judged entities that the run has as it should.

    An entity that is right has to be there, with its place and its label; one that was rejected
    must not.
    """
    if not references.entities:
        return None
    frame = tables["entities"]
    columns = (frame[name].tolist() for name in ("document_id", "start_char", "end_char", "label"))
    predicted = set(zip(*columns, strict=True))
    judged = [
        (document_id, float(((document_id, *entity) in predicted) == is_right))
        for document_id, entities in references.entities.items()
        for entity, is_right in entities.items()
    ]
    mean = bootstrap.mean([value for _, value in judged], [name for name, _ in judged])
    return {"n": len(judged), "accuracy": asdict(mean) if mean else None}


def value_score(
    tables: dict[str, pd.DataFrame], references: References, bootstrap: Bootstrap
) -> dict[str, Any] | None:
    """The share of the judged values of objects that the run has as it should.

    They are compared as answers are: without case, punctuation and articles. One that was
    rejected counts where the run has it still.
    """
    if not (references.values or references.wrong_values):
        return None
    frame = tables["extraction_fields"]
    columns = (frame[name].tolist() for name in ("document_id", "component", "field", "value"))
    texts = {
        (document_id, component, field): value if isinstance(value, str) else None
        for document_id, component, field, value in zip(*columns, strict=True)
    }
    judged = [
        (name[0], _is_same(texts.get(name), right)) for name, right in references.values.items()
    ]
    judged += [
        (name[0], 0.0)
        for name, wrong in references.wrong_values.items()
        if name in texts and _is_same(texts[name], wrong)
    ]
    mean = bootstrap.mean([value for _, value in judged], [name for name, _ in judged])
    return {"n": len(judged), "accuracy": asdict(mean) if mean else None} if judged else None


def _is_same(value: str | None, judged: str | None) -> float:
    if not value or not judged:
        return float(not value and not judged)
    return exact_match(value, (judged,))
