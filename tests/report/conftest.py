"""A run whose every document ends with its answer, a part of it hostile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from spacy.language import Language
from spacy.tokens import Doc, Span

from nlp_pipeline import run

SCRIPT = "<script>window.hacked = 1</script>"
IMAGE = "<img src=x onerror='window.hacked = 1'>"
LABEL = f'"></mark>{SCRIPT}'
ASTRAL = "𝔄𝔡𝔞 met 王小明 🙂 here. They talked about 😀 engines with Ada Lovelace"
HOSTILE = f"</script>{SCRIPT} <!-- {IMAGE} \u2028 --> ]]> & a b {IMAGE.replace(' ', '/')} </script>"

CONFIG = """\
[nlp]
lang = "en"
pipeline = ["sentencizer", "dressed", "llama_qa"]

[components]

[components.sentencizer]
factory = "sentencizer"

[components.dressed]
factory = "dressed"

[components.llama_qa]
factory = "llama_qa"
questions = [{"id": "who", "text": "Who <b>is</b> named?"}, {"id": "fails", "text": "UNSPEAKABLE"}]
template = "TEMPLATE"
max_new_tokens = 2

[components.llama_qa.generator]
@llama_generators = "nlp_pipeline.echo.v1"
fail_on = "UNSPEAKABLE"
"""
TEMPLATE = "{% block user %}{{ question }} {{ text }}{% endblock %}"


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
    Language.component("dressed", func=dressed)
    (folder / "last.jinja").write_text(TEMPLATE, encoding="utf-8")
    config = folder / "dressed.cfg"
    config.write_text(CONFIG.replace("TEMPLATE", str(folder / "last.jinja")), encoding="utf-8")
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
    run(corpus, folder / "out", pipeline=str(config), part_size=4)
    return folder / "out"
