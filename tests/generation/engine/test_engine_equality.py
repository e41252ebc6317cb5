"""Greedy ids are those of transformers, one prompt at a time, whatever the company."""

from __future__ import annotations

import random

import pytest
import torch
from engine_doubles import (
    EOS,
    VOCABULARY,
    finish,
    make_engine,
    reference,
    sequence,
    tiny_model,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline.generation.engine import Engine, supports

pytestmark = pytest.mark.usefixtures("both_caches")

DOCUMENT = random.Random(3).choices(range(VOCABULARY), k=70)

own = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=24)
prompts = st.tuples(st.integers(0, 70), own).map(lambda pair: [*DOCUMENT[: pair[0]], *pair[1]])
requests = st.tuples(prompts, st.integers(1, 6), st.sampled_from([None, "a", "b"]))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(requests, min_size=1, max_size=7),
    st.sampled_from([1, 2, 3, 8, 64]),
    st.sampled_from([5, 40, 512]),
    st.sampled_from([1, 2, 100]),
    st.booleans(),
    st.sampled_from([160, 400, 4096]),
)
def test_ids_are_those_of_transformers(
    wanted: list[tuple[list[int], int, str | None]],
    batch: int,
    chunk: int,
    arrive: int,
    sharing: bool,
    memory: int,
) -> None:
    engine = make_engine(
        max_batch_size=batch,
        max_batched_tokens=chunk,
        prefix_caching=sharing,
        kv_cache_tokens=memory,
    )
    sequences = [
        sequence(str(i), ids, max_new_tokens=new, group=group)
        for i, (ids, new, group) in enumerate(wanted)
    ]
    done = finish(engine, sequences, arrive)
    assert sorted(map(id, done)) == sorted(map(id, sequences))
    for one in sequences:
        expected = reference(tuple(one.prompt_ids), one.params.max_new_tokens)
        assert (one.error, tuple(one.output_ids)) == (None, expected)
        assert one.stopped_by_token == (expected[-1] in EOS)
        assert one.finish_reason == ("stop" if one.stopped_by_token else "length")


def test_one_token_at_a_time() -> None:
    sequences = [sequence(str(n), DOCUMENT[: 4 + n], max_new_tokens=2) for n in range(3)]
    finish(make_engine(max_batched_tokens=1), sequences)
    for one in sequences:
        assert tuple(one.output_ids) == reference(tuple(one.prompt_ids), 2)


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3"])
def test_tested_architectures(kind: str) -> None:
    more = {"sliding_window": None} if kind == "mistral" else {}
    model = tiny_model(kind, **more) if more else tiny_model(kind)
    assert supports(model)
    sequences = [sequence(str(n), DOCUMENT[: 5 + 12 * n], max_new_tokens=4) for n in range(4)]
    finish(make_engine(model, max_batch_size=3, max_batched_tokens=20, eos=frozenset()), sequences)
    with torch.inference_mode():
        for one in sequences:
            ids = torch.tensor([one.prompt_ids])
            out = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False,
                max_new_tokens=4, eos_token_id=None, pad_token_id=0,
            )  # fmt: skip
            assert one.output_ids == out[0, ids.shape[1] :].tolist()


def test_model_is_as_it_was_afterwards() -> None:
    model = tiny_model()
    before = model.config._attn_implementation
    finish(make_engine(), [sequence("a", DOCUMENT[:9], max_new_tokens=2)])
    assert model.config._attn_implementation == before != "nlp_pipeline_packed"


def test_up_to_the_last_position_of_the_context() -> None:
    prompt = [5] * 150
    one = sequence("a", prompt, max_new_tokens=50)
    finish(make_engine(eos=frozenset()), [one])
    assert (len(one.output_ids), one.finish_reason) == (10, "length")


def test_models_that_need_plain_batches() -> None:
    assert not supports(torch.nn.Linear(2, 2))
    dynamic = {"rope_type": "dynamic", "factor": 2.0}
    config = type(tiny_model().config)(rope_scaling=dynamic)
    model = type("NamedForCausalLM", (), {"config": config, "training": False})()
    assert not supports(model)
    assert not supports(tiny_model("mistral", sliding_window=16))
    split = type("SplitForCausalLM", (), {"hf_device_map": {"a": 0, "b": 1}, "training": False})()
    split.config = tiny_model().config
    assert not supports(split)


def test_defaults_fit_the_device() -> None:
    engine = Engine(tiny_model(), eos_token_ids=EOS, token_bytes=lambda token: b"")
    assert engine.room == 256
