"""The server backend against a stub: what is sent, what comes back, who waits for what."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from stub_server import Body, Handler, StubServer, hang, reply, said, scored, slow

from nlp_pipeline.errors.server import (
    ServerClosed,
)
from nlp_pipeline.errors.server_abilities import (
    NotOfferedByServer,
)
from nlp_pipeline.generation.backends.server import BACKEND, ServerGenerator
from nlp_pipeline.generation.chat import Chat, Message, Prompt
from nlp_pipeline.generation.constraints.grammar import Grammar
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    Generator,
    SamplingParams,
    generate,
)

CHAT = Chat((Message("system", "Be brief."), Message("user", "The capital?")), "Answer:")
Connect = Callable[..., ServerGenerator]


def ask(generator: ServerGenerator, prompt: Prompt = CHAT, **params: Any) -> Completion:
    """One request and its completion."""
    (done,) = generate(generator, [GenerationRequest("r", prompt, SamplingParams(**params))])
    return done


def test_a_chat_is_sent_as_messages(stub: StubServer, connect: Connect) -> None:
    done = ask(connect(), max_new_tokens=5, stop=("\n",), seed=9)
    assert (done.text, done.finish_reason, done.error) == ("Paris", "stop", None)
    assert (done.prompt_tokens, done.reused_tokens, done.output_tokens) == (7, 3, 1)
    path, headers, body = stub.seen[0]
    assert path == "/v1/chat/completions"
    assert headers["Accept-Encoding"] == "identity"
    assert body == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "The capital?"},
        ],
        "max_tokens": 5,
        "temperature": 0.0,
        "seed": 9,
        "stop": ["\n"],
        "stream": False,
        "logprobs": True,
        "top_logprobs": 1,
    }


def test_a_text_goes_to_completions(stub: StubServer, connect: Connect) -> None:
    legacy = {
        "tokens": [" Par", "is"],
        "token_logprobs": [-0.5, -0.25],
        "top_logprobs": [{" Par": -0.5, " Lon": -2}, {"is": -0.25, "t": -3}],
    }
    choice = {"index": 0, "text": " Paris", "finish_reason": "length", "logprobs": legacy}
    stub.otherwise = reply({"choices": [choice]})
    done = ask(connect(), "The capital is", logprobs=2)
    assert stub.seen[0][0] == "/v1/completions"
    assert (stub.bodies[0]["prompt"], stub.bodies[0]["logprobs"]) == ("The capital is", 2)
    assert (done.text, done.finish_reason, done.output_tokens) == (" Paris", "length", 2)
    assert done.logprobs == (-0.5, -0.25)
    assert [t.text for t in done.top_logprobs[0]] == [" Par", " Lon"]
    assert done.token_ids == (), "the server names no ids"


@pytest.mark.parametrize(
    ("owner", "last", "more"),
    [
        ("llamacpp", "assistant", set()),
        ("vllm", "assistant", {"add_generation_prompt", "continue_final_message"}),
        ("somebody", "user", set()),
    ],
)
def test_the_answer_prefix_goes_where_it_is_continued(
    stub: StubServer, connect: Connect, owner: str, last: str, more: set[str]
) -> None:
    stub.serves(owner)
    ask(connect())
    body = stub.bodies[0]
    assert body["messages"][-1]["role"] == last
    assert {name for name in body if "_prompt" in name or "final" in name} == more


def test_the_setting_decides_over_the_answer_prefix(stub: StubServer, connect: Connect) -> None:
    stub.serves("llamacpp")
    ask(connect(continue_final_message=False))
    stub.serves("somebody")
    ask(connect(continue_final_message=True))
    assert [body["messages"][-1]["content"] for body in stub.bodies] == ["The capital?", "Answer:"]


@pytest.mark.parametrize("scores", [None, scored((" Par", -0.5), ("is", -0.1))])
def test_a_repeated_prefix_is_not_part_of_the_answer(
    stub: StubServer, connect: Connect, scores: Any
) -> None:
    stub.serves("llamacpp")
    stub.otherwise = reply(said("Answer: Paris", logprobs=scores))
    assert ask(connect()).text == " Paris"


def test_the_model_may_say_the_prefix_itself(stub: StubServer, connect: Connect) -> None:
    stub.serves("llamacpp")
    stub.otherwise = reply(said("Answer: no", logprobs=scored(("Answer:", -1), (" no", -1))))
    assert ask(connect()).text == "Answer: no"


def test_sampling_parameters_in_the_servers_words(stub: StubServer, connect: Connect) -> None:
    ask(connect(), temperature=0.7, top_p=0.9)
    ask(connect(), temperature=0.7, top_k=5, min_p=0.1, repetition_penalty=1.2)
    stub.serves("llamacpp", meta={"n_ctx": 512})
    ask(connect(logprobs=False), temperature=0.7, repetition_penalty=1.2, seed=2**40 + 3)
    names = {"top_p", "top_k", "min_p", "repetition_penalty", "repeat_penalty", "repeat_last_n"}
    assert [{n: v for n, v in body.items() if n in names} for body in stub.bodies] == [
        {"top_p": 0.9},
        {"top_p": 1.0, "top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2},
        {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repeat_penalty": 1.2, "repeat_last_n": 512},
    ]
    assert "logprobs" not in stub.bodies[2]
    assert stub.bodies[2]["seed"] == 3


def test_each_sample_is_a_request_with_a_seed_of_its_own(
    stub: StubServer, connect: Connect
) -> None:
    request = GenerationRequest("r", CHAT, SamplingParams(n=3, temperature=1.0, seed=5))
    done = list(generate(connect(), [request]))
    assert sorted(completion.sample for completion in done) == [0, 1, 2]
    assert sorted(body["seed"] for body in stub.bodies) == [5, 6, 7]


def test_scores_are_those_of_the_text(stub: StubServer, connect: Connect) -> None:
    scores = scored((" Par", -0.5), ("is", 0.0), ("\nNext", -1), ("</s>", -2), ids=True)
    stub.otherwise = reply(said(" Paris\nNext", logprobs=scores))
    done = ask(connect(), stop=("\n",), logprobs=1)
    assert (done.text, done.finish_reason) == (" Paris", "stop")
    assert (done.token_ids, done.logprobs) == ((40, 41), (-0.5, 0.0))
    assert [[t.text for t in top] for top in done.top_logprobs] == [[" Par"], ["is"]]
    assert [t.token_id for t in done.top_logprobs[0]] == [-1]


@pytest.mark.parametrize(
    "scores", ["no", {"content": [{}]}, {"content": 3}, {"tokens": ["a"], "token_logprobs": []}]
)
def test_garbled_scores_cost_no_answer(stub: StubServer, connect: Connect, scores: Any) -> None:
    stub.otherwise = reply(said(logprobs=scores))
    done = ask(connect(), logprobs=2)
    assert (done.text, done.logprobs, done.top_logprobs) == ("Paris", (), ())


def test_what_a_server_cannot_do_is_said(stub: StubServer, connect: Connect) -> None:
    bound = GenerationRequest("r", CHAT, constraint=Grammar("start: /x/"))
    (constrained,) = generate(connect(), [bound])
    for done in (ask(connect(), [1, 2]), ask(connect(), num_beams=2), constrained):
        assert isinstance(done.error, NotOfferedByServer)
        assert not done.error.retryable
    assert not stub.bodies


def test_a_schema_becomes_a_response_format(stub: StubServer, connect: Connect) -> None:
    form = {"type": "object", "properties": {"a": {"type": "integer"}}}
    bound = GenerationRequest("r", CHAT, constraint=Grammar("start: /x/", "{}", form))
    (done,) = generate(connect(), [bound])
    assert done.error is None
    sent = stub.bodies[-1]["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"] == form


def test_completions_come_as_they_finish_and_once(stub: StubServer, connect: Connect) -> None:
    stub.script.extend(slow(0.4 if i == 0 else 0.01 * (9 - i), str(i)) for i in range(9))
    requests = [GenerationRequest(f"r{i}", CHAT) for i in range(9)]
    done = [completion.text for completion in generate(connect(max_concurrency=4), requests)]
    assert sorted(done) == list("012345678")
    assert done[-1] == "0"
    assert stub.most == 4


@pytest.mark.parametrize(("owner", "most"), [("llamacpp", 1), ("vllm", 4)])
def test_requests_that_share_a_prefix_take_turns_at_llama_cpp(
    stub: StubServer, connect: Connect, owner: str, most: int
) -> None:
    stub.serves(owner)
    together = threading.Barrier(4, timeout=120)

    def wait_for_others(handler: Handler, body: Body) -> None:
        if most > 1:
            together.wait()
        reply(said())(handler, body)

    stub.otherwise = wait_for_others
    requests = [GenerationRequest(f"r{i}", CHAT, group="document") for i in range(8)]
    assert len(list(generate(connect(max_concurrency=4), requests))) == 8
    assert stub.most == most


@pytest.mark.parametrize(
    ("owner", "props", "most"),
    [
        ("llamacpp", {"total_slots": 2}, 2),
        ("llamacpp", {"total_slots": 9}, 4),
        ("llamacpp", {"total_slots": "many"}, 4),
        ("vllm", {"total_slots": 2}, 4),
    ],
)
def test_llama_cpp_is_sent_no_more_than_it_has_slots(
    stub: StubServer, connect: Connect, owner: str, props: Any, most: int
) -> None:
    stub.serves(owner)
    stub.routes["/props"] = reply(props)
    together = threading.Barrier(most, timeout=120)

    def wait_for_others(handler: Handler, body: Body) -> None:
        together.wait()
        reply(said())(handler, body)

    stub.otherwise = wait_for_others
    requests = [GenerationRequest(f"r{i}", CHAT) for i in range(8)]
    assert len(list(generate(connect(max_concurrency=4), requests))) == 8
    assert stub.most == most


def test_sessions_share_a_connection_and_nobody_waits_for_nothing(connect: Connect) -> None:
    first, second = connect(), connect()
    assert first.connection is second.connection
    idle, busy = first.session(), second.session()
    assert (idle.step(), idle.running) == ([], 0)
    busy.submit(GenerationRequest("r", CHAT))
    assert (idle.step(), busy.running) == ([], 1)
    assert [completion.request_id for completion in busy.step()] == ["r"]
    assert (busy.running, busy.room) == (0, 32)
    idle.close()
    idle.close()


def test_a_session_that_closes_early_drops_its_requests(stub: StubServer, connect: Connect) -> None:
    stub.otherwise = hang
    generator = connect(max_concurrency=2)
    session = generator.session()
    for number in range(session.room):
        session.submit(GenerationRequest(str(number), CHAT))
    assert session.room == 0
    session.close()
    session.close()
    assert (session.running, session.step()) == (0, [])
    stub.otherwise = reply(said("free"))
    assert ask(generator).text == "free"


def test_a_closed_generator_leaves_no_thread_and_no_waiting(
    stub: StubServer, connect: Connect
) -> None:
    stub.otherwise = hang
    of_others = set(threading.enumerate())
    generator = connect()
    session = generator.session()
    session.submit(GenerationRequest("r", CHAT))
    generator.close()
    generator.close()
    own = [t for t in set(threading.enumerate()) - of_others if t.name == "nlp-pipeline-server"]
    for thread in own:
        thread.join(30)  # the generator itself waits less, which a busy machine may exceed
    assert not [thread for thread in own if thread.is_alive()]
    with pytest.raises(ServerClosed, match="was closed"):
        session.step()
    session.submit(GenerationRequest("late", CHAT))
    session.close()
    stub.otherwise = reply(said("again"))
    assert ask(generator).text == "again"


def test_info_is_what_the_server_says(stub: StubServer, connect: Connect) -> None:
    stub.serves("llamacpp", created=17, meta={"n_ctx": 2048, "n_params": 5, "n_ctx_train": 8192})
    info = connect().info
    assert (info.backend, info.model, info.max_seq_len) == (BACKEND, "tiny", 2048)
    assert info.details == {
        "base_url": stub.url,
        "server": "llamacpp",
        "answer_prefix": "sent",
        "n_params": 5,
    }
    assert connect(max_seq_len=99).info.max_seq_len == 99


def test_the_generator_is_one_and_travels_without_its_connection(connect: Connect) -> None:
    generator = connect(model="tiny")
    assert isinstance(generator, Generator)
    assert copy.deepcopy(generator) is generator
    ask(generator)
    assert pickle.loads(pickle.dumps(generator)).settings == generator.settings


def test_tokens_are_counted_by_the_server(stub: StubServer, connect: Connect) -> None:
    stub.serves("llamacpp")
    stub.routes["/apply-template"] = lambda h, b: reply({"prompt": str(len(b["messages"]))})(h, b)
    stub.routes["/tokenize"] = lambda h, b: reply({"tokens": [0] * len(b["content"])})(h, b)
    assert (connect().count_tokens(CHAT), connect().count_tokens("four")) == (1, 4)
    assert connect().count_tokens([1, 2, 3]) == 3
    stub.serves("vllm")
    stub.routes["/tokenize"] = reply({"count": 11, "max_model_len": 64})
    assert connect(max_retries=1).count_tokens(CHAT) == 11
    assert stub.seen[-1][2]["continue_final_message"] is True
    stub.serves("sglang")
    assert connect(max_retries=2).count_tokens(CHAT) == 11
    # It counts no prompt that goes on with an answer where this field says that none is begun.
    assert "add_generation_prompt" not in stub.seen[-1][2]


def test_a_server_that_counts_nothing_gets_an_upper_bound(connect: Connect) -> None:
    assert connect().count_tokens("é") == 4
    assert connect().count_tokens(CHAT) == 9 + 12 + 7 + 3 * 16 + 64
