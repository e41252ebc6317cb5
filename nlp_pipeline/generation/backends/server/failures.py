"""Why an attempt failed, and whether and when to try again."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.generation import GenerationFailed, PromptNotEncoded, PromptTooLong
from nlp_pipeline.errors.server import (
    ServerFailed,
    ServerRefused,
    ServerReplyInvalid,
    ServerReplyTooLarge,
)
from nlp_pipeline.generation.backends.server.redaction import Redaction

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
LONGEST_RETRY_AFTER_S = 120.0
"""A server may ask for more patience than this; it does not get it."""

_RETRYABLE = frozenset({408, 425, 429})

Kind = Literal["unreachable", "timeout", "status", "garbage", "too_large", "unsendable", "other"]


class BodyTooLarge(Exception):
    """Raised while a reply arrives: `size` is more than the `limit` of what is taken in."""

    def __init__(self, size: str, limit: str) -> None:
        super().__init__(size)
        self.details = {"given": size, "limit": limit}


@dataclass(frozen=True)
class Failure:
    """What became of an attempt that brought no reply.

    Attributes:
        kind: What happened.
        reason: The same in words, without the key.
        status: HTTP status, for `"status"`.
        retry_after: Seconds that the server asks for.
        details: The server's error object; `given` and `limit` for `"too_large"`.
        attempts: How many were made.
    """

    kind: Kind
    reason: str
    status: int = 0
    retry_after: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 1

    @property
    def is_retryable(self) -> bool:
        """Whether another attempt may do better."""
        if self.kind == "status":
            return self.status >= 500 or self.status in _RETRYABLE
        return self.kind in ("unreachable", "timeout")

    @property
    def is_refusal(self) -> bool:
        """Whether the server will not serve the request, for a reason that it alone knows."""
        is_known = self.is_retryable or self.key_refused or self.prompt_lengths is not None
        return self.kind == "status" and not is_known

    @property
    def prompt_lengths(self) -> tuple[int, int] | None:
        """Tokens of the prompt and of the context, where llama.cpp says that it is too long."""
        prompt, context = (self.details.get(name) for name in ("n_prompt_tokens", "n_ctx"))
        return (prompt, context) if isinstance(prompt, int) and isinstance(context, int) else None

    @property
    def key_refused(self) -> bool:
        """Whether the server refuses the caller, not what is asked."""
        return self.status in (401, 403)

    def error(self) -> NlpPipelineError:
        """The error of a request that ended so."""
        if self.is_retryable:
            return ServerFailed(self.reason, self.attempts)
        if self.kind == "status":
            lengths = self.prompt_lengths
            return PromptTooLong(*lengths) if lengths else ServerRefused(self.reason)
        if self.kind == "too_large":
            return ServerReplyTooLarge(self.details["given"], self.details["limit"])
        kinds = {"garbage": ServerReplyInvalid, "unsendable": PromptNotEncoded}
        return kinds.get(self.kind, GenerationFailed)(self.reason)


def wait_before(attempt: int, failure: Failure) -> float:
    """Seconds before the attempt after this one (0 is the first).

    Exponential back-off with full jitter (Brooker, "Exponential Backoff And Jitter", 2015): a
    uniform draw from zero to the bound keeps clients that failed together from coming back
    together. What the server asks for is the least, up to a limit.
    """
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)
    least = min(failure.retry_after or 0.0, LONGEST_RETRY_AFTER_S)
    return least + random.uniform(0, longest)


def failure_of(error: Exception, redaction: Redaction) -> Failure:
    """What an exception of the client means. Its text and the server's lose the key."""
    failure = _classified(error)
    details = redaction.value(dict(failure.details))
    return replace(failure, reason=redaction.text(failure.reason), details=details)


def _classified(error: Exception) -> Failure:
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    too_large = next((e for e in _chain(error) if isinstance(e, BodyTooLarge)), None)
    if too_large is not None:
        return Failure("too_large", str(too_large), details=too_large.details)
    if isinstance(error, APITimeoutError | asyncio.TimeoutError | TimeoutError):
        return Failure("timeout", "the time limit (timeout_s) was reached")
    if isinstance(error, APIStatusError):
        return _status(error.response)
    if isinstance(error, APIConnectionError):
        cause = error.__cause__ or error
        words = next(filter(None, map(_system_words, _chain(cause))), str(cause))
        words = words or type(cause).__name__
        never = type(cause).__name__ == "ConnectError"  # of httpx, or of httpx2
        return Failure("unreachable", words if never else f"the connection was lost ({words})")
    if isinstance(error, UnicodeEncodeError):
        return Failure("unsendable", "it holds half of a surrogate pair")
    if isinstance(error, ValueError):
        return Failure("garbage", f"it is no JSON that can be read ({error})")
    return Failure("other", f"{type(error).__name__}: {error}")


def _system_words(error: BaseException) -> str | None:
    """What the operating system says; asyncio puts the address in its place."""
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    return error.strerror if isinstance(error, OSError) else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(response: Any) -> Failure:
    """From an HTTP status: the server's own words, however it wraps them."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        body = response.text[: 2**16]  # cut to a line later, when the key is out of it
    inner = body.get("error", body) if isinstance(body, dict) else body
    details = inner if isinstance(inner, dict) else {}
    words = details.get("message") or details.get("detail") or inner
    status = response.status_code
    reason = f"HTTP {status}: {words}" if words else f"HTTP {status}"
    return Failure(
        "status", reason, status=status, retry_after=_retry_after(response.headers), details=details
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header, which holds a number or a date."""
    value = headers.get("retry-after", "")
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
