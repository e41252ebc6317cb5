"""Variables that a user hands to a chat template, such as `enable_thinking`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

ALLOWED = (
    'a mapping of names to JSON values, such as {"enable_thinking": false}, of no name that '
    "transformers' apply_chat_template uses itself"
)

_OWN = frozenset(
    (
        *("messages", "conversation", "chat_template", "add_generation_prompt", "tokenize"),
        *("continue_final_message", "padding", "truncation", "max_length", "return_tensors"),
        *("return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs"),
    )
)


class TemplateKwargs(Mapping[str, Any]):
    """A mapping that never changes, so that equal settings can be found by their hash."""

    def __init__(self, values: Mapping[str, Any] = {}) -> None:  # only read
        self._text = json.dumps(dict(values), sort_keys=True)

    @staticmethod
    def possible(values: Any) -> bool:
        """Whether `values` is what this can be made of."""
        if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
            return False
        try:
            json.dumps(dict(values))
        except (TypeError, ValueError, RecursionError):
            return False
        return all(name.isidentifier() and name not in _OWN for name in values)

    def __getitem__(self, name: str) -> Any:
        return json.loads(self._text)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(json.loads(self._text))

    def __len__(self) -> int:
        return len(json.loads(self._text))

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return self._text
