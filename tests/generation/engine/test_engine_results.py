"""Scores, echo, stop strings: what comes back beside the token ids."""

from __future__ import annotations

import random

import pytest
import torch
from engine_doubles import (
    VOCABULARY,
    finish,
    logits_after,
    make_engine,
    sequence,
    token_bytes,
)

from nlp_pipeline.generation.stopping import StopRule

pytestmark = pytest.mark.usefixtures("both_caches")

PROMPT = random.Random(1).choices(range(VOCABULARY), k=45)


@pytest.mark.parametrize("chunk", [1, 13, 512])
def test_logprobs_are_those_of_a_plain_forward_pass(chunk: int) -> None:
    params = {"max_new_tokens": 5, "temperature": 0.7, "top_k": 9}
    sequences = [sequence(str(n), PROMPT[n:], logprobs=n, **params) for n in range(4)]
    finish(make_engine(max_batched_tokens=chunk, eos=frozenset()), sequences)
    for wanted, one in enumerate(sequences):
        ids = one.prompt_ids + one.output_ids
        scores = logits_after(ids).log_softmax(-1)[len(one.prompt_ids) - 1 : -1]
        own = scores.gather(1, torch.tensor(one.output_ids)[:, None])[:, 0]
        assert one.logprobs == pytest.approx(own.tolist(), abs=1e-9)
        assert len(one.top) == (5 if wanted else 0)
        for pairs, row in zip(one.top, scores, strict=False):
            best = row.topk(wanted)
            assert [token for token, _ in pairs] == best.indices.tolist()
            assert [score for _, score in pairs] == pytest.approx(best.values.tolist(), abs=1e-9)


@pytest.mark.parametrize("chunk", [1, 13, 512])
def test_echo_scores_the_prompt(chunk: int) -> None:
    engine = make_engine(max_batched_tokens=chunk)
    finish(engine, [sequence("before", PROMPT, max_new_tokens=1)])
    one = sequence("a", PROMPT, echo=True, max_new_tokens=2)
    other = sequence("b", PROMPT, max_new_tokens=2)
    short = sequence("c", [4], echo=True, max_new_tokens=1)
    finish(engine, [one, other, short])
    scores = logits_after(PROMPT).log_softmax(-1)
    expected = scores[:-1].gather(1, torch.tensor(PROMPT[1:])[:, None])[:, 0].tolist()
    assert one.prompt_logprobs[0] is None
    assert one.prompt_logprobs[1:] == pytest.approx(expected, abs=1e-9)
    assert one.reused_tokens == 0  # all of it has to be computed for its scores
    assert other.prompt_logprobs == []
    assert short.prompt_logprobs == [None]


def free_run(length: int = 12) -> list[int]:
    one = sequence("free", PROMPT, max_new_tokens=length)
    finish(make_engine(eos=frozenset()), [one])
    return one.output_ids


@pytest.mark.parametrize("where", [0, 1, 5])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_stop_string_ends_the_sequence(where: int, size: int) -> None:
    text = b"".join(map(token_bytes, free_run())).decode()
    stop = text[where : where + size]
    end = text.find(stop) + size
    one = sequence("a", PROMPT, max_new_tokens=12, stop=("never to be found", stop))
    finish(make_engine(eos=frozenset()), [one])
    assert (len(one.output_ids), one.finish_reason) == (end, "stop")
    assert not one.stopped_by_token


def test_a_stop_string_of_a_character_split_over_tokens() -> None:
    pieces = {1: b"ab", 2: b"\xc3", 3: b"\xa9c"}
    rule = StopRule(("é",), 10, frozenset(), pieces.__getitem__)
    assert [rule.after(token) for token in (1, 2, 1, 2, 3)] == [None, None, None, None, "stop"]


def test_the_end_of_sequence_token_counts_and_is_marked() -> None:
    ids = free_run()
    one = sequence("a", PROMPT, max_new_tokens=12)
    finish(make_engine(eos=frozenset({ids[4], 299})), [one])
    assert one.output_ids == ids[: ids.index(ids[4]) + 1]
    assert (one.finish_reason, one.stopped_by_token) == ("stop", True)
