"""What a run says of its documents, as a student can learn it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.util import load_config

from nlp_pipeline.distillation.distil_settings import DistilSettings
from nlp_pipeline.distillation.teacher_document import FAILED, TeacherDocument, Values
from nlp_pipeline.distillation.teacher_rows import TeacherRows
from nlp_pipeline.errors.distillation import NothingToDistil, TeacherNotNamed
from nlp_pipeline.pipeline.overrides import components
from nlp_pipeline.run_folder.read import iter_rows, row_counts

_NEEDED = {
    "classifications": "the labels of a `llama_classifier`",
    "extractions": "the values of a `llama_extractor`",
    "answers": "the answers of a `llama_qa`",
    "entities": "named entities",
}


@dataclass
class Teacher:
    """What a run says of its documents.

    Attributes:
        component: The Llama component; None for the entities of a pipeline.
        source: The table that it is read from.
        language: The pipeline's language code.
        tokenizer: The pipeline's, as its config names it; None for that of the language.
        labels: All labels, in the order of the config, else of their first use.
        is_multi_label: Whether several labels may fit a document.
        documents: In the order of the corpus.
        values: What is said, also where it is not trained on.
    """

    component: str | None
    source: str
    language: str
    tokenizer: dict[str, Any] | None
    labels: list[str]
    is_multi_label: bool
    documents: list[TeacherDocument]
    values: Values


def read_teacher(run: Path, settings: DistilSettings) -> Teacher:
    """Reads what a run says.

    Raises:
        RunNotFound: The folder holds no run.
        NothingToDistil: It has no rows of this kind.
        TeacherNotNamed: It has those of several components, or none of the one that is named.
    """
    counts = row_counts(run)
    tables = ["classifications"] if settings.kind == "textcat" else _span_tables(settings)
    source = next((name for name in tables if counts.get(name)), None)
    if source is None:
        needed = " or ".join(_NEEDED[name] for name in tables)
        raise NothingToDistil(str(run), settings.kind, needed=needed, rows=counts)
    config = load_config(run / "config.cfg")
    documents = {
        str(row["document_id"]): TeacherDocument(
            str(row["document_id"]),
            row["text"] or "",
            problem=None if row["status"] == "ok" and row["text"] else FAILED,
        )
        for row in iter_rows(run, "documents")
    }
    component = None if source == "entities" else _component(run, source, settings.component)
    rows = [
        row for row in iter_rows(run, source) if component is None or row["component"] == component
    ]
    section = components(config).get(component or "", {})
    reader = TeacherRows(documents, settings.min_confidence)
    match source:
        case "classifications":
            reader.read_labels(rows, _scores(run), is_multi_label=bool(section.get("multi_label")))
        case "extractions":
            values = (r for r in iter_rows(run, "extraction_fields") if r["component"] == component)
            reader.read_objects(rows, values)
        case "answers":
            reader.read_answers(rows)
        case _:
            reader.read_entities(rows)
    return Teacher(
        component,
        source,
        language=str(config["nlp"].get("lang") or "xx"),
        tokenizer=config["nlp"].get("tokenizer"),
        labels=list(dict.fromkeys([*_config_labels(source, section), *reader.labels])),
        is_multi_label=bool(section.get("multi_label")),
        documents=list(documents.values()),
        values=reader.values,
    )


def _span_tables(settings: DistilSettings) -> list[str]:
    tables = ["extractions", "answers", "entities"]
    return tables if settings.source == "auto" else [settings.source]


def _component(run: Path, table: str, name: str | None) -> str:
    """The component whose rows are taken."""
    names = list(dict.fromkeys(str(row["component"]) for row in iter_rows(run, table)))
    if (name is None and len(names) > 1) or (name is not None and name not in names):
        raise TeacherNotNamed(str(run), names, name)
    return name or names[0]


def _config_labels(source: str, section: Mapping[str, Any]) -> list[str]:
    """The labels of a classifier as its config has them."""
    labels = section.get("labels") if source == "classifications" else None
    return [str(label).strip() for label in labels or ()]


def _scores(run: Path) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for row in iter_rows(run, "categories"):
        scores[row["document_id"]][row["label"]] = row["score"]
    return scores
