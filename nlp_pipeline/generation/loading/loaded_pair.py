"""A model and a tokenizer of transformers that a program has loaded itself."""

from __future__ import annotations

import copy
from typing import Any

from nlp_pipeline.errors.generation import NoModelGiven
from nlp_pipeline.generation.loading.load import (
    LoadedModel,
    eos_token_ids,
    max_positions,
    model_details,
)
from nlp_pipeline.generation.loading.plain_chat import give_plain_template


def loaded_pair(model: Any, tokenizer: Any) -> LoadedModel:
    """A pair as `load` would have given it; the weights stay as and where they are.

    Args:
        model: A causal language model of transformers; it is put into evaluation mode.
        tokenizer: Its fast tokenizer; it is left as it is.

    Raises:
        NoModelGiven: One of the two is something else.
        CheckpointUnreadable: The model's configuration names no number of positions.
    """
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    kinds: Any = (PreTrainedModel, PreTrainedTokenizerFast)  # whose types leave attributes out
    if not isinstance(model, kinds[0]) or not model.can_generate():
        raise NoModelGiven("model", model, "a causal language model of transformers")
    if not isinstance(tokenizer, kinds[1]):
        raise NoModelGiven("tokenizer", tokenizer, "its fast tokenizer")
    name = str(model.config.name_or_path or type(model).__name__)
    if not tokenizer.chat_template:
        tokenizer = copy.deepcopy(tokenizer)  # the caller's own stays without one
    plain = give_plain_template(tokenizer, name)
    model.eval()
    parameters = sum(p.numel() for p in model.parameters())
    details = model_details(
        model, device=model.device, dtype=model.dtype, parameters=parameters, digest=None
    )
    return LoadedModel(
        name=name,
        model=model,
        tokenizer=tokenizer,
        eos_token_ids=eos_token_ids(model, tokenizer),
        max_seq_len=max_positions(model, name),
        details=details | ({"chat_template": plain} if plain else {}),
    )
