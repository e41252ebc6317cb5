"""The key is in nothing that is kept of what a server says."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stub_server import StubServer, reply, said, scored

from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.generation.backends.server import ServerGenerator
from nlp_pipeline.generation.backends.server.redaction import Redaction
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    SamplingParams,
    generate,
)

pytestmark = pytest.mark.issue(14)

KEY = "sk-live/3f9a+7c2b=="
Connect = Callable[..., ServerGenerator]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def ask(generator: ServerGenerator, **params: Any) -> Completion:
    (done,) = generate(generator, [GenerationRequest("r", "Who?", SamplingParams(**params))])
    return done


def completion(text: str, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "text": text, "finish_reason": "stop"} | more]}


FORMS = [KEY, "sk-live%2F3f9a%2B7c2b%3D%3D", base64.b64encode(KEY.encode()).decode()]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda said: {"error": {"message": said}},
        lambda said: {"error": said},
        lambda said: {"detail": [{"msg": said}]},
        lambda said: said.encode() * 60,
        lambda said: {"choices": [], "error": {"message": "no", said: said}},
    ],
)
def test_every_refusal(
    stub: StubServer, connect: Connect, status: int, form: str, wrap: Callable[[str], Any]
) -> None:
    stub.otherwise = reply(wrap(f"Incorrect API key provided: {form}."), status)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nlp_pipeline.generation.backends.server.connection.GIVE_UP_AFTER", 99)
        generator = connect(max_retries=0)
        try:
            error: NlpPipelineError | None = ask(generator).error
        except NlpPipelineError as refused:
            error = refused
    assert error is not None
    assert form not in str(error)
    assert form[:12] not in str(error)


def test_an_answer_that_holds_it_is_marked(
    stub: StubServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    tokens = scored(("My ", -0.1), (KEY, -0.2))
    body = completion(f"My {KEY}", logprobs=tokens, reasoning=f"Say {KEY}.")
    stub.otherwise = reply(body)
    generator = connect()
    for _ in range(2):
        done = ask(generator, logprobs=2)
        assert (done.text, done.reasoning) == ("My [key]", "Say [key].")
        assert KEY not in json.dumps([t.text for top in done.top_logprobs for t in top])
    assert caplog.messages == [
        "An answer of the server holds the key of OPENAI_API_KEY; [key] stands in its place"
    ]


def test_a_word_that_serves_as_a_key_stays_in_answers(
    stub: StubServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    stub.otherwise = reply(completion("none"))
    assert ask(connect()).text == "none"


def test_what_a_server_says_of_its_model(stub: StubServer, connect: Connect) -> None:
    stub.serves("stub", quantization=f"for {KEY}")
    assert connect().info.details["quantization"] == "for [key]"


def test_without_a_key_nothing_changes() -> None:
    value = {"a": ["b", 1, None, {"c": ""}]}
    assert Redaction("").reply(value) == value


def test_nothing_of_it_is_written(
    stub: StubServer, cli: Callable[..., Any], corpus: Callable[..., str], tmp_path: Path
) -> None:
    config = tmp_path / "served.cfg"
    config.write_text(
        '[nlp]\nlang = "en"\npipeline = ["sentencizer","llama_qa"]\n[components]\n'
        '[components.sentencizer]\nfactory = "sentencizer"\n'
        '[components.llama_qa]\nfactory = "llama_qa"\nquestions = ["Who?"]\n'
        '[components.llama_qa.generator]\n@llama_generators = "nlp_pipeline.server.v1"\n'
        f'base_url = "{stub.url}"\nmax_retries = 0\n'
    )
    stub.script.append(reply({"error": {"message": f"Incorrect API key provided: {KEY}"}}))
    stub.otherwise = reply(said(f"It is {KEY}"))
    out = tmp_path / "out"
    done = cli("run", corpus("One.", "Two."), "-p", config, "-o", out)
    assert done.code == 3
    for path in out.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in done.out + done.err
