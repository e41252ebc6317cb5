"""Sections of `device_check.py` about speed: attention alone, and models of 1B and 8B."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from device_models import SHAPES, device, made_engine, prompts_of, random_model, run_all
from device_sections import Allowing, busy_process, busy_thread, timed
from roofline import Machine, Work

from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.sequence import Sequence


def attention(notes: dict[str, Any], *, tiny: bool) -> None:
    """The attention call at shapes of an 8B model: bytes or operations a second."""
    from nlp_pipeline.generation.engine.attention.bodies import choose_body
    from nlp_pipeline.generation.engine.attention.paged_batch import PagedSpan, PagedStep
    from nlp_pipeline.generation.engine.hf_attention import LayerShape
    from nlp_pipeline.generation.engine.kv_cache.pages import PAGE

    heads, kv_heads, head_dim = (4, 2, 16) if tiny else (32, 8, 128)
    dtype = torch.float32 if tiny else torch.bfloat16
    where = device()
    body = choose_body(LayerShape(kv_heads, head_dim, dtype, where))
    notes["body"] = body.name
    shapes = [(4, 20)] if tiny else [(64, 250), (256, 250), (32, 4000), (4, 4000)]
    for rows, length in shapes:
        blocks = -(-length // PAGE)
        count = rows * blocks + 1
        memory = torch.randn(2, count, kv_heads, PAGE, head_dim, device=where).to(dtype)
        tables = (torch.randperm(count - 1, device=where) + 1).int().view(rows, blocks)
        every = torch.arange(rows, device=where, dtype=torch.int32)
        positions = torch.full((rows,), length - 1, device=where, dtype=torch.int32)
        step = PagedStep(rows, positions, positions, tables, blocks, every)
        query = torch.randn(rows, heads, head_dim, device=where).to(dtype)
        seconds = timed_often(lambda q=query, m=memory, s=step: body.attend(m, q, s, 0.1))
        read = 2 * rows * length * kv_heads * head_dim * dtype.itemsize
        notes[f"decode_{rows}x{length}_us"] = seconds * 1e6
        notes[f"decode_{rows}x{length}_gb_s"] = read / seconds / 1e9
    for sequences, length in [(2, 40)] if tiny else [(40, 200), (2, 4000)]:
        blocks = -(-length // PAGE)
        count, tokens = sequences * blocks + 1, sequences * length
        memory = torch.randn(2, count, kv_heads, PAGE, head_dim, device=where).to(dtype)
        tables = (torch.randperm(count - 1, device=where) + 1).int().view(sequences, blocks)
        pieces = [
            (row, row * length + at, min(16, length - at))
            for row in range(sequences)
            for at in range(0, length, 16)
        ]
        cut = [
            torch.tensor(column, device=where, dtype=torch.int32)
            for column in zip(*pieces, strict=True)
        ]
        positions = torch.arange(length, device=where, dtype=torch.int32).repeat(sequences)
        spans = tuple(PagedSpan(row, row * length, 0, length) for row in range(sequences))
        step = PagedStep(0, positions, positions, tables, blocks, positions[:0], spans, *cut)
        query = torch.randn(tokens, heads, head_dim, device=where).to(dtype)
        seconds = timed_often(lambda q=query, m=memory, s=step: body.attend(m, q, s, 0.1))
        flops = sequences * 4 * heads * head_dim * length * (length + 1) / 2
        notes[f"prefill_{sequences}x{length}_us"] = seconds * 1e6
        notes[f"prefill_{sequences}x{length}_tflop_s"] = flops / seconds / 1e12


def speed_1b(notes: dict[str, Any], *, tiny: bool) -> None:
    """A model of 1B, or of no size at all."""
    _speed(notes, "small" if tiny else "1b", tiny)


def speed_8b(notes: dict[str, Any], *, tiny: bool) -> None:
    """A model of 8B, or of no size at all."""
    _speed(notes, "small" if tiny else "8b", tiny)


def _speed(notes: dict[str, Any], shape: str, tiny: bool) -> None:
    before = time.perf_counter()
    model = random_model(shape, torch.float32 if tiny else torch.bfloat16)
    notes["weights_seconds"] = time.perf_counter() - before
    machine, work = _machine(tiny), Work.of(model)
    notes["read_gb_s"], notes["tflop_s"] = machine.bandwidth / 1e9, machine.flops / 1e12
    rows, new = ([4], 4) if tiny else ([64, 256], 48)
    most = max(rows)
    prompts = prompts_of(model, most, 20 if tiny else 200, 20 if tiny else 200, seed=1)
    if not tiny:
        _transformers(notes, model, prompts[: rows[0]], new)
    before = time.perf_counter()
    engine = made_engine(model, max_batch_size=most, graphs=True, lookahead=True)
    run_all(engine, prompts[:2], 4)
    notes["first_steps_and_capture_seconds"] = time.perf_counter() - before
    for count in rows:
        seconds = _decode_step(engine, model, count, new)
        floor = work.decode([(220, 3)] * count, count, machine) / 2
        notes[f"decode_{count}_ms"] = seconds * 1e3
        notes[f"decode_{count}_over_floor"] = seconds / floor
        if count == rows[0]:
            _beside_others(notes, f"decode_{count}", engine, model, count, new, seconds)
    _job(notes, "job", engine, model, rows[0], new, work, machine)
    _extractive(notes, engine, model, 4 if tiny else 64)
    _stream(notes, engine, model, 16 if tiny else 1024, new, work, machine, most)
    engine.close()
    for name, ways in (("no_graphs", {"lookahead": True}), ("no_lookahead", {"graphs": True})):
        engine = made_engine(model, max_batch_size=rows[0], **ways)
        run_all(engine, prompts[:2], 4)
        notes[f"decode_{rows[0]}_{name}_ms"] = _decode_step(engine, model, rows[0], new) * 1e3
        engine.close()


def _machine(tiny: bool) -> Machine:
    """The rate of a large product and of reading a long vector."""
    where, size = device(), 256 if tiny else 8192
    a, b = (torch.randn(size, size, device=where, dtype=torch.bfloat16) for _ in range(2))
    flops = 2 * size**3 / timed(lambda: a @ b)
    vector = torch.ones(2**18 if tiny else 2**30, dtype=torch.int64, device=where)
    target = torch.empty_like(vector)
    # A copy reads and writes; reading alone is no faster on any card that was tried.
    return Machine(flops, 2 * vector.nbytes / timed(lambda: target.copy_(vector)))


def _decode_step(engine: Engine, model: Any, rows: int, new: int) -> float:
    """Seconds of a step in which so many sequences get one token each; the median."""
    for i, ids in enumerate(prompts_of(model, rows, 200 if new > 10 else 20, 200, seed=rows)):
        engine.add(Sequence(str(i), ids[:200], SamplingParams(max_new_tokens=new)))
    seconds, ended = [], 0
    while ended < rows:
        before = time.perf_counter()
        ended += len(engine.step())
        seconds.append(time.perf_counter() - before)
    middle = seconds[len(seconds) // 3 : -3] or seconds
    return statistics.median(middle)


def _beside_others(
    notes: dict[str, Any], name: str, engine: Engine, model: Any, rows: int, new: int, alone: float
) -> None:
    """How much longer a step takes beside Python in another process, and in another thread.

    A thread may hold the interpreter lock for the switch interval whenever a step lets go of it.
    """
    with busy_process():
        notes[f"{name}_beside_a_busy_process"] = _decode_step(engine, model, rows, new) / alone
    before = sys.getswitchinterval()
    for interval in (before, 0.0002):
        sys.setswitchinterval(interval)
        with busy_thread():
            seconds = _decode_step(engine, model, rows, min(new, 24))
        notes[f"{name}_beside_a_busy_thread_switching_every_{interval * 1e3:g}_ms"] = (
            seconds / alone
        )
    sys.setswitchinterval(before)


def _extractive(notes: dict[str, Any], engine: Engine, model: Any, count: int) -> None:
    """Three beams under a constraint, whose next step needs the last one's tokens on the host."""
    prompts = prompts_of(model, count, 200 if count > 4 else 20, 200, seed=4)
    for name, params, bound in (("greedy", {}, None), ("extractive", {"num_beams": 3}, range(60))):
        constraint = None if bound is None else Allowing([11 + 7 * i for i in bound])

        def job(params: Any = params, constraint: Any = constraint) -> None:
            for i, ids in enumerate(prompts):
                asked = SamplingParams(max_new_tokens=12, **params)
                engine.add(Sequence(str(i), ids[:200], asked, constraint=constraint))
            ended = 0
            while ended < count:
                ended += len(engine.step())

        wall(job)
        notes[f"{name}_{count}_prompts_12_tokens_seconds"] = wall(job)


