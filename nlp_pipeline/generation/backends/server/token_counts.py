"""How long a prompt is in the server's tokens: asked of the server, or bounded from above."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nlp_pipeline.generation.backends.server.discovery import ServedModel
from nlp_pipeline.generation.backends.server.failures import Failure
from nlp_pipeline.generation.backends.server.requests import Body, RequestWriter
from nlp_pipeline.generation.backends.server.settings import ServerSettings
from nlp_pipeline.generation.chat import Chat, Prompt

TEMPLATE_TOKENS = 64
"""Allowed for what a chat template writes of itself, such as a default system message."""

TURN_TOKENS = 16
"""Allowed for what it writes around each turn."""

Ask = Callable[[str, Body], Awaitable[Mapping[str, Any] | Failure]]


async def count_tokens(
    prompt: Prompt, writer: RequestWriter, served: ServedModel, settings: ServerSettings, ask: Ask
) -> int:
    """Tokens of a prompt, the template's included.

    Exact from llama.cpp (`/apply-template`, `/tokenize`), vLLM and SGLang (`/tokenize`). From any
    other server, and where these routes are closed, an upper bound: a token stands for at least
    one byte of UTF-8. A prompt that fits by this count does fit; one that does not may still.
    """
    if not isinstance(prompt, str | Chat):
        return len(prompt)
    body = writer.prompt(prompt).body
    root = settings.root_url
    if served.server == "llamacpp":
        if "messages" in body:
            rendered = await ask(f"{root}/apply-template", body)
            body = {"prompt": "" if isinstance(rendered, Failure) else rendered.get("prompt")}
        if isinstance(body["prompt"], str) and body["prompt"]:
            content = {"content": body["prompt"], "add_special": True, "parse_special": True}
            counted = _counted(await ask(f"{root}/tokenize", content))
            return counted if counted is not None else upper_bound(prompt)
    elif served.server in ("vllm", "sglang"):
        counted = _counted(await ask(f"{root}/tokenize", {"model": served.name, **body}))
        return counted if counted is not None else upper_bound(prompt)
    return upper_bound(prompt)


def upper_bound(prompt: str | Chat) -> int:
    """Bytes of all texts and an allowance for what the template and the tokenizer add."""
    if isinstance(prompt, str):
        return len(prompt.encode("utf-8", errors="replace")) + 2
    texts = [message.content for message in prompt.messages] + [prompt.answer_prefix]
    size = sum(len(text.encode("utf-8", errors="replace")) for text in texts)
    return size + TURN_TOKENS * len(texts) + TEMPLATE_TOKENS


def _counted(answer: Mapping[str, Any] | Failure) -> int | None:
    if isinstance(answer, Failure):
        return None
    if isinstance(answer.get("count"), int):
        return int(answer["count"])
    tokens = answer.get("tokens")
    return len(tokens) if isinstance(tokens, list) else None
