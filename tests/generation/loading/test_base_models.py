"""Folders as open_llama's: a SentencePiece tokenizer alone, and no chat template."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.loading.load import load
from nlp_pipeline.generation.prompt_encoder import PromptEncoder

pytestmark = pytest.mark.issue(13)

LINES = ["The tenant shall repair the roof within 90 days, or pay 250 dollars.", "ab ba abab"] * 20
TEXTS = [
    "",
    "Hello, world!",
    "  two  spaces\n\t",
    "日本語 🦙",
    "<s> </s> [INST]",
    "é e\u0301 1,234",
]


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SentencePiece model of Llama's kind, of as many pieces as the tiny Llama has tokens."""
    folder = tmp_path_factory.mktemp("pieces")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=320,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return folder / "tokenizer.model"


@pytest.fixture
def folder(tiny_llama: str, pieces: Path, tmp_path: Path) -> Callable[..., Path]:
    def make(**settings: Any) -> Path:
        made = tmp_path / "model"
        made.mkdir()
        for name in ("config.json", "generation_config.json", "model.safetensors"):
            shutil.copy(Path(tiny_llama) / name, made)
        shutil.copy(pieces, made)
        config = {"tokenizer_class": "LlamaTokenizer", "bos_token": {"content": "<s>"}} | settings
        (made / "tokenizer_config.json").write_text(json.dumps(config))
        return made

    return make


def test_the_ids_are_those_of_sentencepiece(folder: Callable[..., Path], pieces: Path) -> None:
    tokenizer = load(str(folder()), device="cpu").tokenizer
    oracle = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    for text in TEXTS:
        assert tokenizer(text, split_special_tokens=True).input_ids == [1, *oracle.encode(text)]
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<s>", "</s>")


def test_the_settings_of_the_folder_count(folder: Callable[..., Path]) -> None:
    made = folder(add_bos_token=False, pad_token="<pad>", chat_template="{{ 'Hi' }}")
    (made / "added_tokens.json").write_text(json.dumps({"<pad>": 320, "<more>": 321}))
    loaded = load(str(made), device="cpu")
    assert loaded.tokenizer("a").input_ids[0] != 1
    assert loaded.tokenizer.chat_template == "{{ 'Hi' }}"
    assert "chat_template" not in loaded.details
    assert loaded.tokenizer.pad_token == "<pad>"
    assert loaded.tokenizer.convert_tokens_to_ids("<more>") == loaded.tokenizer.pad_token_id + 1


def test_a_chat_without_a_template_is_plain_text(
    folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    loaded = load(str(folder()), device="cpu")
    assert loaded.details["chat_template"] == "plain.v1"
    assert "has no chat template: prompts are written as plain text (plain.v1)" in caplog.text
    turns = (
        Message("system", "Be brief."),
        Message("user", "Q: Who?"),
        Message("assistant", "A: Ana"),
        Message("user", "Q: Where?"),
    )
    encoder = PromptEncoder(loaded.tokenizer, "m")
    ids = encoder.encode(Chat(turns, "A:"))
    assert ids[0] == 1
    assert ids.count(1) == 1
    assert encoder.decode(ids) == "Be brief.\n\nQ: Who?\nA: Ana\n\nQ: Where?\nA:"
