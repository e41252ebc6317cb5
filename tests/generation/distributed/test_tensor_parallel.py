"""One model over ranks that are threads: what each holds, and that together they are the model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from meta_reference import Shape, random_weights, write_checkpoint
from thread_world import Meeting, ThreadWorld
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.errors.meta import TensorsUnknown
from nlp_pipeline.errors.parallel import CannotSplit, NoSplitPlan
from nlp_pipeline.generation.distributed.process_group import World
from nlp_pipeline.generation.distributed.tensor_parallel import TensorParallelPlan
from nlp_pipeline.generation.loading.assembly import Placement
from nlp_pipeline.generation.loading.load import load
from nlp_pipeline.generation.loading.weights import load_model

IDS = torch.tensor([[3, 17, 42, 9, 128, 77, 5, 1, 2, 3]])


def on_ranks(size: int, folder: str, tokens: Any = None) -> list[tuple[Any, Tensor, int]]:
    """Model, logits and number of parameters, as every rank sees them."""
    meeting = Meeting(size)

    def run(rank: int) -> tuple[Any, Tensor, int]:
        with torch.inference_mode():
            world = ThreadWorld(rank, size, torch.device("cpu"), meeting=meeting)
            place = Placement(torch.float64, torch.device("cpu"), world)
            model, total = load_model("m", Path(folder), tokens, place)
            return model, model.eval()(IDS).logits, total

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))


def random_model(folder: Path, **changes: Any) -> str:
    torch.manual_seed(3)
    sizes = {
        "vocab_size": 300,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "initializer_range": 0.3,
    } | changes
    if sizes.pop("kind", "llama") == "qwen2":
        model: Any = Qwen2ForCausalLM(Qwen2Config(**sizes))
    else:
        model = LlamaForCausalLM(LlamaConfig(**sizes))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    model.save_pretrained(folder, max_shard_size="60KB")
    return str(folder)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_key_value_heads": 8, "tie_word_embeddings": True},
        {"attention_bias": True, "mlp_bias": True},
        {"head_dim": 16},
        {"kind": "qwen2"},
    ],
    ids=["grouped", "tied", "biased", "wide-heads", "qwen2"],
)
def test_the_ranks_together_are_the_model(
    tmp_path: Path, size: int, changes: dict[str, Any]
) -> None:
    folder = random_model(tmp_path, **changes)
    whole, expected, total = on_ranks(1, folder)[0]
    for model, logits, count in on_ranks(size, folder):
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
        assert model.config.num_key_value_heads * size == whole.config.num_key_value_heads
        assert model.model.layers[0].mlp.up_proj.weight.shape == (80 // size, 48)
        assert count == total == sum(p.numel() for p in whole.parameters())


def test_no_rank_keeps_a_whole_tensor_in_memory(tmp_path: Path) -> None:
    shape = Shape()
    folder = write_checkpoint(tmp_path, shape, random_weights(shape))
    tokens = load(folder, device="cpu").tokenizer
    for model, _, _ in on_ranks(2, folder, tokens):
        for name, parameter in model.named_parameters():
            if "proj" in name:
                assert parameter.untyped_storage().nbytes() == parameter.nbytes


@pytest.mark.parametrize("shards", [1, 4, 8])
def test_meta_shards_and_ranks_need_not_be_as_many(tmp_path: Path, shards: int) -> None:
    shape = Shape(n_kv_heads=4, rope_theta=500_000.0, use_scaled_rope=True)
    folder = write_checkpoint(tmp_path, shape, random_weights(shape), shards=shards)
    whole = load(folder, device="cpu", dtype="float64")
    expected = whole.model(IDS).logits
    for _, logits, count in on_ranks(2, folder, whole.tokenizer):
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
        assert count == whole.details["parameters"]


class TestWhatCannotBeSplit:
    @pytest.mark.parametrize(
        ("size", "changes", "said"),
        [
            (3, {}, "8 attention heads, 4 key/value heads, 80 units"),
            (8, {}, "Possible numbers of processes: 1, 2, 4."),
            (2, {"num_key_value_heads": 1}, "1 key/value heads"),
            (2, {"intermediate_size": 81}, "Possible numbers of processes: 1."),
            (2, {"num_attention_heads": 9, "num_key_value_heads": 3}, "Possible numbers of proc"),
        ],
    )
    def test_numbers_that_do_not_divide(
        self, size: int, changes: dict[str, int], said: str
    ) -> None:
        sizes = {"hidden_size": 144, "intermediate_size": 80, "num_attention_heads": 8}
        values: dict[str, Any] = sizes | {"num_key_value_heads": 4} | changes
        config = LlamaConfig(**values)
        with pytest.raises(CannotSplit) as caught:
            TensorParallelPlan(config, World(0, size), "m")
        assert f"cannot be split over {size} processes" in str(caught.value)
        assert said in str(caught.value)

    def test_a_model_without_a_plan(self) -> None:
        from transformers import GPT2Config

        with pytest.raises(NoSplitPlan, match="no plan for models of type gpt2"):
            TensorParallelPlan(GPT2Config(), World(0, 2), "m")

    def test_a_plan_of_another_kind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(LlamaConfig, "base_model_tp_plan", {"layers.*.mlp": "expert"})
        with pytest.raises(NoSplitPlan, match="its plan asks for expert"):
            TensorParallelPlan(LlamaConfig(), World(0, 2), "m")

    def test_alone_any_model_will_do(self) -> None:
        config = LlamaConfig(num_attention_heads=9, num_key_value_heads=3, hidden_size=144)
        split = TensorParallelPlan(config, World(), "m")
        assert split.config is config
        weight = torch.ones(4, 4)
        assert split.part("model.layers.0.self_attn.o_proj.weight", weight) is not None
        assert split.ranks_holding("model.layers.0.self_attn.o_proj.weight") == 1


class TestFolders:
    @pytest.fixture
    def copy(self, tmp_path: Path, tiny_llama: str) -> Callable[[], Path]:
        def make() -> Path:
            return Path(shutil.copytree(tiny_llama, tmp_path / "model"))

        return make

    def test_without_safetensors(self, copy: Callable[[], Path]) -> None:
        folder = copy()
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        with pytest.raises(CheckpointUnreadable, match="safetensors files only"):
            on_ranks(2, str(folder))

    def test_a_tensor_is_missing(self, copy: Callable[[], Path]) -> None:
        from safetensors.torch import load_file, save_file

        folder = copy()
        weights = load_file(folder / "model.safetensors")
        weights["model.extra.weight"] = weights.pop("model.norm.weight")
        save_file(weights, folder / "model.safetensors")
        with pytest.raises(TensorsUnknown, match=r"no model\.norm\.weight.*unknown model\.extra"):
            on_ranks(2, str(folder))

    def test_a_tensor_of_another_shape(self, copy: Callable[[], Path]) -> None:
        from safetensors.torch import load_file, save_file

        folder = copy()
        weights = load_file(folder / "model.safetensors")
        weights["model.norm.weight"] = torch.ones(3)
        save_file(weights, folder / "model.safetensors")
        with pytest.raises(CheckpointUnreadable, match=r"size mismatch for model\.norm\.weight"):
            on_ranks(2, str(folder))

    def test_the_end_tokens_are_those_of_the_folder(self, copy: Callable[[], Path]) -> None:
        folder = copy()
        (folder / "generation_config.json").write_text('{"eos_token_id": [2, 7]}')
        assert on_ranks(2, str(folder))[0][0].generation_config.eos_token_id == [2, 7]
