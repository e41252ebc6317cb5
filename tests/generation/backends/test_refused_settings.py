"""What a server or llama.cpp cannot do is refused when a pipeline is built, with the next step."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import spacy
from stub_server import StubServer

from nlp_pipeline.components.base import Ask, LlamaComponent
from nlp_pipeline.errors.config import OverrideNotOffered, SettingNotOffered
from nlp_pipeline.errors.server_abilities import (
    SettingPassedOver,
)
from nlp_pipeline.generation.backends.llama_cpp import LlamaCppGenerator, LlamaCppSettings
from nlp_pipeline.generation.backends.server import ServerGenerator, ServerSettings
from nlp_pipeline.generation.interface import GenerationRequest, SamplingParams, generate
from nlp_pipeline.pipeline import PipelineSpec, resolve_config

SERVER = {"@llama_generators": "nlp_pipeline.server.v1", "base_url": "http://localhost:1"}
PACKED = {"@llama_generators": "nlp_pipeline.llama_cpp.v1", "model": "none.gguf"}
Connect = Callable[..., ServerGenerator]


def build(generator: dict[str, Any], **config: Any) -> Any:
    nlp = spacy.blank("en")
    questions = ["Who?"]
    nlp.add_pipe("llama_qa", config={"questions": questions, "generator": generator, **config})
    return nlp.get_pipe("llama_qa")


@pytest.mark.parametrize("generator", [SERVER, PACKED])
@pytest.mark.parametrize("mode", ["free", "extractive"])
def test_beams_are_refused_before_anybody_is_asked(generator: Any, mode: str) -> None:
    with pytest.raises(SettingNotOffered) as caught:
        build(generator, num_beams=3, mode=mode, stop=[])
    assert str(caught.value) == (
        f"components.llama_qa.num_beams is 3, and the generator {generator['@llama_generators']} "
        "cannot do that: no server searches with beams. Leave num_beams out, or take the "
        "in-process Llama (nlp_pipeline.Llama.v1) as the component's generator."
    )


@pytest.mark.parametrize("generator", [SERVER, PACKED])
def test_beams_that_nobody_asked_for_are_none(generator: Any) -> None:
    params = build(generator, mode="extractive").params
    assert (params.num_beams, params.length_penalty) == (1, 0.0)
    assert build(generator, mode="extractive", num_beams=1).params.num_beams == 1


def test_a_threshold_of_scores_that_are_not_asked_for() -> None:
    silent = {**SERVER, "logprobs": False}
    with pytest.raises(SettingNotOffered, match=r"no_answer_threshold is -3\.0, .*logprobs = f"):
        build(silent, no_answer_threshold=-3.0)
    build(silent)
    build(SERVER, no_answer_threshold=-3.0)


class Echoing(LlamaComponent):
    """A component of somebody else's."""

    def asks(self, doc: Any) -> list[Ask]:
        return []

    def predict(self, doc: Any, completions: Any) -> None:
        return None

    def failed(self, doc: Any, error: Any) -> None:
        return None

    def set_annotations(self, doc: Any, result: Any) -> None:
        return None


@pytest.mark.parametrize(
    "generator",
    [
        ServerGenerator(ServerSettings("http://localhost:1")),
        LlamaCppGenerator(LlamaCppSettings("none.gguf")),
    ],
)
def test_a_component_of_ones_own_that_wants_the_prompts_tokens(generator: Any) -> None:
    with pytest.raises(SettingNotOffered, match=r"components\.mine\.echo is True, .*do not give"):
        Echoing("mine", generator, SamplingParams(echo=True))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"temperature": 1.0, "top_k": 5},
            r"top_k is 5, and Ollama passes over that .*\(PARAMETER top_k 5 in its Modelfile\)",
        ),
        ({"temperature": 1.0, "min_p": 0.1}, r"min_p is 0\.1, .*PARAMETER min_p 0\.1"),
        ({"repetition_penalty": 1.2}, r"repetition_penalty is 1\.2, .*PARAMETER repeat_penalty 1"),
    ],
)
def test_what_ollama_would_pass_over(
    stub: StubServer, connect: Connect, params: Any, message: str
) -> None:
    stub.serves("library")
    request = GenerationRequest("r", "Ann met Bo.", SamplingParams(**params))
    with pytest.raises(SettingPassedOver, match=message):
        list(generate(connect(), [request]))
    assert not stub.bodies
    greedy = SamplingParams(top_k=5, min_p=0.1)  # of which nothing is left to choose
    (done,) = generate(connect(), [GenerationRequest("r", "Ann met Bo.", greedy)])
    assert done.error is None


def test_template_variables_that_ollama_would_pass_over(stub: StubServer, connect: Connect) -> None:
    stub.serves("library")
    with pytest.raises(SettingPassedOver, match="Leave chat_template_kwargs out, and set it in"):
        list(generate(connect(chat_template_kwargs={"x": 1}), [GenerationRequest("r", "Ann")]))


@pytest.mark.parametrize("generator", [SERVER, PACKED])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("device", "cuda"),
        ("dtype", "bfloat16"),
        ("quantization", "int8"),
        ("adapter", "mine"),
        ("device_map", "auto"),
        ("tensor_parallel_size", 2),
    ],
)
def test_an_option_that_no_generator_of_the_pipeline_has(
    generator: dict[str, Any], name: str, value: Any
) -> None:
    switch = f"components.llama_qa.generator={json.dumps(generator)}"
    with pytest.raises(OverrideNotOffered) as caught:
        resolve_config(PipelineSpec("en_qa", settings=(switch,), **{name: value}))
    option = name.replace("_", "-")
    assert str(caught.value) == (
        f"--{option} {value} cannot be done: no generator of the pipeline takes a {option} "
        f"({generator['@llama_generators']}). Leave it out and set it where the model is served, "
        "or take the in-process Llama (nlp_pipeline.Llama.v1) as generator."
    )


def test_the_echo_takes_every_option() -> None:
    switch = f"components.llama_qa.generator={json.dumps(SERVER)}"
    resolve_config(PipelineSpec("en_qa", settings=(switch,), device="cuda", echo=True))
