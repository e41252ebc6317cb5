"""Whether a server refuses one document, or whatever it is asked in this way.

A refusal of the first kind is an error of its row; one of the second would be every row's. So a
request that is refused is tried once more with a short text in the place of the document's: if that
is refused too, the run ends, with the setting that the server does not take.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from typing import NamedTuple

from nlp_pipeline.errors.server_abilities import (
    RequestsRefused,
)
from nlp_pipeline.generation.backends.server.discovery import ServedModel
from nlp_pipeline.generation.backends.server.failures import Failure
from nlp_pipeline.generation.backends.server.probe import Ask, Body
from nlp_pipeline.generation.backends.server.settings import ServerSettings


class _Part(NamedTuple):
    """Fields of a request that one setting is behind, and what to do without them."""

    fields: Collection[str]
    step: str


_OF_GENERATOR = "in the generator's settings"
_PARTS = (
    _Part(("logprobs", "top_logprobs"), f"set logprobs = false {_OF_GENERATOR}"),
    _Part(("prompt_logprobs", "return_logprob"), 'set mode = "free"'),
    _Part(
        ("continue_final_message", "add_generation_prompt"),
        f"set continue_final_message = false {_OF_GENERATOR}",
    ),
    _Part(("chat_template_kwargs",), f"leave chat_template_kwargs out {_OF_GENERATOR}"),
    _Part(("response_format",), "ask for a simpler schema"),
    _Part(("top_k",), "leave top_k out of the component's settings"),
    _Part(("min_p",), "leave min_p out of the component's settings"),
    _Part(("top_p",), "leave top_p out of the component's settings"),
    _Part(
        ("repetition_penalty", "repeat_penalty", "repeat_last_n"),
        "leave repetition_penalty out of the component's settings",
    ),
    _Part(("stop",), "leave stop out of the component's settings"),
    _Part(("temperature",), "leave temperature out of the component's settings"),
    _Part(("max_tokens",), "set max_new_tokens to less in the component's settings"),
    _Part(("seed",), "leave seed out of the component's settings"),
)
_OF_DOCUMENT = ("grammar", "structured_outputs", "guided_grammar", "ebnf")
"""Fields that hold what a document allows: they may be the cause of a refusal of it alone."""


class RefusalTrial:
    """Looks at refusals, each kind of request once.

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
        self._accepted: set[str] = set()

    async def check(self, path: str, body: Body) -> None:
        """Asks again, in the way of a request that was refused, about no document.

        What has no prompt, such as a text whose tokens are counted, is none of a document's.

        Raises:
            RequestsRefused: The server refuses that as well.
        """
        if not body.keys() & {"messages", "prompt", "input_ids"}:
            return
        short = _shortened(body)
        kind = json.dumps([path, short], sort_keys=True)
        async with self._lock:
            if kind in self._accepted:
                return
            refusal = await self._refusal(path, short)
            if refusal is None:
                self._accepted.add(kind)
                return
            parts = [part for part in _PARTS if any(field in short for field in part.fields)]
            for part in parts:
                if await self._refusal(path, _without(short, part.fields)) is None:
                    break
            else:
                part = _Part((), "")
        names = [field for field in part.fields if field in short]
        raise RequestsRefused(
            self._settings.base_url,
            self._served.server,
            refusal.reason,
            fields=names,
            step=part.step,
        )

    async def _refusal(self, path: str, body: Body) -> Failure | None:
        """The refusal of a request; None where it is served, or could not be asked."""
        answer = await self._ask(path, body)
        return answer if isinstance(answer, Failure) and answer.is_refusal else None


def _shortened(body: Body) -> Body:
    """A request with a few words in the place of what it says of a document."""
    short = {key: value for key, value in body.items() if key not in _OF_DOCUMENT}
    if "messages" in body:
        last = body["messages"][-1]
        is_begun = last["role"] == "assistant"
        short["messages"] = [{"role": "user", "content": "Say hello."}, *([last] * is_begun)]
    for name in ("prompt", "input_ids"):
        if name in body:
            short[name] = "Say hello." if isinstance(body[name], str) else body[name][:4]
    if "logprob_start_len" in body:
        short["logprob_start_len"] = 0
    if "$defs" in body.get("response_format", {}).get("json_schema", {}).get("schema", {}):
        del short["response_format"]  # its definitions are the document's pieces
    return {**short, **({"seed": 1} if "seed" in body else {})}


def _without(body: Body, fields: Collection[str]) -> Body:
    """A request without some fields; an answer is not begun where that was asked for by them."""
    rest = {key: value for key, value in body.items() if key not in fields}
    if "max_tokens" in fields:
        rest["max_tokens"] = 1
    if "continue_final_message" in fields and rest["messages"][-1]["role"] == "assistant":
        rest["messages"] = rest["messages"][:-1]
    return rest
