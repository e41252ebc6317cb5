"""Weights that are not those of their configuration are refused by name, on every way in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.errors.meta import SizesImplausible, TensorsUnknown, TiedHeadDiffers
from nlp_pipeline.generation.loading.load import load

pytestmark = pytest.mark.issue(13)

Weights = dict[str, Tensor]
HEAD, EMBEDDING, NORM = "lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"
UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def weights(tiny_llama: str) -> Weights:
    return load_file(Path(tiny_llama) / "model.safetensors")


@pytest.fixture
def folder(tiny_llama: str, tmp_path: Path) -> Path:
    """A copy of the tiny Llama without its weights."""
    shutil.copytree(tiny_llama, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    return tmp_path / "model"


def configure(folder: Path, **config: Any) -> None:
    values = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(values))


def as_safetensors(folder: Path, weights: Weights) -> None:
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def as_bin(folder: Path, weights: Weights) -> None:
    torch.save(weights, folder / "pytorch_model.bin")


def as_shards(
    folder: Path, weights: Weights, without: str | None = None, left_out: str | None = None
) -> None:
    """Two files and an index; `without` is not in its file, `left_out` not in the index."""
    names = sorted(weights)
    entries: dict[str, str] = {}
    for number, part in ((1, names[::2]), (2, names[1::2])):
        file = f"model-0000{number}-of-00002.safetensors"
        entries |= dict.fromkeys(part, file)
        held = {name: weights[name] for name in part if name != without}
        save_file(held, folder / file, metadata={"format": "pt"})
    entries.pop(left_out or "", None)
    index = {"metadata": {}, "weight_map": entries}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


WAYS = pytest.mark.parametrize("write", [as_safetensors, as_bin, as_shards])


def refused(folder: Path, **options: Any) -> str:
    with pytest.raises(TensorsUnknown) as caught:
        load(str(folder), device="cpu", **options)
    said = str(caught.value)
    assert said.startswith(f"{folder} holds no model that can be loaded: its weights are not")
    return said


@WAYS
@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "base_model.model.", "transformer."])
def test_names_with_a_prefix(
    folder: Path, weights: Weights, write: Callable[..., None], prefix: str
) -> None:
    write(folder, {f"{prefix}{name}": weight for name, weight in weights.items()})
    said = refused(folder)
    assert "it has no " in said
    assert "and it has the unknown " in said
    assert prefix in said


@WAYS
@pytest.mark.parametrize(
    ("config", "dropped", "said"),
    [
        ({}, UP, f"it has no {UP}"),
        ({}, NORM, f"it has no {NORM}"),
        ({"num_hidden_layers": 3}, "", "it has no model.layers.2.input_layernorm.weight"),
        ({"num_hidden_layers": 1}, "", "the unknown model.layers.1.input_layernorm.weight"),
        ({"tie_word_embeddings": False}, "", f"it has no {HEAD}"),
        ({"vocab_size": 500}, "", f"{EMBEDDING} is not (500, 64)"),
        ({"intermediate_size": 96}, "", "model.layers.0.mlp.down_proj.weight is not (64, 96)"),
    ],
)
def test_another_model_than_the_config_says(
    folder: Path,
    weights: Weights,
    write: Callable[..., None],
    config: dict[str, Any],
    dropped: str,
    said: str,
) -> None:
    configure(folder, **config)
    write(folder, {name: weight for name, weight in weights.items() if name != dropped})
    assert said in refused(folder)


@pytest.mark.parametrize(
    "options", [{"device_map": "auto"}, {"quantization": "int8_dynamic"}, {"dtype": "float64"}]
)
def test_on_every_way_in(folder: Path, weights: Weights, options: dict[str, Any]) -> None:
    as_safetensors(folder, {name: w for name, w in weights.items() if name != UP})
    if "device_map" in options:
        with pytest.raises(TensorsUnknown, match=UP):
            load(str(folder), **options)
    else:
        assert UP in refused(folder, **options)


def test_an_unknown_tensor(folder: Path, weights: Weights) -> None:
    as_safetensors(folder, weights | {"model.layers.0.self_attn.q_proj.bias": torch.ones(64)})
    assert "the unknown model.layers.0.self_attn.q_proj.bias" in refused(folder)


def test_no_tensor_at_all(folder: Path) -> None:
    as_safetensors(folder, {})
    assert "it has no lm_head.weight, model.embed_tokens.weight" in refused(folder)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_an_empty_file(folder: Path, file: str) -> None:
    (folder / file).touch()
    with pytest.raises(CheckpointUnreadable, match=file):
        load(str(folder), device="cpu")


def test_a_shard_that_lacks_a_tensor(folder: Path, weights: Weights) -> None:
    as_shards(folder, weights, without=UP)
    assert f"it has no {UP}" in refused(folder)


def test_an_index_that_lacks_a_tensor(folder: Path, weights: Weights) -> None:
    as_shards(folder, weights, left_out=UP)
    assert f"the unknown {UP}" in refused(folder)


def test_a_shard_that_is_missing(folder: Path, weights: Weights) -> None:
    as_shards(folder, weights)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointUnreadable, match=r"model-00002-of-00002\.safetensors is missing"):
        load(str(folder), device="cpu")


@pytest.mark.parametrize(
    "index",
    ["[]", "{}", "{", '{"weight_map": 3}', '{"weight_map": {"a": "../x.safetensors"}}'],
)
def test_an_index_that_cannot_be_used(folder: Path, index: str) -> None:
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(CheckpointUnreadable, match=r"model\.safetensors\.index\.json"):
        load(str(folder), device="cpu")


@WAYS
def test_what_is_tied_needs_no_head(
    folder: Path, weights: Weights, write: Callable[..., None]
) -> None:
    assert HEAD not in weights
    write(folder, weights)
    loaded = load(str(folder), device="cpu").model
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight


@WAYS
@pytest.mark.parametrize("same", [True, False])
def test_a_head_beside_tied_embeddings(
    folder: Path, weights: Weights, write: Callable[..., None], same: bool
) -> None:
    head = weights[EMBEDDING].clone() if same else -weights[EMBEDDING]
    write(folder, weights | {HEAD: head})
    if same:
        load(str(folder), device="cpu")
    else:
        with pytest.raises(TiedHeadDiffers, match="Set tie_word_embeddings to false"):
            load(str(folder), device="cpu")
        configure(folder, tie_word_embeddings=False)
        loaded = load(str(folder), device="cpu").model
        torch.testing.assert_close(loaded.lm_head.weight, head)


@WAYS
def test_computed_frequencies_are_no_weights(
    folder: Path, weights: Weights, write: Callable[..., None]
) -> None:
    write(folder, weights | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)})
    assert load(str(folder), device="cpu").details["parameters"] == 115_008


@pytest.mark.parametrize(
    "config",
    [
        {"num_hidden_layers": 10**9},
        {"vocab_size": 10**12},
        {"intermediate_size": 10**12},
        {"hidden_size": 10**12},
    ],
)
def test_sizes_that_would_fill_the_memory(
    folder: Path, weights: Weights, config: dict[str, Any]
) -> None:
    as_safetensors(folder, weights)
    configure(folder, **config)
    with pytest.raises(SizesImplausible, match="its configuration asks for"):
        load(str(folder), device="cpu")
