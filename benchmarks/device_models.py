"""Models with random weights on the device, and engines over them, for `device_check.py`."""

from __future__ import annotations

import random
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.engine.graph_capture import CudaCapture
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.sequence import Sequence

SHAPES: dict[str, dict[str, int]] = {
    "small": {
        "vocab_size": 512, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4,
        "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 512,
    },
    "1b": {
        "vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
        "max_position_embeddings": 8192,
    },
    "8b": {
        "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "max_position_embeddings": 8192,
    },
}  # fmt: skip
"""Llama 3.2 1B and Llama 3.1 8B by their shapes."""


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def random_model(shape: str, dtype: torch.dtype, kind: str = "llama") -> Any:
    """A model of this shape, made on the device; small ones choose among tokens clearly."""
    small = shape == "small"
    config = CONFIG_MAPPING[kind](
        **SHAPES[shape],
        head_dim=SHAPES[shape]["hidden_size"] // SHAPES[shape]["num_attention_heads"],
        initializer_range=0.15 if small else 0.02,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    torch.manual_seed(11)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device():
            model = AutoModelForCausalLM.from_config(config)
    finally:
        torch.set_default_dtype(before)
    return model.to(device(), dtype).eval().requires_grad_(False)


def made_engine(
    model: Any, *, graphs: bool = False, lookahead: bool = False, **settings: Any
) -> Engine:
    """An engine whose sequences end by their length alone; over pages on a CPU too."""
    cuda = model.device.type == "cuda"
    capture = CudaCapture(model.device) if graphs and cuda else None
    if not cuda:
        settings = {"paged": True, "fused": True, "kv_cache_tokens": 4096, **settings}
    return Engine(
        model, eos_token_ids=frozenset(), token_bytes=lambda token: b"", lookahead=lookahead,
        capture=capture, **settings,
    )  # fmt: skip


def prompts_of(model: Any, count: int, least: int, most: int, seed: int = 0) -> list[list[int]]:
    """Prompts of random tokens, of lengths between these two."""
    numbers = random.Random(seed)
    vocabulary = range(10, model.config.vocab_size)
    return [numbers.choices(vocabulary, k=numbers.randint(least, most)) for _ in range(count)]


def run_all(engine: Engine, prompts: list[list[int]], new: int, **params: Any) -> list[list[int]]:
    """Completes prompts; adds them as fast as the engine takes them."""
    sequences = [
        Sequence(str(i), ids, SamplingParams(max_new_tokens=new, **params))
        for i, ids in enumerate(prompts)
    ]
    line, done = list(sequences), 0
    while done < len(sequences):
        room = engine.room
        for one in line[:room]:
            engine.add(one)
        line = line[room:]
        for one in engine.step():
            if one.error is not None:
                raise one.error
            done += 1
    return [one.output_ids for one in sequences]
