"""A run on 1, 2 and 4 actors of Ray, beside a local one, where an answer takes a fixed time.

The generator is an echo with a fixed delay per answer and a bounded number of answers at a time, as
a model on a GPU has: so that two cores can show what several GPUs do. What is measured of the
product is what it adds: how well the actors are kept busy, and what the driver costs.

    python benchmarks/scaling.py
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PLACES = 8
"""Answers that are computed at a time."""

CONFIG = """\
[nlp]
lang = "en"
pipeline = ["sentencizer", "llama_qa"]
batch_size = 16

[components]

[components.sentencizer]
factory = "sentencizer"

[components.llama_qa]
factory = "llama_qa"
questions = ["Who is named?"]

[components.llama_qa.generator]
@llama_generators = "scaling.delayed.v1"
delay_ms = {delay_ms}
trace = {trace}
"""

POINTS = "[thinc_llama_generators]\nscaling.delayed.v1 = scaling_generator:make\n"

GENERATOR = '''\
"""An echo that takes its time; writes down how many answers were under way, on the average."""
import json, os, time
from collections import deque

from nlp_pipeline.generation.backends.echo import EchoGenerator

PLACES = {places}


class Delayed(EchoGenerator):
    def __init__(self, delay_ms, trace):
        super().__init__()
        self.delay, self.trace = delay_ms / 1000, trace

    def session(self):
        return Session(self)


class Session:
    """Answers take `delay` each, `PLACES` of them at a time, as the places of a batch do."""

    def __init__(self, generator):
        self.generator = generator
        self.waiting, self.running = deque(), []
        self.busy = self.begin = 0.0
        self.last = None

    @property
    def room(self):
        return max(0, 4 * PLACES - len(self.waiting) - len(self.running))

    def _advance(self, now):
        if self.last is not None:
            self.busy += (now - self.last) * len(self.running)
        else:
            self.begin = now
        self.last = now
        while self.waiting and len(self.running) < PLACES:
            self.running.append((now + self.generator.delay, self.waiting.popleft()))

    def submit(self, request):
        self.waiting.append(request)
        self._advance(time.monotonic())

    def step(self):
        while True:
            now = time.monotonic()
            self._advance(now)
            ready = [request for end, request in self.running if end <= now]
            if ready or not self.running:
                self.running = [pair for pair in self.running if pair[0] > now]
                self._advance(time.monotonic())
                return [self.generator.complete(request) for request in ready]
            time.sleep(max(0.0, min(end for end, _ in self.running) - now))

    def close(self):
        if self.last is not None:
            with open(os.path.join(self.generator.trace, str(os.getpid())), "a") as file:
                file.write(json.dumps([self.busy, self.last - self.begin]) + chr(10))


def make(delay_ms, trace):
    return Delayed(delay_ms, trace)
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1024)
    parser.add_argument("--delay-ms", type=float, default=1000.0, help="per answer")
    parser.add_argument("--part-size", type=int, default=64)
    parser.add_argument("--actors", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="scaling-"))
    try:
        rows = measure(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(rows, options)


def measure(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """A row for the local run, and one for every number of actors."""
    site = folder / "site"
    (site / "scaling_generator-1.dist-info").mkdir(parents=True)
    (site / "scaling_generator.py").write_text(GENERATOR.format(places=PLACES))
    (site / "scaling_generator-1.dist-info" / "entry_points.txt").write_text(POINTS)
    info = "Metadata-Version: 2.1\nName: scaling_generator\nVersion: 1\n"
    (site / "scaling_generator-1.dist-info" / "METADATA").write_text(info)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    sys.path.insert(0, str(site))
    corpus = folder / "corpus.jsonl"
    text = "Ada Lovelace met Charles Babbage in London. They talked about engines. " * 4
    with corpus.open("w") as file:
        for i in range(options.documents):
            file.write(json.dumps({"id": f"d{i}", "text": f"{text} Number {i}."}) + "\n")
    rows = [measure_one(options, folder, corpus, 0)]
    return rows + [measure_one(options, folder, corpus, n) for n in options.actors]


def measure_one(
    options: argparse.Namespace, folder: Path, corpus: Path, actors: int
) -> dict[str, Any]:
    """A run; 0 actors is a local one. Seconds are those from the first document to the last."""
    from nlp_pipeline import run

    trace = folder / f"trace-{actors}"
    trace.mkdir()
    config = folder / f"{actors}.cfg"
    config.write_text(CONFIG.format(delay_ms=options.delay_ms, trace=json.dumps(str(trace))))
    clock = Clock()
    more: dict[str, Any] = {"executor": "ray", "actors": actors} if actors else {}
    run(
        str(corpus),
        folder / f"out-{actors}",
        pipeline=str(config),
        part_size=options.part_size,
        progress=clock,
        **more,
    )
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    seconds = time.monotonic() - clock.begun
    traces = [json.loads(line) for file in trace.iterdir() for line in file.open()]
    busy, wall = (sum(column) for column in zip(*traces, strict=True))
    return {
        "actors": actors,
        "seconds": round(seconds, 2),
        "documents_per_second": round(options.documents / seconds, 2),
        "driver_cpu_ms_per_document": round(
            1000 * (cpu.ru_utime + cpu.ru_stime - clock.cpu) / options.documents, 3
        ),
        "running": round(busy / wall, 2),
        "streams": len(traces),
    }


class Clock:
    """Is told when the first document is begun: before that Python and Ray are starting."""

    begun = 0.0
    cpu = 0.0

    def start(self, total: int | None, done: int) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.begun, self.cpu = time.monotonic(), usage.ru_utime + usage.ru_stime

    def document(self, *, failed: bool, output_tokens: int) -> None: ...

    def warn(self, message: str) -> None: ...


def show(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """A table, and then one JSON line."""
    one = next(row for row in rows if row["actors"] == min(options.actors))
    local = rows[0]
    print(f"{'actors':>8} {'docs/s':>8} {'times 1':>8} {'driver ms CPU/doc':>18} {'running':>8}")
    for row in rows:
        row["speedup"] = round(row["documents_per_second"] / one["documents_per_second"], 2)
        name = row["actors"] or "local"
        print(
            f"{name:>8} {row['documents_per_second']:>8.1f} {row['speedup']:>8.2f} "
            f"{row['driver_cpu_ms_per_document']:>18.3f} {row['running']:>5.2f}/{PLACES}"
        )
    overhead = round(local["documents_per_second"] / one["documents_per_second"] - 1, 3)
    print(f"overhead of one actor against local: {100 * overhead:.1f}%")
    print(json.dumps({"options": vars(options), "rows": rows, "overhead": overhead}))


if __name__ == "__main__":
    main()
