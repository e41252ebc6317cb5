"""How fast each stage of a run is on a fixed corpus: a table, then one JSON line.

    python benchmarks/run_corpus.py                      # corpora/varied.jsonl, default model
    python benchmarks/run_corpus.py --limit 12 --threads 1
    python benchmarks/run_corpus.py --pipeline en_qa --echo --repeat 8   # what is not the model

The stages run one after the other over all documents, so that each can be timed by itself; a
real run overlaps them. CPU seconds are steadier than wall seconds on a shared machine. `ratio` is
the CPU time of all that is done with the documents over that of a bare `nlp.pipe` on their texts.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")


class Stages:
    """Times the stages and remembers what they did."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def time(self, name: str, work: Callable[[], T], **units: Callable[[T], float]) -> T:
        """Runs a stage; `units` count what it produced, and become rates."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        counts = {unit: count(result) for unit, count in units.items()}
        self.rows.append(
            {
                "stage": name,
                "wall_s": round(wall, 3),
                "cpu_s": round(cpu, 3),
                **{f"{unit}_per_s": round(n / wall, 1) for unit, n in counts.items()},
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
        return result

    def table(self) -> str:
        """One line a stage."""
        lines = [
            f"{'stage':<10}{'wall s':>9}{'CPU s':>9}{'docs/s':>10}{'tokens/s':>11}{'peak MB':>9}"
        ]
        for row in self.rows:
            docs, tokens = row.get("documents_per_s", "-"), row.get("tokens_per_s", "-")
            lines.append(
                f"{row['stage']:<10}{row['wall_s']:>9.2f}{row['cpu_s']:>9.2f}"
                f"{docs:>10}{tokens:>11}{row['peak_mb']:>9}"
            )
        return "\n".join(lines)


def measure(args: argparse.Namespace) -> Stages:
    stages = Stages()
    stages.time("import", lambda: __import__("nlp_pipeline.runner.run"))

    from nlp_pipeline.corpus import read_corpus
    from nlp_pipeline.pipeline import PipelineSpec, generators, load_pipeline, split
    from nlp_pipeline.run_folder.folder import open_run
    from nlp_pipeline.runner.annotate import annotate, chain
    from nlp_pipeline.tables.frames import iter_tables
    from nlp_pipeline.tables.rows import doc_rows
    from nlp_pipeline.tables.schemas import TABLES

    spec = PipelineSpec(
        args.pipeline, model=args.model, settings=tuple(args.settings), echo=args.echo
    )
    nlp = stages.time("load", lambda: load_pipeline(spec))
    stages.time("model", lambda: [generator.info for generator in generators(nlp)])
    first, second = split(nlp)
    items = stages.time(
        "read",
        lambda: list(read_corpus(args.corpus, limit=args.limit)) * args.repeat,
        documents=len,
    )
    texts = [item.text for item in items if hasattr(item, "text")]
    list(nlp.pipe(texts[:16], disable=second))  # what is made at the first use is made here
    stages.time("bare", lambda: list(nlp.pipe(texts, disable=second)), documents=len)
    done = stages.time(
        "annotate",
        lambda: list(annotate(nlp, items, pipes=first, batch_size=nlp.batch_size)),
        documents=len,
        tokens=lambda found: sum(len(item.doc) for item in found),
    )
    docs = stages.time(
        "generate",
        lambda: list(chain(nlp, second, [item.doc for item in done])),
        documents=len,
        tokens=_generated,
    )
    rows = stages.time(
        "tables",
        lambda: [doc_rows(doc, item.origin) for doc, item in zip(docs, done, strict=True)],
        documents=len,
    )

    def write() -> int:
        merged = {name: [row for one in rows for row in one[name]] for name in TABLES}
        with tempfile.TemporaryDirectory() as folder, open_run(Path(folder), {}, "parquet") as out:
            out.commit(dict(iter_tables(merged)), documents=len(rows), failed=0, output_tokens=0)
        return len(rows)

    stages.time("write", write, documents=float)
    return stages


def _generated(docs: list[Any]) -> int:
    answers = [answer for doc in docs for answer in doc._.answers]
    summaries = [doc._.summary_details for doc in docs if doc._.summary_details]
    return sum(made["output_tokens"] for made in [*answers, *summaries])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--corpus", default=str(ROOT / "corpora" / "varied.jsonl"))
    parser.add_argument("--pipeline", default="en_qa_summary")
    parser.add_argument("--model", default=None)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--threads", type=int, default=None, help="CPU threads of torch")
    parser.add_argument("--echo", action="store_true", help="the echo generator")
    parser.add_argument("--repeat", type=int, default=1, help="read the corpus so many times")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    args = parser.parse_args()
    if args.threads is not None:
        import torch

        torch.set_num_threads(args.threads)
    stages = measure(args)
    cpu = {row["stage"]: row["cpu_s"] for row in stages.rows}
    work = sum(cpu[name] for name in ("annotate", "generate", "tables", "write"))
    ratio = round(work / cpu["bare"], 2)
    print(f"{stages.table()}\nratio to a bare nlp.pipe: {ratio}")
    where = {"platform": platform.platform(), "python": platform.python_version()}
    print(
        json.dumps(
            {
                "benchmark": "run_corpus",
                **vars(args),
                **where,
                "ratio": ratio,
                "stages": stages.rows,
            }
        )
    )


if __name__ == "__main__":
    main()
