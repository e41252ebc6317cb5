"""Models behind a server that reason before they answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from stub_server import StubServer, reply, said, scored

from nlp_pipeline.errors.generation import NoAnswerAfterReasoning
from nlp_pipeline.errors.server import InvalidServerSetting, PromptCut
from nlp_pipeline.generation.backends.server import ServerGenerator, ServerSettings
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    SamplingParams,
    generate,
)

pytestmark = pytest.mark.issue(13)

Connect = Callable[..., ServerGenerator]
CHAT = Chat((Message("user", "Who?"),))


def ask(generator: ServerGenerator, text: str = "Who?", **params: Any) -> Completion:
    """One chat and its completion."""
    request = GenerationRequest("r", Chat((Message("user", text),)), SamplingParams(**params))
    (done,) = generate(generator, [request])
    return done


def message(tokens: int = 20, finish: str = "stop", reasoned: int = 0, **fields: Any) -> Any:
    """A reply whose message has these fields."""
    body = said(finish_reason=finish)
    body["choices"][0]["message"] = {"role": "assistant", **fields}
    body["usage"] |= {"completion_tokens": tokens}
    body["usage"]["completion_tokens_details"] = {"reasoning_tokens": reasoned}
    return reply(body)


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "<think>\nShe asks.\n</think>\n\nAna"},
        {"content": "She asks.\n</think>\n\nAna"},
        {"content": "[THINK]She asks.[/THINK]Ana"},
        {"content": "Ana", "reasoning_content": "She asks."},
        {"content": "Ana", "reasoning": "She asks."},
        {"content": "Ana", "reasoning": None, "reasoning_content": "She asks.\n"},
        {"content": "Ana", "reasoning_details": [{"type": "reasoning.text", "text": "She asks."}]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "She asks."}]},
                {"type": "text", "text": "Ana"},
            ]
        },
    ],
)
def test_the_reasoning_is_kept_apart(
    stub: StubServer, connect: Connect, fields: dict[str, Any]
) -> None:
    stub.otherwise = message(reasoned=17, **fields)
    done = ask(connect())
    assert (done.text, done.reasoning, done.error) == ("Ana", "She asks.", None)
    assert (done.output_tokens, done.reasoning_tokens) == (20, 17)


@pytest.mark.parametrize("finish", ["stop", "length"])
@pytest.mark.parametrize(
    "fields",
    [
        {"content": "<think>She asks."},
        {"content": "<think>She asks.</think>\n"},
        {"content": "", "reasoning_content": "She asks."},
        {"content": None, "reasoning": "She asks."},
    ],
)
def test_reasoning_without_an_answer_is_an_error(
    stub: StubServer, connect: Connect, fields: dict[str, Any], finish: str
) -> None:
    stub.otherwise = message(64, finish, **fields)
    done = ask(connect())
    assert isinstance(done.error, NoAnswerAfterReasoning)
    assert (done.text, done.finish_reason, done.reasoning) == ("", "error", "She asks.")
    assert "chat_template_kwargs" in str(done.error)
    assert ("max_new_tokens=64 was reached" in str(done.error)) == (finish == "length")


def test_a_server_that_hides_its_reasoning(stub: StubServer, connect: Connect) -> None:
    stub.otherwise = message(64, "length", content="")
    assert isinstance(ask(connect()).error, NoAnswerAfterReasoning)
    stub.otherwise = message(9, reasoned=8, content="")
    assert "8 tokens of reasoning without" in str(ask(connect()).error)
    stub.otherwise = message(1, content="")
    assert ask(connect()).error is None, "an empty answer is one"


def test_the_scores_are_those_of_the_answer(stub: StubServer, connect: Connect) -> None:
    pieces = [("<think>", -1.0), ("An", -2.0), ("a?", -3.0), ("</think>", -4.0), ("\n\n", -5.0)]
    pieces += [("An", -0.5), ("a", -0.25), ("<|im_end|>", -0.1)]
    stub.otherwise = reply(said("<think>Ana?</think>\n\nAna", logprobs=scored(*pieces, ids=True)))
    done = ask(connect())
    assert done.logprobs == (-0.5, -0.25)
    assert done.token_ids == (45, 46)
    assert done.reasoning_tokens == 5
    apart = said("Ana", logprobs=scored(*pieces))
    apart["choices"][0]["message"]["reasoning_content"] = "Ana?"
    stub.otherwise = reply(apart)
    assert ask(connect()).logprobs == (-0.5, -0.25)


def test_a_stop_text_does_not_end_the_reasoning(stub: StubServer, connect: Connect) -> None:
    stub.script.append(reply(said("<think>")))  # ended by the line end that follows it
    stub.otherwise = reply(said("<think>\nShe asks.\n</think>\n\nAna\nOr Bo"))
    generator = connect()
    for _ in range(2):
        done = ask(generator, stop=("\n",))
        assert (done.text, done.error) == ("Ana", None)
    assert ["stop" in body for body in stub.bodies] == [True, False, False]


def test_what_the_document_quotes_is_no_reasoning(stub: StubServer, connect: Connect) -> None:
    stub.otherwise = reply(said("The mark is < think> here"))
    assert ask(connect(), "On <think> here.").text == "The mark is <think> here"


def test_a_chat_template_is_given_its_variables(stub: StubServer, connect: Connect) -> None:
    ask(connect(chat_template_kwargs={"enable_thinking": False}))
    ask(connect())
    assert stub.bodies[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert "chat_template_kwargs" not in stub.bodies[1]


@pytest.mark.parametrize("value", ["no", {"tokenize": True}, {"a b": 1}, {"x": object()}, [1]])
def test_variables_that_are_not_possible(value: Any) -> None:
    with pytest.raises(InvalidServerSetting, match="enable_thinking"):
        ServerSettings("http://127.0.0.1:1", chat_template_kwargs=value)


def test_equal_settings_are_equal() -> None:
    one, two, other = (
        ServerSettings("http://127.0.0.1:1", chat_template_kwargs=kwargs)
        for kwargs in ({"a": [1], "b": 2}, {"b": 2, "a": [1]}, {"a": [2]})
    )
    assert (one, hash(one)) == (two, hash(two))
    assert one != other


def test_the_models_own_tokenizer_counts(
    stub: StubServer, connect: Connect, tiny_llama: str
) -> None:
    generator = connect(tokenizer=tiny_llama)
    text = "The ferry left. " * 40
    tokens = generator.count_tokens(Chat((Message("user", text),)))
    assert 300 < tokens < len(text)
    for read, cut in ((tokens, False), (tokens - 60, True)):
        stub.otherwise = reply(said() | {"usage": {"prompt_tokens": read}})
        error = ask(generator, text).error
        assert isinstance(error, PromptCut) == cut
