"""The linguistic pipes and the generator, alone and together: a table, then one JSON line.

    python benchmarks/overlap.py                        # a generator that waits as a GPU would
    python benchmarks/overlap.py --model smollm2-135m-instruct --documents 12
    python benchmarks/overlap.py --step-ms 10 --n-process 2

The double answers `--slots` requests at a time in `--tokens` steps of `--step-ms` milliseconds
each, in which it sleeps: the host is free, as while it waits for a GPU. With a real model on the
CPU both compete for the same cores, and what one way has computed of the documents the next finds
in the prefix cache: its figures say only that nothing is lost. Wall seconds, medians of `--repeats`
runs in turn; `bound` is the slower of the two alone, which no overlap can beat.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from nlp_pipeline.corpus import Record, read_corpus
from nlp_pipeline.generation.chat import Prompt
from nlp_pipeline.generation.interface import Completion, GenerationRequest, GeneratorInfo, Session
from nlp_pipeline.pipeline import PipelineSpec, load_pipeline, split
from nlp_pipeline.runner.annotate import annotate, chain
from nlp_pipeline.runner.prefetch import prefetch
from nlp_pipeline.runner.workers import annotate_in_workers

ROOT = Path(__file__).resolve().parent.parent


class Waiting:
    """A generator that takes its time and says nothing."""

    def __init__(self, slots: int, tokens: int, step_s: float) -> None:
        self.slots, self.tokens, self.step_s = slots, tokens, step_s
        self.info = GeneratorInfo("waiting", "waiting", None, {})

    def count_tokens(self, prompt: Prompt) -> int:
        return 1

    def session(self) -> Session:
        return WaitingSession(self)

    def close(self) -> None:
        pass


class WaitingSession:
    """Its requests run in slots, as in the engine; one more token for each with every step."""

    def __init__(self, generator: Waiting) -> None:
        self._of = generator
        self._line: deque[GenerationRequest] = deque()
        self._slots: dict[str, int] = {}

    @property
    def room(self) -> int:
        return max(0, 4 * self._of.slots - len(self._line))

    @property
    def running(self) -> int:
        return len(self._line) + len(self._slots)

    def submit(self, request: GenerationRequest) -> None:
        self._line.append(request)

    def step(self) -> list[Completion]:
        while self._line and len(self._slots) < self._of.slots:
            self._slots[self._line.popleft().id] = self._of.tokens
        time.sleep(self._of.step_s)
        self._slots = {name: left - 1 for name, left in self._slots.items()}
        done = [name for name, left in self._slots.items() if left == 0]
        for name in done:
            del self._slots[name]
        return [Completion(name, "no", (), (), "length", 1) for name in done]

    def close(self) -> None:
        self._line.clear()
        self._slots.clear()


def corpus(documents: int) -> list[Record]:
    """As many records as are asked for, of the varied corpus over and over."""
    found = [i for i in read_corpus(ROOT / "corpora" / "varied.jsonl") if isinstance(i, Record)]
    return [found[n % len(found)] for n in range(documents)]


class Ways:
    """The same documents through either half and both."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.spec = PipelineSpec("en_qa", echo=options.model is None, model=options.model)
        self.nlp = load_pipeline(self.spec)
        if options.model is None:
            double = Waiting(options.slots, options.tokens, options.step_ms / 1000)
            self.nlp.get_pipe("llama_qa").generator = double
        _ = self.nlp.get_pipe("llama_qa").generator.info  # a real one is loaded before it is timed
        self.first, self.second = split(self.nlp)
        self.batch_size, self.n_process = options.batch_size, options.n_process
        self.records = corpus(options.documents)
        self.docs = [one.doc for one in self.plain()]

    def plain(self) -> Any:
        return annotate(self.nlp, self.records, pipes=self.first, batch_size=self.batch_size)

    def processes(self) -> Generator[Any, None, None]:
        batches = annotate_in_workers(
            self.nlp,
            self.records,
            spec=self.spec,
            pipes=self.first,
            batch_size=self.batch_size,
            n_process=self.n_process,
        )
        with closing(batches):
            for batch in batches:
                yield from batch

    def annotation(self) -> float:
        return timed(one.doc for one in self.plain())

    def generation(self) -> float:
        return timed(chain(self.nlp, self.second, self.docs))

    def in_turn(self) -> float:
        return self.both(self.plain())

    def thread(self) -> float:
        with closing(prefetch(self.plain(), self.batch_size)) as stream:
            return self.both(stream)

    def workers(self) -> float:
        """Without the seconds in which the processes start."""
        with closing(prefetch(self.processes(), self.batch_size)) as stream:
            first = next(stream)

            def rest() -> Iterator[Any]:
                yield first
                yield from stream

            return self.both(rest())

    def both(self, stream: Iterator[Any]) -> float:
        return timed(chain(self.nlp, self.second, (one.doc for one in stream)))


def timed(stream: Iterator[Any]) -> float:
    start = time.perf_counter()
    for _ in stream:
        pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="a real one instead of the double")
    parser.add_argument("--documents", type=int, default=600)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--step-ms", type=float, default=20.0)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--n-process", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    ways = Ways(options)
    runs: dict[str, Callable[[], float]] = {
        "linguistic pipes alone": ways.annotation,
        "generator alone": ways.generation,
        "both, in turn": ways.in_turn,
        "both, pipes in a thread": ways.thread,
        f"both, pipes in {options.n_process} processes": ways.workers,
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.repeats):
        for name, run in runs.items():
            seconds[name].append(run())
    found = {name: statistics.median(values) for name, values in seconds.items()}
    bound = max(list(found.values())[:2])
    print(f"{'way':<32}{'wall s':>8}{'× bound':>9}")
    for name, value in found.items():
        print(f"{name:<32}{value:>8.2f}{value / bound:>9.2f}")
    rounded = {name: round(value, 3) for name, value in found.items()}
    print(json.dumps({"benchmark": "overlap", **vars(options), "wall_s": rounded}))


if __name__ == "__main__":
    main()
