"""No file of a model folder is executed, whichever hook of transformers it hangs on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline.errors.generation import CheckpointUnreadable, ModelNotFound
from nlp_pipeline.generation.loading.load import load
from nlp_pipeline.generation.loading.model_view import model_view

pytestmark = pytest.mark.issue(14)

EVIL = ("modeling_evil", "configuration_evil", "tokenization_evil", "custom_generate/generate")
CLASSES = "class Config: pass\nclass Model: pass\nclass Tokenizer: pass\n"


@pytest.fixture
def folder(tiny_llama: str, tmp_path: Path) -> Path:
    """The tiny Llama with code beside it that leaves a trace when it is run."""
    made = tmp_path / "model"
    shutil.copytree(tiny_llama, made)
    (made / "custom_generate").mkdir()
    trace = f"open({str(tmp_path / 'executed')!r}, 'w').write('x')\n"
    for name in EVIL:
        (made / f"{name}.py").write_text(f"{trace}{CLASSES}def generate(model, *a, **k): pass\n")
    (made / "custom_generate" / "requirements.txt").write_text("")
    return made


@pytest.fixture(autouse=True)
def _nothing_is_executed(tmp_path: Path) -> Iterator[None]:
    yield
    assert not (tmp_path / "executed").exists()


def change(folder: Path, file: str, **values: Any) -> None:
    path = folder / file
    held = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(held | values))


def test_a_generate_function_of_the_folder(folder: Path) -> None:
    loaded = load(str(folder), device="cpu")
    assert type(loaded.model).__name__ == "LlamaForCausalLM"
    assert "generate" not in vars(loaded.model)


@pytest.mark.parametrize(
    ("file", "values"),
    [
        (
            "config.json",
            {
                "auto_map": {
                    "AutoConfig": "configuration_evil.Config",
                    "AutoModelForCausalLM": "modeling_evil.Model",
                    "AutoTokenizer": ["tokenization_evil.Tokenizer", None],
                }
            },
        ),
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "other/repo--modeling_evil.Model"}}),
        ("config.json", {"attn_implementation": "other/kernels"}),
        ("config.json", {"_attn_implementation_internal": "other/kernels"}),
        ("config.json", {"tokenizer_class": "tokenization_evil.Tokenizer"}),
        ("config.json", {"custom_generate": "custom_generate"}),
        ("generation_config.json", {"custom_generate": "custom_generate"}),
        (
            "tokenizer_config.json",
            {"auto_map": {"AutoTokenizer": [None, "tokenization_evil.Tokenizer"]}},
        ),
        ("tokenizer_config.json", {"auto_map": ["tokenization_evil.Tokenizer", None]}),
        ("tokenizer_config.json", {"tokenizer_class": "tokenization_evil"}),
        ("tokenizer_config.json", {"tokenizer_file": "/etc/passwd"}),
    ],
)
def test_every_hook_of_a_configuration(folder: Path, file: str, values: dict[str, Any]) -> None:
    change(folder, file, **values)
    with suppress(CheckpointUnreadable):
        loaded = load(str(folder), device="cpu")
        assert type(loaded.model).__module__.startswith("transformers.models.llama")
        assert type(loaded.tokenizer).__module__.startswith("transformers.")


def test_a_tokenizer_named_apart(folder: Path, tiny_llama: str) -> None:
    change(folder, "config.json", auto_map={"AutoTokenizer": ["tokenization_evil.Tokenizer", None]})
    tokenizer = load(tiny_llama, device="cpu", tokenizer=str(folder)).tokenizer
    assert tokenizer("a").input_ids
    assert tokenizer.name_or_path == str(folder)


def test_a_model_of_the_hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the hub's cache, as another program left it there."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hub" / "models--some--model"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    (cached / "snapshots").mkdir()
    shutil.move(folder, cached / "snapshots" / commit)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("huggingface_hub._snapshot_download.constants", constants)
        loaded = load("some/model", device="cpu")
        assert loaded.details["digest"] == commit
        (cached / "snapshots" / commit / "model.safetensors").unlink()
        with pytest.raises(CheckpointUnreadable, match=r"^some/model holds no model .* no weights"):
            load("some/model", device="cpu")
    with pytest.raises(ModelNotFound):
        load("some/other", device="cpu")


def test_a_view_holds_data_alone_and_goes_away(folder: Path) -> None:
    change(folder, "config.json", auto_map={}, text_config={"auto_map": {}, "kept": [1]})
    (folder / "adapter_config.json").write_text("{}")
    with model_view(folder, "m") as view:
        assert sorted(path.name for path in view.iterdir()) == [
            *("config.json", "generation_config.json", "model.safetensors"),
            *("special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"),
        ]
        config = json.loads((view / "config.json").read_text())
        assert "auto_map" not in config
        assert config["text_config"] == {"kept": [1]}
    assert not view.exists()
    assert (folder / "model.safetensors").is_file()


def test_a_system_without_links(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr(os, "symlink", fail)
    with model_view(folder, "m") as view:
        assert not (view / "tokenizer.json").is_symlink()
        assert (view / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
