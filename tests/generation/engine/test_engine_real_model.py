"""The real default model in float32: ids equal transformers' on many prompts. Minutes."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.loading.load import LoadedModel, load
from nlp_pipeline.generation.sequence import Sequence
from nlp_pipeline.models import DEFAULT_MODEL

pytestmark = pytest.mark.slow
CORPUS = Path(__file__).parents[3] / "corpora" / "varied.jsonl"
COUNT = int(os.environ.get("NLP_PIPELINE_TEST_PROMPTS", "500"))
FEWER = 100
NEW = 24


@pytest.fixture(scope="module")
def real() -> LoadedModel:
    name = os.environ.get("NLP_PIPELINE_TEST_GGUF", DEFAULT_MODEL)
    return load(name, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def prompts(real: LoadedModel) -> list[list[int]]:
    """Stretches of real text; every third shares the beginning of the one before, of any length."""
    numbers = random.Random(11)
    records = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    texts = [real.tokenizer(r["text"], add_special_tokens=False).input_ids for r in records]
    made: list[list[int]] = []
    for index in range(COUNT):
        ids = texts[index % len(texts)]
        start = numbers.randrange(max(1, len(ids) - 60))
        piece = ids[start : start + numbers.randrange(20, 160)]
        made.append(made[-1][:130] + piece[:40] if index % 3 == 2 else piece)
    return made


@pytest.fixture(scope="module")
def expected(real: LoadedModel, prompts: list[list[int]]) -> list[list[int]]:
    def one(prompt: list[int]) -> list[int]:
        ids = torch.tensor([prompt])
        out: Any = real.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=NEW,
            pad_token_id=0,
        )
        return list(out[0, len(prompt) :].tolist())

    return [one(prompt) for prompt in prompts]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("count", "batch", "chunk", "sharing"),
    [(COUNT, 32, 512, True), (FEWER, 16, 100, True), (FEWER, 64, 512, False)],
)
def test_ids_are_those_of_transformers(
    real: LoadedModel,
    prompts: list[list[int]],
    expected: list[list[int]],
    count: int,
    batch: int,
    chunk: int,
    sharing: bool,
) -> None:
    engine = Engine(
        real.model,
        eos_token_ids=real.eos_token_ids,
        token_bytes=lambda token: b"",
        max_batch_size=batch,
        max_batched_tokens=chunk,
        prefix_caching=sharing,
    )
    params = SamplingParams(max_new_tokens=NEW)
    sequences = [Sequence(str(i), ids, params) for i, ids in enumerate(prompts[:count])]
    for sequence in sequences:
        engine.add(sequence)
    while any(sequence.finish_reason is None for sequence in sequences):
        engine.step()
    assert [sequence.output_ids for sequence in sequences] == expected[:count]
