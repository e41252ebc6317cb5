"""Models that attend through a window: what the engine takes, and what plain batches make of it."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
import torch
from doubles import greedy_ids
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from nlp_pipeline.generation.engine import Engine, supports
from nlp_pipeline.generation.fallback.executor import BatchExecutor
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.sequence import Executor, Sequence

WINDOW = 8
EOS = frozenset(range(0, 200, 19))
KINDS: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": WINDOW},
    # From the second layer on; the first attends to everything.
    "qwen2": {"sliding_window": WINDOW, "use_sliding_window": True, "max_window_layers": 1},
    "gemma2": {"sliding_window": WINDOW, "query_pre_attn_scalar": 16},
    "gemma3_text": {"sliding_window": WINDOW, "query_pre_attn_scalar": 16},
}


@cache
def tiny(kind: str, *, windowed: bool = True) -> Any:
    """Random weights in float64, where rounding flips no choice.

    Gemma 2 in float32: its softmax is in float32, where the padding of a float64 mask is infinite.
    """
    torch.manual_seed(7)
    make_config: Any = CONFIG_MAPPING[kind]
    config = make_config(
        vocab_size=200,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=160,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        **(KINDS[kind] if windowed else {}),
    )
    dtype = torch.float32 if kind == "gemma2" else torch.float64
    return AutoModelForCausalLM.from_config(config).to(dtype).eval()


def prompts() -> list[list[int]]:
    """Shorter than the window, as long, longer: side by side in every batch."""
    chosen = random.Random(3)
    sizes = (1, 3, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, 5 * WINDOW, 40)
    return [[chosen.randrange(3, 200) for _ in range(size)] for size in sizes]


def assert_equal(
    executor: Executor, model: Any, asked: list[list[int]] | None = None, longest: int = 160
) -> None:
    """The ids are those of transformers, one prompt at a time, up to the longest sequence."""
    params = SamplingParams(max_new_tokens=24)
    sequences = [Sequence(str(n), ids, params) for n, ids in enumerate(asked or prompts())]
    for one in sequences:
        executor.add(one)
    done: list[Sequence] = []
    while len(done) < len(sequences):
        done += executor.step()
    for one in sequences:
        assert one.error is None
        room = min(24, longest - len(one.prompt_ids))
        assert one.output_ids == greedy_ids(model, one.prompt_ids, room, eos_token_id=sorted(EOS))


def options(size: int) -> dict[str, Any]:
    return {
        "eos_token_ids": EOS,
        "token_bytes": lambda _: b"a",
        "max_batch_size": 4,
        "max_seq_len": size,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_plain_batches_equal_transformers(kind: str) -> None:
    model = tiny(kind)
    assert not supports(model)
    assert not supports(model, 160)
    assert_equal(BatchExecutor(model, **options(160)), model)


@pytest.mark.parametrize("kind", ["mistral", "qwen2"])
def test_the_window_makes_a_difference(kind: str) -> None:
    """Else the tests above would say nothing."""
    ids = torch.tensor([prompts()[-1]])
    with torch.inference_mode():
        near, far = (tiny(kind, windowed=w).double()(ids).logits for w in (True, False))
    assert not torch.allclose(near[0, -1], far[0, -1], atol=1e-3)


@pytest.mark.parametrize("kind", ["mistral", "qwen2"])
def test_the_engine_takes_what_never_leaves_the_window(kind: str) -> None:
    model = tiny(kind)
    assert supports(model, WINDOW)
    assert not supports(model, WINDOW + 1)
    engine = Engine(model, kv_cache_tokens=512, **options(WINDOW))
    assert_equal(engine, model, prompts()[:3], WINDOW)


def test_a_switched_off_window_is_none() -> None:
    torch.manual_seed(7)
    make_config: Any = CONFIG_MAPPING["qwen2"]
    config = make_config(
        vocab_size=200,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=160,
        sliding_window=WINDOW,
        use_sliding_window=False,
    )
    model = AutoModelForCausalLM.from_config(config).to(torch.float64).eval()
    assert supports(model)
    assert_equal(Engine(model, kv_cache_tokens=2048, **options(160)), model)
