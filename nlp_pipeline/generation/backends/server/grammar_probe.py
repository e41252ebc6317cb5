"""How a server is told a grammar: each has a field of its own, and one request says if it obeys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nlp_pipeline.errors.generation import ModelError
from nlp_pipeline.errors.server import GrammarsNotObeyed, ServerReplyInvalid, TextScoresMissing
from nlp_pipeline.generation.backends.server.discovery import ServedModel
from nlp_pipeline.generation.backends.server.failures import Failure
from nlp_pipeline.generation.backends.server.reply_message import message_text
from nlp_pipeline.generation.backends.server.settings import ServerSettings
from nlp_pipeline.generation.constraints.span_grammar import text_grammar

Body = dict[str, Any]
Ask = Callable[[str, Body], Awaitable[Mapping[str, Any] | Failure]]
GrammarField = Callable[[str], Body]

PROBE_TEXT = "qx7"
"""Nobody says this unless a grammar leaves nothing else."""

GRAMMAR_FIELDS: dict[str, tuple[GrammarField, ...]] = {
    "llamacpp": (lambda grammar: {"grammar": grammar},),
    # vLLM before 0.11 has the second; each version passes over the other's field.
    "vllm": (
        lambda grammar: {"structured_outputs": {"grammar": grammar}},
        lambda grammar: {"guided_grammar": grammar},
    ),
    "sglang": (lambda grammar: {"ebnf": grammar},),
}
"""The fields that may hold a grammar in GBNF, by server; the newest first."""

SCORES_UNDER_GRAMMAR = ("llamacpp",)
"""Servers whose log-probabilities are the model's own though a grammar rules the output: the
others take out of the distribution what it forbids before they look at it."""


class GrammarProbe:
    """Finds out once how a server takes a grammar, before any document is sent under one.

    Args:
        ask: Sends a request.
        served: The model.
        settings: Of the backend.
    """

    def __init__(self, ask: Ask, served: ServedModel, settings: ServerSettings) -> None:
        self._ask = ask
        self._served = served
        self._settings = settings
        self._lock = asyncio.Lock()
        self._outcome: GrammarField | ModelError | None = None

    async def field(self) -> GrammarField:
        """What makes of a grammar the part of a request's body that holds it.

        Raises:
            ModelError: The server obeys none, or does not say how likely a given text is. The
                same for every request.
            NlpPipelineError: It could not be asked; the next request tries again.
        """
        async with self._lock:
            if self._outcome is None:
                try:
                    self._check_settings()
                    self._outcome = await self._obeyed_field()
                except ModelError as refusal:
                    self._outcome = refusal
        if isinstance(self._outcome, ModelError):
            raise self._outcome
        return self._outcome

    def _check_settings(self) -> None:
        server = self._served.server
        if not self._settings.logprobs:
            raise TextScoresMissing(self._settings.base_url, server, "logprobs = true")
        needs_ids = server in GRAMMAR_FIELDS and server not in SCORES_UNDER_GRAMMAR
        if needs_ids and self._settings.tokenizer is None:
            needed = "tokenizer to a folder or hub name with the model's own tokenizer"
            raise TextScoresMissing(self._settings.base_url, server, needed)

    async def _obeyed_field(self) -> GrammarField:
        replies: list[str] = []
        for field in GRAMMAR_FIELDS.get(self._served.server, ()):
            body = {
                "model": self._served.name,
                "messages": [{"role": "user", "content": "Say hello."}],
                "max_tokens": 16,
                "temperature": 0.0,
                "stream": False,
                **field(text_grammar(PROBE_TEXT, after_space=False)),
            }
            replies.append(_text_of(await self._ask("/chat/completions", body)))
            if replies[-1].strip() == PROBE_TEXT:
                return field
        url, server = self._settings.base_url, self._served.server
        raise GrammarsNotObeyed(url, server, expected=PROBE_TEXT, replies=replies)


def _text_of(answer: Mapping[str, Any] | Failure) -> str:
    """What was said, or why nothing was; a server that is out of order is no server's fault."""
    if isinstance(answer, Failure):
        if answer.is_retryable or answer.key_refused:
            raise answer.error()
        return answer.reason
    try:
        return message_text(answer["choices"][0]).text
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ServerReplyInvalid("it has no choices") from error
