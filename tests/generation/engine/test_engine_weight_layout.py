"""Weights that lie otherwise in memory are the same weights."""

from __future__ import annotations

import copy
import mmap
import pickle

import pytest
import torch
from engine_doubles import finish, make_engine, sequence, tiny_model

from nlp_pipeline.generation.engine import weight_layout
from nlp_pipeline.generation.engine.weight_layout import WeightMemory


def test_weights_and_outputs_stay() -> None:
    before = copy.deepcopy(tiny_model()).float()
    after = copy.deepcopy(before)
    one = sequence("a", range(5, 40), max_new_tokens=5)
    finish(make_engine(after, eos=frozenset()), [one])
    weights = dict(before.named_parameters())
    for name, weight in after.named_parameters():
        assert torch.equal(weight, weights[name])
    assert not after.model.layers[0].mlp.up_proj.weight.is_contiguous()
    assert after.get_input_embeddings().weight.is_contiguous()
    ids = torch.tensor([one.prompt_ids])
    out = before.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=5,
        eos_token_id=None,
        pad_token_id=0,
    )
    assert one.output_ids == out[0, 35:].tolist()


def test_a_second_engine_takes_the_weights_as_they_lie() -> None:
    model = copy.deepcopy(tiny_model()).float()
    make_engine(model)
    addresses = {name: weight.data_ptr() for name, weight in model.named_parameters()}
    weights = copy.deepcopy(model.state_dict())
    make_engine(model)
    assert {name: weight.data_ptr() for name, weight in model.named_parameters()} == addresses
    projection = model.model.layers[0].self_attn.q_proj
    projection.weight.data = projection.weight.data.clone()  # others do as they like
    make_engine(model)
    assert projection.weight.data_ptr() != addresses["model.layers.0.self_attn.q_proj.weight"]
    assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_copies_lie_in_one_mapping_while_there_is_room(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_layout, "MAPPING", 4096)
    memory, first, second = WeightMemory(), torch.randn(3, 5).to(dtype), torch.randn(7).to(dtype)
    copies = [memory.copy(first), memory.copy(second.expand(2, 7)), memory.copy(first.t())]
    for made, tensor in zip(copies, [first, second.expand(2, 7), first.t()], strict=True):
        assert torch.equal(made, tensor)
        assert made.is_contiguous()
        assert made.data_ptr() % 64 == 0
        assert 0 <= made.data_ptr() - copies[0].data_ptr() < 4096
    large = memory.copy(torch.ones(5000, dtype=dtype))
    assert (large == 1).all()
    assert memory.copy(torch.empty(0, dtype=dtype)).shape == (0,)


def test_a_copy_is_pickled_without_its_neighbours() -> None:
    memory = WeightMemory()
    memory.copy(torch.ones(5000))
    weight = memory.copy(torch.arange(50.0))
    assert weight.untyped_storage().nbytes() == 200
    pickled = pickle.dumps(weight)
    assert len(pickled) < 5000
    assert torch.equal(pickle.loads(pickled), weight)


def test_a_kernel_without_large_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", -1, raising=False)
    assert torch.equal(WeightMemory().copy(torch.ones(5)), torch.ones(5))
