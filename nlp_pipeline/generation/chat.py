"""What a generator is asked to complete: a text, a chat, or token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. `content` is data: it can never become a control token."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Chat:
    """A prompt that the model's own chat template renders.

    Attributes:
        messages: The turns, oldest first.
        answer_prefix: Text that the assistant's turn begins with; generation goes on after it.
    """

    messages: tuple[Message, ...]
    answer_prefix: str = ""


Prompt = str | Chat | Sequence[int]
"""A text (encoded as it is), a chat (rendered by the chat template) or token ids (as given)."""
