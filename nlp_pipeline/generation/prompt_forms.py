"""Prompts in the forms in which programs have them, as one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nlp_pipeline.errors.generation import PromptsNotUnderstood
from nlp_pipeline.generation.chat import Chat, Prompt


def as_prompts(prompts: Any) -> list[Prompt]:
    """A list of prompts, of one prompt or of many in any form.

    Args:
        prompts: Texts, `Chat`s or token ids; one of these alone; a tensor or an array of one or
            two dimensions; or what a tokenizer returns, whose `attention_mask` says what is
            padding.

    Raises:
        PromptsNotUnderstood: It is something else.
    """
    if isinstance(prompts, str | Chat):
        return [prompts]
    if isinstance(prompts, Mapping) or hasattr(prompts, "input_ids"):
        return _without_padding(prompts)
    values = _plain(prompts)
    if not isinstance(values, Sequence):
        raise PromptsNotUnderstood(prompts)
    if values and all(_is_id(value) for value in values):
        return [list(values)]
    return [_prompt(value) for value in values]


def _prompt(value: Any) -> Prompt:
    if isinstance(value, str | Chat):
        return value
    if isinstance(value, Mapping) or hasattr(value, "input_ids"):
        given = _without_padding(value)
        if len(given) == 1:
            return given[0]
        raise PromptsNotUnderstood(value)
    ids = _plain(value)
    if isinstance(ids, Sequence) and len(ids) == 1 and isinstance(ids[0], Sequence):
        ids = ids[0]  # a batch of one, as tokenizers return it
    if not isinstance(ids, Sequence) or isinstance(ids, bytes):
        raise PromptsNotUnderstood(value)
    return list(ids)


def _without_padding(encoded: Any) -> list[Prompt]:
    """The prompts of a tokenizer's result."""
    try:
        ids, mask = _plain(encoded["input_ids"]), _plain(encoded.get("attention_mask"))
    except (KeyError, TypeError, AttributeError):
        raise PromptsNotUnderstood(encoded) from None
    if ids and _is_id(ids[0]):
        ids, mask = [ids], None if mask is None else [mask]
    if mask is None:
        return [list(row) for row in ids]
    return [
        [token for token, used in zip(row, kept, strict=True) if used]
        for row, kept in zip(ids, mask, strict=True)
    ]


def _plain(values: Any) -> Any:
    """Turns tensors and arrays into lists."""
    return values.tolist() if hasattr(values, "tolist") else values


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