def _job(
    notes: dict[str, Any], name: str, engine: Engine, model: Any, count: int, new: int,
    work: Work, machine: Machine,
) -> None:  # fmt: skip
    """Prompts at once, twice: the second time nothing is compiled or recorded any more."""
    floor = 0.0
    for attempt in ("first", "second"):
        prompts = prompts_of(model, count, 200, 200, seed=len(notes))
        lengths = [len(ids) for ids in prompts]
        floor = work.prefill(lengths, sum(lengths), machine)
        floor += work.decode([(length, new) for length in lengths], count, machine)
        seconds = wall(lambda asked=prompts: run_all(engine, asked, new))
        notes[f"{name}_{attempt}_seconds"] = seconds
        notes[f"{name}_{attempt}_over_floor"] = seconds / floor


def _stream(
    notes: dict[str, Any], engine: Engine, model: Any, count: int, new: int,
    work: Work, machine: Machine, slots: int,
) -> None:  # fmt: skip
    """Many requests of different lengths, as a corpus brings them."""
    prompts = prompts_of(model, count, 20, 380, seed=9)
    lengths = [len(ids) for ids in prompts]
    floor = work.prefill(lengths, sum(lengths), machine)
    floor += work.decode([(length, new) for length in lengths], slots, machine)
    seconds = wall(lambda: run_all(engine, prompts, new))
    notes["stream_seconds"], notes["stream_over_floor"] = seconds, seconds / floor
    notes["stream_output_tokens_s"] = count * new / seconds


@torch.inference_mode()
def _transformers(notes: dict[str, Any], model: Any, prompts: list[list[int]], new: int) -> None:
    """`generate` over the prompts in one batch."""
    ids = torch.tensor(prompts, device=model.device)

    def run() -> None:
        model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False,
            max_new_tokens=new, min_new_tokens=new, pad_token_id=0,
        )  # fmt: skip

    wall(run)
    notes["transformers_batch_seconds"] = wall(run)


def wall(work: Callable[[], object]) -> float:
    """Seconds until the device is done."""
    before = time.perf_counter()
    work()
    if device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - before


def timed_often(work: Callable[[], object]) -> float:
    """Seconds of one of twenty launches in a row, so that launching is hidden."""

    def often() -> None:
        for _ in range(20):
            work()

    return timed(often) / 20


__all__ = ["SHAPES", "attention", "speed_1b", "speed_8b"]
