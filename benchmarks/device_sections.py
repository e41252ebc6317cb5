"""Sections of `device_check.py` about what holds: facts, kernels, equality, waiting."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from device_models import device, made_engine, prompts_of, random_model, run_all

ROOT = Path(__file__).parent.parent


def facts(notes: dict[str, Any], *, tiny: bool) -> None:
    """Versions, and what the machine can do at most."""
    import transformers

    where = device()
    notes |= {"torch": torch.__version__, "transformers": transformers.__version__}
    notes["python"], notes["cores"] = sys.version.split()[0], os.cpu_count()
    if where.type == "cuda":
        import triton

        properties = torch.cuda.get_device_properties(where)
        notes |= {
            "card": properties.name,
            "memory_gb": round(properties.total_memory / 1e9, 1),
            "capability": f"{properties.major}.{properties.minor}",
            "triton": triton.__version__,
            "cuda": torch.version.cuda,
        }
    source = torch.ones(2**20 if tiny else 2**32, dtype=torch.uint8, device=where)
    target = torch.empty_like(source)
    notes["copy_gb_s"] = 2 * len(source) / 1e9 / timed(lambda: target.copy_(source))
    notes["read_gb_s"] = len(source) / 1e9 / timed(source.view(torch.int64).sum)
    size = 256 if tiny else 8192
    a, b = (torch.randn(size, size, device=where, dtype=torch.bfloat16) for _ in range(2))
    notes["bf16_tflop_s"] = 2 * size**3 / 1e12 / timed(lambda: a @ b)
    one = torch.ones(1, device=where)

    def launches() -> None:
        for _ in range(200):
            one.add_(1)

    notes["us_a_launch"] = timed(launches) / 200 * 1e6
    with busy_thread():
        notes["us_a_launch_beside_a_busy_thread"] = timed(launches) / 200 * 1e6


def kernels(notes: dict[str, Any], *, tiny: bool) -> None:
    """Every Triton kernel against torch's operations."""
    script = ROOT / "tests/generation/engine/interpret_kernels.py"
    interpret = "0" if device().type == "cuda" else "1"
    environment = {**os.environ, "TRITON_INTERPRET": interpret}
    subprocess.run([sys.executable, str(script)], check=True, env=environment)
    notes["kernels"] = "interpreted" if interpret == "1" else "compiled"


def gpu_tests(notes: dict[str, Any], *, tiny: bool) -> None:
    """The tests marked `gpu`; without a GPU all of them are skipped."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider"]
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in path.read_text()]
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [*command, *map(str, tests)], cwd=ROOT, capture_output=True, text=True, check=False,
            env={**os.environ, "NLP_PIPELINE_CACHE": cache},
        )  # fmt: skip
    print(done.stdout[-6000:], done.stderr[-3000:])
    notes["pytest"] = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "nothing"
    if done.returncode not in (0, 5):
        raise RuntimeError("tests failed")


def equality(notes: dict[str, Any], *, tiny: bool) -> None:
    """Greedy ids equal those of transformers, one prompt at a time, in float64 and float32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    failures = 0
    for dtype, kinds in ((torch.float64, ["llama", "qwen3"]), (torch.float32, ["llama", "qwen2"])):
        for kind in kinds:
            model = random_model("small", dtype, kind=kind)
            asked = prompts_of(model, 6 if tiny else 24, 20, 90, seed=3)
            expected = [by_transformers(model, ids, 16) for ids in asked]
            for ways in ({}, {"graphs": True}, {"graphs": True, "lookahead": True}):
                engine = made_engine(model, max_batch_size=8, max_batched_tokens=64, **ways)
                found = run_all(engine, asked, 16)
                name = "_".join([str(dtype).split(".")[1], kind, *ways])
                same = sum(one == other for one, other in zip(found, expected, strict=True))
                notes[name] = f"{same} of {len(asked)}"
                failures += same < len(asked)
                engine.close()
    if failures:
        raise RuntimeError(f"{failures} ways differ")


def bfloat16(notes: dict[str, Any], *, tiny: bool) -> None:
    """Where bfloat16 first differs from transformers, and how close the two best logits were."""
    model = random_model("small" if tiny else "1b", torch.bfloat16)
    new = 8 if tiny else 48
    asked = prompts_of(model, 4 if tiny else 16, 20, 90, seed=5)
    expected = [by_transformers(model, ids, new) for ids in asked]
    engine = made_engine(model, max_batch_size=16, graphs=True, lookahead=True)
    found = run_all(engine, asked, new)
    gaps, firsts = [], []
    for ids, one, other in zip(asked, found, expected, strict=True):
        first = next((i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), None)
        if first is not None:
            with torch.inference_mode():
                past = torch.tensor([[*ids, *other[:first]]], device=model.device)
                logits = model(past).logits[0, -1].float()
            two = logits[[one[first], other[first]]]
            gaps.append(float((two[0] - two[1]).abs() / logits.std()))
            firsts.append(first)
    notes["sequences_equal"] = f"{len(asked) - len(firsts)} of {len(asked)}"
    notes["first_difference_at_token"] = firsts
    notes["gap_in_standard_deviations_of_the_logits"] = [round(gap, 4) for gap in gaps]
    if any(gap > 0.1 for gap in gaps):
        raise RuntimeError("a difference is larger than rounding explains")


