"""What a constraint has to know of a model: the bytes of every token, and which tokens end."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlp_pipeline.generation.prompt_encoder import PromptEncoder


class Vocabulary:
    """The tokens of one model, for constraints; one object for all requests of a generator.

    Args:
        encoder: Of the model's tokenizer.
        eos_token_ids: Every token that ends a completion.
    """

    def __init__(self, encoder: PromptEncoder, eos_token_ids: frozenset[int]) -> None:
        self._encoder = encoder
        self.eos_token_ids = eos_token_ids
        self.compiled: dict[Any, Any] = {}
        """What constraints have made of this vocabulary, such as a trie; by a key of theirs."""

    @property
    def tokenizer(self) -> Any:
        """The fast tokenizer of transformers, for libraries that read it themselves."""
        return self._encoder.tokenizer

    @cached_property
    def token_bytes(self) -> tuple[bytes, ...]:
        """UTF-8 bytes by token id; empty for control tokens, which no text may hold."""
        specials = self._encoder.special_ids
        ids = range(len(self.tokenizer))
        return tuple(b"" if i in specials else self._encoder.token_bytes(i) for i in ids)

    def encode(self, text: str) -> list[int]:
        """Token ids of a piece of text as it stands, no control token added or read out of it."""
        return self._encoder.encode_text(text)
