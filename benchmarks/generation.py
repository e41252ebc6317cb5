"""The engine against `transformers` and others on the same job: a table, then one JSON line.

    python benchmarks/generation.py                            # all of it takes an hour or two
    python benchmarks/generation.py --prompts 16 --documents 3 --repeats 3
    python benchmarks/generation.py --also llama.cpp openvino-genai spacy-llm
    python benchmarks/generation.py --dtype bfloat16 --ways engine --also openvino-genai
    python benchmarks/generation.py --device cuda --shape 8b   # random weights in bfloat16

Job one is many different prompts, job two five questions about each of some documents. Ways are
run in turn `--repeats` times, each in a process of its own, and medians reported: in CPU seconds,
for wall seconds mean little on a shared machine (on a GPU in wall seconds). `prefill` is the job
with one new token, run once, and `decode` what the rest takes, in prompt and new tokens per
second. `same` is the share of prompts with the token ids of the reference: `generate` with one
prompt at a time, or the first way that is run. `floor` is how many times as long as this machine
could do the job in, as `roofline.py` measures and counts it: at the median of the rates measured
before each repeat, and in the JSON line also at the highest (`over_fastest_floor`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # we fork
import torch
from generation_jobs import ChatPrompts, RandomPrompts
from generation_runs import ALSO, Peer, Run, forked, measured
from roofline import Machine, Work, measure
from transformers import AutoModelForCausalLM, LlamaConfig
from ways import Prompt, Way, Ways

from nlp_pipeline.generation.devices import resolve_dtype
from nlp_pipeline.generation.loading.load import load
from nlp_pipeline.generation.prompt_encoder import PromptEncoder
from nlp_pipeline.models import DEFAULT_MODEL, resolve

ROOT = Path(__file__).resolve().parent.parent
SHAPES = {  # hidden, intermediate, layers, heads, KV heads, vocabulary: Llama 3.2 1B and 3.1 8B
    "tiny": (64, 128, 2, 4, 2, 640),
    "1b": (2048, 8192, 16, 32, 8, 128_256),
    "8b": (4096, 14_336, 32, 32, 8, 128_256),
}
EASY = ("single", "padded", "sorted", "engine", "unshared")


class Job(NamedTuple):
    """Prompts and the ways to run them, the reference first."""

    name: str
    prompts: list[Prompt]
    ways: dict[str, Way | Peer]


class Bench:
    """One model, what surrounds it, and how to run on it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = torch.device(options.device)
        if options.shape:
            dtype = resolve_dtype(options.dtype, self.device)
            self.model, self.eos = random_model(options.shape, dtype, self.device), frozenset[int]()
            self.prompts: Any = RandomPrompts(self.model.config.vocab_size)
        else:
            loaded = load(options.model, device=options.device, dtype=options.dtype)
            self.model, self.eos = loaded.model, loaded.eos_token_ids
            encoder = PromptEncoder(loaded.tokenizer, loaded.name)
            self.prompts = ChatPrompts(encoder, options.corpus)
        self.work = Work.of(self.model)
        self.machines: list[Machine] = []

    def jobs(self) -> list[Job]:
        """Those with prompts, and the ways that were asked for."""
        options, ways = self.options, Ways(self.model, self.eos)
        known: dict[str, Way] = {
            "single": ways.single,
            "padded": ways.padded(options.batch),
            "sorted": ways.sorted(options.batch),
            "engine": ways.engine(options.slots),
            "unshared": ways.engine(options.slots, sharing=False),
        }
        run: dict[str, Way | Peer] = {name: known[name] for name in known if name in options.ways}
        run |= {name: ALSO[name] for name in options.also}
        many = self.prompts.many(options.prompts)
        about = self.prompts.shared(options.documents, options.document_tokens)
        jobs = [Job("many prompts", many, run), Job("5 questions each", about, run)]
        return [job for job in jobs if job.prompts]

    def run(self, way: Way | Peer, prompts: list[Prompt], new_tokens: int) -> Run:
        options = self.options
        if isinstance(way, Peer):
            peer_job = {
                "model": str(resolve(options.model).path), "eos": sorted(self.eos),
                "folder": self.model.config.name_or_path,
                "slots": options.slots or 16, "threads": options.threads, "context": 1024,
            }  # fmt: skip
            return way.run(prompts, new_tokens, peer_job)
        if self.device.type == "cuda":
            return measured(way, prompts, new_tokens, self.device)
        return forked(way, prompts, new_tokens, options.threads)

    def rows(self, job: Job) -> list[dict[str, Any]]:
        """Runs every way `repeats` times, in turn."""
        options, runs = self.options, {name: [] for name in job.ways}
        first = {name: self.run(way, job.prompts, 1) for name, way in job.ways.items()}
        for _ in range(options.repeats):
            self.machines.append(measure(self.model))
            for name, way in job.ways.items():
                runs[name].append(self.run(way, job.prompts, options.new_tokens))
        reference = runs[next(iter(job.ways))]
        return [self._row(job, name, runs[name], first[name], reference) for name in job.ways]

    def _row(
        self, job: Job, name: str, runs: list[Run], first: Run, reference: list[Run]
    ) -> dict[str, Any]:
        on_cpu = self.device.type == "cpu"
        cpu = statistics.median(run.cpu_s for run in runs)
        wall = statistics.median(run.wall_s for run in runs)
        took, prefill = (cpu, first.cpu_s) if on_cpu else (wall, first.wall_s)
        once = statistics.median(run.cpu_s if on_cpu else run.wall_s for run in reference)
        prompts, new = [len(p.ids) for p in job.prompts], [len(o) for o in runs[0].outputs]
        pairs = list(zip(runs[0].outputs, reference[0].outputs, strict=True))
        return {
            "job": job.name,
            "way": name,
            "cpu_s": round(cpu, 3),
            "wall_s": round(wall, 3),
            "times": round(once / took, 3),
            "same": round(sum(a == b for a, b in pairs) / len(pairs), 4),
            "tokens_per_cpu_s": round((sum(prompts) + sum(new)) / cpu, 1),
            "tokens_per_wall_s": round((sum(prompts) + sum(new)) / wall, 1),
            "prefill_per_s": round(sum(prompts) / prefill, 1),
            "decode_per_s": per_second(sum(new) - len(new), took - prefill),
            "peak_mb": round(max(run.peak_mb for run in runs)),
            "prompt_tokens": sum(prompts),
            "computed_tokens": runs[0].computed,
            "new_tokens": sum(new),
            "lengths": list(zip(prompts, new, strict=True)),
            "took": took,
        }

    def add_floor(self, row: dict[str, Any], usual: Machine, fastest: Machine) -> None:
        """How far a row is from what the machine could do, and from that in its fastest round."""
        threads = 1 if self.device.type == "cuda" else self.options.threads
        lengths, took = row.pop("lengths"), row.pop("took")
        slots = self.options.slots or (128 if self.device.type == "cuda" else 64)
        prompts = [p for p, _ in lengths]
        floor, lowest = (
            self.work.prefill(prompts, row["computed_tokens"], machine)
            + self.work.decode(lengths, slots, machine)
            for machine in (usual, fastest)
        )
        row["floor_s"] = round(floor, 6)
        row["over_floor"] = round(took / floor, 2)
        row["over_fastest_floor"] = round(took / lowest, 2)
        row["threads"] = threads


