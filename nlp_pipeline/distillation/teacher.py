"""What a run says of its documents, as a student can learn it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confection import Config
from spacy.util import load_config

from nlp_pipeline.distillation.distil_settings import DistilSettings
from nlp_pipeline.errors.distillation import NothingToDistil, TeacherNotNamed
from nlp_pipeline.pipeline.overrides import components
from nlp_pipeline.run_folder.read import iter_rows, row_counts

Values = dict[tuple[str, str], tuple[str, ...]]
"""What is said of a document (its id) under a name, such as a question's id: texts, best first.

Of labels the name is empty.
"""

FAILED, UNSURE, NOT_IN_TEXT = "failed", "not sure enough", "not in the text"

_NEEDED = {
    "classifications": "the labels of a `llama_classifier`",
    "extractions": "the values of a `llama_extractor`",
    "answers": "the answers of a `llama_qa`",
    "entities": "named entities",
}
_GROUNDED = ("exact", "normalized")


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


@dataclass
class Teacher:
    """What a run says of its documents.

    Attributes:
        component: The Llama component; None for the entities of a pipeline.
        source: The table that it is read from.
        language: The pipeline's language code.
        labels: All labels, in the order of the config, else of their first use.
        is_multi_label: Whether several labels may fit a document.
        documents: In the order of the corpus.
        values: What is said, also where it is not trained on.
    """

    component: str | None
    source: str
    language: str
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
    tables = ["classifications"] if settings.what == "textcat" else _span_tables(settings)
    source = next((name for name in tables if counts.get(name)), None)
    if source is None:
        needed = " or ".join(_NEEDED[name] for name in tables)
        raise NothingToDistil(str(run), settings.what, needed, counts)
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
    reader = _Reader(documents, settings.min_confidence)
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
        language=_language(config),
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


def _language(config: Config) -> str:
    return str(config["nlp"].get("lang") or "xx")


def _config_labels(source: str, section: Mapping[str, Any]) -> list[str]:
    """The labels of a classifier as its config has them."""
    labels = section.get("labels") if source == "classifications" else None
    return [str(label).strip() for label in labels or ()]


def _scores(run: Path) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for row in iter_rows(run, "categories"):
        scores[row["document_id"]][row["label"]] = row["score"]
    return scores


class _Reader:
    """Writes what rows say to their documents.

    Args:
        documents: By id.
        min_confidence: Below it a document is not trained on.
    """

    def __init__(self, documents: Mapping[str, TeacherDocument], min_confidence: float) -> None:
        self._documents = documents
        self._min_confidence = min_confidence
        self.values: Values = {}
        self.labels: dict[str, None] = {}

    def read_labels(
        self,
        rows: Iterable[Mapping[str, Any]],
        scores: Mapping[str, Mapping[str, float]],
        *,
        is_multi_label: bool,
    ) -> None:
        """Of a classifier: a document that got no label is unsure, unless none may fit."""
        for row in rows:
            document = self._documents[row["document_id"]]
            document.labels = tuple(row["labels"] or ())
            self.labels |= dict.fromkeys(document.labels)
            self.values[document.id, ""] = document.labels
            own = scores.get(document.id, {})
            if row["status"] == "error":
                document.problem = FAILED
            elif is_multi_label:
                self._trust(document, min((max(p, 1 - p) for p in own.values()), default=0.0))
            else:
                self._trust(
                    document, max(own.get(label, 0.0) for label in document.labels or ("",))
                )

    def read_objects(
        self, rows: Iterable[Mapping[str, Any]], values: Iterable[Mapping[str, Any]]
    ) -> None:
        """Of an extractor: every property of the object's top level is a label."""
        for row in rows:
            document = self._documents[row["document_id"]]
            if row["status"] == "error":
                document.problem = FAILED
            else:
                self._trust(document, _probability(row["mean_logprob"]))
        for row in values:
            label = row["field"].split("/")[1].replace("~1", "/").replace("~0", "~")
            self._add_value(row, label, row["value"])

    def read_answers(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Of `llama_qa`: the id of a question is a label, if it is one question's everywhere."""
        answers = list(rows)
        questions: dict[str, set[str]] = defaultdict(set)
        for row in answers:
            questions[row["question_id"]].add(row["question"])
        for row in answers:
            if len(questions[row["question_id"]]) > 1:
                continue
            document = self._documents[row["document_id"]]
            if row["status"] == "error":
                document.problem = FAILED
                continue
            if row["answer"]:
                sure = row["confidence"]
                probability = _probability(row["mean_logprob"]) if sure is None else sure
                self._trust(document, probability)
            self._add_value(row, row["question_id"], row["answer"])

    def read_entities(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Of the pipeline's own entity recognizer."""
        for row in rows:
            self._add_value({**row, "grounded": "exact"}, row["label"], row["text"])

    def _add_value(self, row: Mapping[str, Any], label: str, text: str | None) -> None:
        """Notes a value; one that does not stand in the text keeps its document from training."""
        document = self._documents[row["document_id"]]
        self.labels[label] = None
        texts = self.values.get((document.id, label), ())
        self.values[document.id, label] = (*texts, text) if text else texts
        if not text:
            return
        if row["grounded"] in _GROUNDED and row["start_char"] is not None:
            document.spans.append(TextSpan(row["start_char"], row["end_char"], label))
        elif document.problem is None:
            document.problem = NOT_IN_TEXT

    def _trust(self, document: TeacherDocument, probability: float) -> None:
        document.confidence = min(document.confidence, probability)
        if document.problem is None and probability < self._min_confidence:
            document.problem = UNSURE


def _probability(mean_logprob: float | None) -> float:
    """The geometric mean of the tokens' probabilities; 1 where they are not known."""
    return 1.0 if mean_logprob is None else math.exp(mean_logprob)
