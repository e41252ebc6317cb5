"""A loaded pair as a Llama, and prompts as tokenizers give them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import spacy
import torch

from nlp_pipeline import Llama
from nlp_pipeline.errors.generation import NoLoadedGenerator, NoModelGiven, PromptsNotUnderstood
from nlp_pipeline.generation.chat import Chat, Message, Prompt
from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.generation.prompt_forms import as_prompts

pytestmark = pytest.mark.issue(13)


@pytest.fixture(scope="module")
def pair(tiny: LoadedModel) -> Llama:
    return Llama.from_model(tiny.model, tiny.tokenizer, max_seq_len=512, max_batch_size=4)


def test_a_loaded_pair_is_the_same_llama(pair: Llama, llama: Llama) -> None:
    asked: list[Prompt] = ["Who pays?", Chat((Message("user", "Who?"),)), [5, 6, 7]]
    theirs = [c.token_ids for c in llama.generate(asked, max_new_tokens=6)]
    assert [c.token_ids for c in pair.generate(asked, max_new_tokens=6)] == theirs
    assert pair.info.details["architecture"] == "LlamaForCausalLM"
    assert pair.loaded.eos_token_ids == {2}


def test_a_component_uses_it(pair: Llama) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    config: dict[str, Any] = {"questions": ["Who pays?"], "generator": pair.generator_block()}
    nlp.add_pipe("llama_qa", config=config)
    (answer,) = nlp("Anna Berg pays.")._.answers
    assert answer["status"] in ("ok", "no_answer")
    assert answer["model"] == pair.loaded.name


def test_a_block_of_another_process() -> None:
    nlp = spacy.blank("en")
    block = {"@llama_generators": "nlp_pipeline.loaded.v1", "key": "gone"}
    with pytest.raises(NoLoadedGenerator, match="No loaded model goes by 'gone'"):
        nlp.add_pipe("llama_qa", config={"questions": ["?"], "generator": block})


def test_a_pair_without_a_chat_template_gets_the_plain_one(tiny: LoadedModel) -> None:
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.chat_template = None
    made = Llama.from_model(tiny.model, tokenizer, max_seq_len=99)
    assert made.info.details["chat_template"] == "plain.v1"
    assert tokenizer.chat_template is None


def test_what_is_no_pair(tiny: LoadedModel) -> None:
    with pytest.raises(NoModelGiven, match=r"checkpoint is of the type .*Llama\.from_model\("):
        Llama.build(tiny.model)
    with pytest.raises(NoModelGiven, match="tokenizer is of the type str"):
        Llama.from_model(tiny.model, "name")
    with pytest.raises(NoModelGiven, match="model is of the type str"):
        Llama.from_model("name", tiny.tokenizer)


CHAT = Chat((Message("user", "Who?"),))


@pytest.mark.parametrize(
    ("given", "prompts"),
    [
        ("a", ["a"]),
        (CHAT, [CHAT]),
        ([1, 2, 3], [[1, 2, 3]]),
        ((1, 2), [[1, 2]]),
        (["a", [1, 2], CHAT], ["a", [1, 2], CHAT]),
        (torch.tensor([1, 2]), [[1, 2]]),
        (torch.tensor([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([[1, 2]]), [[1, 2]]),
        ([torch.tensor([1, 2]), torch.tensor([[3]])], [[1, 2], [3]]),
        ({"input_ids": [1, 2]}, [[1, 2]]),
        (
            {"input_ids": torch.tensor([[0, 1], [2, 3]]), "attention_mask": [[0, 1], [1, 1]]},
            [[1], [2, 3]],
        ),
        ([{"input_ids": [[1, 2]]}], [[1, 2]]),
        ([], []),
    ],
)
def test_prompts_in_any_form(given: Any, prompts: list[Any]) -> None:
    assert as_prompts(given) == prompts


def test_what_a_tokenizer_returns(tiny: LoadedModel) -> None:
    texts = ["Who pays?", "a"]
    ids = tiny.tokenizer(texts).input_ids
    assert as_prompts(tiny.tokenizer(texts)) == ids
    padded = tiny.tokenizer(texts, padding=True, return_tensors="pt")
    assert as_prompts(padded) == ids


@pytest.mark.parametrize("given", [3, None, [3.5], [None], {"ids": [1]}, [b"a"]])
def test_what_is_no_prompt(given: Any) -> None:
    with pytest.raises(PromptsNotUnderstood, match="tokenizer\\(texts\\)\\.input_ids"):
        as_prompts(given)
