"""Weights that lie otherwise in memory are the same weights."""

from __future__ import annotations

import copy

import torch
from engine_doubles import finish, make_engine, sequence, tiny_model


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
