"""How often an estimate of a run holds the true figures: CPU seconds, tokens, bytes on disk.

    python benchmarks/estimate.py --model tests/data/tiny_llama

Three kinds of corpora (texts of like length, a few very long ones, questions of their own) are made
anew for every round from the sentences of corpora/sample.jsonl; each is estimated, then run.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nlp_pipeline
from nlp_pipeline.pipeline import is_llama
from nlp_pipeline.runner.executors import local
from nlp_pipeline.runner.metered_generator import MeteredGenerator

SAMPLE = Path(__file__).parent.parent / "corpora" / "sample.jsonl"
QUESTIONS = ("Who is named?", "Where did it happen?", "When was it?", "What was paid?")
KINDS = ("even", "skewed", "questions")


def make_corpus(kind: str, n_documents: int, seed: int, path: Path) -> None:
    """Writes a corpus of one kind."""
    draws = random.Random(f"{kind} {seed}")
    texts = [json.loads(line)["text"] for line in SAMPLE.read_text("utf-8").splitlines() if line]
    sentences = [sentence.strip() for text in texts for sentence in text.split(".") if sentence]
    lines = []
    for _ in range(n_documents):
        n_sentences = draws.randint(3, 6)
        if kind == "skewed":
            n_sentences = min(40, max(1, round(draws.lognormvariate(1.2, 0.8))))
        record: dict[str, Any] = {"text": ". ".join(draws.choices(sentences, k=n_sentences)) + "."}
        if kind == "questions":
            record["questions"] = draws.sample(QUESTIONS, draws.randint(1, len(QUESTIONS)))
        lines.append(json.dumps(record))
    path.write_text("\n".join(lines) + "\n", "utf-8")


@contextmanager
def counted_tokens() -> Iterator[dict[int, Counter[str]]]:
    """The tokens that runs ask for until the end of the block: of every request, as an estimate's.

    The tables say less: of the requests about one answer they have the one that it was taken from.
    """
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    build = local.build

    def metered_pipeline(*args: Any, **more: Any) -> Any:
        nlp = build(*args, **more)
        for _, pipe in nlp.pipeline:
            if is_llama(pipe):
                pipe.generator = MeteredGenerator(pipe.generator, counts)
        return nlp

    local.build = metered_pipeline  # a run builds its pipeline through this name
    try:
        yield counts
    finally:
        local.build = build


def true_figures(corpus: Path, out: Path, options: dict[str, Any]) -> dict[str, float]:
    """What a run took: CPU seconds, prompt and output tokens, bytes of its parts."""
    start = time.process_time()
    with counted_tokens() as counts:
        nlp_pipeline.run(corpus, out, **options)
    seconds = time.process_time() - start
    return {
        "cpu_seconds": seconds,
        "prompt": sum(count["prompt"] for count in counts.values()),
        "output": sum(count["output"] for count in counts.values()),
        "disk": sum(file.stat().st_size for file in out.rglob("part-*") if file.is_file()),
    }


def round_of(kind: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """One corpus: estimated, run, compared."""
    options = {"pipeline": args.pipeline, "model": args.model}
    with TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        make_corpus(kind, args.documents, seed, corpus)
        start = time.process_time()
        estimate = nlp_pipeline.estimate(corpus, **options, seconds=args.seconds)
        spent = time.process_time() - start
        truth = true_figures(corpus, Path(folder) / "out", options)
    low, high = estimate.cpu_seconds.low, estimate.cpu_seconds.high
    prompt, output = estimate.tokens["prompt"], estimate.tokens["output"]
    return {
        "corpus": kind,
        "seed": seed,
        "spent": spent,
        "estimate": estimate.cpu_seconds.value,
        "low": low,
        "high": high,
        "true": truth["cpu_seconds"],
        "within": low <= truth["cpu_seconds"] <= high,
        "prompt_within": prompt.low <= truth["prompt"] <= prompt.high,
        "output_within": output.low <= truth["output"] <= output.high,
        "disk_ratio": estimate.disk_bytes / truth["disk"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=None, help="the pipeline's own by default")
    parser.add_argument("--pipeline", default="en_qa")
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3.0, help="for the measured documents")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--corpora", nargs="+", choices=KINDS, default=KINDS)
    args = parser.parse_args()
    results = []
    round_of(args.corpora[0], 0, args)  # loads the models for all others
    for kind in args.corpora:
        for seed in range(1, args.rounds + 1):
            result = round_of(kind, seed, args)
            results.append(result)
            print(
                "{corpus:10} {estimate:7.1f} s ({low:.1f} to {high:.1f}), true {true:.1f}, "
                "spent {spent:.1f}, within {within}".format(**result),
                flush=True,
            )
    measures = ("within", "prompt_within", "output_within")
    summary = {
        kind: {
            **{name: sum(r[name] for r in results if r["corpus"] == kind) for name in measures},
            "rounds": args.rounds,
        }
        for kind in args.corpora
    }
    print(json.dumps({"documents": args.documents, "corpora": summary, "rounds": results}))


if __name__ == "__main__":
    main()
