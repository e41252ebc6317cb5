"""The engine against `transformers` on the same job: a table, then one JSON line.

    python benchmarks/engine.py                          # corpora/varied.jsonl, default model
    python benchmarks/engine.py --model m.gguf --prompts 16 --repeats 3
    python benchmarks/engine.py --skip single            # leave the slowest out

Job one is many different prompts, job two several questions about each of a few documents. Ways
are run in turn `--repeats` times and the medians reported, in CPU seconds: wall seconds mean
little on a shared machine. `same` is the share of prompts with the token ids of the reference,
which is `generate` with one prompt at a time, or the first way that is run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nlp_pipeline.generation.encoding import PromptEncoder
from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.interface import Chat, Message, SamplingParams
from nlp_pipeline.generation.loading import LoadedModel, load
from nlp_pipeline.generation.sequence import Sequence
from nlp_pipeline.models import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = (
    "What is this text about?",
    "Which people are named, and what do they do?",
    "When and where does it take place?",
    "Which numbers are given, and what do they count?",
    "Summarize the text in one sentence.",
)
Outputs = list[list[int]]


class Prompt(NamedTuple):
    """Token ids, and the document they are about."""

    ids: list[int]
    group: str


class Job(NamedTuple):
    """Prompts and the ways to run them, the reference first."""

    name: str
    prompts: list[Prompt]
    ways: dict[str, Callable[[list[Prompt]], Outputs]]


class Ways:
    """The same prompts through different machinery; outputs without the end-of-sequence token."""

    def __init__(self, loaded: LoadedModel, max_new_tokens: int) -> None:
        self.loaded = loaded
        self.encoder = PromptEncoder(loaded.tokenizer, loaded.name)
        self.max_new_tokens = max_new_tokens
        self.computed = 0

    def single(self, prompts: list[Prompt]) -> Outputs:
        """`generate`, one prompt at a time."""
        return [self._generate([prompt])[0] for prompt in prompts]

    def sorted_batches(self, size: int) -> Callable[[list[Prompt]], Outputs]:
        """`generate` on padded batches of similar lengths."""

        def run(prompts: list[Prompt]) -> Outputs:
            order = sorted(range(len(prompts)), key=lambda i: len(prompts[i].ids))
            outputs: dict[int, list[int]] = {}
            for start in range(0, len(order), size):
                batch = order[start : start + size]
                outputs |= zip(batch, self._generate([prompts[i] for i in batch]), strict=True)
            return [outputs[i] for i in range(len(prompts))]

        return run

    def engine(self, slots: int, *, caching: bool = True) -> Callable[[list[Prompt]], Outputs]:
        """A fresh engine, with or without shared prefixes."""

        def run(prompts: list[Prompt]) -> Outputs:
            engine = Engine(
                self.loaded.model,
                eos_token_ids=self.loaded.eos_token_ids,
                token_bytes=self.encoder.token_bytes,
                max_batch_size=slots,
                prefix_caching=caching,
            )
            params = SamplingParams(max_new_tokens=self.max_new_tokens)
            sequences = [
                Sequence(str(i), prompt.ids, params, group=prompt.group)
                for i, prompt in enumerate(prompts)
            ]
            line, done = iter(sequences), 0
            while done < len(sequences):
                while engine.room and (sequence := next(line, None)) is not None:
                    engine.add(sequence)
                done += len(engine.step())
            self.computed = sum(len(s.prompt_ids) - s.reused_tokens for s in sequences)
            return [self._cut(sequence.output_ids) for sequence in sequences]

        return run

    @torch.inference_mode()
    def _generate(self, prompts: list[Prompt]) -> Outputs:
        self.computed = 0
        width = max(len(prompt.ids) for prompt in prompts)
        ids = torch.zeros(len(prompts), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt.ids) :] = torch.tensor(prompt.ids)
            mask[row, width - len(prompt.ids) :] = 1
        out = self.loaded.model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=self.max_new_tokens,
            pad_token_id=0,
        )
        return [self._cut(row) for row in out[:, width:].tolist()]

    def _cut(self, ids: list[int]) -> list[int]:
        ends = (i for i, token in enumerate(ids) if token in self.loaded.eos_token_ids)
        return ids[: next(ends, len(ids))]


def texts(corpus: Path) -> list[str]:
    lines = corpus.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines if line.strip()]


def prompt_about(ways: Ways, text: str, question: str, group: str, tokens: int) -> Prompt:
    """A chat: the document's first `tokens` tokens, then a question."""
    encoder = ways.encoder
    ids = encoder.encode(text)[:tokens]
    content = f"{encoder.decode(ids)}\n\n{question}"
    system = Message("system", "You answer questions about a text. Use only the text.")
    return Prompt(list(encoder.encode(Chat((system, Message("user", content))))), group)


