from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.generation import (
    CheckpointUnreadable,
    DeviceUnavailable,
    InvalidDtype,
    ModelNotFound,
    TokenizerNotFound,
)
from nlp_pipeline.generation.loading.load import LoadedModel, load

Spoil = Callable[..., str]
UNREACHABLE = "the Hugging Face hub cannot be reached and has left nothing in its cache"


@pytest.fixture
def spoil(tiny_llama: str, tmp_path: Path) -> Spoil:
    """A copy of the tiny Llama with files replaced, or deleted where None is given."""

    def copy(files: dict[str, bytes | None], **config: Any) -> str:
        folder = tmp_path / "model"
        shutil.copytree(tiny_llama, folder)
        if config:
            values = json.loads((folder / "config.json").read_text()) | config
            files = files | {"config.json": json.dumps(values).encode()}
        for name, content in files.items():
            (folder / name).unlink(missing_ok=True)
            if content is not None:
                (folder / name).write_bytes(content)
        return str(folder)

    return copy


def fault(folder: str, **options: Any) -> str:
    """What is said of a folder that cannot be loaded, without its path; always one line."""
    with pytest.raises(CheckpointUnreadable) as caught:
        load(folder, device="cpu", **options)
    message = str(caught.value)
    start = f"{folder} holds no model that can be loaded: "
    assert message.startswith(start)
    assert "\n" not in message
    assert not message.endswith("..")
    return message.removeprefix(start)


def test_a_folder(tiny: LoadedModel) -> None:
    assert tiny.max_seq_len == 4096
    assert tiny.eos_token_ids == {2}
    assert not tiny.model.training
    assert not any(p.requires_grad for p in tiny.model.parameters())
    assert {p.device for p in tiny.model.parameters()} == {torch.device("cpu")}
    assert tiny.details["dtype"] == "float64"
    assert tiny.details["parameters"] == 115_008
    assert len(tiny.details["digest"]) == 64
    json.dumps(tiny.details)


def test_auto_is_float32_on_the_cpu(tiny_llama: str) -> None:
    assert load(tiny_llama, device="cpu").model.dtype == torch.float32


def test_the_verbosity_of_transformers_stays_as_it_was(tiny_llama: str) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load(tiny_llama, device="cpu")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


class TestFoldersThatCannotBeLoaded:
    def test_no_weights(self, spoil: Spoil) -> None:
        folder = spoil({"model.safetensors": None})
        assert fault(folder) == "it has no weights (model.safetensors)."

    @pytest.mark.parametrize("size", [0, 5, 1000, 200_000])
    def test_broken_weights(self, spoil: Spoil, tiny_llama: str, size: int) -> None:
        weights = (Path(tiny_llama) / "model.safetensors").read_bytes()[:size]
        assert "header" in fault(spoil({"model.safetensors": weights}))

    def test_weights_of_another_shape(self, spoil: Spoil) -> None:
        said = fault(spoil({}, hidden_size=32, head_dim=8))
        start = "its weights are not those of its model: it has other sizes than its config.json"
        assert said.startswith(f"{start} says: model.embed_tokens.weight is not (640, 32),")

    @pytest.mark.parametrize("config", [b"{", b"", b"\xff\xfe", b"{}\n{}"])
    def test_a_config_that_is_no_json(self, spoil: Spoil, config: bytes) -> None:
        assert fault(spoil({"config.json": config})).startswith("its config.json is no JSON (")

    @pytest.mark.parametrize("config", [b"[]", b"{}", b"3", b'{"model_type": 3}'])
    def test_a_config_that_names_no_model_type(self, spoil: Spoil, config: bytes) -> None:
        # transformers would guess it from the folder's name and build a model of any size.
        assert fault(spoil({"config.json": config})) == "its config.json names no model_type."

    def test_a_model_type_that_is_not_known(self, spoil: Spoil) -> None:
        said = fault(spoil({}, model_type="nope"))
        version = transformers.__version__
        assert said == f"its model_type 'nope' is not known to transformers {version}."

    def test_a_config_with_wrong_values(self, spoil: Spoil) -> None:
        fault(spoil({}, hidden_size="wide"))

    def test_a_model_that_generates_nothing(self, spoil: Spoil) -> None:
        fault(spoil({}, model_type="vit"))

    def test_no_tokenizer(self, spoil: Spoil, tiny_llama: str) -> None:
        folder = spoil({"tokenizer.json": None})
        assert fault(folder) == "it has no tokenizer (tokenizer.json)."
        assert load(folder, device="cpu", tokenizer=tiny_llama).tokenizer.is_fast

    def test_a_broken_tokenizer(self, spoil: Spoil) -> None:
        fault(spoil({"tokenizer.json": b"{"}))

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        fault(str(tmp_path))