def checkpoint(notes: dict[str, Any], *, tiny: bool) -> None:
    """A given model over texts of ours: greedy ids in float32 equal those of transformers."""
    from nlp_pipeline.generation.llama import Llama

    torch.backends.cuda.matmul.allow_tf32 = False
    lines = (ROOT / "corpora/varied.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines[: 2 if tiny else 24]]
    new = 4 if tiny else 32
    llama = Llama.build(os.environ["DEVICE_CHECKPOINT"], dtype="float32", max_seq_len=2048)
    ids = [llama.encoder.encode(text)[:400] for text in texts]
    found = [list(one.token_ids) for one in llama.generate(ids, max_new_tokens=new)]
    same = 0
    for prompt, one in zip(ids, found, strict=True):
        expected = by_transformers(llama.loaded.model, prompt, new)
        ends = [i for i, token in enumerate(expected) if token in llama.loaded.eos_token_ids]
        same += one == expected[: ends[0] if ends else new]
    notes["layers"] = llama.loaded.model.config.num_hidden_layers
    notes["float32_ids_equal"] = f"{same} of {len(ids)}"
    if same < len(ids):
        raise RuntimeError("ids differ")


def waits(notes: dict[str, Any], *, tiny: bool) -> None:
    """Whether the host waits for the device in any kind of step."""
    from nlp_pipeline.generation.interface import SamplingParams
    from nlp_pipeline.generation.sequence import Sequence

    model = random_model("small", torch.bfloat16)
    for name, params, allowed in (
        ("greedy", {}, None),
        ("sampled", {"temperature": 0.8, "top_p": 0.9}, None),
        ("constrained", {}, range(5, 200, 3)),
        ("beams", {"num_beams": 3}, range(5, 200, 3)),
    ):
        engine = made_engine(model, max_batch_size=12, graphs=True, lookahead=True)
        asked = prompts_of(model, 4, 20, 60, seed=7)

        def sequences(asked: Any, params: Any, allowed: Any) -> list[Sequence]:
            bound = None if allowed is None else Allowing(list(allowed))
            return [
                Sequence(str(i), ids, SamplingParams(max_new_tokens=12, **params), constraint=bound)
                for i, ids in enumerate(asked)
            ]

        for one in sequences(asked, params, allowed):  # compiles and records
            engine.add(one)
        for _ in range(20):
            engine.step()
        for one in sequences(asked, params, allowed):
            engine.add(one)
        with refusing_to_wait():
            for _ in range(10):
                engine.step()
        notes[name] = "no waiting"
        engine.close()


class Allowing:
    """A constraint that always allows the same tokens."""

    def __init__(self, ids: list[int]) -> None:
        self._ids = ids

    def allowed(self, output_ids: Any) -> list[int]:
        """See `constraints.constraint.BoundConstraint`."""
        return self._ids


@contextmanager
def refusing_to_wait() -> Iterator[None]:
    """An operation that waits for the device is an error; waiting for an event is not one."""
    if device().type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@torch.inference_mode()
def by_transformers(model: Any, ids: list[int], new: int) -> list[int]:
    """Greedy ids by a forward pass over everything for each token, in the model's own modules."""
    plain = copy.copy(model)
    past, out, cache = torch.tensor([ids], device=model.device), [], None
    for _ in range(new):
        done = plain(past, past_key_values=cache, use_cache=True)
        cache = done.past_key_values
        out.append(int(done.logits[0, -1].argmax()))
        past = torch.tensor([[out[-1]]], device=model.device)
    return out


@contextmanager
def busy_thread() -> Iterator[None]:
    """Python code that never lets go of the interpreter lock by itself, as spaCy's is."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(i * i for i in range(1000))

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def busy_process() -> Iterator[None]:
    """The same in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", "while True: sum(i * i for i in range(1000))"]
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def timed(work: Any) -> float:
    """Seconds of the median of ten runs after three that warm up."""
    cuda, seconds = device().type == "cuda", []
    for _ in range(13):
        before = time.perf_counter()
        work()
        if cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - before)
    return sorted(seconds[3:])[5]
