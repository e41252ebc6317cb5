"""How likely a model finds a given text: asked of vLLM and SGLang as part of a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nlp_pipeline.errors.server import ServerReplyInvalid
from nlp_pipeline.generation.backends.server.settings import ServerSettings


def scoring_request(
    server: str,
    model: str,
    settings: ServerSettings,
    prompt_ids: Sequence[int],
    text_ids: Sequence[int],
) -> tuple[str, dict[str, Any]]:
    """What asks for the log-probabilities of given tokens after those of a prompt.

    Returns:
        The path or the address, and the body.
    """
    ids = [*prompt_ids, *text_ids]
    if server == "vllm":
        body: dict[str, Any] = {"model": model, "prompt": ids, "max_tokens": 1, "temperature": 0.0}
        # 0: those of the prompt's own tokens, without alternatives.
        return "/completions", {**body, "prompt_logprobs": 0, "stream": False}
    body = {"input_ids": ids, "return_logprob": True, "stream": False}
    # SGLang says None of the first that it is asked for, so it is asked for one more.
    body["logprob_start_len"] = len(prompt_ids) - 1
    body["sampling_params"] = {"max_new_tokens": 1, "temperature": 0.0}
    return f"{settings.root_url}/generate", body


def scored_ids(server: str, reply: Mapping[str, Any], text_ids: Sequence[int]) -> list[float]:
    """The log-probabilities (natural) of the tokens that `scoring_request` asked about.

    Raises:
        ServerReplyInvalid: The reply does not hold them.
    """
    try:
        read = _of_vllm if server == "vllm" else _of_sglang
        return [min(float(score), 0.0) for score in read(reply, text_ids)]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ServerReplyInvalid("it does not say how likely the given tokens are") from error


def _of_vllm(reply: Mapping[str, Any], ids: Sequence[int]) -> list[Any]:
    """A list with one object a token of the prompt, by token id as a text."""
    entries = reply["choices"][0]["prompt_logprobs"][-len(ids) :]
    return [entry[str(token)]["logprob"] for entry, token in zip(entries, ids, strict=True)]


def _of_sglang(reply: Mapping[str, Any], ids: Sequence[int]) -> list[Any]:
    """A list with log-probability, token id and text of each token of the prompt."""
    entries = reply["meta_info"]["input_token_logprobs"][-len(ids) :]
    if [entry[1] for entry in entries] != list(ids):
        raise ValueError("it speaks of other tokens")
    return [entry[0] for entry in entries]