class TestNamesThatLeadNowhere:
    def test_nothing_of_that_name(self) -> None:
        with pytest.raises(ModelNotFound, match=r"^Model 'nothing' was not found\. Give a folder"):
            load("nothing")

    def test_a_hub_name_offline(self) -> None:
        with pytest.raises(ModelNotFound) as caught:
            load("nobody/nothing", device="cpu")
        assert str(caught.value).startswith(
            f"Model 'nobody/nothing' was not found ({UNREACHABLE}). Give a folder, a .gguf file"
        )
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["nobody/nothing", "/no/such/folder"])
    def test_a_tokenizer(self, tiny_llama: str, name: str) -> None:
        with pytest.raises(TokenizerNotFound, match=f"^Tokenizer '{name}' was not found") as caught:
            load(tiny_llama, device="cpu", tokenizer=name)
        assert "\n" not in str(caught.value)

    def test_a_tokenizer_folder_without_one(self, tiny_llama: str, tmp_path: Path) -> None:
        with pytest.raises(TokenizerNotFound):
            load(tiny_llama, device="cpu", tokenizer=str(tmp_path))


def test_nothing_is_read_for_a_device_or_dtype_that_cannot_be() -> None:
    with pytest.raises(DeviceUnavailable):
        load("nothing", device="gpu")
    with pytest.raises(InvalidDtype):
        load("nothing", device="cpu", dtype="int3")


class Touch:
    """Pickled, this makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.issue(2)
class TestNothingIsExecuted:
    @pytest.fixture
    def trace(self, tmp_path: Path) -> Path:
        return tmp_path / "executed"

    def test_code_beside_an_unknown_model_type(self, spoil: Spoil, trace: Path) -> None:
        folder = spoil(
            {"evil.py": f"open({str(trace)!r}, 'w')".encode()},
            model_type="evil",
            auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
        )
        assert fault(folder) == (
            "its model_type 'evil' needs code that the folder brings, which is never run."
        )
        assert not trace.exists()

    def test_code_beside_a_known_model_type(self, spoil: Spoil, trace: Path) -> None:
        folder = spoil(
            {"evil.py": f"open({str(trace)!r}, 'w')".encode()},
            auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
        )
        loaded = load(folder, device="cpu")
        assert type(loaded.model).__module__.startswith("transformers.models.llama")
        assert not trace.exists()

    def test_code_beside_a_tokenizer(self, spoil: Spoil, tiny_llama: str, trace: Path) -> None:
        config = json.loads((Path(tiny_llama) / "tokenizer_config.json").read_text())
        config |= {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.E", "evil.E"]}}
        code = f"open({str(trace)!r}, 'w')".encode()
        folder = spoil({"evil.py": code, "tokenizer_config.json": json.dumps(config).encode()})
        with suppress(CheckpointUnreadable):  # transformers 5 takes another class in its place
            load(folder, device="cpu")
        assert not trace.exists()

    def test_pickled_weights(self, spoil: Spoil, trace: Path) -> None:
        stream = io.BytesIO()
        torch.save({"model.embed_tokens.weight": Touch(trace)}, stream)
        folder = spoil({"model.safetensors": None, "pytorch_model.bin": stream.getvalue()})
        with pytest.raises(CheckpointUnreadable, match=r"pytorch_model\.bin holds no model"):
            load(folder, device="cpu")
        assert not trace.exists()


def test_pickled_weights_of_tensors_alone_are_read(spoil: Spoil, tiny: LoadedModel) -> None:
    stream = io.BytesIO()
    torch.save(tiny.model.state_dict(), stream)
    folder = spoil({"model.safetensors": None, "pytorch_model.bin": stream.getvalue()})
    assert load(folder, device="cpu", dtype="float64").details["parameters"] == 115_008


@pytest.mark.parametrize(
    ("ends", "config_ends", "found"), [([2, 1], 0, {1, 2}), (0, 2, {0}), (None, [2, 0], {0, 2})]
)
def test_the_generation_config_says_what_ends_a_completion(
    spoil: Spoil, ends: Any, config_ends: Any, found: set[int]
) -> None:
    generation = json.dumps({} if ends is None else {"eos_token_id": ends}).encode()
    folder = spoil({"generation_config.json": generation}, eos_token_id=config_ends)
    assert load(folder, device="cpu").eos_token_ids == found


def test_without_an_end_in_any_config_the_tokenizers_is_taken(spoil: Spoil) -> None:
    folder = spoil({"generation_config.json": b"{}"}, eos_token_id=None)
    assert load(folder, device="cpu").eos_token_ids == {2}


def test_the_context_of_a_model_that_names_none(spoil: Spoil) -> None:
    folder = spoil({}, max_position_embeddings=None)
    with pytest.raises(NlpPipelineError):
        load(folder, device="cpu")
