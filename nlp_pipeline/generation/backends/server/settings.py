"""How a server is reached: checked before anything is sent, without a word about a key's value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from nlp_pipeline.errors.server import InvalidServerSetting, PlainHttpRefused
from nlp_pipeline.generation import template_kwargs
from nlp_pipeline.generation.setting_fields import count, integer, setting, switch, wrong_values
from nlp_pipeline.generation.template_kwargs import TemplateKwargs

_KEY_VARIABLE = re.compile(r"([A-Z][A-Z0-9_]*_)?API_KEY")
_BASE_URL = (
    "an address such as http://127.0.0.1:8000/v1, without user name, password, query and fragment "
    "(a key belongs in the environment variable that api_key_env names)"
)


@dataclass(frozen=True)
class ServerSettings:
    """Where the server is and how it is treated; equal settings share one connection.

    Attributes:
        base_url: The API's address; `/v1` is added to one without a path. Plain http only goes
            to this machine, unless `allow_plain_http` says otherwise.
        model: The name the server knows the model by; empty for the only one it serves.
        api_key_env: NAME of the environment variable that holds the key; it ends in `API_KEY`,
            so that no config can send off other secrets and none can hold a key by mistake.
        max_concurrency: Requests under way at a time, over all components that share this; of
            llama.cpp no more than it has slots.
        timeout_s: Seconds for one attempt, from sending to the end of the reply.
        max_retries: Further attempts after a 408, 429 or 5xx, a time-out or a lost connection.
        max_seq_len: Tokens of prompt and completion together; None for what the server says.
        allow_plain_http: Whether documents and key may travel unencrypted to another machine.
        continue_final_message: Whether the template's answer prefix is sent as the beginning of
            the assistant's turn. None: where the server is known to go on from there (llama.cpp,
            vLLM, SGLang); elsewhere the prefix is left out, since a server that closes the turn
            would have the model begin another.
        logprobs: Whether log-probabilities are asked for; false for servers that refuse that.
        control_tokens: The model's control tokens beyond the well-known ones; broken up in
            prompts as `neutral.py` says.
        chat_template_kwargs: Variables for the model's chat template, such as `enable_thinking`;
            vLLM, SGLang and llama.cpp take them.
        tokenizer: A folder, hub name or `tokenizer.model` with the model's own tokenizer, to count
            prompts exactly and to ask vLLM and SGLang how likely a given text is; None bounds
            the length of prompts.

    Raises:
        InvalidServerSetting: A value is of the wrong type or out of its range.
        PlainHttpRefused: Plain http to another machine.
    """

    base_url: str
    model: str = setting(str, "a name", default="")
    api_key_env: str = "OPENAI_API_KEY"
    max_concurrency: int = integer(1, 1024, 16)
    timeout_s: float = setting(
        (int, float), "a number above 0, at most 86400", lambda v: 0 < v <= 86_400, default=120.0
    )
    max_retries: int = integer(0, 20, 5)
    max_seq_len: int | None = count(2)
    allow_plain_http: bool = setting(bool, "true or false", default=False)
    continue_final_message: bool | None = switch()
    logprobs: bool = setting(bool, "true or false", default=True)
    control_tokens: tuple[str, ...] = setting(
        tuple, "a list of texts of at least 2 characters", lambda v: _are_names(v), default=()
    )
    chat_template_kwargs: Mapping[str, Any] = setting(
        Mapping, template_kwargs.ALLOWED, TemplateKwargs.possible, default=TemplateKwargs()
    )
    tokenizer: str | None = setting(str, "a folder, a hub name or a file", bool)

    def __post_init__(self) -> None:
        for wrong in wrong_values(self):
            raise InvalidServerSetting(wrong.name, wrong.allowed, wrong.value)
        if not isinstance(self.api_key_env, str) or not _KEY_VARIABLE.fullmatch(self.api_key_env):
            # The value is not repeated: who errs here may have put the key itself.
            allowed = "the NAME of an environment variable that ends in API_KEY, never a key"
            raise InvalidServerSetting("api_key_env", allowed)
        kwargs = TemplateKwargs(self.chat_template_kwargs)
        object.__setattr__(self, "chat_template_kwargs", kwargs)
        object.__setattr__(self, "base_url", _checked_url(self.base_url, self.allow_plain_http))

    @property
    def root_url(self) -> str:
        """The server's address without `/v1`, where llama.cpp and vLLM have their own routes."""
        return self.base_url.removesuffix("/v1")

    @property
    def on_this_machine(self) -> bool:
        """Whether `base_url` is a loopback address."""
        return _is_loopback(urlsplit(self.base_url).hostname or "")


def _checked_url(value: Any, allow_plain_http: bool) -> str:
    """The address without a slash at its end."""
    url = _split(value)
    extras = url.username or url.password or url.query or url.fragment
    if url.scheme not in ("http", "https") or not url.hostname or extras:
        raise InvalidServerSetting("base_url", _BASE_URL)
    if url.scheme == "http" and not allow_plain_http and not _is_loopback(url.hostname):
        raise PlainHttpRefused(url.hostname)
    path = url.path.rstrip("/") or "/v1"
    return f"{url.scheme}://{url.netloc}{path}"


def _split(value: Any) -> SplitResult:
    try:
        url = urlsplit(value if isinstance(value, str) else "")
        _ = url.port  # raises where it is no number
    except ValueError:
        url = urlsplit("")
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _are_names(value: tuple[str, ...]) -> bool:
    return all(isinstance(token, str) and len(token) > 1 for token in value)
