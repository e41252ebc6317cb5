"""When a sequence ends: by a token, by a text, by its length."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nlp_pipeline.generation.interface import FinishReason
from nlp_pipeline.generation.reasoning import split_reasoning

if TYPE_CHECKING:
    from nlp_pipeline.generation.constraints.constraint import BoundConstraint


def stop_token_ids(constraint: BoundConstraint | None) -> frozenset[int]:
    """Tokens that end a completion under a constraint beside the model's own; mostly none."""
    ids: frozenset[int] = getattr(constraint, "stop_token_ids", frozenset())
    return ids


class StopRule:
    """Is told every token and says whether the sequence ends with it.

    Args:
        stop: Texts that end it, found in the bytes of the tokens: no token has to begin or end
            with the text, and a character may be split over tokens.
        budget: So many tokens at most.
        eos_token_ids: Tokens that end it.
        token_bytes: The bytes a token stands for.
    """

    def __init__(
        self,
        stop: tuple[str, ...],
        budget: int,
        eos_token_ids: frozenset[int],
        token_bytes: Callable[[int], bytes],
    ) -> None:
        self.eos_token_ids = eos_token_ids
        self._stop = [text.encode() for text in stop]
        self._longest = max(map(len, self._stop), default=0)
        self._token_bytes = token_bytes
        self._tail, self._written = b"", b""
        self._budget = budget

    @property
    def left(self) -> int:
        """How many more tokens the sequence may have."""
        return self._budget

    def after(self, token: int) -> FinishReason | None:
        """Why the sequence ends with this token, or None."""
        self._budget -= 1
        if token in self.eos_token_ids or (self._stop and self._completes_stop(token)):
            return "stop"
        return "length" if self._budget <= 0 else None

    def _completes_stop(self, token: int) -> bool:
        piece = self._token_bytes(token)
        self._tail += piece
        self._written += piece
        stops = any(text in self._tail for text in self._stop)
        self._tail = self._tail[-self._longest :]
        if stops and self._reasoning():
            self._tail = b""
            return False
        return stops

    def _reasoning(self) -> bool:
        """Whether the model still reasons: a stop text means the answer that is to come."""
        text = self._written.decode("utf-8", errors="replace")
        return split_reasoning(text).unanswered_yet
