"""What another run says otherwise of the same texts, so that a person can look there first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlp_pipeline.run_folder.read import parts_of
from nlp_pipeline.run_folder.review_table import text_digest

Row = dict[str, Any]

_READ = {
    "documents": ("document_id", "text"),
    "answers": (
        *("document_id", "component", "question_id", "answer", "status"),
        *("start_char", "end_char"),
    ),
    "classifications": ("document_id", "component", "labels", "status"),
    "extraction_fields": (
        *("document_id", "component", "field", "value", "start_char", "end_char"),
    ),
    "entities": ("document_id", "start_char", "end_char", "label"),
}


@dataclass
class _OtherDocument:
    """A document of the other run.

    Attributes:
        digest: Of its text.
        rows: Of each table the rows by what names them, the component last.
    """

    digest: str
    rows: dict[str, dict[tuple[Any, ...], Row]] = field(default_factory=lambda: defaultdict(dict))


class OtherRun:
    """Another run over the same texts, or some of them; it is read as a whole.

    Args:
        run: Its folder.

    Attributes:
        run: Its folder.
        name: Of the folder.
        n_shared: Documents that it was found to share.

    Raises:
        RunNotFound: It holds no run.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.name = run.resolve().name
        self.n_shared = 0
        self._documents: dict[str, _OtherDocument] = {}
        for part in parts_of(run, _READ):
            for row in part["documents"].to_pylist():
                digest = text_digest(row["text"] or "")
                self._documents[row["document_id"]] = _OtherDocument(digest)
            for table in _READ:
                for row in part[table].to_pylist() if table != "documents" else ():
                    self._documents[row["document_id"]].rows[table][_name(table, row)] = row

    @property
    def n_documents(self) -> int:
        """Documents of this run."""
        return len(self._documents)

    def mark(self, document: Row) -> None:
        """Puts what this run says beside the rows of another's that say something else.

        Such a row has it as `other`; an entity that this run lacks has `True`, and a document
        whose labels are not the same has `other_labels`. A document that this run lacks, or has
        with another text, stays as it is.

        Args:
            document: As `read_documents` gives it; changed.
        """
        twin = self._documents.get(document["document_id"])
        is_same = twin is not None and twin.digest == document["text_digest"]
        if twin is None or document["text"] is None or not is_same:
            return
        self.n_shared += 1
        for answer in document["answers"]:
            row = _row_like(twin.rows["answers"], "answers", answer)
            if row is not None and _answer(row) != _answer(answer):
                answer["other"] = _place_and(row, text=row["answer"], status=row["status"])
        for value in document["extraction_fields"]:
            row = _row_like(twin.rows["extraction_fields"], "extraction_fields", value)
            if row is not None and row["value"] != value["value"]:
                value["other"] = _place_and(row, text=row["value"], status="ok")
        for entity in document["entities"]:
            if _name("entities", entity) not in twin.rows["entities"]:
                entity["other"] = True
        for choice in document["classifications"]:
            row = _row_like(twin.rows["classifications"], "classifications", choice)
            if row is not None and set(row["labels"] or ()) != set(choice["labels"] or ()):
                document["other_labels"] = row["labels"] or []


_NAMES = {
    "answers": ("question_id", "component"),
    "classifications": ("component",),
    "extraction_fields": ("field", "component"),
    "entities": ("start_char", "end_char", "label"),
}
"""What names a row of a document."""


def _name(table: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column] for column in _NAMES[table])


def _row_like(rows: Mapping[tuple[Any, ...], Row], table: str, like: Row) -> Row | None:
    """The row of the same name; else the only one that has it but for the component."""
    name = _name(table, like)
    if name in rows:
        return rows[name]
    alike = [row for key, row in rows.items() if key[:-1] == name[:-1]]
    return alike[0] if len(alike) == 1 else None


def _answer(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["status"], row["answer"]


def _place_and(row: Mapping[str, Any], **values: Any) -> Row:
    return {**values, "start_char": row["start_char"], "end_char": row["end_char"]}
