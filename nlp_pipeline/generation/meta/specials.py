"""Special tokens of a fast tokenizer that is made from Meta's files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def add_specials(backend: Any, names: Iterable[str]) -> None:
    """Makes tokens special: they are matched as a whole, and only where that is allowed."""
    from tokenizers import AddedToken

    backend.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in names])


def put_first(backend: Any, token: str) -> Any:
    """A post-processor that begins every text with a token."""
    from tokenizers import processors

    number = backend.token_to_id(token)
    return processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token} $B:1", special_tokens=[(token, number)]
    )
