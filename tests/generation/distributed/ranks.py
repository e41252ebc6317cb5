"""What each rank does in `test_parallel`; started by torchrun: `ranks.py TASK OUT MODEL`.

Every rank writes what it saw to `OUT/rank-N.json`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.generation.distributed.process_group import is_main
from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.fallback.executor import BatchExecutor
from nlp_pipeline.generation.interface import Completion, GenerationRequest, SamplingParams
from nlp_pipeline.generation.llama import Llama
from nlp_pipeline.generation.sequence import Executor
from nlp_pipeline.generation.session import SessionPool

PROMPTS = [
    "Where is the new bridge?",
    "Anna Berg of Northwind Ltd said on Monday that they would repair the new bridge.",
    "a",
    "Who pays? " * 20,
]


def build(model: str, **options: Any) -> Llama:
    torch.set_num_threads(1)
    return Llama.build(model, device="cpu", dtype="float64", max_seq_len=512, **options)


def everything(llama: Llama) -> dict[str, Any]:
    """Completions of every kind: by `generate`, by a crowded engine, by plain batches."""
    loaded = llama.loaded
    options: dict[str, Any] = {
        "eos_token_ids": loaded.eos_token_ids,
        "token_bytes": llama.encoder.token_bytes,
        "max_batch_size": 2,
        "max_seq_len": 512,
    }
    packed = {"max_batched_tokens": 32, "agree": loaded.world.smallest, **options}
    engine = Engine(loaded.model, **packed)
    ahead = Engine(loaded.model, lookahead=True, **packed)
    greedy = llama.generate(PROMPTS, max_new_tokens=16, logprobs=2, echo=True)
    sampled = llama.generate(PROMPTS, max_new_tokens=16, temperature=1.2, seed=7, top_p=0.95, n=2)
    return {
        "greedy": [asdict(c) for c in greedy],
        "sampled": [asdict(c) for c in sampled],
        "engine": [asdict(c) for c in through(engine, llama)],
        "ahead": [asdict(c) for c in through(ahead, llama)],
        "batches": [asdict(c) for c in through(BatchExecutor(loaded.model, **options), llama)],
    }


def through(executor: Executor, llama: Llama) -> list[Completion]:
    """The prompts through an executor, greedy and sampled, two at a time."""
    session = SessionPool(executor, llama.encoder, 512).open()
    for number, prompt in enumerate(PROMPTS):
        for temperature in (0.0, 1.0):
            params = SamplingParams(12, temperature=temperature, seed=3)
            session.submit(GenerationRequest(f"{number} {temperature}", prompt, params))
    done: list[Completion] = []
    while session.running:
        done += session.step()
    return sorted(done, key=lambda c: c.request_id)


def same(out: Path, model: str) -> dict[str, Any]:
    llama = build(model, tensor_parallel_size=2)
    try:
        llama.generate([f"mine is {os.environ['RANK']}"])
        disagree = ""
    except NlpPipelineError as error:
        disagree = str(error)
    return {
        "main": is_main(),
        "disagree": disagree,
        "heads": llama.loaded.model.config.num_key_value_heads,
        "weights": sum(p.numel() for p in llama.loaded.model.parameters()),
        "details": dict(llama.loaded.details),
        **everything(llama),
    }


def dies(out: Path, model: str) -> dict[str, Any]:
    """Rank 1 goes away in the middle, without a word."""
    llama = build(model)
    if os.environ["RANK"] == "1":
        os._exit(13)
    llama.generate(PROMPTS)
    return {}


def hangs(out: Path, model: str) -> dict[str, Any]:
    """Rank 1 never comes to the second call."""
    llama = build(model)
    llama.generate(PROMPTS, max_new_tokens=2)
    if os.environ["RANK"] == "1":
        time.sleep(300)
    llama.generate(PROMPTS)
    return {}


def disagrees(out: Path, model: str) -> dict[str, Any]:
    """More processes are asked for than were started."""
    build(model, tensor_parallel_size=4)
    return {}


TASKS = {task.__name__: task for task in (same, dies, hangs, disagrees)}


def main() -> None:
    task, out, model = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    try:
        found = TASKS[task](out, model)
    except NlpPipelineError as error:
        (out / f"rank-{os.environ['RANK']}.json").write_text(
            json.dumps({"error": type(error).__name__, "said": str(error)})
        )
        raise
    (out / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
