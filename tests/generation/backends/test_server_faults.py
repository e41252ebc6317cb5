"""The server backend against a stub that fails: what is tried again, and what is said then."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from stub_server import (
    Action,
    StubServer,
    fail,
    hang,
    huge,
    reply,
    reset,
    said,
    truncated,
)

from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.generation import PromptNotEncoded, PromptTooLong
from nlp_pipeline.errors.server import (
    InvalidServerSetting,
    PlainHttpRefused,
    ServerFailed,
    ServerGone,
    ServerKeyMalformed,
    ServerKeyRefused,
    ServerModelUnknown,
    ServerModelUnnamed,
    ServerPackageMissing,
    ServerRefused,
    ServerReplyInvalid,
    ServerReplyTooLarge,
    ServerUnreachable,
    ServerUnusable,
)
from nlp_pipeline.generation.backends.server import ServerGenerator, ServerSettings, failures
from nlp_pipeline.generation.backends.server.connection import GIVE_UP_AFTER
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    SamplingParams,
    generate,
)

Connect = Callable[..., ServerGenerator]


def ask(generator: ServerGenerator, prompt: str = "Hello", **params: Any) -> Completion:
    (done,) = generate(generator, [GenerationRequest("r", prompt, SamplingParams(**params))])
    return done


@pytest.mark.parametrize(
    "faults",
    [
        [fail(429, Retry_After="0")],
        [fail(500), fail(503), fail(502)],
        [fail(408)],
        [reset],
        [truncated],
        [reset, fail(429), truncated],
    ],
)
def test_what_passes_is_tried_again(
    stub: StubServer, connect: Connect, faults: list[Action]
) -> None:
    stub.script.extend(faults)
    assert ask(connect()).text == "Paris"
    assert len(stub.bodies) == len(faults) + 1


def test_a_time_limit_ends_an_attempt(stub: StubServer, connect: Connect) -> None:
    generator = connect(timeout_s=0.3, max_retries=1)
    stub.script.append(hang)
    assert ask(generator).text == "Paris"
    stub.script.extend([hang, hang])
    done = ask(generator)
    assert isinstance(done.error, ServerFailed)
    assert done.error.retryable
    assert str(done.error) == (
        "The server gave no answer in 2 attempts: the time limit (timeout_s) was reached."
    )


def test_attempts_come_to_an_end(stub: StubServer, connect: Connect) -> None:
    stub.otherwise = fail(500, "out of memory")
    done = ask(connect(max_retries=2))
    assert (done.finish_reason, done.text) == ("error", "")
    assert "3 attempts: HTTP 500: out of memory" in str(done.error)
    assert len(stub.bodies) == 3


@pytest.mark.parametrize("status", [400, 404, 413, 422, 307])
def test_a_refusal_is_not_tried_again(stub: StubServer, connect: Connect, status: int) -> None:
    stub.script.append(fail(status, "bad\x1b[31m words", Location="http://192.0.2.1/"))
    generator = connect()
    done = ask(generator)
    assert isinstance(done.error, ServerRefused)
    assert not done.error.retryable
    assert f"HTTP {status}: bad\\x1b[31m words" in str(done.error)
    assert [body["prompt"] for body in stub.bodies].count("Hello") == 1
    assert ask(generator).text == "Paris", "the others go on"


def test_a_prompt_over_the_context_says_both_lengths(stub: StubServer, connect: Connect) -> None:
    error = {"message": "too long", "n_prompt_tokens": 6031, "n_ctx": 1024}
    stub.otherwise = reply({"error": error}, 400)
    done = ask(connect())
    assert isinstance(done.error, PromptTooLong)
    assert "6031" in str(done.error)
    assert "1024" in str(done.error)


def test_half_a_character_is_the_requests_own_fault(stub: StubServer, connect: Connect) -> None:
    assert isinstance(ask(connect(), "\ud800").error, PromptNotEncoded)
    stub.otherwise = reply(b'{"choices": [{"message": {"content": "a\\ud800b"}}]}')
    assert ask(connect()).text == "a?b"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>Bad gateway</html>", "no JSON"),
        (b"", "no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b"[1]", "no JSON object but a list"),
        (b"\xff\xfe\xfa", "no JSON"),
        ({}, "no choices"),
        ({"choices": []}, "no choices"),
        ({"choices": ["x"]}, "no choices"),
        ({"error": {"message": "overloaded"}}, "overloaded"),
        ({"choices": [{}]}, "no text"),
        (said(finish_reason="content_filter"), "content_filter"),
        ({"choices": [{"message": {"content": None}, "finish_reason": "length"}]}, "no text"),
    ],
)
def test_a_reply_that_is_no_completion(
    stub: StubServer, connect: Connect, content: Any, words: str
) -> None:
    stub.otherwise = reply(content)
    done = ask(connect())
    assert isinstance(done.error, ServerReplyInvalid)
    assert done.error.retryable
    assert words in str(done.error)
    assert len(stub.bodies) == 1


def test_a_reply_is_bounded(stub: StubServer, connect: Connect) -> None:
    usage = {"completion_tokens": 50}
    stub.script.extend(
        [
            huge,
            reply(b"\x1f\x8b", Content_Encoding="gzip"),
            reply({"choices": said()["choices"], "usage": usage}),
            reply({"choices": [{"text": "x" * 10_000}]}),
        ]
    )
    errors = [ask(connect(), max_new_tokens=8).error for _ in range(4)]
    assert all(isinstance(error, ServerReplyTooLarge) for error in errors)
    assert not any(error.retryable for error in errors if error)
    assert [str(error).split("it has ")[1] for error in errors] == [
        "more than 16 MiB, where at most 16 MiB were expected.",
        "a compressed body, where at most an uncompressed one were expected.",
        "50 tokens, where at most 8 were expected.",
        "10000 characters, where at most 2048 were expected.",
    ]
    assert stub.sent_mib < 40, "the rest was not taken"


def test_a_server_that_is_gone_ends_the_run(stub: StubServer, connect: Connect) -> None:
    stub.otherwise = fail(503, "shutting down")
    generator = connect(max_retries=0, max_concurrency=2)
    requests = (GenerationRequest(str(i), "Hello") for i in range(10_000))
    with pytest.raises(ServerGone) as caught:
        list(generate(generator, requests))
    assert "8 requests in a row failed, the last with: HTTP 503" in str(caught.value)
    assert "only slow set the generator's timeout_s higher or its max_conc" in str(caught.value)
    assert GIVE_UP_AFTER <= len(stub.bodies) < 3 * GIVE_UP_AFTER
    stub.otherwise = reply(said())
    assert ask(generator).text == "Paris", "a new session connects anew"


def test_failures_between_answers_are_the_documents_own(stub: StubServer, connect: Connect) -> None:
    for _ in range(3 * GIVE_UP_AFTER):
        stub.script.extend([fail(500), reply(said())])
    requests = (GenerationRequest(str(i), "Hello") for i in range(6 * GIVE_UP_AFTER))
    done = list(generate(connect(max_retries=0, max_concurrency=1), requests))
    assert sum(completion.error is not None for completion in done) == 3 * GIVE_UP_AFTER


def test_back_off_is_bounded_and_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "FIRST_WAIT_S", 0.5)
    plain = failures.Failure("status", "", 503)
    for attempt in range(12):
        waits = [failures.wait_before(attempt, plain) for _ in range(200)]
        bound = min(30, 0.5 * 2**attempt)
        assert 0 <= min(waits) < bound / 3
        assert bound / 2 < max(waits) <= bound
    asked = failures.Failure("status", "", 429, retry_after=7.0)
    assert 7 <= failures.wait_before(0, asked) <= 7.5
    patient = failures.Failure("status", "", 429, retry_after=1e9)
    assert failures.wait_before(0, patient) <= failures.LONGEST_RETRY_AFTER_S + 0.5


@pytest.mark.parametrize(
    ("given", "expected"), [("3", 3), ("0.5", 0.5), ("-1", None), ("nan", None), ("soon", None)]
)
def test_retry_after(given: str, expected: float | None) -> None:
    assert failures._retry_after({"retry-after": given}) == expected
    assert failures._retry_after({}) is None


def test_retry_after_a_date() -> None:
    moment = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=60))
    found = failures._retry_after({"retry-after": moment})
    assert found is not None
    assert 50 < found <= 60


def start(connect: Connect, **settings: Any) -> NlpPipelineError:
    """The error of a server that cannot be used."""
    with pytest.raises(NlpPipelineError) as caught:
        connect(**settings).session()
    return caught.value


def test_nobody_there(connect: Connect) -> None:
    error = start(connect, base_url="http://127.0.0.1:9/v1")
    assert isinstance(error, ServerUnreachable)
    assert str(error) == (
        "The server at http://127.0.0.1:9/v1 cannot be reached: Connection refused. Start it, or "
        "correct the generator's base_url."
    )


def test_a_key_is_missing_or_wrong(
    stub: StubServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.models = fail(401, "Invalid API Key")
    missing = start(connect, api_key_env="MY_API_KEY")
    monkeypatch.setenv("MY_API_KEY", "wrong-key")
    wrong = start(connect, api_key_env="MY_API_KEY")
    assert isinstance(missing, ServerKeyRefused)
    assert isinstance(wrong, ServerKeyRefused)
    assert "MY_API_KEY is not set (HTTP 401: Invalid API Key)" in str(missing)
    assert "MY_API_KEY was refused" in str(wrong)
    assert "wrong-key" not in str(wrong)


def test_models(stub: StubServer, connect: Connect) -> None:
    unknown = start(connect, model="large")
    assert isinstance(unknown, ServerModelUnknown)
    assert "serves no model 'large'; it serves: tiny." in str(unknown)
    stub.models = reply({"data": [{"id": "a:latest"}, {"id": "b", "aliases": ["bee"]}]})
    assert isinstance(start(connect), ServerModelUnnamed)
    assert connect(model="a").info.model == "a:latest"
    assert connect(model="bee").info.model == "b"
    path = "/models/" + "long/" * 60 + "small.Q4_1.gguf"
    stub.models = reply({"data": [{"id": path}]})
    assert f"it serves: {path}." in str(start(connect, model="large")), "it can be copied"
    assert connect(model="small.Q4_1.gguf").info.model == path
    stub.models = fail(404)
    assert isinstance(start(connect), ServerUnusable)
    assert connect(model="believed").info.model == "believed"


@pytest.mark.parametrize("answer", [reply({"data": []}), reply(b"<html>"), fail(500), reply({})])
def test_no_such_api(stub: StubServer, connect: Connect, answer: Action) -> None:
    stub.models = answer
    error = start(connect, max_retries=0)
    assert isinstance(error, ServerUnusable)
    assert "ends in /v1" in str(error)


def test_the_package_is_an_extra(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    error = start(connect)
    assert isinstance(error, ServerPackageMissing)
    assert "pip install 'openai>=1.55.3,<4'" in str(error)


def test_a_key_that_no_header_can_carry(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-one\nsk-two")
    error = start(connect)
    assert isinstance(error, ServerKeyMalformed)
    assert "sk-one" not in str(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "https://user:sk-secret@example.com/v1"),
        ("base_url", "https://example.com/v1?key=sk-secret"),
        ("base_url", "ftp://sk-secret"),
        ("base_url", "http://127.0.0.1:sk-secret"),
        ("api_key_env", "sk-secret"),
        ("api_key_env", "HOME"),
    ],
)
def test_settings_that_may_hold_a_secret_are_not_repeated(name: str, value: str) -> None:
    settings: dict[str, Any] = {"base_url": "http://localhost/v1", name: value}
    with pytest.raises(InvalidServerSetting) as caught:
        ServerSettings(**settings)
    assert value not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_concurrency", 0),
        ("max_concurrency", True),
        ("timeout_s", 0),
        ("max_retries", -1),
        ("max_seq_len", 1),
        ("control_tokens", ("x",)),
        ("model", None),
    ],
)
def test_settings_out_of_their_range(name: str, value: Any) -> None:
    with pytest.raises(InvalidServerSetting, match=name):
        ServerSettings(**{"base_url": "http://localhost/v1", name: value})


@pytest.mark.parametrize(
    "url", ["http://localhost", "http://127.8.0.1:80", "http://[::1]:8000/v1/", "https://x.org"]
)
def test_addresses(url: str) -> None:
    assert ServerSettings(url).base_url.endswith("/v1")


def test_plain_http_stays_on_this_machine() -> None:
    with pytest.raises(PlainHttpRefused, match="allow_plain_http=true"):
        ServerSettings("http://192.0.2.7:8000/v1")
    assert ServerSettings("http://192.0.2.7/v1", allow_plain_http=True).base_url
