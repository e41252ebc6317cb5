"""Real CUDA graphs: what the other tests show with a double."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from engine_doubles import finish, make_engine, sequence, tiny_model

from nlp_pipeline.generation.engine.graph_capture import CudaCapture

pytestmark = pytest.mark.gpu


def prompts(new: int = 12, count: int = 11) -> list[Any]:
    return [
        sequence(str(n), [(n + 7 * i) % 290 for i in range(9 + 5 * n)], max_new_tokens=new)
        for n in range(count)
    ]


class Counting(CudaCapture):
    """Real graphs, counted."""

    replays = 0

    def __call__(self, compute: Any) -> Any:
        replay = super().__call__(compute)

        def counted() -> torch.Tensor:
            self.replays += 1
            return replay()

        return counted


@contextmanager
def refusing_to_wait() -> Iterator[None]:
    """Every operation that waits for the device is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls the mode a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_ids_are_those_of_single_steps(kind: str) -> None:
    """In float64, where rounding flips no choice."""
    model = copy.deepcopy(tiny_model(kind)).cuda()
    plain, recorded = prompts(), prompts()
    finish(make_engine(model, max_batch_size=5), plain)
    capture = Counting(model.device)
    finish(make_engine(model, max_batch_size=5, capture=capture, lookahead=True), recorded)
    assert capture.replays > 10
    assert [one.output_ids for one in recorded] == [one.output_ids for one in plain]
    assert [one.error for one in recorded] == [None] * len(plain)


def test_memory_does_not_grow() -> None:
    model = copy.deepcopy(tiny_model()).to("cuda", torch.bfloat16)
    capture = CudaCapture(model.device)
    engine = make_engine(model, max_batch_size=4, capture=capture, lookahead=True, eos=frozenset())
    finish(engine, prompts())
    before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    for _ in range(5):
        finish(engine, prompts())
    assert (torch.cuda.memory_allocated(), torch.cuda.memory_reserved()) == before


def test_no_step_waits_for_the_device() -> None:
    model = copy.deepcopy(tiny_model()).to("cuda", torch.bfloat16)
    capture = CudaCapture(model.device)
    engine = make_engine(model, max_batch_size=4, capture=capture, lookahead=True, eos=frozenset())
    finish(engine, prompts(new=30, count=4))
    for one in prompts(new=30, count=4):
        engine.add(one)
    with refusing_to_wait():  # prompts, then decode steps
        for _ in range(15):
            engine.step()
