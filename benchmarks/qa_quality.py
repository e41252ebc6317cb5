"""How good the answers of `llama_qa` are, free and extractive: a table, then one JSON line.

    python benchmarks/qa_quality.py                          # benchmarks/data/questions.json
    python benchmarks/qa_quality.py --squad dev-v2.0.json --sample 200 --spacy ""

The documents are read with `--spacy`; an empty name takes a tokenizer and sentence boundaries.
Reads any file in SQuAD's format (1.1 or 2.0; Rajpurkar et al. 2016, 2018). Exact match and F1 are
SQuAD's: the best over the reference answers, without case, punctuation and English articles; where
there is no answer, saying so is 1. `stands` is the share of answers that are a piece of their
document. `computed_tokens` are a prompt's without those that it shares with the prompt of another
question and that were computed for that one: what several questions about a document cost.
Differences are to the first way, which was the best before there was evidence first: the whole
document, the best of three beams. `as shipped` has the adapter that ships for the default model and
asks about the whole document; `adapter, evidence, ranked` has it too. Their interval is a bootstrap
over documents, which are drawn with all their questions.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc

from nlp_pipeline.components.answer_features import FEATURE_NAMES
from nlp_pipeline.components.answer_overlap import exact_match, f1
from nlp_pipeline.generation.constraints.bound_spans import BoundSpans
from nlp_pipeline.models import DEFAULT_MODEL
from nlp_pipeline.pipeline.small_english import installed_name
from nlp_pipeline.pipeline.spacy_sources import find_source

DATA = Path(__file__).resolve().parent / "data" / "questions.json"
SEARCH_ALONE = {**dict.fromkeys(FEATURE_NAMES, 0.0), "logprob": 1.0, "is_hypothesis": 1e6}
"""Weights by which the best text of the search is the answer."""

SHIPPED: dict[str, Any] = {"mode": "extractive", "no_answer_margin": 5.0}
WAYS: dict[str, dict[str, Any]] = {
    "whole, search alone": {
        "mode": "extractive",
        "evidence_sentences": "all",
        "candidate_weights": SEARCH_ALONE,
    },
    "free": {"mode": "free"},
    "whole, ranked": {**SHIPPED, "evidence_sentences": "all"},
    "evidence, search alone": {**SHIPPED, "candidate_weights": SEARCH_ALONE},
    "evidence, ranked": SHIPPED,
    "2 sentences, ranked": {**SHIPPED, "evidence_sentences": 2},
    "adapter, evidence, ranked": {**SHIPPED, "adapter": "auto"},
    "as shipped": {**SHIPPED, "adapter": "auto", "evidence_sentences": "all"},
}


class Question(NamedTuple):
    """One question about one document; no references where it has no answer."""

    id: str
    text: str
    references: list[str]


class Document(NamedTuple):
    """A paragraph and its questions."""

    text: str
    questions: list[Question]


class Said(NamedTuple):
    """What came of a question."""

    document: int
    references: list[str]
    answer: str | None
    stands: bool
    em: float
    f1: float
    score: float | None
    none: float | None
    prompt_tokens: int
    computed_tokens: int


def read_squad(path: Path, sample: int | None) -> list[Document]:
    """The documents, with `sample` questions drawn at random in all."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    drawn = [(number, qa) for number, p in enumerate(paragraphs) for qa in p["qas"]]
    if sample is not None and sample < len(drawn):
        drawn = sorted(random.Random(1).sample(drawn, sample), key=lambda pair: pair[0])
    by_paragraph: dict[int, list[Question]] = {}
    for number, qa in drawn:
        answers = [] if qa.get("is_impossible") else [a["text"] for a in qa["answers"]]
        question = Question(qa["id"], qa["question"], answers)
        by_paragraph.setdefault(number, []).append(question)
    return [Document(paragraphs[n]["context"], qs) for n, qs in by_paragraph.items()]


class Stopwatch:
    """CPU time inside a constraint, by standing in for its method."""

    def __init__(self) -> None:
        self.seconds, self.calls = 0.0, 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        plain = BoundSpans.allowed

        def timed(bound: BoundSpans, output_ids: Sequence[int]) -> list[int]:
            start = time.perf_counter()
            allowed = plain(bound, output_ids)
            self.seconds += time.perf_counter() - start
            self.calls += 1
            return allowed

        BoundSpans.allowed = timed
        try:
            yield
        finally:
            BoundSpans.allowed = plain


def pipeline(language: str, reader: str, model: str, config: dict[str, Any]) -> Language:
    if reader:
        nlp = spacy.load(find_source(installed_name(reader)) or reader)
    else:
        nlp = spacy.blank(language)
        nlp.add_pipe("sentencizer")
    generator: dict[str, Any] = {"@llama_generators": "nlp_pipeline.Llama.v1", "model": model}
    generator["adapter"] = config.get("adapter")
    settings = {name: value for name, value in config.items() if name != "adapter"}
    nlp.add_pipe("llama_qa", config={**settings, "generator": generator})
    return nlp


