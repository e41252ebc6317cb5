"""Whole runs over a server: the generator is switched, interrupted, and keeps its key to itself."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stub_server import Action, Body, Handler, StubServer, fail, hang, reply, said

import nlp_pipeline
from nlp_pipeline.errors.server_abilities import RequestsRefused
from nlp_pipeline.generation.backends.server.generator import _close_all
from nlp_pipeline.pipeline import (
    PipelineSpec,
    generators,
    load_pipeline,
    model_names,
    resolve_config,
)

KEY = "sk-sentinel-1f0e9d8c7b6a"
NAME = "nlp_pipeline.server.v1"


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    _close_all()


def switch(url: str, **settings: Any) -> str:
    block = {"@llama_generators": NAME, "base_url": url} | settings
    return f"components.llama_qa.generator={json.dumps(block)}"


def artefacts(folder: Path) -> bytes:
    """Every byte of a run, tables unpacked as well."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    raw = b"".join(path.read_bytes() for path in files)
    tables = nlp_pipeline.read_run(folder) if files else {}
    return raw + "".join(frame.to_csv() for frame in tables.values()).encode()


def test_set_switches_the_generator_of_all_who_share_it(stub: StubServer) -> None:
    pace = "components.llama_qa.generator.max_concurrency=3"
    spec = PipelineSpec("en_qa_summary", settings=(switch(stub.url), pace), model="tiny")
    config = resolve_config(spec)
    for component in ("llama_qa", "llama_summarizer"):
        block = config["components"][component]["generator"]
        assert block["@llama_generators"] == NAME
        assert (block["model"], block["max_concurrency"]) == ("tiny", 3)
        assert "device" not in block
    assert model_names(config) == [], "nothing is to be fetched"
    assert not stub.seen, "nobody is asked before the run"
    first, second = generators(load_pipeline(spec))
    assert first.settings == second.settings


def test_other_generators_keep_their_settings() -> None:
    given = 'components.llama_qa.generator={"@llama_generators": "nlp_pipeline.echo.v1"}'
    config = resolve_config(PipelineSpec("en_qa", settings=(given,)))
    block = config["components"]["llama_qa"]["generator"]
    assert block == {"@llama_generators": "nlp_pipeline.echo.v1", "fail_on": None}
    plain = resolve_config(PipelineSpec("en_qa", model="other.gguf", device="cpu"))
    assert plain["components"]["llama_qa"]["generator"]["model"] == "other.gguf"
    assert model_names(plain) == ["other.gguf"]


def run_with(cli: Any, quick: Any, corpus: Any, out: Path, url: str, *more: object) -> Any:
    texts = [f"Mrs. Falk built bridge {number}." for number in range(6)]
    return cli(
        *("run", corpus(*texts), "-p", quick(), "-o", out, "--quiet"),
        *("--set", switch(url, max_retries=1), *more),
    )


def test_a_run_over_a_server(
    stub: StubServer, cli: Any, quick: Any, corpus: Any, tmp_path: Path
) -> None:
    stub.otherwise = reply(said("Falk"))
    done = run_with(cli, quick, corpus, tmp_path / "out", stub.url, "--model", "tiny")
    assert done.code == 0, done.err
    answers = nlp_pipeline.read_run(tmp_path / "out")["answers"]
    assert list(answers["answer"]) == ["Falk"] * 6
    assert list(answers["alignment"]) == ["exact"] * 6
    assert list(answers["reused_tokens"]) == [3] * 6
    assert set(answers["model"]) == {"tiny"}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    (generator,) = manifest["fingerprint"]["generators"]
    assert (generator["backend"], generator["base_url"]) == (NAME, stub.url)


def test_a_model_that_is_not_served_ends_the_run_at_once(
    stub: StubServer, cli: Any, quick: Any, corpus: Any, tmp_path: Path
) -> None:
    done = run_with(cli, quick, corpus, tmp_path / "out", stub.url, "--model", "large")
    assert done.code == 1
    assert "serves no model 'large'; it serves: tiny." in done.err


def test_a_server_that_obeys_no_grammar_ends_the_run_before_a_document_is_sent(
    stub: StubServer, cli: Any, quick: Any, corpus: Any, tmp_path: Path
) -> None:
    stub.serves("llamacpp")
    stub.otherwise = reply(said("Hello!"))
    mode = ("--set", "components.llama_qa.mode=extractive")
    done = run_with(cli, quick, corpus, tmp_path / "out", stub.url, *mode)
    assert done.code == 1
    assert "(llamacpp) obeys no grammar; asked for 'qx7' alone it said: 'Hello!'" in done.err
    assert len(stub.bodies) == 1
    assert "Falk" not in str(stub.bodies)


