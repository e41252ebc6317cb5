"""A server's reply as a `Completion`: checked, cut, and in the document's own characters."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from nlp_pipeline.errors.server import ServerReplyInvalid, ServerReplyTooLarge
from nlp_pipeline.generation.backends.server.neutral import restore
from nlp_pipeline.generation.backends.server.prompt_length import check_read_whole, prompt_texts
from nlp_pipeline.generation.backends.server.requests import Sent
from nlp_pipeline.generation.backends.server.scores import ScoredToken, scored_tokens
from nlp_pipeline.generation.interface import Completion, FinishReason, GenerationRequest

CHARACTERS_PER_TOKEN = 256
"""No vocabulary has longer tokens: bounds the text where a server counts no tokens."""

_REFUSED = ("content_filter", "tool_calls", "function_call", "abort", "error")


def completion_of(
    reply: Mapping[str, Any], request: GenerationRequest, sample: int, sent: Sent
) -> Completion:
    """The completion that a reply holds.

    What a server leaves out stays empty: `logprobs` and `token_ids` (most servers name no ids;
    an alternative without one has -1), and 0 for counts that it does not give.

    Raises:
        ServerReplyInvalid: It holds none.
        ServerReplyTooLarge: It is longer than was asked for.
        PromptCut: It answers a part of the prompt only.
    """
    params = request.params
    choice = _choice(reply)
    tokens = scored_tokens(choice.get("logprobs"), params.logprobs)
    text = _without_prefix(_text(choice), sent.prefix, tokens)
    usage = _mapping(reply.get("usage"))
    prompt_tokens = _count(usage.get("prompt_tokens"))
    cached = _count(_mapping(usage.get("prompt_tokens_details")).get("cached_tokens"))
    check_read_whole(prompt_tokens, cached, prompt_texts(sent.body), sent.prompt_tokens)
    output_tokens = _count(usage.get("completion_tokens")) or len(tokens)
    _check_length(text, max(output_tokens, len(tokens)), params.max_new_tokens)
    finish = _finish(choice.get("finish_reason"), output_tokens >= params.max_new_tokens)
    places = [place for word in params.stop if (place := text.find(word)) >= 0]
    if places:
        text, finish = text[: min(places)], "stop"
    tokens = _tokens_of(text, tokens)
    ids = [token.token_id for token in tokens if token.token_id >= 0]
    return Completion(
        request_id=request.id,
        text=restore(text, sent.pairs),
        token_ids=tuple(ids) if len(ids) == len(tokens) else (),
        logprobs=tuple(token.logprob for token in tokens),
        finish_reason=finish,
        prompt_tokens=prompt_tokens,
        reused_tokens=cached,
        output_tokens=output_tokens,
        top_logprobs=tuple(token.top for token in tokens) if params.logprobs else (),
        sample=sample,
    )


def _choice(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        words = _mapping(reply.get("error")).get("message") or "it has no choices"
        raise ServerReplyInvalid(str(words))
    return choices[0]


def _text(choice: Mapping[str, Any]) -> str:
    """The text of a chat's or a completion's choice."""
    if choice.get("finish_reason") in _REFUSED:
        raise ServerReplyInvalid(f"it ended with {choice['finish_reason']}")
    text = _mapping(choice.get("message")).get("content") if "message" in choice else None
    text = choice.get("text") if text is None else text
    if not isinstance(text, str):
        raise ServerReplyInvalid("it has no text")
    # Half of a surrogate pair, which JSON can hold, cannot be written to any table.
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _without_prefix(text: str, prefix: str, tokens: list[ScoredToken]) -> str:
    """The text without the answer's beginning, where the server repeats it.

    The tokens are the generated ones only: where they begin with the prefix as well, the model
    said it once more.
    """
    generated = b"".join(token.piece for token in tokens)
    repeated = prefix and text.startswith(prefix) and not generated.startswith(prefix.encode())
    return text[len(prefix) :] if repeated else text


def _tokens_of(text: str, tokens: list[ScoredToken]) -> list[ScoredToken]:
    """The tokens that the text comes from: none of what was cut off at its end.

    Servers report the end-of-sequence token or a stop string's tokens, or strip spaces.
    """
    pieces = [token.piece for token in tokens]
    wanted = text.encode()
    place = b"".join(pieces).find(wanted)
    if place < 0:
        return tokens
    starts = accumulate(map(len, pieces), initial=0)
    end = place + len(wanted)
    return [token for token, start in zip(tokens, starts, strict=False) if start < end]


def _check_length(text: str, tokens: int, asked: int) -> None:
    # A server may count the end-of-sequence token on top.
    if tokens > asked + 1:
        raise ServerReplyTooLarge(f"{tokens} tokens", f"{asked}")
    if len(text) > asked * CHARACTERS_PER_TOKEN:
        limit = asked * CHARACTERS_PER_TOKEN
        raise ServerReplyTooLarge(f"{len(text)} characters", f"{limit}")


def _finish(given: Any, full: bool) -> FinishReason:
    """`length` where the server says so, or says nothing and all tokens were used."""
    if given == "length" or (given is None and full):
        return "length"
    return "stop"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    valid = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if valid else 0
