"""Graphs and asynchronous scheduling: chosen by the device, and said to be possible or not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nlp_pipeline.errors.generation import InvalidModelSetting
from nlp_pipeline.generation.distributed.process_group import World
from nlp_pipeline.generation.interface import GenerationRequest, SamplingParams
from nlp_pipeline.generation.launch_plan import Launching, choose_launching
from nlp_pipeline.generation.llama import Llama

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
TEXTS = ["Where is the new bridge?", "a", "Who pays? " * 20, "Zürich, 東京, 🚢"]


@pytest.mark.parametrize(
    ("device", "size", "graphs", "ahead"),
    [("cuda", 1, True, True), ("cuda", 2, False, True), ("cpu", 1, False, False),
     ("cpu", 2, False, False), ("mps", 1, False, False)],
)  # fmt: skip
def test_the_device_chooses(device: str, size: int, graphs: bool, ahead: bool) -> None:
    assert choose_launching(torch.device(device), World(0, size)) == Launching(graphs, ahead)


def test_the_user_chooses() -> None:
    off = choose_launching(CUDA, cuda_graphs=False, async_scheduling=False)
    assert off == Launching(False, False)
    assert choose_launching(CUDA, cuda_graphs=False) == Launching(False, True)
    assert choose_launching(CPU, async_scheduling=True) == Launching(False, True)
    assert choose_launching(CUDA, World(0, 2), async_scheduling=False) == Launching(False, False)


def test_graphs_where_there_can_be_none() -> None:
    with pytest.raises(InvalidModelSetting) as caught:
        Llama.build("no/such-model", device="cpu", cuda_graphs=True)
    assert str(caught.value) == (
        "cuda_graphs=True is not possible: it must be left out on the device cpu."
    )
    with pytest.raises(InvalidModelSetting, match="left out where 2 processes share the model"):
        choose_launching(CUDA, World(0, 2), cuda_graphs=True)


def test_completions_are_the_same_either_way(tiny_llama: str) -> None:
    def completed(**settings: Any) -> list[Any]:
        llama = Llama.build(tiny_llama, device="cpu", dtype="float64", **settings)
        params: dict[str, Any] = {"max_new_tokens": 12, "logprobs": 2, "stop": ["e "], "n": 2}
        plain = llama.generate(TEXTS, **params)
        sampled = llama.generate(TEXTS, temperature=0.9, top_p=0.9, seed=3, **params)
        asked = [
            GenerationRequest(str(i), text * 3, SamplingParams(max_new_tokens=3 + i % 5))
            for i, text in enumerate(TEXTS * 8)
        ]
        streamed = sorted(llama.stream(asked), key=lambda one: int(one.request_id))
        return [*plain, *sampled, *streamed]

    expected = completed(async_scheduling=False, max_batch_size=8)
    found = completed(async_scheduling=True, max_batch_size=8)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.error is None
        assert (ours.text, ours.token_ids) == (theirs.text, theirs.token_ids)
        assert ours.finish_reason == theirs.finish_reason
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-9)
    assert {one.finish_reason for one in found} == {"stop", "length"}


@pytest.mark.gpu
def test_on_cuda_the_whole_way(tiny_llama: str) -> None:
    """In float64: graphs and asynchronous scheduling against neither, and against the CPU."""
    settings: dict[str, Any] = {"dtype": "float64", "max_batch_size": 8}
    found = [
        [one.token_ids for one in llama.generate(TEXTS, max_new_tokens=20)]
        for llama in (
            Llama.build(tiny_llama, device="cuda", **settings),
            Llama.build(
                tiny_llama, device="cuda", cuda_graphs=False, async_scheduling=False, **settings
            ),
            Llama.build(tiny_llama, device="cpu", **settings),
        )
    ]
    assert found[0] == found[1] == found[2]


@pytest.mark.gpu
def test_on_cuda_in_bfloat16(tiny_llama: str) -> None:
    """Rounding may flip a choice between equals; the first tokens' scores must be near."""
    on = Llama.build(tiny_llama, device="cuda")
    off = Llama.build(tiny_llama, device="cuda", cuda_graphs=False, async_scheduling=False)
    assert next(on.loaded.model.parameters()).dtype == torch.bfloat16
    pairs = zip(*(llama.generate(TEXTS, max_new_tokens=8) for llama in (on, off)), strict=True)
    for completions in pairs:
        ours, theirs = ([*one.logprobs, one.stop_logprob][0] for one in completions)
        assert ours == pytest.approx(theirs, abs=0.1)
