"""Meta's interface under Meta's names: its example scripts run with the import changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from meta_reference import Shape, random_weights, reference_logits, write_checkpoint

from nlp_pipeline.errors.generation import BatchTooLarge, PromptTooLong
from nlp_pipeline.meta import UNSAFE_ERROR, Dialog, Llama

pytestmark = pytest.mark.issue(13)

SHAPE = Shape()
PROMPTS = [[256, 72, 105], [256, 65, 66, 67, 68, 69], [256]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("meta") / "model"
    write_checkpoint(made, SHAPE, random_weights(SHAPE))
    return made


def build(folder: Path, seed: int = 1) -> Llama:
    return Llama.build(
        ckpt_dir=str(folder),
        tokenizer_path=str(folder / "tokenizer.model"),
        max_seq_len=96,
        max_batch_size=4,
        seed=seed,
    )


@pytest.fixture(scope="module")
def generator(folder: Path) -> Llama:
    return build(folder)


@pytest.mark.parametrize("echo", [False, True])
def test_greedy_ids_and_scores_are_those_of_the_reference(generator: Llama, echo: bool) -> None:
    ids, scores = generator.generate(PROMPTS, 5, temperature=0, logprobs=True, echo=echo)
    assert scores is not None
    weights = random_weights(SHAPE)
    for prompt, tokens, row in zip(PROMPTS, ids, scores, strict=True):
        assert len(tokens) == len(row)
        if echo:
            assert tokens[: len(prompt)] == prompt
            assert row[0] == 0
        completion = tokens[len(prompt) * echo :]
        logits = reference_logits(SHAPE, weights, [*prompt, *completion]).log_softmax(-1)
        for place, token in enumerate(completion, start=len(prompt)):
            assert int(logits[place - 1].argmax()) == token
            expected = logits[place - 1, token].item()
            assert row[place - len(prompt) * (not echo)] == pytest.approx(expected, abs=1e-3)


def test_without_scores_there_are_none(generator: Llama) -> None:
    ids, scores = generator.generate(PROMPTS, 2)
    assert scores is None
    assert len(ids) == 3


def test_every_prompt_and_call_draws_for_itself(folder: Path) -> None:
    one, two = build(folder, seed=7), build(folder, seed=7)
    same = [[256, 72, 105]] * 4
    first, _ = one.generate(same, 12, temperature=5.0, top_p=1.0)
    second, _ = one.generate(same, 12, temperature=5.0, top_p=1.0)
    assert len({tuple(ids) for ids in first + second}) == 8
    assert two.generate(same, 12, temperature=5.0, top_p=1.0)[0] == first
    assert build(folder, seed=8).generate(same, 12, temperature=5.0, top_p=1.0)[0] != first


def test_the_example_of_completions(generator: Llama) -> None:
    prompts = ["I believe the meaning of life is", "Simply put, "]
    results = generator.text_completion(prompts, max_gen_len=4, temperature=0.6, top_p=0.9)
    assert [set(result) for result in results] == [{"generation"}] * 2
    (scored,) = generator.text_completion(["a"], temperature=0, max_gen_len=3, logprobs=True)
    assert len(scored["tokens"]) == len(scored["logprobs"]) <= 3
    assert "".join(scored["tokens"]) == scored["generation"]
    (echoed,) = generator.text_completion(["a"], temperature=0, max_gen_len=3, echo=True)
    assert echoed["generation"].startswith("a")


def test_the_example_of_dialogs(generator: Llama) -> None:
    dialogs: list[Dialog] = [
        [{"role": "user", "content": "Hi"}],
        [{"role": "system", "content": "Ok"}, {"role": "user", "content": "[INST] of Llama 2"}],
    ]
    results = generator.chat_completion(dialogs, max_gen_len=3, temperature=0.6, top_p=0.9)
    for result in results:
        assert result["generation"]["role"] == "assistant"
        assert result["generation"]["content"] != UNSAFE_ERROR, "Llama 3 knows no such tag"
    (scored,) = generator.chat_completion(dialogs[:1], max_gen_len=3, logprobs=True)
    assert set(scored) == {"generation", "tokens", "logprobs"}


def test_a_text_with_a_tag_of_llama_2(generator: Llama, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = generator.llama.loaded.tokenizer
    monkeypatch.setattr(tokenizer, "chat_template", tokenizer.chat_template + "{# [INST] #}")
    dialogs: list[Dialog] = [[{"role": "user", "content": "[INST] hi"}]]
    (result,) = generator.chat_completion(dialogs, max_gen_len=2)
    assert result["generation"]["content"] == UNSAFE_ERROR


def test_the_limits(generator: Llama) -> None:
    with pytest.raises(BatchTooLarge):
        generator.generate([[256]] * 5, 2)
    with pytest.raises(PromptTooLong):
        generator.generate([[256] * 96], 2)
    ids, _ = generator.generate([[256] * 94], 10, temperature=0)
    assert len(ids[0]) <= 2


def test_the_tokenizer_as_metas_code_calls_it(generator: Llama) -> None:
    tokenizer = generator.tokenizer
    assert tokenizer.encode("Hi", bos=True, eos=True) == [256, 72, 105, 257]
    assert tokenizer.encode("<|eot_id|>", bos=False, eos=False) == list(b"<|eot_id|>")
    assert tokenizer.decode([72, 105]) == "Hi"
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.n_words) == (256, 257, 512)


def test_other_processes_are_silent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setenv("LOCAL_RANK", "1")
    build(folder)
    assert sys.stdout.name == "/dev/null"
    sys.stdout.close()
    assert torch.get_default_dtype() == torch.float32
