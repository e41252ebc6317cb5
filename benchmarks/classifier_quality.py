"""How often `llama_classifier` is right, by prompt and calibration: a table, then one JSON line.

    python benchmarks/classifier_quality.py                     # corpora/labelled.jsonl
    python benchmarks/classifier_quality.py news_topics.jsonl --sample 100

FILE holds records with one label under `meta.label`; the labels are those that occur. `batch` takes
out of every label its mean over all documents, which content-free texts stand for otherwise: it is
not offered, for then a row would depend on the other documents. `trained` is spaCy's bag of words
(`textcat`), trained on one half of the records and tried on the other; `trained on` says how many.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.training import Example
from spacy.util import fix_random_seed

from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.models import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ("classify.v1", "classify.v2")
CALIBRATIONS = ("none", "content_free")
EPOCHS = 20


def read_records(path: Path, sample: int | None, skip: int) -> list[tuple[str, str]]:
    """Texts with their labels."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [(r["text"], r["meta"]["label"]) for r in records if (r.get("meta") or {}).get("label")]
    return pairs[skip:][:sample]


def classify(
    texts: Sequence[str], labels: list[str], template: str, options: argparse.Namespace
) -> dict[str, list[str]]:
    """The label of each text, with each calibration: the scores are computed once."""
    nlp = spacy.blank(options.language)
    generator = {"@llama_generators": "nlp_pipeline.Llama.v1", "model": options.model}
    settings = {"labels": labels, "template": template, "generator": generator}
    pipe: Any = nlp.add_pipe("llama_classifier", config=settings)
    docs = list(nlp.pipe(texts))
    scores = [doc._.classifications[0]["logprobs"] for doc in docs]
    means = {label: sum(row[label] for row in scores) / len(scores) for label in labels}
    priors = {"none": dict.fromkeys(labels, 0.0), "content_free": pipe._priors, "batch": means}
    return {
        name: [max(labels, key=lambda label: row[label] - prior[label]) for row in scores]
        for name, prior in priors.items()
    }


def trained(pairs: list[tuple[str, str]], labels: list[str], language: str) -> list[str]:
    """The labels of the second half by a bag of words that was trained on the first."""
    fix_random_seed(1)
    nlp = spacy.blank(language)
    model = {"@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True, "ngram_size": 1}
    nlp.add_pipe("textcat", config={"model": {**model, "no_output_layer": False}})
    half = len(pairs) // 2
    examples = [
        Example.from_dict(nlp.make_doc(text), {"cats": {one: one == label for one in labels}})
        for text, label in pairs[:half]
    ]
    nlp.initialize(lambda: examples)
    for _ in range(EPOCHS):
        random.Random(1).shuffle(examples)
        for begin in range(0, len(examples), 16):
            nlp.update(examples[begin : begin + 16])
    docs = nlp.pipe(text for text, _ in pairs[half:])
    return [max(doc.cats, key=doc.cats.__getitem__) for doc in docs]


def figures(labels: Sequence[str], gold: Sequence[str], **more: Any) -> dict[str, Any]:
    """How many labels are right, with a 95% bootstrap interval over the documents."""
    hits = [100.0 * (a == b) for a, b in zip(labels, gold, strict=True)]
    estimate = Bootstrap(2000).mean(hits, range(len(hits)))
    assert estimate is not None
    interval = [round(estimate.low, 1), round(estimate.high, 1)]
    return {"right": round(estimate.value, 1), "interval": interval, "n": len(hits), **more}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / "corpora" / "labelled.jsonl")
    parser.add_argument("--sample", type=int, help="so many of the texts")
    parser.add_argument("--skip", type=int, default=0, help="leave out the first so many")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--language", default="en", help="of spaCy's tokenizer")
    parser.add_argument("--templates", nargs="*", default=list(TEMPLATES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs = read_records(options.file, options.sample, options.skip)
    texts, gold = [text for text, _ in pairs], [label for _, label in pairs]
    labels = sorted(set(gold))
    results: dict[str, dict[str, Any]] = {}
    for template in options.templates:
        start = time.process_time()
        by_calibration = classify(texts, labels, template, options)
        seconds = round((time.process_time() - start) / len(texts), 2)
        for calibration, predictions in by_calibration.items():
            row = figures(predictions, gold, cpu_seconds_a_text=seconds)
            results[f"{template}, {calibration}"] = row
    half = len(pairs) // 2
    results["trained"] = figures(
        trained(pairs, labels, options.language), gold[half:], trained_on=half
    )
    print(f"{'':30}{'right':>8}{'interval':>16}{'texts':>8}{'trained on':>12}")
    for way, row in results.items():
        low, high = row["interval"]
        line = f"{way:30}{row['right']:>8}{f'{low} to {high}':>16}{row['n']:>8}"
        print(f"{line}{row.get('trained_on', ''):>12}")
    head = {"benchmark": "classifier_quality", "model": options.model, "labels": labels}
    print(json.dumps({**head, "ways": results}))


if __name__ == "__main__":
    main()
