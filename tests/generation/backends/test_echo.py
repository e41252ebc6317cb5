from __future__ import annotations

import pytest

from nlp_pipeline.errors.generation import EmptyPrompt, GenerationFailed
from nlp_pipeline.generation.backends.echo import ROOM, EchoGenerator
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.interface import GenerationRequest, SamplingParams


def request(prompt: object, name: str = "a", **params: object) -> GenerationRequest:
    return GenerationRequest(name, prompt, SamplingParams(**params))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "prompt",
    ["one two\nthree", Chat((Message("system", "x"), Message("user", "one two three"))), [1, 2, 3]],
)
def test_completes_with_the_last_words(prompt: object) -> None:
    done = EchoGenerator().complete(request(prompt, max_new_tokens=2))
    assert done.text in ("two three", "2 3")
    assert (done.prompt_tokens, done.output_tokens) == (3, 2)
    assert len(done.token_ids) == len(done.logprobs) == 2


def test_every_sample_is_a_completion() -> None:
    session = EchoGenerator().session()
    session.submit(request("one", n=3))
    assert (session.running, session.room) == (3, ROOM - 3)
    done = session.step()
    assert [(c.request_id, c.sample, c.text) for c in done] == [("a", i, "one") for i in range(3)]
    assert (session.running, session.room) == (0, ROOM)


def test_fails_where_it_is_told_to() -> None:
    generator = EchoGenerator(fail_on="bad word")
    session = generator.session()
    session.submit(request("a bad word", n=2))
    session.submit(request("a good word"))
    *failed, good = session.step()
    assert [c.sample for c in failed] == [0, 1]
    assert all(isinstance(c.error, GenerationFailed) for c in failed)
    assert str(failed[0].error) == "Generation failed: the prompt holds 'bad word'"
    assert good.error is None
    assert generator.info.details == {"fail_on": "bad word"}


def test_an_empty_prompt_fails() -> None:
    assert isinstance(EchoGenerator().complete(request(" \n")).error, EmptyPrompt)
    assert isinstance(EchoGenerator().complete(request(Chat(()))).error, EmptyPrompt)


def test_closing_drops_what_is_running() -> None:
    session = EchoGenerator().session()
    session.submit(request("one"))
    session.close()
    session.close()
    assert (session.running, session.step()) == (0, [])
