"""A run with answers, labels and entities to judge, one of its texts with an emoji and a break."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from parrot_pipeline import parrot_pipeline
from spacy.tokens import Doc, Span

from nlp_pipeline import run
from nlp_pipeline.components.extensions import register_extensions
from nlp_pipeline.grounding.align import ground

TEXTS = {
    "astral": "Greetings 😀 from\nTurin. Ada wrote to Babbage",
    "plain": "Grace left for Oslo",
    "none": "He was not in the document",
}
register_extensions()
NAMES = {"Ada": "PERSON", "Grace": "PERSON", "Turin": "GPE", "Oslo": "ORG"}


def named(doc: Doc) -> Doc:
    """Names, a label of two and an object, without a model."""
    doc.ents = [Span(doc, t.i, t.i + 1, NAMES[t.text]) for t in doc if t.text in NAMES]
    doc.cats = {"letter": 0.8, "travel": 0.2}
    common = {"component": "form", "status": "ok", "output_tokens": 0}
    doc._.classifications = [{**common, "labels": ["letter"], "logprobs": {}}]
    who = next((ent.text for ent in doc.ents if ent.label_ == "PERSON"), None)
    value = {"who": who, "n": 3, "places": ["Oslo", "Rome"]}
    texts = {"/who": who, "/n": "3", "/places/0": "Oslo", "/places/1": "Rome"}
    fields = [
        {"field": name, "value": text, **(ground(doc, text or "-")).as_dict()}
        for name, text in texts.items()
    ]
    doc._.extractions = [{**common, "extraction": value, "fields": fields, "mean_logprob": -0.1}]
    return doc


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three documents and a reject, in two parts. Shared: copy it."""
    folder = tmp_path_factory.mktemp("reviews")
    pipeline = parrot_pipeline(folder, named)
    records: list[dict[str, Any]] = [{"id": name, "text": text} for name, text in TEXTS.items()]
    records.insert(1, {"id": "empty"})
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "corpus.jsonl").write_text(lines, encoding="utf-8")
    run(folder / "corpus.jsonl", folder / "out", pipeline=pipeline, part_size=2)
    return folder / "out"


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run."""
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def review_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a review of some lines."""

    def write(*lines: dict[str, Any] | str) -> Path:
        path = tmp_path / "review.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
        return path

    return write
