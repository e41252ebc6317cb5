"""A run whose teacher goes by the words of a document, and is wrong where it is told to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from nlp_pipeline.components.extensions import register_extensions
from nlp_pipeline.grounding.align import ground
from nlp_pipeline.runner.run import run

TOPICS = {"sport": ["goal", "match"], "money": ["bank", "price"]}
PEOPLE = ["Anna Berg", "Omar Haddad", "Lucy Chen", "Paul Meyer", "Rosa Silva"]
ORDERS: dict[str, dict[str, Any]] = {}
"""What the teacher is told about a text, as nothing of a record's `meta` comes to a pipe."""

CONFIG = """\
[nlp]
lang = "en"
pipeline = ["stamp"]

[components]

[components.stamp]
factory = "test_stamp"
"""

register_extensions()


@Language.component("test_stamp")
def stamp(doc: Doc) -> Doc:
    """Writes what a classifier, an extractor and `llama_qa` would have written."""
    orders = ORDERS.get(doc.text, {})
    says = orders.get("says") or topic_of(doc.text)
    sure = float(orders.get("sure", 0.9))
    doc.cats = {label: sure if label == says else 1 - sure for label in TOPICS}
    common = {"component": "stamp", "status": "ok", "output_tokens": 0}
    doc._.classifications = [{**common, "labels": [says], "logprobs": {}}]
    name = next(person for person in PEOPLE if person in doc.text)
    value = orders.get("value", name)
    place = ground(doc, value).as_dict()
    fields = [{"field": "/who", "value": value, **place}]
    figures = {"mean_logprob": -0.1}
    doc._.extractions = [{**common, "extraction": {"who": value}, "fields": fields, **figures}]
    answer = {"question_id": "name", "question": "Who?", "answer": value, "confidence": sure}
    doc._.answers = [{**common, **answer, **place}]
    return doc


def topic_of(text: str) -> str:
    """The topic whose word stands in a text."""
    return next(name for name, words in TOPICS.items() if any(word in text for word in words))


def records(n: int) -> list[dict[str, Any]]:
    """Documents of one topic and one person each, no two of the same text."""
    made = []
    for number in range(n):
        topic = list(TOPICS)[number % 2]
        word = TOPICS[topic][number // 2 % 2]
        person = PEOPLE[number % 5]
        text = f"On day {number} {person} spoke of the {word}: {word}, {word}!"
        made.append({"id": f"d{number}", "text": text, "meta": {"label": topic}, "orders": {}})
    return made


def teacher_run(folder: Path, documents: list[dict[str, Any]], config: str = CONFIG) -> Path:
    """Runs the pipeline over documents and gives the run's folder.

    Args:
        folder: Gets the run and its corpus.
        documents: Records; what their `orders` say the teacher does.
        config: Of the pipeline.
    """
    take_orders(documents)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stamp.cfg").write_text(config, encoding="utf-8")
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(record) + "\n" for record in documents), encoding="utf-8")
    return run(str(corpus), folder / "run", pipeline=str(folder / "stamp.cfg")).out


def take_orders(documents: list[dict[str, Any]]) -> None:
    """Tells the teacher what `orders` says of a document."""
    for record in documents:
        ORDERS[record["text"]] = record.pop("orders", {})
