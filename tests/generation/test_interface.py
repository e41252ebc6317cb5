from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import pytest

from nlp_pipeline.errors import InvalidSamplingParams
from nlp_pipeline.errors.generation import EmptyPrompt
from nlp_pipeline.generation.backends.echo import EchoGenerator
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    Generator,
    SamplingParams,
    generate,
)
from nlp_pipeline.generation.llama import Llama


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("max_new_tokens", 0, "an integer of at least 1"),
        ("max_new_tokens", "2", "an integer of at least 1"),
        ("max_new_tokens", 2.0, "an integer of at least 1"),
        ("max_new_tokens", True, "an integer of at least 1"),
        ("temperature", -0.1, "a number of at least 0"),
        ("temperature", float("nan"), "a number of at least 0"),
        ("temperature", float("inf"), "a number of at least 0"),
        ("temperature", None, "a number of at least 0"),
        ("top_p", 0, "a number above 0 and at most 1"),
        ("top_p", 1.01, "a number above 0 and at most 1"),
        ("top_k", -1, "an integer of at least 0 (0 keeps all tokens)"),
        ("min_p", 1.5, "a number from 0 to 1"),
        ("repetition_penalty", 0, "a number above 0"),
        ("seed", -1, "an integer from 0 to 2**63 - 1"),
        ("seed", 2**63, "an integer from 0 to 2**63 - 1"),
        ("logprobs", 101, "an integer from 0 to 100"),
        ("n", 0, "an integer from 1 to 256"),
        ("echo", "yes", "true or false"),
        ("stop", "\n", "a list of non-empty strings"),
        ("stop", [""], "a list of non-empty strings"),
        ("stop", [1], "a list of non-empty strings"),
        ("stop", None, "a list of non-empty strings"),
    ],
)
def test_a_sampling_parameter_out_of_its_range(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(InvalidSamplingParams) as caught:
        SamplingParams(**{name: value})
    assert str(caught.value) == f"{name}={value!r} is not possible: it must be {allowed}."


@pytest.mark.parametrize("stop", [["a", "b"], ("a", "b"), iter(["a", "b"]), {"a": 1, "b": 2}])
def test_stop_strings_of_any_iterable(stop: Any) -> None:
    assert SamplingParams(stop=stop).stop == ("a", "b")


def test_sampling_params_are_hashable_and_greedy_by_default() -> None:
    assert SamplingParams() == SamplingParams(stop=[])  # type: ignore[arg-type]
    assert hash(SamplingParams(stop=["x"])) == hash(SamplingParams(stop=("x",)))  # type: ignore[arg-type]
    assert SamplingParams().greedy
    assert not SamplingParams(temperature=0.1).greedy


@pytest.mark.parametrize("kind", ["echo", "llama"])
def test_every_backend_is_a_generator(kind: str, llama: Llama) -> None:
    assert isinstance(EchoGenerator() if kind == "echo" else llama, Generator)


class TestGenerate:
    """`generate` keeps its promises with every backend."""

    @pytest.fixture(params=["echo", "llama"])
    def generator(self, request: pytest.FixtureRequest, llama: Llama) -> Generator:
        return EchoGenerator() if request.param == "echo" else llama

    def test_each_request_completes_exactly_once(self, generator: Generator) -> None:
        params = SamplingParams(max_new_tokens=1)
        names = [str(i) for i in range(70)]
        done = list(generate(generator, [GenerationRequest(n, "a b", params) for n in names]))
        assert sorted(c.request_id for c in done) == sorted(names)

    def test_n_samples_complete_n_times(self, generator: Generator) -> None:
        params = SamplingParams(max_new_tokens=2, n=3, temperature=1.0)
        requests = [GenerationRequest(name, "a b", params) for name in "xy"]
        done = list(generate(generator, requests))
        found = sorted((c.request_id, c.sample) for c in done)
        assert found == [(name, sample) for name in "xy" for sample in range(3)]

    def test_a_request_that_cannot_be_served_completes_n_times_too(
        self, generator: Generator
    ) -> None:
        requests = [
            GenerationRequest("good", "a", SamplingParams(max_new_tokens=1)),
            GenerationRequest("bad", "", SamplingParams(max_new_tokens=1, n=2)),
        ]
        done = {(c.request_id, c.sample): c for c in generate(generator, requests)}
        assert set(done) == {("good", 0), ("bad", 0), ("bad", 1)}
        for sample in range(2):
            failed = done["bad", sample]
            assert isinstance(failed.error, EmptyPrompt)
            assert (failed.finish_reason, failed.text, failed.token_ids) == ("error", "", ())
        assert done["good", 0].error is None

    def test_takes_an_endless_stream_as_there_is_room(self, generator: Generator) -> None:
        pulled = 0

        def endless() -> Iterator[GenerationRequest]:
            nonlocal pulled
            for number in count():
                pulled += 1
                yield GenerationRequest(str(number), "a", SamplingParams(max_new_tokens=1))

        stream = generate(generator, endless())
        first = list(islice(stream, 5))
        stream.close()  # type: ignore[attr-defined]
        assert len(first) == 5
        assert pulled <= 64

    def test_no_requests(self, generator: Generator) -> None:
        assert list(generate(generator, [])) == []

    def test_an_error_of_the_source_closes_the_session(self, generator: Generator) -> None:
        def broken() -> Iterator[GenerationRequest]:
            yield GenerationRequest("0", "a", SamplingParams(max_new_tokens=1))
            raise OSError("disk")

        with pytest.raises(OSError, match="disk"):
            list(generate(generator, broken()))
        again = list(generate(generator, [GenerationRequest("1", "a")]))
        assert [c.request_id for c in again] == ["1"]


def test_a_failed_completion_names_its_sample() -> None:
    failed = Completion.failed("r", EmptyPrompt(), 7, sample=2)
    assert (failed.request_id, failed.prompt_tokens, failed.sample) == ("r", 7, 2)
