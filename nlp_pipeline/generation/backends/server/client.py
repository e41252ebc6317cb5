"""One HTTP exchange with the server: bounded in time and size, a value whatever happens."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

from nlp_pipeline.errors.server import ServerKeyMalformed, ServerPackageMissing
from nlp_pipeline.generation.backends.server.failures import BodyTooLarge, Failure, failure_of
from nlp_pipeline.generation.backends.server.redaction import Redaction
from nlp_pipeline.generation.backends.server.settings import ServerSettings

MAX_REPLY_BYTES = 16 * 2**20
"""A larger reply is dropped while it arrives; 4096 tokens with 20 alternatives take a third."""

CONNECT_S = 10.0
"""The longest wait for a connection, of an attempt's `timeout_s`."""

Reply = dict[str, Any]


class ServerClient:
    """Sends and receives; knows no prompts. Its coroutines run on the connection's loop.

    Args:
        settings: Where to.

    Raises:
        ServerPackageMissing: `openai` is not installed.
        ServerKeyMalformed: The key's variable holds something that cannot be sent.
    """

    def __init__(self, settings: ServerSettings) -> None:
        httpx = http_library()
        from openai import AsyncOpenAI

        self._cast = httpx.Response
        self._secret = _key(settings.api_key_env)
        self._redaction = Redaction(self._secret, settings.api_key_env)
        self._timeout_s = settings.timeout_s
        limit = settings.max_concurrency
        timeout = httpx.Timeout(
            settings.timeout_s, connect=min(CONNECT_S, settings.timeout_s), pool=None
        )
        self._client = AsyncOpenAI(
            api_key=self._secret or "none",  # a server without keys ignores it
            base_url=settings.base_url,
            timeout=timeout,
            max_retries=0,  # `Connection` retries, within its own bounds
            http_client=httpx.AsyncClient(
                timeout=timeout,
                limits=httpx.Limits(max_connections=limit, max_keepalive_connections=limit),
                # A redirection could lead to another host, or from https to http.
                follow_redirects=False,
                # A proxy of the environment would carry local traffic off this machine.
                trust_env=not settings.on_this_machine,
                # A compressed reply of a few kilobytes could fill the memory.
                headers={"Accept-Encoding": "identity"},
                event_hooks={"response": [_bounded]},
            ),
        )

    @property
    def has_key(self) -> bool:
        """Whether the variable that should hold the key is set."""
        return bool(self._secret)

    async def call(self, path: str, body: Mapping[str, Any] | None = None) -> Reply | Failure:
        """One attempt: a GET, or a POST of `body`.

        Args:
            path: Relative to `base_url`, or a whole address on the same server.
            body: JSON values.
        """
        try:
            response = await asyncio.wait_for(self._send(path, body), self._timeout_s)
            return self._redaction.reply(_parsed(response.content))
        except Exception as error:  # the client and its transport raise errors of many kinds
            return failure_of(error, self._redaction)

    async def _send(self, path: str, body: Mapping[str, Any] | None) -> Any:
        if body is None:
            return await self._client.get(path, cast_to=self._cast)
        return await self._client.post(path, cast_to=self._cast, body=body)

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.close()


def http_library() -> Any:
    """The library that the openai package speaks HTTP with: httpx, or httpx2 from openai 3 on.

    Both may be installed; the client takes objects of its own one only.

    Raises:
        ServerPackageMissing: `openai` is not installed.
    """
    try:
        from openai import DefaultAsyncHttpxClient
    except ImportError:
        raise ServerPackageMissing("openai") from None
    client = DefaultAsyncHttpxClient.__mro__[1]
    return importlib.import_module(client.__module__.partition(".")[0])


def _key(variable: str) -> str:
    """The key, which only the client ever holds; a header with a bad one would be repeated."""
    key = os.environ.get(variable, "").strip()
    if not all("!" <= char <= "~" for char in key):
        raise ServerKeyMalformed(variable)
    return key


def _parsed(content: bytes) -> Reply:
    """The reply's JSON object.

    Raises:
        ValueError: It is none.
    """
    try:
        reply = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(reply, dict):
        raise ValueError(f"it is no JSON object but a {type(reply).__name__}")
    return reply


async def _bounded(response: Any) -> None:
    """A hook of the HTTP library: lets the reply's body through up to `MAX_REPLY_BYTES`."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise BodyTooLarge("a compressed body", "an uncompressed one")

    class _Stream(http_library().AsyncByteStream):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for chunk in self._stream:
                size += len(chunk)
                if size > MAX_REPLY_BYTES:
                    limit = f"{MAX_REPLY_BYTES // 2**20} MiB"
                    raise BodyTooLarge(f"more than {limit}", limit)
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    response.stream = _Stream(response.stream)
