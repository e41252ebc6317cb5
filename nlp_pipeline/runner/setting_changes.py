"""What other settings than those of before cost, as far as it is known before anything is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nlp_pipeline.errors.run_folder import settings_changed

_QUESTIONS = ".questions"


def changes_message(changes: Mapping[str, tuple[Any, Any]], n_outdated: int) -> str:
    """What a run says beforehand.

    Args:
        changes: The entries of the fingerprint that are not the same, as they were and are.
        n_outdated: Documents whose rows are of earlier settings.
    """
    return settings_changed(list(changes), n_outdated, _answer_counts(changes, n_outdated))


def _answer_counts(
    changes: Mapping[str, tuple[Any, Any]], n_documents: int
) -> dict[str, tuple[int, int]]:
    """Answers to compute and to keep, per component; empty where not only questions changed."""
    counts = {}
    for name, values in changes.items():
        questions = [_questions(value) for value in values]
        if not name.endswith(_QUESTIONS) or None in questions:
            return {}
        old_questions, new_questions = questions
        assert old_questions is not None
        assert new_questions is not None
        n_kept = sum(question in old_questions for question in new_questions)
        component = name.removesuffix(_QUESTIONS).rpartition(".")[2]
        counts[component] = ((len(new_questions) - n_kept) * n_documents, n_kept * n_documents)
    return counts


def _questions(value: Any) -> list[str] | None:
    """The texts of the questions in a line of a config; None where it has another form."""
    try:
        items = json.loads(value)
        return [item if isinstance(item, str) else item["text"] for item in items]
    except (ValueError, TypeError, KeyError):
        return None
