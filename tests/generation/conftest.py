"""Executors over the tiny Llama, and what transformers says."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from doubles import greedy_ids

from nlp_pipeline.generation.fallback.executor import BatchExecutor
from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.generation.prompt_encoder import PromptEncoder
from nlp_pipeline.generation.session import SessionPool

Oracle = Callable[[tuple[int, ...], int], list[int]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a GPU are skipped where there is none, also when they are asked for."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


@pytest.fixture(scope="session")
def encoder(tiny: LoadedModel) -> PromptEncoder:
    return PromptEncoder(tiny.tokenizer, tiny.name)


@pytest.fixture
def make_executor(tiny: LoadedModel, encoder: PromptEncoder) -> Callable[..., BatchExecutor]:
    """A `BatchExecutor` of its own for a test."""

    def make(
        model: Any = None,
        *,
        eos: frozenset[int] = tiny.eos_token_ids,
        max_batch_size: int = 4,
        max_seq_len: int = 512,
    ) -> BatchExecutor:
        return BatchExecutor(
            tiny.model if model is None else model,
            eos_token_ids=eos,
            token_bytes=encoder.token_bytes,
            max_batch_size=max_batch_size,
            max_seq_len=max_seq_len,
        )

    return make


@pytest.fixture
def make_pool(
    make_executor: Callable[..., BatchExecutor], encoder: PromptEncoder
) -> Callable[..., SessionPool]:
    def make(model: Any = None, **settings: Any) -> SessionPool:
        max_seq_len = settings.setdefault("max_seq_len", 512)
        return SessionPool(make_executor(model, **settings), encoder, max_seq_len)

    return make


@pytest.fixture(scope="session")
def oracle(tiny: LoadedModel) -> Oracle:
    """transformers' own greedy ids for one prompt, cut after the end-of-sequence token."""

    @cache
    def generated(prompt: tuple[int, ...], max_new_tokens: int) -> list[int]:
        return greedy_ids(tiny.model, prompt, max_new_tokens)

    return generated
