"""A server that reads a part of the prompt only, and says 200."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from stub_server import StubServer, reply, said

from nlp_pipeline.errors.server import PromptCut
from nlp_pipeline.generation.backends.server import ServerGenerator
from nlp_pipeline.generation.backends.server.prompt_length import fewest_tokens
from nlp_pipeline.generation.chat import Chat, Message, Prompt
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    SamplingParams,
    generate,
)

pytestmark = pytest.mark.issue(13)

Connect = Callable[..., ServerGenerator]
FERRY = "The ferry of Ardmore left the pier on time that day. "


def ask(generator: ServerGenerator, prompt: Prompt) -> Completion:
    (done,) = generate(generator, [GenerationRequest("r", prompt, SamplingParams())])
    return done


def read(tokens: int, cached: int = 0) -> Any:
    """A reply to a prompt of which so many tokens were read."""
    usage = {"prompt_tokens": tokens, "completion_tokens": 1}
    return reply(said() | {"usage": usage | {"prompt_tokens_details": {"cached_tokens": cached}}})


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        (FERRY * 10, 100, 130),  # 11 words and a full stop each
        ("彼は東京で1,300円を払った。" * 10, 40, 100),
        ("हिन्दी में एक वाक्य है। " * 10, 40, 60),
        ("สวัสดีครับผมชื่ออานา " * 10, 15, 40),
        ("\n" * 1000 + " " * 1000, 0, 0),
        ("0123456789" * 30, 75, 100),
        ("", 0, 0),
    ],
)
def test_the_fewest_tokens_of_a_text(text: str, least: int, most: int) -> None:
    assert least <= fewest_tokens(text) <= most


@pytest.mark.parametrize(
    "prompt",
    [
        FERRY * 700,
        Chat((Message("system", "Be brief."), Message("user", FERRY * 700))),
        Chat((Message("user", FERRY * 350), Message("user", FERRY * 350)), "Answer:"),
        "彼は東京で切符を買った。" * 2000,
    ],
)
def test_a_prompt_that_was_cut_is_an_error(
    stub: StubServer, connect: Connect, prompt: Prompt
) -> None:
    stub.otherwise = read(2050)
    error = ask(connect(), prompt).error
    assert isinstance(error, PromptCut)
    for word in ("it read 2050 tokens (usage.prompt_tokens)", "max_seq_len", "chunk_tokens"):
        assert word in str(error)


def test_the_message_names_both_numbers() -> None:
    assert str(PromptCut(2050, 8400, exact=False)).startswith(
        "The server cut the prompt: it read 2050 tokens (usage.prompt_tokens) of at least 8400 that"
    )
    assert "of 8400 that" in str(PromptCut(2050, 8400, exact=True))


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        (FERRY * 700, read(9800)),
        (FERRY * 700, read(100, cached=9700)),  # some servers leave the cached tokens out
        (FERRY * 700, read(0)),  # nothing is known
        (FERRY * 700, reply(said() | {"usage": None})),
        (FERRY * 5, read(7)),  # shorter than any context
    ],
)
def test_a_prompt_that_was_read_is_answered(
    stub: StubServer, connect: Connect, prompt: Prompt, answer: Any
) -> None:
    stub.otherwise = answer
    done = ask(connect(), prompt)
    assert (done.text, done.error) == ("Paris", None)
