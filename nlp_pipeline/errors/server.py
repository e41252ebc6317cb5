"""Errors of the server backend. Keys never stand in a message, only the name of their variable."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import counted, listing
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.generation import ModelError, RequestError
from nlp_pipeline.errors.packages import pip_install

NAME_LIMIT = 500
"""Characters of a model's name: llama.cpp calls it by the path of its file."""

REASON_LIMIT = 300
"""Characters of a server's own words that a message repeats."""


def quoted_reason(reason: str) -> str:
    """What a server or a library said, on one line and without its full stop."""
    return escaped(" ".join(reason.split()), REASON_LIMIT).rstrip(".")


class ServerPackageMissing(ModelError):
    """The client package is an extra and is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"The server backend needs the package '{package}', which is not installed. Type "
            f"`{pip_install('server')}`."
        )


class InvalidServerSetting(ModelError):
    """A setting of the server backend that is not possible; `value` is left out where secret."""

    def __init__(self, name: str, allowed: str, value: object = None) -> None:
        setting = f"{name}={value!r}" if value is not None else f"The value of {name}"
        super().__init__(f"{setting} is not possible: it must be {allowed}.")


class PlainHttpRefused(ModelError):
    """An address on another machine that would be reached unencrypted."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"base_url goes to '{escaped(host)}' over plain http: documents and key would be "
            "readable on the way. Use https, or set allow_plain_http=true for a network that "
            "you trust."
        )


class ServerUnreachable(ModelError):
    """Nobody answers at the address."""

    def __init__(self, base_url: str, reason: str) -> None:
        super().__init__(
            f"The server at {base_url} cannot be reached: {quoted_reason(reason)}. Start it, or "
            "correct "
            "the generator's base_url."
        )


class ServerKeyRefused(ModelError):
    """HTTP 401 or 403 at the start."""

    def __init__(self, base_url: str, variable: str, has_key: bool, reason: str) -> None:
        state = "was refused" if has_key else "is not set"
        super().__init__(
            f"The server at {base_url} asks for a key, and the one in the environment variable "
            f"{variable} {state} ({quoted_reason(reason)}). Put a valid key into {variable}, or "
            "name "
            "another variable in the generator's api_key_env."
        )


class ServerKeyMalformed(ModelError):
    """A key that no HTTP header can carry. The message does not repeat it."""

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"The environment variable {variable} holds no key that can be sent: only visible "
            "ASCII characters are possible, without spaces. Set it again."
        )


class ServerModelUnknown(ModelError):
    """The server does not serve the model of that name."""

    def __init__(self, base_url: str, model: str, served: Iterable[str]) -> None:
        models = listing(escaped(name, NAME_LIMIT) for name in served)
        super().__init__(
            f"The server at {base_url} serves no model '{escaped(model)}'; it serves: {models}. "
            "Name one of these with --model or in the generator's setting 'model'."
        )


class ServerModelUnnamed(ModelError):
    """No model is named and the server does not serve exactly one."""

    def __init__(self, base_url: str, served: Iterable[str]) -> None:
        models = listing(escaped(name, NAME_LIMIT) for name in served)
        super().__init__(
            f"Which model of the server at {base_url}? It serves: {models}. Name one with --model "
            "or in the generator's setting 'model'."
        )


class ServerUnusable(ModelError):
    """The server answers at the start, with something that cannot be worked with."""

    def __init__(self, base_url: str, reason: str) -> None:
        super().__init__(
            f"The server at {base_url} cannot be used: {quoted_reason(reason)}. Check that "
            "base_url is "
            "the address of an OpenAI-compatible server, as a rule one that ends in /v1."
        )


class ServerGone(ModelError):
    """One request after the other failed: it is the server, not the documents."""

    retryable = True

    def __init__(self, base_url: str, failures: int, reason: str) -> None:
        super().__init__(
            f"The server at {base_url} no longer serves: {counted(failures, 'request')} in a row "
            f"failed, the last with: {quoted_reason(reason)}. Look after the server, or where it "
            "is only slow set the generator's timeout_s higher or its max_concurrency lower, then "
            "type the same command again."
        )


class ServerClosed(ModelError):
    """A session that is used after its generator was closed."""

    def __init__(self, base_url: str) -> None:
        super().__init__(f"The connection to {base_url} was closed while requests were running.")


class ServerRefused(RequestError):
    """The server refuses this request (HTTP 4xx); the same request would be refused again."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The server refuses the request: {quoted_reason(reason)}.")


class ServerFailed(RequestError):
    """No answer to this request, however often it was tried."""

    retryable = True

    def __init__(self, reason: str, attempts: int) -> None:
        times = counted(attempts, "attempt")
        super().__init__(f"The server gave no answer in {times}: {quoted_reason(reason)}.")


class ServerReplyInvalid(RequestError):
    """An answer that is no completion: broken JSON, no choices, no text."""

    retryable = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"The server's reply cannot be used: {quoted_reason(reason)}.")


class ServerReplyTooLarge(RequestError):
    """A reply that is larger than any completion of this request could be."""

    def __init__(self, size: str, limit: str) -> None:
        super().__init__(
            f"The server's reply was dropped: it has {size}, where at most {limit} were expected."
        )


class PromptCut(RequestError):
    """An answer to a prompt of which the server read only a part, without a word about it."""

    def __init__(self, read: int, prompt_tokens: int, *, exact: bool) -> None:
        length = f"{prompt_tokens}" if exact else f"at least {prompt_tokens}"
        super().__init__(
            f"The server cut the prompt: it read {read} tokens (usage.prompt_tokens) of {length} "
            "that were sent. Set the generator's max_seq_len to the length of the server's "
            "context, so that long documents are divided (chunk_tokens makes the pieces smaller "
            "still), or start the server with a longer one (Ollama: OLLAMA_CONTEXT_LENGTH)."
        )
