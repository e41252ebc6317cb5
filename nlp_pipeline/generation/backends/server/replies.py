"""A server's reply as a `Completion`: checked, cut, and in the document's own characters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nlp_pipeline.errors.generation import NoAnswerAfterReasoning
from nlp_pipeline.errors.server import ServerReplyInvalid, ServerReplyTooLarge
from nlp_pipeline.generation.backends.server.neutral import restore
from nlp_pipeline.generation.backends.server.prompt_length import check_read_whole, prompt_texts
from nlp_pipeline.generation.backends.server.reply_message import message_text
from nlp_pipeline.generation.backends.server.requests import SentPrompt
from nlp_pipeline.generation.backends.server.scores import (
    ScoredToken,
    scored_tokens,
    token_range,
)
from nlp_pipeline.generation.interface import Completion, FinishReason, GenerationRequest
from nlp_pipeline.generation.reasoning import split_reasoning

CHARACTERS_PER_TOKEN = 256
"""No vocabulary has longer tokens: bounds the text where a server counts no tokens."""


def completion_of(
    reply: Mapping[str, Any],
    request: GenerationRequest,
    sample: int,
    body: SentPrompt,
    whole_length: Callable[[str], int] = len,
) -> Completion:
    """The completion that a reply holds.

    Reasoning is kept apart: the text and its scores are those of the answer alone. Reasoning
    without an answer is a completion that has failed.

    Under a constraint the token after the text, where the server names it, is what ended it.

    What a server leaves out stays empty: `logprobs` and `token_ids` (most servers name no ids;
    an alternative without one has -1), and 0 for counts that it does not give.

    Args:
        reply: The JSON object that came.
        request: Of the completion.
        sample: Which of its samples.
        body: What was sent.
        whole_length: How much of a text that the budget cut off is to be taken, in code points.

    Raises:
        ServerReplyInvalid: It holds none.
        ServerReplyTooLarge: It is longer than was asked for.
        PromptCut: It answers a part of the prompt only.
    """
    params = request.params
    choice = _choice(reply)
    message = message_text(choice)
    tokens = scored_tokens(choice.get("logprobs"), params.logprobs)
    usage = Usage.of(reply.get("usage"), len(tokens))
    texts = prompt_texts(body.body)
    check_read_whole(usage.prompt_tokens, usage.cached_tokens, texts, body.prompt_tokens)
    text = _without_prefix(message.text, body.prefix, tokens)
    parts = split_reasoning(text, prompt="\n".join(texts))
    reasoning = "\n".join(filter(None, (message.reasoning.strip(), parts.reasoning)))
    _check_length(text, usage, params.max_new_tokens, reasons=bool(reasoning))
    finish = _finish(choice.get("finish_reason"), usage.output_tokens >= params.max_new_tokens)
    start, end = parts.start, parts.end
    places = [place for word in params.stop if (place := text.find(word, start, end)) >= 0]
    if places:
        end, finish = min(places), "stop"
    elif finish == "length":
        end = start + whole_length(text[start:end])
    first, last = token_range(text, start, end, tokens, reasons=bool(reasoning))
    answer, skipped = tokens[first:last], first if tokens else 0
    ended = request.constraint is not None and finish == "stop" and last < len(tokens)
    ids = [token.token_id for token in answer if token.token_id >= 0]
    completion = Completion(
        request_id=request.id,
        text=restore(text[start:end], body.pairs),
        token_ids=tuple(ids) if len(ids) == len(answer) else (),
        logprobs=tuple(token.logprob for token in answer),
        finish_reason=finish,
        prompt_tokens=usage.prompt_tokens,
        reused_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        top_logprobs=tuple(token.top for token in answer) if params.logprobs else (),
        sample=sample,
        stop_logprob=tokens[last].logprob if ended else None,
        reasoning=restore(reasoning, body.pairs),
        reasoning_tokens=usage.reasoning_tokens or (skipped if reasoning else 0),
    )
    if text[start:end].strip() or not (reasoning or parts.unanswered or usage.thought(finish)):
        return completion
    error = NoAnswerAfterReasoning(completion.reasoning_tokens, params.max_new_tokens, finish)
    return replace(completion, finish_reason="error", error=error)


@dataclass(frozen=True, slots=True)
class Usage:
    """The counts of a reply; 0 for those that a server does not give.

    Attributes:
        prompt_tokens: Of the prompt.
        cached_tokens: Of these the ones that were not computed again.
        output_tokens: Generated.
        reasoning_tokens: Of these the ones of the reasoning.
    """

    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int

    @classmethod
    def of(cls, given: Any, tokens: int) -> Usage:
        """From a reply's `usage`; `tokens` is the number of those that have scores."""
        usage = _mapping(given)
        inside = _mapping(usage.get("completion_tokens_details"))
        return cls(
            prompt_tokens=_count(usage.get("prompt_tokens")),
            cached_tokens=_count(_mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
            output_tokens=_count(usage.get("completion_tokens")) or tokens,
            reasoning_tokens=_count(inside.get("reasoning_tokens")),
        )

    def thought(self, finish: FinishReason) -> bool:
        """Whether an empty text is what is left of a reasoning that the server keeps to itself."""
        return self.reasoning_tokens > 0 or (finish == "length" and self.output_tokens > 1)


def _choice(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        words = _mapping(reply.get("error")).get("message") or "it has no choices"
        raise ServerReplyInvalid(str(words))
    return choices[0]


def _without_prefix(text: str, prefix: str, tokens: list[ScoredToken]) -> str:
    """The text without the answer's beginning, where the server repeats it.

    The tokens are the generated ones only: where they begin with the prefix as well, the model
    said it once more.
    """
    generated = b"".join(token.piece for token in tokens)
    repeated = prefix and text.startswith(prefix) and not generated.startswith(prefix.encode())
    return text[len(prefix) :] if repeated else text


def _check_length(text: str, usage: Usage, budget: int, *, reasons: bool) -> None:
    # A server may count the end-of-sequence token on top, and reasoning not at all.
    tokens = usage.output_tokens - usage.reasoning_tokens
    if tokens > budget + 1 and not reasons:
        raise ServerReplyTooLarge(f"{tokens} tokens", f"{budget}")
    limit = max(budget, usage.output_tokens) * CHARACTERS_PER_TOKEN
    if len(text) > limit:
        raise ServerReplyTooLarge(f"{len(text)} characters", f"{limit}")


def _finish(reason: Any, full: bool) -> FinishReason:
    """`length` where the server says so, or says nothing and all tokens were used."""
    if reason == "length" or (reason is None and full):
        return "length"
    return "stop"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    valid = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if valid else 0
