"""What a reply's message holds: its text, and the reasoning that a server took out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nlp_pipeline.errors.server import ServerReplyInvalid

REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "reasoning_details")
"""Fields of a message that hold reasoning: DeepSeek, vLLM, Ollama and gateways, each its own."""

_TEXTS = ("text", "thinking", "reasoning", "summary", "content")
_REFUSED = ("content_filter", "tool_calls", "function_call", "abort", "error")


class MessageText(NamedTuple):
    """The text of a choice, and the reasoning that stands apart from it; empty where none does."""

    text: str
    reasoning: str


def message_text(choice: Mapping[str, Any]) -> MessageText:
    """The text of a chat's or a completion's choice.

    Raises:
        ServerReplyInvalid: It has none, or ended in another way than with a text.
    """
    if choice.get("finish_reason") in _REFUSED:
        raise ServerReplyInvalid(f"it ended with {choice['finish_reason']}")
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    reasoning_fields = [_joined(message.get(field) or choice.get(field)) for field in REASONING]
    reasoning = next(filter(str.strip, reasoning_fields), "")
    content = message.get("content")
    if content is None:
        content = choice.get("text")
    if isinstance(content, list):  # Mistral: a list of parts, of which some are reasoning
        thoughts = [part for part in content if _is_thought(part)]
        reasoning = reasoning or _joined(thoughts)
        content = _joined([part for part in content if part not in thoughts])
    if content is None and reasoning.strip():
        content = ""
    if not isinstance(content, str):
        raise ServerReplyInvalid("it has no text")
    return MessageText(_writable(content), _writable(reasoning))


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and str(part.get("type")).startswith(("think", "reason"))


def _joined(value: Any) -> str:
    """The texts in a value, whichever way a server nests them."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_joined, value))
    if isinstance(value, dict):
        return next((text for key in _TEXTS if (text := _joined(value.get(key)))), "")
    return ""


def _writable(text: str) -> str:
    """Without halves of surrogate pairs, which JSON can hold and no table can."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
