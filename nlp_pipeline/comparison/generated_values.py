"""What the Llama components of a run have said about each document, of every kind alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from nlp_pipeline.run_folder.read import parts_of

_TEXTS = {
    "answers": "answer",
    "summaries": "summary",
    "classifications": "labels",
    "extractions": "extraction",
    "generations": "text",
}
"""The tables, and the column that holds what was generated."""
_COST = ("prompt_tokens", "reused_tokens", "output_tokens")
_MORE = {
    "answers": (
        *("question_id", "question", "alignment", "start_char", "end_char"),
        *("evidence", "sum_logprob"),
    )
}


class ValueKey(NamedTuple):
    """What is compared across documents.

    Attributes:
        table: Where its rows are.
        component: Who generated it.
        question_id: None for all but answers.
    """

    table: str
    component: str
    question_id: str | None


@dataclass(frozen=True, slots=True)
class GeneratedValue:
    """What was generated of one kind about one document.

    Attributes:
        status: `ok`, `no_answer` or `error`.
        text: None unless the status is `ok`; labels and objects as text.
        question: What was asked; None for all but answers.
        place: First character in the document's text and one past the last; None where it does
            not stand there.
        evidence: Sentence ids.
        alignment: How it stands in the text, as in the table; None where nothing is said of it.
        score: Log-probability of the whole; None where none is known.
        labels: Of a classification: those that were chosen, the likeliest first.
    """

    status: str
    text: str | None
    question: str | None = None
    place: tuple[int, int] | None = None
    evidence: tuple[int, ...] = ()
    alignment: str | None = None
    score: float | None = None
    labels: tuple[str, ...] = ()

    @property
    def is_grounded(self) -> bool:
        """Whether it stands in the text."""
        return self.alignment not in (None, "none")


@dataclass
class RunValues:
    """A run as it is compared.

    Attributes:
        texts: A digest of each document's text, in the order of the corpus.
        lengths: Tokens of each document.
        values: By kind, then by document.
        tokens: Sums of `prompt_tokens`, `reused_tokens` and `output_tokens`.
    """

    texts: dict[str, bytes]
    lengths: dict[str, int | None]
    values: dict[ValueKey, dict[str, GeneratedValue]]
    tokens: dict[str, int]


def read_values(run: Path) -> RunValues:
    """Reads a run part by part; of one that is going on its finished parts.

    Raises:
        RunNotFound: The folder holds no run.
    """
    columns: dict[str, tuple[str, ...]] = {
        "documents": ("document_id", "text", "n_tokens"),
        **{
            table: ("document_id", "component", "status", text, *_MORE.get(table, ()), *_COST)
            for table, text in _TEXTS.items()
        },
    }
    result = RunValues({}, {}, values={}, tokens=dict.fromkeys(_COST, 0))
    for part in parts_of(run, columns):
        for row in part["documents"].to_pylist():
            result.texts[row["document_id"]] = _digest(row["text"])
            result.lengths[row["document_id"]] = row["n_tokens"]
        for table, text in _TEXTS.items():
            for row in _rows(part[table]):
                key = ValueKey(table, row["component"], row.get("question_id"))
                values = result.values.setdefault(key, {})
                values[row["document_id"]] = _value(row, row[text])
                for name in _COST:
                    result.tokens[name] += row[name] or 0
    return result


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    yield from table.to_pylist()


def _value(row: Mapping[str, Any], text: Any) -> GeneratedValue:
    labels = tuple(text) if isinstance(text, list) else ()
    if isinstance(text, list):
        text = ", ".join(sorted(text))
    start, end = row.get("start_char"), row.get("end_char")
    return GeneratedValue(
        row["status"],
        _normalized_json(text) if "extraction" in row else text,
        question=row.get("question"),
        place=None if start is None or end is None else (start, end),
        evidence=tuple(row.get("evidence") or ()),
        alignment=row.get("alignment"),
        score=row.get("sum_logprob"),
        labels=labels,
    )


def _normalized_json(text: str | None) -> str | None:
    """An object with its keys in order: how it was written is no difference."""
    return (
        None if text is None else json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False)
    )


def _digest(text: str | None) -> bytes:
    return blake2b((text or "").encode("utf-8", "surrogatepass"), digest_size=16).digest()
