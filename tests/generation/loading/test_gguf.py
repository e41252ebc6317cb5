from __future__ import annotations

import json
import logging
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_gguf import write_gguf

from nlp_pipeline import models
from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.errors.models import ModelCacheUnusable
from nlp_pipeline.generation.llama import Llama
from nlp_pipeline.generation.loading.gguf import FORMAT, converted_folder
from nlp_pipeline.generation.loading.gguf_header import read_header
from nlp_pipeline.generation.loading.gguf_rope import scaled_periods
from nlp_pipeline.generation.loading.load import LoadedModel, load

DIGEST = "0123456789abcdef" * 4


@pytest.fixture(scope="session")
def gguf(tiny: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama as a GGUF file."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.F32.gguf"
    write_gguf(tiny.model, tiny.tokenizer, path, add_bos=False)
    return path


@pytest.fixture(scope="session")
def folder(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What it is converted to."""
    return converted_folder(gguf, DIGEST, tmp_path_factory.mktemp("cache"))


def test_the_folder_is_named_after_the_digest(folder: Path) -> None:
    assert folder.name == f"tiny.F32-0123456789abcdef-v{FORMAT}"
    assert folder.parent.name == "converted"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing is left over"
    assert oct(folder.stat().st_mode & 0o777) == "0o755"


def test_it_is_converted_once(gguf: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = (folder / "model.safetensors").stat()
    assert converted_folder(gguf, DIGEST, folder.parent.parent) == folder
    assert (folder / "model.safetensors").stat() == before
    assert caplog.messages == []


def test_weights_are_those_of_the_file(folder: Path, tiny: LoadedModel) -> None:
    loaded = load(str(folder), device="cpu", dtype="float64")
    expected = tiny.model.state_dict()
    for name, weight in loaded.model.state_dict().items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-7, msg=name)
    assert loaded.max_seq_len == 4096
    assert loaded.eos_token_ids == {2}


@pytest.mark.parametrize(
    "text", ["Who found it?", "Zürich, 東京 👩‍🔬\r\n a , b\t", " 1963 ", "<|im_end|>", ""]
)
def test_the_tokenizer_is_that_of_the_file(folder: Path, tiny: LoadedModel, text: str) -> None:
    tokenizer = load(str(folder), device="cpu").tokenizer
    for split in (False, True):
        expected = tiny.tokenizer(text, split_special_tokens=split).input_ids
        assert tokenizer(text, split_special_tokens=split).input_ids == expected
        assert tokenizer.decode(expected) == text
    assert tokenizer.chat_template == tiny.tokenizer.chat_template
    assert tokenizer.eos_token == "<|im_end|>"


@pytest.mark.parametrize(("add_bos", "first"), [(True, [1]), (False, []), (None, [1])])
def test_a_text_begins_as_the_file_says(
    tiny: LoadedModel, tmp_path: Path, add_bos: bool | None, first: list[int]
) -> None:
    file = tmp_path / "a.gguf"
    write_gguf(tiny.model, tiny.tokenizer, file, add_bos=add_bos)
    tokenizer = load(str(converted_folder(file, DIGEST, tmp_path)), device="cpu").tokenizer
    assert tokenizer("a").input_ids == [*first, 67]


@pytest.mark.parametrize("content", [b"GGUF", b"GGUF" + bytes(100), b"GGUF\3\0\0\0" + bytes(16)])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    with pytest.raises(CheckpointUnreadable, match=r"bad\.gguf holds no model that") as caught:
        converted_folder(file, DIGEST, tmp_path)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "converted").iterdir()) == []


def without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda weights: {name: w for name, w in weights.items() if name not in names}


def with_more(name: str, like: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda weights: weights | {name: weights[like]}


def shorter(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda weights: weights | {name: np.ascontiguousarray(weights[name][:-1])}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": without("blk.1.ffn_up.weight")}, "no model.layers.1.mlp.up_proj.weight"),
        ({"weights": without("output_norm.weight")}, "it has no model.norm.weight"),
        ({"weights": without("token_embd.weight")}, "model.embed_tokens.weight"),
        ({"blocks": 3}, "it has no model.layers.2.input_layernorm.weight"),
        ({"blocks": 1}, "it has the unknown blk.1.attn_k.weight"),
        (
            {"weights": with_more("blk.0.attn_q.bias", "output_norm.weight")},
            "it has the unknown blk.0.attn_q.bias",
        ),
        (
            {"weights": with_more("blk.0.strange.weight", "output_norm.weight")},
            "it has the unknown blk.0.strange.weight",
        ),
        ({"weights": shorter("blk.1.ffn_up.weight")}, "model.layers.1.mlp.up_proj.weight is not"),
        ({"weights": shorter("blk.1.attn_q.weight")}, "transformers cannot read it"),
    ],
)
def test_tensors_that_are_not_those_of_the_model(
    tiny: LoadedModel, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    file = tmp_path / "bad.gguf"
    write_gguf(tiny.model, tiny.tokenizer, file, **change)
    with pytest.raises(CheckpointUnreadable) as caught:
        converted_folder(file, DIGEST, tmp_path)
    assert said in str(caught.value)
    assert list((tmp_path / "converted").iterdir()) == []


def number(value: int, code: str = "Q") -> bytes:
    return struct.pack(f"<{code}", value)


HUGE = 2**60
START = b"GGUF" + number(3, "I")
KEY = number(1) + b"k"


@pytest.mark.parametrize(
    "content",
    [
        START + number(HUGE) + number(0) + bytes(40),
        START + number(0) + number(HUGE) + bytes(40),
        START + number(0) + number(1) + number(HUGE) + bytes(40),
        START + number(0) + number(1) + KEY + number(8, "I") + number(HUGE) + bytes(40),
        START + number(0) + number(1) + KEY + number(9, "I") + number(4, "I") + number(HUGE),
        START + number(0) + number(1) + KEY + number(9, "I") + number(8, "I") + number(HUGE),
        START + number(0) + number(1) + KEY + (number(9, "I") + number(1, "I")[:0]) * 40,
        START + number(1) + number(0) + KEY + number(2, "I") + number(HUGE) * 2 + bytes(12),
        START + number(1) + number(0) + KEY + number(9**9, "I") + bytes(60),
        START + number(0) + number(1) + KEY + number(77, "I") + bytes(60),
        b"GGUF" + number(9, "I") + bytes(60),
        b"GGUF",
        b"",
    ],
)
def test_claims_that_a_file_has_no_room_for(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    with pytest.raises(CheckpointUnreadable, match=r"bad\.gguf holds no model"):
        read_header(file)


def test_more_layers_than_a_file_has_tensors(tiny: LoadedModel, tmp_path: Path) -> None:
    file = tmp_path / "bad.gguf"
    write_gguf(tiny.model, tiny.tokenizer, file, blocks=10**8)
    with pytest.raises(CheckpointUnreadable, match="asks for 100000000 layers, and its weights"):
        converted_folder(file, DIGEST, tmp_path)


def test_the_header_says_what_the_file_holds(gguf: Path) -> None:
    header = read_header(gguf)
    assert header.values["llama.block_count"] == 2
    assert header.values["tokenizer.ggml.add_bos_token"] is False
    assert header.tensors["token_embd.weight"] == (64, 640)
    assert len(header.tensors) == 20


def test_the_frequencies_of_llama_3(tiny: LoadedModel, tmp_path: Path) -> None:
    scaling = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0}
    scaling |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    config = tiny.model.config
    theta = (getattr(config, "rope_parameters", None) or {"rope_theta": config.rope_theta})[
        "rope_theta"
    ]
    factors = scaled_periods(32.0, theta, config.head_dim // 2).float().numpy()

    def more(weights: dict[str, Any]) -> dict[str, Any]:
        return weights | {"rope_freqs.weight": factors}

    file = tmp_path / "llama3.gguf"
    write_gguf(tiny.model, tiny.tokenizer, file, weights=more)
    written = json.loads((converted_folder(file, DIGEST, tmp_path) / "config.json").read_text())
    rope = written.get("rope_scaling") or written["rope_parameters"]
    assert {key: rope[key] for key in scaling} == scaling
    factors[-1] *= 2
    write_gguf(tiny.model, tiny.tokenizer, file, weights=more)
    with pytest.raises(CheckpointUnreadable, match="rope_freqs"):
        converted_folder(file, "1" * 64, tmp_path)


def test_a_truncated_file(gguf: Path, tmp_path: Path) -> None:
    file = tmp_path / "short.gguf"
    file.write_bytes(gguf.read_bytes()[: gguf.stat().st_size // 2])
    with pytest.raises(CheckpointUnreadable):
        converted_folder(file, DIGEST, tmp_path)


def test_a_cache_that_cannot_be_written(gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ModelCacheUnusable, match=r"cannot be used: Not a directory\. Set"):
        converted_folder(gguf, DIGEST, tmp_path / "cache")


def test_load_converts_to_the_model_cache(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: LoadedModel
) -> None:
    monkeypatch.setenv("NLP_PIPELINE_CACHE", str(tmp_path))
    loaded = load(str(gguf), device="cpu", dtype="float64")
    digest = models.digest(gguf)
    assert loaded.details["digest"] == digest
    assert [p.name for p in (tmp_path / "converted").iterdir()] == [
        f"tiny.F32-{digest[:16]}-v{FORMAT}"
    ]
    ours = Llama(loaded, max_seq_len=99, max_batch_size=2, seed=1)
    theirs = Llama(tiny, max_seq_len=99, max_batch_size=2, seed=1)
    asked = ["In Oslo, Omar Haddad found", "Who?"]
    expected = [c.token_ids for c in theirs.generate(asked, max_new_tokens=6)]
    assert [c.token_ids for c in ours.generate(asked, max_new_tokens=6)] == expected


@pytest.mark.slow
def test_the_default_model() -> None:
    """The one that newcomers get, from the cache that `nlp-pipeline models fetch` fills."""
    from gguf import GGUFReader

    os.environ.setdefault("NLP_PIPELINE_OFFLINE", "1")
    found = models.resolve(models.DEFAULT_MODEL)
    assert found.path is not None
    loaded = load(models.DEFAULT_MODEL, device="cpu")
    assert loaded.eos_token_ids == {2}
    assert loaded.tokenizer.eos_token == "<|im_end|>"
    assert loaded.max_seq_len == 8192 or loaded.max_seq_len == 2048
    field = GGUFReader(found.path).fields["tokenizer.ggml.tokens"]
    tokens = [bytes(field.parts[index]).decode() for index in field.data]
    assert loaded.tokenizer.convert_ids_to_tokens(range(len(tokens))) == tokens
    llama = Llama(loaded, max_seq_len=512, max_batch_size=4, seed=1)
    text = "Zürich, 東京 👩‍🔬\r\n in 1963 , it's <|im_end|>"
    ids = llama.encoder.encode(text)
    assert llama.encoder.decode(ids) == text
    assert loaded.tokenizer(text, split_special_tokens=True).input_ids == ids
    (done,) = llama.generate(["The capital of France is"], max_new_tokens=4)
    assert "Paris" in done.text