def many(ways: Ways, documents: list[str], count: int) -> list[Prompt]:
    """Different documents and questions, of 60 to 260 document tokens."""
    return [
        prompt_about(
            ways,
            documents[i % len(documents)] + "\n\n" + documents[(i * 7 + 1) % len(documents)],
            QUESTIONS[(i + i // len(documents)) % len(QUESTIONS)],
            str(i),
            60 + (i * 61) % 201,
        )
        for i in range(count)
    ]


def shared(ways: Ways, documents: list[str], count: int, tokens: int) -> list[Prompt]:
    """All questions about each of `count` documents of so many tokens."""
    return [
        prompt_about(ways, documents[i] + "\n\n" + documents[i + 1], question, str(i), tokens)
        for i in range(count)
        for question in QUESTIONS
    ]


def jobs(ways: Ways, options: argparse.Namespace) -> list[Job]:
    documents = texts(options.corpus)
    first: dict[str, Callable[[list[Prompt]], Outputs]] = {
        "one at a time": ways.single,
        "sorted batches of 16": ways.sorted_batches(16),
        "engine, 16 slots": ways.engine(16),
        "engine, 32 slots": ways.engine(32),
    }
    second: dict[str, Callable[[list[Prompt]], Outputs]] = {
        "one at a time": ways.single,
        "engine, 16 slots, no sharing": ways.engine(16, caching=False),
        "engine, 16 slots": ways.engine(16),
    }
    skipped = {"single": "one at a time", "batches": "sorted batches of 16"}
    for name in options.skip:
        first.pop(skipped[name], None)
        second.pop(skipped[name], None)
    about = shared(ways, documents, options.documents, options.document_tokens)
    return [
        Job("many prompts", many(ways, documents, options.prompts), first),
        Job("5 questions each", about, second),
    ]


def measure(job: Job, ways: Ways, repeats: int) -> list[dict[str, Any]]:
    """Runs every way `repeats` times, in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in job.ways}
    outputs: dict[str, Outputs] = {}
    computed: dict[str, int] = {}
    for _ in range(repeats):
        for name, way in job.ways.items():
            before = time.process_time()
            outputs[name] = way(job.prompts)
            seconds[name].append(time.process_time() - before)
            computed[name] = ways.computed
    reference = next(iter(job.ways))
    tokens = sum(len(prompt.ids) for prompt in job.prompts)
    rows = []
    for name in job.ways:
        median = statistics.median(seconds[name])
        pairs = list(zip(outputs[name], outputs[reference], strict=True))
        rows.append(
            {
                "job": job.name,
                "way": name,
                "cpu_s": round(median, 2),
                "times": round(statistics.median(seconds[reference]) / median, 2),
                "same": round(sum(a == b for a, b in pairs) / len(pairs), 4),
                "prompt_tokens": tokens,
                "computed_tokens": computed[name] or tokens,
                "new_tokens": sum(map(len, outputs[name])),
            }
        )
    return rows


def gflops() -> float:
    """Of a float32 product of the model's size, in one CPU second."""
    left, right = torch.randn(512, 576), torch.randn(576, 1536)
    best = 0.0
    for _ in range(20):
        before = time.process_time()
        for _ in range(10):
            left @ right
        best = max(best, 20 * 512 * 576 * 1536 / (time.process_time() - before) / 1e9)
    return best


def floor_seconds(ways: Ways, row: dict[str, Any], rate: float) -> float:
    """The matrix products of the job at the measured rate, were there nothing else."""
    model = ways.loaded.model
    head = model.get_output_embeddings().weight.numel()
    layers = sum(p.numel() for p in model.get_decoder().layers.parameters())
    tokens = row["computed_tokens"] + row["new_tokens"]
    return float((2 * layers * tokens + 2 * head * row["new_tokens"]) / rate / 1e9)


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"{'job':<18}{'way':<30}{'CPU s':>8}{'times':>7}{'floor':>7}{'same':>8}"
        f"{'tokens in':>11}{'computed':>10}{'out':>7}"
    ]
    lines += [
        f"{r['job']:<18}{r['way']:<30}{r['cpu_s']:>8.1f}{r['times']:>7.2f}{r['over_floor']:>7.2f}"
        f"{r['same']:>8.1%}{r['prompt_tokens']:>11}{r['computed_tokens']:>10}{r['new_tokens']:>7}"
        for r in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=ROOT / "corpora" / "varied.jsonl")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--documents", type=int, default=8)
    parser.add_argument("--document-tokens", type=int, default=400)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--skip", action="append", choices=("single", "batches"), default=[])
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    ways = Ways(load(options.model, device="cpu", dtype="float32"), options.new_tokens)
    ways.single([Prompt(list(range(100, 120)), "warm-up")])
    rate = gflops()
    rows = [row for job in jobs(ways, options) for row in measure(job, ways, options.repeats)]
    for row in rows:
        row["over_floor"] = round(row["cpu_s"] / floor_seconds(ways, row, rate), 2)
    print(table(rows))
    print(json.dumps({"benchmark": "engine", "gflops": round(rate), "rows": rows}))


if __name__ == "__main__":
    main()