def ask(nlp: Language, documents: list[Document]) -> list[Said]:
    docs = []
    for document in documents:
        doc: Doc = nlp.make_doc(document.text)
        doc._.questions = [{"id": q.id, "text": q.text} for q in document.questions]
        docs.append(doc)
    said = []
    for number, (document, doc) in enumerate(zip(documents, nlp.pipe(docs), strict=True)):
        answers = {answer["question_id"]: answer for answer in doc._.answers}
        for question in document.questions:
            row = answers[question.id]
            if row["status"] == "error":
                raise SystemExit(f"question {question.id}: {row['error']}")
            text = row["answer"]
            said.append(
                Said(
                    number,
                    question.references,
                    text,
                    text is not None and text in document.text,
                    exact_match(text, question.references),
                    f1(text, question.references),
                    row.get("sum_logprob"),
                    row["no_answer_prob"],
                    row["prompt_tokens"],
                    row["prompt_tokens"] - row["reused_tokens"],
                )
            )
    return said


def interval(said: list[Said], base: list[Said], key: str) -> tuple[float, float]:
    """95% percentile interval of the mean difference, in points."""
    by_document: dict[int, list[float]] = {}
    for one, other in zip(said, base, strict=True):
        difference = getattr(one, key) - getattr(other, key)
        by_document.setdefault(one.document, []).append(difference)
    groups, rng, means = list(by_document.values()), random.Random(1), []
    for _ in range(2000):
        drawn = [value for group in rng.choices(groups, k=len(groups)) for value in group]
        means.append(100 * sum(drawn) / len(drawn))
    means.sort()
    return means[50], means[1949]


def share(values: list[float] | list[bool]) -> float:
    return round(100 * sum(values) / len(values), 1) if values else float("nan")


def figures(said: list[Said], base: list[Said], seconds: float, watch: Stopwatch) -> dict[str, Any]:
    answered = [one.stands for one in said if one.answer is not None]
    asked = [one for one in said if one.references]
    none = [one for one in said if not one.references]
    low, high = interval(said, base, "em")
    return {
        "em": share([one.em for one in said]),
        "f1": share([one.f1 for one in said]),
        "em_answerable": share([one.em for one in asked]),
        "f1_answerable": share([one.f1 for one in asked]),
        "stands": share(answered),
        "none_recall": share([one.answer is None for one in none]),
        "none_false": share([one.answer is None for one in asked]),
        "per_core_second": round(len(said) / seconds, 2),
        "overhead_us": round(1e6 * watch.seconds / watch.calls, 1) if watch.calls else 0.0,
        "prompt_tokens": round(sum(one.prompt_tokens for one in said) / len(said)),
        "computed_tokens": round(sum(one.computed_tokens for one in said) / len(said)),
        "em_minus_first": round(share([o.em for o in said]) - share([o.em for o in base]), 1),
        "interval": [round(low, 1), round(high, 1)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--squad", type=Path, default=DATA, help="a file in SQuAD's format")
    parser.add_argument("--sample", type=int, help="so many questions, drawn at random")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--language", default="en", help="of spaCy's tokenizer")
    parser.add_argument("--spacy", default="en_core_web_sm", help="the pipeline that reads")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY")
    parser.add_argument("--rows", type=Path, help="write every answer there, as JSON lines")
    args = parser.parse_args()
    torch.set_num_threads(1)
    documents = read_squad(args.squad, args.sample)
    results: dict[str, dict[str, Any]] = {}
    base: list[Said] = []
    pipelines = {
        way: pipeline(args.language, args.spacy, args.model, WAYS[way]) for way in args.ways
    }
    for nlp in pipelines.values():  # load the model and fill its caches outside the clock
        ask(nlp, documents[:1])
    for way, nlp in pipelines.items():
        watch, start = Stopwatch(), time.process_time()
        with watch.watching():
            said = ask(nlp, documents)
        base = base or said
        results[way] = figures(said, base, time.process_time() - start, watch)
        if args.rows is not None:
            with args.rows.open("a", encoding="utf-8") as file:
                for one in said:
                    file.write(json.dumps({"way": way, **one._asdict()}) + "\n")
    names = list(next(iter(results.values())))
    print(f"{'':22}" + "".join(f"{name:>16}" for name in names))
    for way, row in results.items():
        print(f"{way:22}" + "".join(f"{row[name]!s:>16}" for name in names))
    counts = {"questions": len(base), "unanswerable": sum(not one.references for one in base)}
    print(json.dumps({"benchmark": "qa_quality", "model": args.model, **counts, "ways": results}))


if __name__ == "__main__":
    main()