def echo_key(status: int) -> Callable[[Handler, Body], None]:
    """Refuses, and repeats the key that it was sent, as careless servers do."""

    def act(handler: Handler, body: Body) -> None:
        fail(status, f"Incorrect key: {handler.headers['Authorization']}")(handler, body)

    return act


def good_then(last: Action) -> Action:
    """Answers three times, then does something else."""
    left = [reply(said("Falk"))] * 3

    def act(handler: Handler, body: Body) -> None:
        (left.pop() if left else last)(handler, body)

    return act


LOGGERS = ("openai", "httpx", "httpx2", "httpcore", "httpcore2", "asyncio", "nlp_pipeline")


@pytest.mark.parametrize(
    ("at_start", "later", "code"),
    [
        (None, reply(said("Falk")), 0),
        (echo_key(401), reply(said()), 1),
        (None, echo_key(401), 1),
        (None, good_then(echo_key(401)), 3),
        (None, echo_key(500), 3),
        (None, reply(b"<html>"), 3),
        (None, hang, 3),
    ],
    ids=["good", "401-at-start", "401-later", "401-last", "500", "garbage", "time-out"],
)
def test_the_key_is_nowhere_but_in_the_header(
    stub: StubServer,
    cli: Any,
    quick: Any,
    corpus: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    at_start: Any,
    later: Any,
    code: int,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    stub.models = at_start or stub.models
    stub.otherwise = later
    out = tmp_path / "out"
    with caplog.at_level(logging.DEBUG):
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.DEBUG)
        seconds = "components.llama_qa.generator.timeout_s=0.3"
        done = run_with(cli, quick, corpus, out, stub.url, "--set", seconds)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.NOTSET)
    assert done.code == code, done.err
    if stub.seen:
        headers = {name.lower(): value for name, value in stub.seen[0][1].items()}
        assert headers["authorization"] == f"Bearer {KEY}", "the server does get it"
    logged = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert "HTTP Request" in logged
    assert KEY not in logged
    assert KEY not in done.out + done.err
    assert KEY.encode() not in artefacts(out)


def test_errors_and_objects_do_not_show_the_key(
    stub: StubServer, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from traceback import format_exception

    from nlp_pipeline.generation.interface import GenerationRequest, generate

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    stub.script.append(echo_key(400))
    generator = connect()
    (done,) = generate(generator, [GenerationRequest("r", "Hello")])
    assert done.error is not None
    shown = [repr(done), *format_exception(done.error), repr(done.error.__dict__)]
    stub.otherwise = echo_key(400)
    with pytest.raises(RequestsRefused) as refused:
        list(generate(connect(max_concurrency=1), [GenerationRequest("r", "Hello")]))
    shown += format_exception(refused.value)
    shown += [repr(generator.info), repr(generator.connection), repr(vars(generator))]
    stub.models = echo_key(403)
    generator.close()
    with pytest.raises(nlp_pipeline.errors.NlpPipelineError) as caught:
        generator.session()
    shown += format_exception(caught.value)
    assert "[key]" in "".join(shown)
    assert KEY not in "".join(shown)


SCRIPT = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from nlp_pipeline.generation.backends.server import ServerGenerator, ServerSettings
from nlp_pipeline.generation.interface import GenerationRequest, generate
generator = ServerGenerator(ServerSettings(sys.argv[1], max_concurrency=2))
session = generator.session()
session.submit(GenerationRequest("left", "Hello"))
if sys.argv[2] == "wait":
    print("ready", flush=True)
    list(generate(generator, (GenerationRequest(str(i), "Hello") for i in range(50))))
"""


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("how", ["leave", "wait"])
def test_an_interpreter_ends_while_requests_run(stub: StubServer, how: str) -> None:
    stub.otherwise = hang
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", SCRIPT, stub.url, how]
    environment = {**os.environ, "PYTHONWARNINGS": ""}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        if how == "wait":
            assert process.stdout is not None
            process.stdout.readline()
            _until(lambda: len(stub.seen) >= 2)  # both are on their way, and it waits for them
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()  # leaving the block would wait for it for ever
    assert "destroyed" not in err
    assert "Warning" not in err
    lines = err.strip().splitlines()
    assert (lines[-1:] == ["KeyboardInterrupt"]) == (how == "wait")
    assert process.returncode == (-signal.SIGINT if how == "wait" else 0), err