def random_model(shape: str, dtype: torch.dtype, device: torch.device) -> Any:
    """A Llama of random weights."""
    hidden, intermediate, layers, heads, kv_heads, vocabulary = SHAPES[shape]
    config = LlamaConfig(
        hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, vocab_size=vocabulary,
        max_position_embeddings=8192, rope_theta=500_000.0, eos_token_id=None, bos_token_id=1,
    )  # fmt: skip
    torch.manual_seed(3)
    with device:
        model = AutoModelForCausalLM.from_config(config, torch_dtype=dtype)
    return model.eval().requires_grad_(False)


def per_second(tokens: int, seconds: float) -> float | None:
    """None where there are none, or where a job is too short to tell two runs apart."""
    return round(tokens / seconds, 1) if tokens > 0 and seconds > 0 else None


def table(rows: list[dict[str, Any]]) -> str:
    head = (
        f"{'job':<17}{'way':<15}{'CPU s':>8}{'wall s':>8}{'times':>7}{'floor':>7}{'same':>8}"
        f"{'tok/CPU s':>10}{'tok/s':>8}{'prefill':>9}{'decode':>8}{'MB':>7}{'in':>8}{'computed':>9}"
        f"{'out':>7}"
    )
    return "\n".join(
        [head]
        + [
            f"{r['job']:<17}{r['way']:<15}{r['cpu_s']:>8.1f}{r['wall_s']:>8.1f}{r['times']:>7.2f}"
            f"{r['over_floor']:>7.2f}{r['same']:>8.1%}{r['tokens_per_cpu_s']:>10.0f}"
            f"{r['tokens_per_wall_s']:>8.0f}{r['prefill_per_s']:>9.0f}"
            f"{r['decode_per_s'] or 0:>8.0f}{r['peak_mb']:>7}{r['prompt_tokens']:>8}"
            f"{r['computed_tokens']:>9}{r['new_tokens']:>7}"
            for r in rows
        ]
    )


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=ROOT / "corpora" / "varied.jsonl")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--dtype", default="auto", help="bfloat16 on a GPU, else float32")
    parser.add_argument("--shape", choices=SHAPES, help="random weights instead of --model")
    parser.add_argument("--prompts", type=int, default=64, help="of job one; 0 leaves it out")
    parser.add_argument("--documents", type=int, default=20, help="of job two; 0 leaves it out")
    parser.add_argument("--document-tokens", type=int, default=400)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--batch", type=int, default=16, help="of the batches of transformers")
    parser.add_argument("--slots", type=int, help="of the engine; its own choice by default")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=EASY, default=EASY)
    parser.add_argument("--also", nargs="+", choices=ALSO, default=[])
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parsed(arguments)
    torch.set_num_threads(1)  # until after the forks
    bench = Bench(options)
    rows = [row for job in bench.jobs() for row in bench.rows(job)]
    # Of the rounds the median, as of the times: clocks and neighbours change on the way.
    usual, fastest = (
        Machine(pick(m.flops for m in bench.machines), pick(m.bandwidth for m in bench.machines))
        for pick in (statistics.median, max)
    )
    for row in rows:
        bench.add_floor(row, usual, fastest)
    print(table(rows))
    measured_at = {
        "gflops": round(usual.flops / 1e9, 1),
        "gb_per_s": round(usual.bandwidth / 1e9, 1),
    }
    named = {"model": options.shape or options.model, "device": options.device,
             "dtype": str(bench.model.dtype).removeprefix("torch.")}  # fmt: skip
    print(json.dumps({"benchmark": "generation", **named, **measured_at, "rows": rows}))


if __name__ == "__main__":
    main()
