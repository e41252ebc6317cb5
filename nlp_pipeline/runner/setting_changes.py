"""What other settings than those of before cost, as far as it is known before anything is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nlp_pipeline.errors.run_folder import ComponentCost, settings_changed

Changes = Mapping[str, tuple[Any, Any]]

_QUESTIONS = "questions"

_JUDGING = frozenset(["confidence_weights", "keep_candidates", "threshold", "attribute"])
"""Settings that say what becomes of a completion alone. Those under which an answer counts as none
are not among them: then the rest of a document may be asked."""


def changes_message(changes: Changes, n_outdated: int, fingerprint: Mapping[str, Any]) -> str:
    """What a run says beforehand.

    Args:
        changes: The entries of the fingerprint that are not the same, as they were and are.
        n_outdated: Documents whose rows are of earlier settings.
        fingerprint: Of now.
    """
    return settings_changed(list(changes), n_outdated, _costs(changes, n_outdated, fingerprint))


def _costs(
    changes: Changes, n_documents: int, fingerprint: Mapping[str, Any]
) -> dict[str, ComponentCost]:
    """What each Llama component has to compute; empty where annotation, or nobody knows what, did.

    The questions that documents bring themselves are not counted.
    """
    names = _llama_components(fingerprint)
    sections = tuple(f"components.{name}." for name in names)
    elsewhere = ("prompts.", "examples.", "generators.", *sections)
    if not changes or any(not f"{name}.".startswith(elsewhere) for name in changes):
        return {}
    of_generators = any(name.startswith("generators.") for name in changes)
    # A model's files may have changed under its name: then nobody says whose they are.
    is_named = any(".generator." in name for name in changes)
    return {
        name: _cost(
            name, changes, n_documents, fingerprint, is_remade=of_generators and not is_named
        )
        for name in names
    }


def _llama_components(fingerprint: Mapping[str, Any]) -> list[str]:
    """The components that have a generator, in the order of the config."""
    sections = (name.split(".") for name in fingerprint if name.startswith("components."))
    return list(dict.fromkeys(path[1] for path in sections if path[2:3] == ["generator"]))


def _cost(
    component: str,
    changes: Changes,
    n_documents: int,
    fingerprint: Mapping[str, Any],
    *,
    is_remade: bool,
) -> ComponentCost:
    prefix = f"components.{component}."
    settings = {name.removeprefix(prefix) for name in changes if name.startswith(prefix)}
    texts = _questions(fingerprint.get(prefix + _QUESTIONS))
    n_all = n_documents * (1 if texts is None else len(texts))
    unit = "documents" if texts is None else "answers"
    asking = settings - _JUDGING
    own_texts = (f"prompts.{component}", f"examples.{component}")
    if is_remade or any(
        f"{name}.".startswith(tuple(f"{t}." for t in own_texts)) for name in changes
    ):
        asking.add("prompt")
    if asking == {_QUESTIONS} and texts is not None:
        before = _questions(changes[prefix + _QUESTIONS][0])
        if before is not None:
            n_computed = n_documents * sum(text not in before for text in texts)
            return ComponentCost(n_computed, n_all - n_computed, unit)
    return ComponentCost(n_all, 0, unit, is_most=True) if asking else ComponentCost(0, n_all, unit)


def _questions(value: Any) -> list[str] | None:
    """The texts of the questions in a line of a config; None where it has another form."""
    try:
        items = json.loads(value)
        return [item if isinstance(item, str) else item["text"] for item in items]
    except (ValueError, TypeError, KeyError):
        return None
