"""A completion as JSON values, and what its digest depends on."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.completion_record import (
    completion_of,
    completion_values,
    generator_identity,
    request_digest,
)
from nlp_pipeline.generation.constraints.forced import Forced
from nlp_pipeline.generation.constraints.spans import DocumentSpans
from nlp_pipeline.generation.interface import (
    Completion,
    EndedHypothesis,
    GenerationRequest,
    GeneratorInfo,
    SamplingParams,
    TokenAlternative,
)

FULL = Completion(
    "a",
    "Ada \ud800 🙂",
    token_ids=(1, 2),
    logprobs=(-0.1, 0.0),
    finish_reason="stop",
    prompt_tokens=7,
    reused_tokens=3,
    output_tokens=2,
    top_logprobs=((TokenAlternative(1, "A", -0.1),), ()),
    prompt_token_ids=(4, 5),
    prompt_logprobs=(None, -1 / 3),
    stop_logprob=0.0,
    masked_logprob=-0.0,
    reasoning="hm",
    reasoning_tokens=1,
    hypotheses=(EndedHypothesis("Ada", (1,), (-0.5,), stop_logprob=None, masked_logprob=-1.0),),
)
BARE = Completion("b", "", token_ids=(), logprobs=(), finish_reason="length", prompt_tokens=0)


@pytest.mark.parametrize("completion", [FULL, BARE])
def test_a_completion_comes_back_as_it_was(completion: Completion) -> None:
    values = json.loads(json.dumps(completion_values(completion)))
    back = completion_of("other", values)
    assert back == replace(completion, request_id="other")
    assert repr(back) == repr(replace(completion, request_id="other"))  # 0.0 is not None, nor -0.0


CHAT = Chat((Message("system", "Be brief."), Message("user", "Who?")))
REQUEST = GenerationRequest("a", CHAT, SamplingParams(max_new_tokens=3))
SPANS = DocumentSpans("a b", starts={0, 2}, ends={1, 3}, no_answer="none")


def test_what_changes_a_completion_changes_the_digest() -> None:
    others = [
        replace(REQUEST, prompt=Chat(CHAT.messages, answer_prefix="A:")),
        replace(REQUEST, prompt=Chat((Message("user", "Be brief."), CHAT.messages[1]))),
        replace(REQUEST, prompt="Who?"),
        replace(REQUEST, prompt=[1, 2]),
        replace(REQUEST, params=SamplingParams(max_new_tokens=4)),
        replace(REQUEST, params=SamplingParams(max_new_tokens=3, seed=2)),
        replace(REQUEST, constraint=Forced("x")),
        replace(REQUEST, constraint=Forced("y")),
        replace(REQUEST, constraint=SPANS),
        replace(REQUEST, constraint=replace(SPANS, breaks=(1,))),
    ]
    digests = [request_digest("", request) for request in (REQUEST, *others)]
    digests.append(request_digest("another generator", REQUEST))
    assert None not in digests
    assert len(set(digests)) == len(digests)


def test_what_changes_nothing_does_not() -> None:
    same = replace(REQUEST, id="b", group="g", position=9)
    assert request_digest("", same) == request_digest("", REQUEST)
    spans = [DocumentSpans("a b", starts=s, ends=[1, 3]) for s in ({0, 2}, frozenset({2, 0}))]
    digests = {request_digest("", replace(REQUEST, constraint=span)) for span in spans}
    assert len(digests) == 1


def test_what_cannot_be_written_down_has_none() -> None:
    class Odd:
        example, schema = "", None

        def bind(self, vocabulary: object) -> object:
            return vocabulary

    assert request_digest("", replace(REQUEST, constraint=Odd())) is None  # type: ignore[arg-type]
    assert request_digest("", replace(REQUEST, params=SamplingParams(n=2, temperature=1.0))) is None


def test_a_generator_is_who_it_says_it_is() -> None:
    info = GeneratorInfo("echo", "echo", None, details={"b": 1, "a": 2})
    reordered = replace(info, details={"a": 2, "b": 1})
    assert generator_identity(info) == generator_identity(reordered)
    assert generator_identity(info) != generator_identity(replace(info, model="other"))
