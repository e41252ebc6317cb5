"""What a server refuses of any document ends the run, with the setting; of one, its row."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
from stub_server import Action, Body, Handler, StubServer, fail, reply, said

from nlp_pipeline.errors.server import (
    ServerRefused,
)
from nlp_pipeline.errors.server_abilities import (
    RequestsRefused,
)
from nlp_pipeline.generation.backends.server import ServerGenerator
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.constraints.grammar import Grammar
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    SamplingParams,
    generate,
)

Connect = Callable[..., ServerGenerator]
FORM = Grammar("start: /x/", "{}", {"type": "object", "properties": {"a": {"type": "null"}}})


def chat(text: str) -> Chat:
    return Chat((Message("system", "Be brief."), Message("user", text)), "Answer:")


def answers(
    generator: ServerGenerator, *texts: str, constraint: Any = None, **params: Any
) -> list[Completion]:
    """The completions about some documents, one after the other."""
    requests = [
        GenerationRequest(text, chat(text), SamplingParams(**params), constraint=constraint)
        for text in texts
    ]
    return [done for request in requests for done in generate(generator, [request])]


def refuses(fields: Collection[str], reason: str = "no such field") -> Action:
    """Serves what has none of some fields."""

    def act(handler: Handler, body: Body) -> None:
        action = fail(400, reason) if set(fields) & set(body) else reply(said())
        action(handler, body)

    return act


@pytest.mark.parametrize(
    ("owner", "fields", "params", "constraint", "cause"),
    [
        ("gateway", ["top_logprobs"], {}, None, "logprobs, top_logprobs: set logprobs = false in"),
        ("gateway", ["top_k"], {"temperature": 1.0, "top_k": 5}, None, "top_k: leave top_k out"),
        ("gateway", ["min_p"], {"temperature": 1.0, "min_p": 0.1}, None, "min_p: leave min_p out"),
        ("gateway", ["top_p"], {"temperature": 1.0}, None, "top_p: leave top_p out"),
        ("gateway", ["stop"], {"stop": ("x",)}, None, "stop: leave stop out"),
        ("gateway", ["seed"], {}, None, "seed: leave seed out"),
        ("gateway", ["temperature"], {}, None, "temperature: leave temperature out"),
        (
            "llamacpp",
            ["repeat_penalty"],
            {"repetition_penalty": 1.1},
            None,
            "repeat_penalty, repeat_last_n: leave repetition_penalty out",
        ),
        (
            "vllm",
            ["continue_final_message"],
            {},
            None,
            "continue_final_message, add_generation_prompt: set continue_final_message = false in",
        ),
        ("gateway", ["response_format"], {}, FORM, "response_format: ask for a simpler schema"),
    ],
)
def test_a_setting_that_is_refused_ends_the_run_at_the_first_document(
    stub: StubServer,
    connect: Connect,
    owner: str,
    fields: list[str],
    params: Any,
    constraint: Any,
    cause: str,
) -> None:
    stub.serves(owner)
    stub.otherwise = refuses(fields)
    with pytest.raises(RequestsRefused) as caught:
        answers(connect(), "one", "two", constraint=constraint, **params)
    assert f"({owner}) refuses all that it is asked in this way" in str(caught.value)
    assert "without any document too: HTTP 400: no such field." in str(caught.value)
    assert f"The cause is what it is sent as {cause}" in str(caught.value)
    assert "one" in str(stub.bodies[0])
    assert not any("two" in str(body) for body in stub.bodies)
    assert all("one" not in str(body) for body in stub.bodies[1:]), "the document is sent once"


def test_a_template_variable_that_is_refused(stub: StubServer, connect: Connect) -> None:
    stub.otherwise = refuses(["chat_template_kwargs"])
    with pytest.raises(RequestsRefused, match="leave chat_template_kwargs out in the generator"):
        answers(connect(chat_template_kwargs={"enable_thinking": False}), "one")


def test_more_tokens_than_a_server_gives(stub: StubServer, connect: Connect) -> None:
    def act(handler: Handler, body: Body) -> None:
        (reply(said()) if body["max_tokens"] < 100 else fail(400, "too many"))(handler, body)

    stub.otherwise = act
    with pytest.raises(RequestsRefused, match="as max_tokens: set max_new_tokens to less"):
        answers(connect(), "one", max_new_tokens=500)


def test_a_server_that_refuses_everything(stub: StubServer, connect: Connect) -> None:
    stub.otherwise = fail(400, "no chat template")
    with pytest.raises(RequestsRefused, match="No single setting is the cause: see what the serv"):
        answers(connect(), "one")


def test_a_document_that_is_refused_is_an_error_of_its_row(
    stub: StubServer, connect: Connect
) -> None:
    def act(handler: Handler, body: Body) -> None:
        action = fail(400, "unsafe") if "bad" in str(body["messages"]) else reply(said())
        action(handler, body)

    stub.otherwise = act
    done = answers(connect(), "bad 1", "good", "bad 2")
    assert [type(completion.error) for completion in done] == [
        ServerRefused,
        type(None),
        ServerRefused,
    ]
    assert len(stub.bodies) == 4, "what was found out once is not asked again"
    trial = stub.bodies[1]
    assert [turn["content"] for turn in trial["messages"]] == ["Say hello."]
    assert trial["max_tokens"] == stub.bodies[0]["max_tokens"]


def test_a_prompt_that_is_a_text(stub: StubServer, connect: Connect) -> None:
    stub.otherwise = refuses(["logprobs"])
    with pytest.raises(RequestsRefused, match="set logprobs = false"):
        list(generate(connect(), [GenerationRequest("r", "Ann met Bo.")]))
    assert stub.bodies[1]["prompt"] == "Say hello."
