"""A run whose every document ends with its answer, a part of it hostile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from parrot_pipeline import parrot_pipeline
from spacy.tokens import Doc, Span

from nlp_pipeline import run
from nlp_pipeline.components.extensions import register_extensions
from nlp_pipeline.grounding.align import ground

SCRIPT = "<script>window.hacked = 1</script>"
IMAGE = "<img src=x onerror='window.hacked = 1'>"
LABEL = f'"></mark>{SCRIPT}'
ASTRAL = "𝔄𝔡𝔞 met 王小明 🙂 here. They talked about 😀 engines with Ada Lovelace"
HOSTILE = f"</script>{SCRIPT} <!-- {IMAGE} \u2028 --> ]]> & a b {IMAGE.replace(' ', '/')} </script>"


def dressed(doc: Doc) -> Doc:
    """Names, a flat parse and a hostile label, without a model."""
    names = [Span(doc, t.i, t.i + 2, "PERSON") for t in doc[:-1] if t.text == "Ada"]
    names += [Span(doc, t.i, t.i + 1, LABEL) for t in doc if t.text == "&"]
    doc.ents = names
    for sent in [list(sent) for sent in doc.sents]:
        for token in sent:
            token.head, token.pos_ = sent[0], "NOUN"
            token.dep_ = "ROOT" if token is sent[0] else "dep<i>"
    return doc


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six documents: plain, astral, hostile, empty, one that all is asked of, plain."""
    folder = tmp_path_factory.mktemp("report")
    pipeline = parrot_pipeline(folder, dressed, question="Who <b>is</b> named?")
    corpus = folder / "corpus.jsonl"
    records: list[dict[str, Any]] = [
        {"id": "plain", "text": "Ships left early. The first was Ada Lovelace"},
        {"id": "astral", "text": ASTRAL},
        {"id": f"</script>{SCRIPT}", "text": HOSTILE, "note": f"</script>{SCRIPT}"},
        {"id": "empty"},
        {"id": "numbers", "text": "It grew. 17 percent in 1843", "n": 2**70},
        {"id": "last", "text": "Nothing else was left of it"},
    ]
    corpus.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    run(corpus, folder / "out", pipeline=pipeline, part_size=4)
    return folder / "out"


register_extensions()


def _fill(doc: Doc, labels: list[str], who: str | None, place: str) -> Doc:
    names = {"Grace": "PERSON", "Ada": "PERSON", "Oslo": place, "Turin": place}
    doc.ents = [Span(doc, t.i, t.i + 1, names[t.text]) for t in doc if t.text in names]
    doc.cats = {"letter": 0.6 if "Ada" in doc.text else 0.8, "travel": 0.2, "war": 0.1}
    common = {"component": "form", "status": "ok", "output_tokens": 0}
    doc._.classifications = [{**common, "labels": labels, "logprobs": {}}]
    field = {"field": "/who", "value": who, **ground(doc, who or "-").as_dict()}
    doc._.extractions = [{**common, "extraction": {"who": who}, "fields": [field]}]
    return doc


def filled(doc: Doc) -> Doc:
    """A label, an object and entities."""
    return _fill(doc, ["letter"], "Grace" if "Grace" in doc.text else "Nobody", "GPE")


def refilled(doc: Doc) -> Doc:
    """Others, of the document with Grace in it."""
    if "Grace" not in doc.text:
        return filled(doc)
    return _fill(doc, ["travel"], None, "ORG")


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs over three documents, one without a text; they differ in the last one."""
    folder = tmp_path_factory.mktemp("two")
    records: list[dict[str, Any]] = [
        {"id": "ada", "text": "Greetings 😀 from\nTurin. Ada wrote to Babbage"},
        {"id": "empty"},
        {"id": "grace", "text": "Grace left for Oslo"},
    ]
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    a, b = folder / "a", folder / "b"
    run(corpus, a, pipeline=parrot_pipeline(folder, filled))
    run(corpus, b, pipeline=parrot_pipeline(folder, refilled, question="Who left? Grace"))
    return a, b
