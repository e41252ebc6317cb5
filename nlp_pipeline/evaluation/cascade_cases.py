"""The labelled documents of a run, as the Llama answered them and as a spaCy component does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spacy.util import load_config

from nlp_pipeline.components.first_labels import FirstLabels
from nlp_pipeline.components.labels import parse_labels
from nlp_pipeline.errors.cascade import NoCascade, RunHasFirst
from nlp_pipeline.evaluation.cascade import CascadeCase
from nlp_pipeline.evaluation.references import References
from nlp_pipeline.evaluation.scored_labels import documents_of_other_labels
from nlp_pipeline.pipeline.overrides import components
from nlp_pipeline.run_folder.read import iter_rows


def cascade_cases(
    run: Path, first: str, references: References, corpus: str
) -> tuple[str, list[CascadeCase]]:
    """The name of the run's classifier, and each labelled document as both answer it.

    Args:
        run: A run by the Llama alone.
        first: The spaCy pipeline, as for the setting `first`.
        references: What is right.
        corpus: For messages.

    Raises:
        NoCascade: The run has no classifier, or no document has a label.
        RunHasFirst: The run is one of a cascade itself.
        ConfigError: `first` cannot be used in the place of the classifier.
    """
    name, section = _classifier(run) or ("", {})
    texts = {
        str(row["document_id"]): row["text"]
        for row in iter_rows(run, "documents")
        if row["document_id"] in references.labels and row["text"]
    }
    if not name or not texts:
        raise NoCascade(corpus, str(run))
    if section.get("first"):
        raise RunHasFirst(str(run), name, str(section["first"]))
    is_multi_label = bool(section.get("multi_label"))
    labels = [label["name"] for label in parse_labels(name, section["labels"], at_least=1)]
    student = FirstLabels("--first", first, labels=labels, is_multi_label=is_multi_label)
    llama_labels: dict[str, list[str]] = {
        row["document_id"]: row["labels"] or []
        for row in iter_rows(run, "classifications")
        if row["component"] == name
    }
    cases = []
    unknown_ids, _ = documents_of_other_labels(references.labels, frozenset(labels))
    for document_id, text in texts.items():
        if document_id in unknown_ids:  # neither of the two can be right
            continue
        right = references.labels[document_id]
        probabilities = student.probabilities(text)
        best = max(probabilities, key=probabilities.__getitem__)
        llama_label = next(iter(llama_labels.get(document_id, ())), None)
        cases.append(
            CascadeCase(
                document_id,
                student.certainty(probabilities),
                first_right=float(best in right),
                llama_right=float(llama_label in right),
            )
        )
    return name, cases


def _classifier(run: Path) -> tuple[str, dict[str, Any]] | None:
    """The first `llama_classifier` of a run, with its settings."""
    sections = components(load_config(run / "config.cfg"))
    return next(
        ((n, c) for n, c in sections.items() if c.get("factory") == "llama_classifier"), None
    )
