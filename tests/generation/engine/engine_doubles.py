"""Tiny models of every tested type, what transformers says of them, and ways to drive an engine."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from doubles import greedy_ids
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.engine.kv_cache.pages import PAGE
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.sequence import Sequence

VOCABULARY = 300
CONTEXT = 160
EOS = frozenset(range(0, VOCABULARY, 17))


@cache
def tiny_model(kind: str = "llama", **more: Any) -> Any:
    """Random weights in float64, where rounding flips no choice. Never trained, never saved."""
    torch.manual_seed(5)
    config_class: Any = CONFIG_MAPPING[kind]
    config = config_class(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=CONTEXT,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        **more,
    )
    return AutoModelForCausalLM.from_config(config).to(torch.float64).eval()


@cache
def reference(prompt: tuple[int, ...], max_new_tokens: int, kind: str = "llama") -> tuple[int, ...]:
    """transformers' own greedy ids for this prompt alone, the end-of-sequence token included."""
    return tuple(greedy_ids(tiny_model(kind), prompt, max_new_tokens, eos_token_id=sorted(EOS)))


def token_bytes(token: int) -> bytes:
    """A letter."""
    return bytes([97 + token % 26])


CACHE: dict[str, bool] = {"paged": False}
"""What engines of tests keep keys and values in; see the fixture `both_caches`."""


def shareable(tokens: int) -> int:
    """How many of so many common tokens are shared: whole pages, where there are pages."""
    return tokens - tokens % PAGE if CACHE["paged"] else tokens


def make_engine(model: Any = None, *, eos: frozenset[int] = EOS, **settings: Any) -> Engine:
    pages = {"paged": True} if "capture" in settings else CACHE
    return Engine(
        tiny_model() if model is None else model,
        eos_token_ids=eos,
        token_bytes=token_bytes,
        **{"kv_cache_tokens": 4096, **pages, **settings},
    )


def finish(engine: Engine, sequences: Iterable[Sequence], arrive: int = 10**9) -> list[Sequence]:
    """Adds `arrive` sequences before every step, until all have come back; in that order."""
    line = list(sequences)
    done: list[Sequence] = []
    total = len(line)
    while len(done) < total:
        for sequence in line[:arrive]:
            engine.add(sequence)
        line = line[arrive:]
        done += engine.step()
    assert engine.step() == []
    return done


def sequence(name: str, ids: Iterable[int], *, group: str | None = None, **params: Any) -> Sequence:
    return Sequence(name, list(ids), SamplingParams(**params), group=group)


def logits_after(ids: list[int], kind: str = "llama") -> torch.Tensor:
    """What a plain forward pass says. Shape: (len(ids), vocabulary)."""
    with torch.inference_mode():
        return torch.as_tensor(tiny_model(kind)(torch.tensor([ids]), use_cache=False).logits[0])


def assert_right(sequences: list[Sequence]) -> None:
    for one in sequences:
        expected = reference(tuple(one.prompt_ids), one.params.max_new_tokens)
        assert (one.error, tuple(one.output_ids)) == (None, expected)


BAD = 291
"""A token that no test's text has, to be invalid."""


class Spoiling:
    """Makes the embedding of one token fail or overflow, for the time of a `with`."""

    def __init__(self, invalidate: Any) -> None:
        self.invalidate = invalidate

    def __enter__(self) -> None:
        embedding = tiny_model().get_input_embeddings()
        self.handle = embedding.register_forward_hook(
            lambda _, inputs, output: self.invalidate(inputs[0], output)
        )

    def __exit__(self, *_: object) -> None:
        self.handle.remove()


def not_finite_on_bad(ids: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    return output.masked_fill((ids == BAD)[..., None], float("nan"))
