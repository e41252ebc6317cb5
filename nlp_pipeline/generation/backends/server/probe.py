"""What has to be known of a server once, before any document is sent."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

from nlp_pipeline.errors.generation import ModelError
from nlp_pipeline.errors.server import ServerReplyInvalid
from nlp_pipeline.generation.backends.server.discovery import ServedModel
from nlp_pipeline.generation.backends.server.failures import Failure
from nlp_pipeline.generation.backends.server.reply_message import message_text
from nlp_pipeline.generation.backends.server.settings import ServerSettings

Body = dict[str, Any]
Ask = Callable[[str, Body], Awaitable[Mapping[str, Any] | Failure]]

PROBE_TEXT = "qx7"
"""Nobody says this unless nothing else is possible."""

_Outcome = TypeVar("_Outcome")


class Probe(ABC, Generic[_Outcome]):
    """A question that a server is asked once, whoever waits for the answer.

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
        self._outcomes: list[_Outcome | ModelError] = []

    async def outcome(self) -> _Outcome:
        """What came of it.

        Raises:
            ModelError: The server cannot do it. The same for every request.
            NlpPipelineError: It could not be asked; the next request tries again.
        """
        async with self._lock:
            if not self._outcomes:
                try:
                    self._outcomes.append(await self._attempt())
                except ModelError as refusal:
                    self._outcomes.append(refusal)
        if isinstance(self._outcomes[0], ModelError):
            raise self._outcomes[0]
        return self._outcomes[0]

    @abstractmethod
    async def _attempt(self) -> _Outcome:
        """Asks the server."""


def probe_body(model: str, **fields: Any) -> Body:
    """A short request about no document."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": 16,
        "temperature": 0.0,
        "stream": False,
        **fields,
    }


def reply_text(answer: Mapping[str, Any] | Failure) -> str:
    """What was said, or why nothing was; a server that is out of order is no server's fault."""
    if isinstance(answer, Failure):
        if answer.is_retryable or answer.key_refused:
            raise answer.error()
        return answer.reason
    try:
        return message_text(answer["choices"][0]).text
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ServerReplyInvalid("it has no choices") from error
