from __future__ import annotations

import json
from typing import Any

import pytest
from doubles import chat

from nlp_pipeline.errors import InvalidSamplingParams
from nlp_pipeline.errors.generation import (
    BatchTooLarge,
    EmptyPrompt,
    InvalidModelSetting,
    PromptTooLong,
)
from nlp_pipeline.generation.chat import Prompt
from nlp_pipeline.generation.llama import Llama


@pytest.fixture(scope="module")
def built(tiny_llama: str) -> Llama:
    return Llama.build(
        tiny_llama, device="cpu", dtype="float64", max_seq_len=100, max_batch_size=3, seed=7
    )


def test_prompts_of_every_kind_in_their_order(llama: Llama) -> None:
    asked: list[Prompt] = [chat("Who found it?"), "a", [5, 6, 7], chat("When does it begin?")]
    done = llama.generate(asked, max_new_tokens=12)
    assert [c.request_id for c in done] == ["0", "1", "2", "3"]
    assert [c.prompt_tokens for c in done] == [79, 1, 3, 81]
    assert (done[0].text, done[3].text) == ("Omar Haddad", "Monday")


@pytest.mark.parametrize("prompt", ["ab", chat("Who found it?")])
def test_a_single_prompt_is_a_list_of_one(llama: Llama, prompt: Any) -> None:
    single = llama.generate(prompt, max_new_tokens=2)
    assert [c.token_ids for c in single] == [
        c.token_ids for c in llama.generate([prompt], max_new_tokens=2)
    ]


def test_no_prompts(llama: Llama) -> None:
    assert llama.generate([]) == []


def test_what_a_caller_asks_for_comes_back(llama: Llama) -> None:
    (done,) = llama.generate(["ab"], max_new_tokens=3, logprobs=2, echo=True, n=1)
    assert len(done.token_ids) == len(done.logprobs) == len(done.top_logprobs)
    assert all(len(top) == 2 for top in done.top_logprobs)
    assert done.prompt_token_ids == tuple(llama.encoder.encode("ab"))
    assert done.prompt_logprobs[0] is None


def test_samples_are_sorted(llama: Llama) -> None:
    done = llama.generate(["a", "b"], n=2, temperature=1.0, max_new_tokens=1)
    assert [(c.request_id, c.sample) for c in done] == [("0", 0), ("0", 1), ("1", 0), ("1", 1)]


def test_the_context_bounds_prompt_and_completion_together(built: Llama) -> None:
    (done,) = built.generate([[7] * 97], max_new_tokens=50, temperature=5.0, seed=2)
    assert len(done.token_ids) <= done.output_tokens <= 3
    assert built.max_seq_len == 100
    with pytest.raises(PromptTooLong, match=r"has 100 tokens and the model's context holds 100,"):
        built.generate([[7] * 100])


def test_the_context_is_never_larger_than_the_models(tiny_llama: str) -> None:
    assert Llama.build(tiny_llama, device="cpu").max_seq_len == 4096
    assert Llama.build(tiny_llama, device="cpu", max_seq_len=10**6).max_seq_len == 4096


def test_too_many_prompts_and_the_stream_that_takes_them(built: Llama) -> None:
    with pytest.raises(BatchTooLarge) as caught:
        built.generate(["a"] * 4)
    assert str(caught.value) == (
        "4 prompts were given and max_batch_size is 3. Give fewer, build the Llama with a larger "
        "max_batch_size, or use Llama.stream, which takes any number."
    )


def test_the_first_error_is_raised_and_the_next_call_is_clean(llama: Llama) -> None:
    with pytest.raises(EmptyPrompt):
        llama.generate(["a", "", "b"], max_new_tokens=1)
    assert len(llama.generate(["a"], max_new_tokens=1)) == 1


def test_the_seed_of_build_is_used_where_a_call_gives_none(built: Llama) -> None:
    first = built.generate(["a"], temperature=3.0, max_new_tokens=5)
    assert built.generate(["a"], temperature=3.0, max_new_tokens=5, seed=7) == first
    assert built.generate(["a"], temperature=3.0, max_new_tokens=5, seed=8) != first


def test_a_parameter_that_is_out_of_range(llama: Llama) -> None:
    with pytest.raises(InvalidSamplingParams, match=r"^stop='ab' is not possible"):
        llama.generate(["a"], stop="ab")
    with pytest.raises(TypeError, match="max_tokens"):
        llama.generate(["a"], max_tokens=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("max_batch_size", 0, "an integer of at least 1"),
        ("max_batch_size", "8", "an integer of at least 1"),
        ("max_seq_len", 1, "an integer of at least 2"),
        ("max_seq_len", 0, "an integer of at least 2"),
        ("threads", 0, "an integer of at least 1"),
        ("threads", True, "an integer of at least 1"),
        ("device", None, "a device's name"),
        ("dtype", "", "a dtype's name"),
        ("tensor_parallel_size", 0, "an integer of at least 1"),
        ("tensor_parallel_size", "2", "an integer of at least 1"),
        ("device_map", "balanced", "auto or left out"),
        ("device_map", True, "auto or left out"),
        ("quantization", "int2", "int8, int4, int8_dynamic or left out"),
        ("quantization", 8, "int8, int4, int8_dynamic or left out"),
        ("cuda_graphs", 1, "true, false or left out"),
        ("async_scheduling", "yes", "true, false or left out"),
    ],
)
def test_a_setting_is_refused_before_anything_is_loaded(
    name: str, value: Any, allowed: str
) -> None:
    with pytest.raises(InvalidModelSetting) as caught:
        Llama.build("no/such-model", **{name: value})
    assert str(caught.value) == f"{name}={value!r} is not possible: it must be {allowed}."


def test_info(llama: Llama, tiny_llama: str) -> None:
    info = llama.info
    assert (info.model, info.max_seq_len) == (tiny_llama, 512)
    assert json.loads(json.dumps(info.details))["device"] == "cpu"


def test_count_tokens(llama: Llama) -> None:
    assert llama.count_tokens(chat("Who found it?")) == 79
    assert llama.count_tokens("") == 0
