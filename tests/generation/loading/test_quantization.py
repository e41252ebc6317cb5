"""Small weights, on the CPU where bitsandbytes is installed; and models over several devices."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from meta_reference import Shape, random_weights, write_checkpoint

from nlp_pipeline.errors.generation import InvalidModelSetting
from nlp_pipeline.errors.meta import PackageMissing
from nlp_pipeline.generation.distributed.process_group import World
from nlp_pipeline.generation.llama import Llama
from nlp_pipeline.generation.loading import dynamic_int8
from nlp_pipeline.generation.loading.device_map import check_device_map, spread
from nlp_pipeline.generation.loading.dynamic_int8 import (
    DynamicInt8Linear,
    Float32Product,
    OneDNNProduct,
    int8_product,
    onednn_bits,
)
from nlp_pipeline.generation.loading.load import LoadedModel, load
from nlp_pipeline.generation.loading.quantization import check_quantization

IDS = torch.tensor([[3, 17, 42, 9, 128, 77, 5, 1, 2, 3]])
CPU = torch.device("cpu")


@pytest.fixture
def library() -> Any:
    """bitsandbytes, which is an extra."""
    try:
        return importlib.import_module("bitsandbytes")
    except ImportError:
        pytest.skip("bitsandbytes is not installed (extra quant)")


@pytest.fixture
def shape() -> Shape:
    return Shape(n_kv_heads=4, dim=128, width=192)


# bitsandbytes' own, on a machine without a GPU or in another number format than its kernels'.
@pytest.mark.filterwarnings("ignore::UserWarning:bitsandbytes")
@pytest.mark.filterwarnings("ignore::FutureWarning:bitsandbytes")
@pytest.mark.usefixtures("library")
class TestSmallWeights:
    @pytest.mark.parametrize(
        ("kind", "dtype", "size", "error"),
        [("int8", torch.int8, 1.0, 0.02), ("int4", torch.uint8, 0.5, 0.15)],
    )
    def test_they_are_small_and_near(
        self, tmp_path: Path, shape: Shape, kind: str, dtype: torch.dtype, size: float, error: float
    ) -> None:
        folder = write_checkpoint(tmp_path, shape, random_weights(shape), shards=2)
        exact, small = load(folder, device="cpu"), load(folder, device="cpu", quantization=kind)
        weight = small.model.model.layers[0].mlp.up_proj.weight
        assert weight.dtype == dtype
        assert weight.numel() * weight.itemsize == pytest.approx(128 * 192 * size)
        assert small.model.lm_head.weight.dtype == torch.float32
        assert small.details["quantization"] == kind
        assert small.details["parameters"] == exact.details["parameters"]
        rows = torch.randn(5, 128)
        with torch.inference_mode():
            expected = exact.model.model.layers[0].mlp.up_proj(rows)
            found = small.model.model.layers[0].mlp.up_proj(rows)
        assert 1e-4 < (found - expected).norm() / expected.norm() < error

    @pytest.mark.parametrize("kind", ["int8", "int4"])
    def test_an_answer_does_not_depend_on_its_batch(self, tiny_llama: str, kind: str) -> None:
        llama = Llama.build(tiny_llama, device="cpu", quantization=kind, max_seq_len=256)
        prompts = ["Where is the new bridge?", "a", "Anna Berg of Northwind Ltd said " * 3]
        together = llama.generate(prompts, max_new_tokens=12)
        alone = [llama.generate([prompt], max_new_tokens=12)[0] for prompt in prompts]
        assert [c.token_ids for c in together] == [c.token_ids for c in alone]


class TestDynamic:
    """Products in 8 bits, rows scaled one by one."""

    def test_a_row_has_no_company(self) -> None:
        linear = torch.nn.Linear(96, 40)
        small = DynamicInt8Linear(linear)
        rows = torch.randn(33, 96)
        rows[5] *= 1e4  # with one scale for all, nothing would be left of the others
        with torch.inference_mode():
            exact, together = linear(rows), small(rows)
            alone = torch.cat([small(row[None]) for row in rows])
            turned = small(rows.flip(0)[None])[0].flip(0)
        assert torch.equal(together, alone)
        assert torch.equal(together, turned)
        errors = (together - exact).norm(dim=1) / exact.norm(dim=1)
        assert 1e-4 < errors.max() < 0.04

    def test_zeros_and_the_dtype(self) -> None:
        linear = torch.nn.Linear(16, 16, dtype=torch.float64)
        with torch.inference_mode():
            found = DynamicInt8Linear(linear)(torch.zeros(2, 3, 16, dtype=torch.float64))
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, linear.bias.expand(2, 3, 16), atol=1e-6, rtol=0)

    def test_a_model(self, tiny_llama: str) -> None:
        llama = Llama.build(tiny_llama, device="cpu", quantization="int8_dynamic", max_seq_len=256)
        exact = load(tiny_llama, device="cpu")
        assert llama.loaded.details["quantization"] == "int8_dynamic"
        assert llama.loaded.details["activation_bits"] in (7, 8)
        assert llama.loaded.details["parameters"] == exact.details["parameters"]
        with torch.inference_mode():
            near, far = (m(IDS).logits for m in (llama.loaded.model, exact.model))
        assert 1e-4 < (near - far).norm() / far.norm() < 0.1
        prompts = ["Where is the new bridge?", "a", "Anna Berg of Northwind Ltd said " * 3]
        together = llama.generate(prompts, max_new_tokens=12)
        alone = [llama.generate([prompt], max_new_tokens=12)[0] for prompt in prompts]
        assert [c.token_ids for c in together] == [c.token_ids for c in alone]

    @pytest.mark.parametrize("features", [1, 64, 1024, 1025, 3000])
    def test_the_sums_are_exact(self, features: int) -> None:
        rows = torch.randint(-127, 128, (5, features))
        weight = torch.randint(-127, 128, (7, features))
        rows[0], weight[0], rows[1], weight[1] = 127, 127, -127, -127
        scale = torch.rand(7)
        sums = Float32Product(weight.to(torch.int8), scale)(rows.float())
        assert torch.equal(sums, (rows @ weight.T).float() * scale)

    @pytest.mark.parametrize("features", [1, 64, 1024, 3000])
    def test_the_fast_way_gives_the_same_sums(self, features: int) -> None:
        bits = onednn_bits()
        if bits is None:
            pytest.skip("oneDNN has no exact 8-bit product on this processor")
        largest = 2 ** (bits - 1) - 1
        rows = torch.randint(-largest, largest + 1, (5, features)).float()
        weight, scale = torch.randint(-127, 128, (7, features)).to(torch.int8), torch.rand(7)
        rows[0], rows[1], weight[0], weight[1] = largest, -largest, 127, -127
        fast = OneDNNProduct(weight, scale, bits)(rows.clone())
        assert torch.equal(fast, Float32Product(weight, scale)(rows))

    def test_a_model_without_the_fast_way(
        self, tiny_llama: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings: dict[str, Any] = {"device": "cpu", "quantization": "int8_dynamic"}
        fast = load(tiny_llama, **settings) if onednn_bits() == 8 else None
        monkeypatch.setattr(dynamic_int8, "onednn_bits", lambda: None)
        slow = load(tiny_llama, **settings)
        layer = slow.model.model.layers[0].mlp.up_proj
        assert isinstance(layer.product, Float32Product)
        assert layer.product.weight.dtype == torch.int8
        assert slow.details["activation_bits"] == 8
        if fast is not None:
            with torch.inference_mode():
                torch.testing.assert_close(fast.model(IDS).logits, slow.model(IDS).logits)

    def test_the_ways_of_processors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        weight, scale = torch.ones(3, 16, dtype=torch.int8), torch.ones(3)
        for bits, way in ((None, Float32Product), (7, OneDNNProduct), (8, OneDNNProduct)):
            monkeypatch.setattr(dynamic_int8, "onednn_bits", lambda bits=bits: bits)
            assert type(int8_product(weight, scale)) is way
            assert dynamic_int8.activation_bits() == (bits or 8)

    def test_only_on_the_cpu(self) -> None:
        with pytest.raises(InvalidModelSetting, match="for the device cpu, not cuda:0"):
            check_quantization("int8_dynamic", torch.device("cuda", 0))


class TestSettings:
    def test_the_package_is_missing(self, monkeypatch: pytest.MonkeyPatch, tiny_llama: str) -> None:
        monkeypatch.setitem(sys.modules, "bitsandbytes", None)
        with pytest.raises(PackageMissing, match=r"Type `pip install 'bitsandbytes>=0\.49'`"):
            load(tiny_llama, device="cpu", quantization="int8")

    def test_an_unknown_kind(self, tiny_llama: str) -> None:
        with pytest.raises(InvalidModelSetting, match="quantization='int2' is not possible"):
            load(tiny_llama, device="cpu", quantization="int2")

    def test_a_device_that_cannot(self) -> None:
        with pytest.raises(InvalidModelSetting, match="left out on the device mps"):
            check_quantization("int8", torch.device("mps"))

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            (("balanced", "auto", World(), None), "auto or left out"),
            (("auto", "auto", World(0, 2), None), "left out where 2 processes share the model"),
            (("auto", "cpu", World(), None), "left out where the device is named"),
            (("auto", "auto", World(), "int8"), "left out together with quantization='int8'"),
        ],
    )
    def test_what_excludes_a_device_map(self, values: Any, said: str) -> None:
        with pytest.raises(InvalidModelSetting, match=said):
            check_device_map(*values)


class TestSpread:
    """On a machine without a GPU everything lands on the CPU; the way there is the same."""

    def test_a_folder(self, tiny: LoadedModel, tiny_llama: str) -> None:
        loaded = load(tiny_llama, dtype="float64", device_map="auto")
        assert loaded.model.hf_device_map
        assert loaded.details["device_map"] == "auto"
        with torch.inference_mode():
            there = loaded.model(IDS.to(loaded.model.device)).logits.cpu()
            torch.testing.assert_close(there, tiny.model(IDS).logits)

    def test_a_meta_checkpoint(self, tmp_path: Path, shape: Shape) -> None:
        folder = write_checkpoint(tmp_path, shape, random_weights(shape))
        exact = load(folder, device="cpu", dtype="float64")
        loaded = load(folder, dtype="float64", device_map="auto")
        assert loaded.model.hf_device_map
        with torch.inference_mode():
            there = loaded.model(IDS.to(loaded.model.device)).logits.cpu()
            torch.testing.assert_close(there, exact.model(IDS).logits)

    def test_what_is_spread_stays_where_it_is(self) -> None:
        model = SimpleNamespace(hf_device_map={"": "cpu"})
        assert spread(model) is model
