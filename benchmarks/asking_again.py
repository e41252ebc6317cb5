"""What a run costs that goes on with other questions: a table, then one JSON line.

    python benchmarks/asking_again.py

CPU seconds of `run` in one folder: with one question of every document, with one more, again with
nothing to do (models are loaded, the corpus is read), and without the second question. The last one
computes no answer: spaCy annotates every document anew, and rows are written.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import nlp_pipeline

QUESTIONS = ("Who is named?", "Where did it happen?")
STEPS = {"one question": 1, "one more": 2, "nothing to do": 2, "one less": 1}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default="corpora/sample.jsonl")
    parser.add_argument("--pipeline", default="en_qa")
    parser.add_argument("--model", default=None, help="the pipeline's own by default")
    parser.add_argument("--limit", type=int, default=None, help="so many documents")
    args = parser.parse_args()
    options = {"pipeline": args.pipeline, "model": args.model, "limit": args.limit}
    seconds: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        for name, n_questions in STEPS.items():
            start = time.process_time()
            nlp_pipeline.run(args.corpus, out, **options, questions=QUESTIONS[:n_questions])
            seconds[name] = round(time.process_time() - start, 2)
        n_documents = len(nlp_pipeline.read_run(out, "documents")["documents"])
    for name, value in seconds.items():
        print(f"{name:14}{value:>10}")
    fixed = seconds["nothing to do"]
    annotating, asking = (seconds[name] - fixed for name in ("one less", "one more"))
    figures = {"annotating_s": annotating / n_documents, "asking_s": asking / n_documents}
    rounded = {name: round(value, 3) for name, value in figures.items()}
    print(json.dumps({"benchmark": "asking_again", "documents": n_documents, **seconds, **rounded}))


if __name__ == "__main__":
    main()
