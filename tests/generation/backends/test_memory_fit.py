"""A GGUF file that does not fit the memory unpacked is run packed, and that is said."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline.components.generators import make_llama
from nlp_pipeline.errors.generation import UnpackedModelTooLarge
from nlp_pipeline.generation.backends.inprocess import LlamaGenerator
from nlp_pipeline.generation.backends.llama_cpp import LlamaCppGenerator, memory_fit
from nlp_pipeline.generation.loading.load import LoadedModel


@pytest.fixture(autouse=True)
def _one_megabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with little memory, and with llama.cpp."""
    monkeypatch.setattr(memory_fit, "total_memory", lambda: 1_000_000)
    monkeypatch.setattr(memory_fit, "library_version", lambda: "1.0")


def unpacked_bytes(tiny: LoadedModel) -> int:
    weights = dict(tiny.model.state_dict())
    weights.pop("lm_head.weight")  # tied to the embeddings
    return sum(weight.numel() for weight in weights.values()) * 4


def test_it_is_run_packed_and_said(
    gguf: Path, tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    needed = unpacked_bytes(tiny)
    monkeypatch.setattr(memory_fit, "total_memory", lambda: needed)
    kwargs = {"enable_thinking": False}
    settings: dict[str, Any] = {"max_seq_len": 99, "threads": 3, "chat_template_kwargs": kwargs}
    with caplog.at_level(logging.WARNING):
        generator = make_llama(model=str(gguf), device="cpu", **settings)
    assert isinstance(generator, LlamaCppGenerator)
    assert generator.settings.model == str(gguf)
    assert (generator.settings.max_seq_len, generator.settings.threads) == (99, 3)
    assert generator.settings.chat_template_kwargs == kwargs
    assert "llama.cpp runs it packed (nlp_pipeline.llama_cpp.v1)" in caplog.text


@pytest.mark.parametrize("share", [1.2, 0.6])
def test_what_fits_is_unpacked(
    gguf: Path, tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    memory = int(unpacked_bytes(tiny) * share)
    monkeypatch.setattr(memory_fit, "total_memory", lambda: memory)
    dtype = "float32" if share > 1 else "bfloat16"
    assert isinstance(make_llama(model=str(gguf), device="cpu", dtype=dtype), LlamaGenerator)


def test_other_models_are_none_of_its_business(tiny_llama: str, gguf: Path, tmp_path: Path) -> None:
    no_gguf = tmp_path / "bad.gguf"
    no_gguf.write_bytes(b"GGUF" + bytes(60))
    names = (tiny_llama, "smollm2-135m-instruct", str(no_gguf), "missing.gguf", "org/model")
    for model in names:
        assert isinstance(make_llama(model=model, device="cpu"), LlamaGenerator)
    assert isinstance(make_llama(model=str(gguf), device="cuda:99"), LlamaGenerator)


def test_what_to_install_or_leave_out(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_fit, "total_memory", lambda: 1000)
    in_process: dict[str, Any] = {
        "adapter": "mine",
        "quantization": "int8",
        "tokenizer": "other",
        "device_map": "auto",
        "tensor_parallel_size": 2,
    }
    for name, value in in_process.items():
        with pytest.raises(UnpackedModelTooLarge, match=f"run it packed: leave out {name}"):
            make_llama(model=str(gguf), device="cpu", **{name: value})
    monkeypatch.setattr(memory_fit, "library_version", lambda: "")
    with pytest.raises(UnpackedModelTooLarge, match=r"GB\. .* type `pip install 'xllamacpp"):
        make_llama(model=str(gguf), device="cpu")
