"""Common prefixes are computed once, and counted."""

from __future__ import annotations

import random

import pytest
from engine_doubles import VOCABULARY, assert_right, finish, make_engine, sequence, shareable

from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.engine.kv_cache.common_prefix import common_prefix
from nlp_pipeline.generation.sequence import Sequence

pytestmark = pytest.mark.usefixtures("both_caches")

NUMBERS = random.Random(9)
SYSTEM = NUMBERS.choices(range(1, VOCABULARY), k=20)
DOCUMENTS = [NUMBERS.choices(range(1, VOCABULARY), k=60) for _ in range(4)]


def about(document: int, question: int, **params: int) -> Sequence:
    ids = [*SYSTEM, *DOCUMENTS[document], 100 + question, 200 + question]
    name = f"{document}/{question}"
    return sequence(name, ids, group=str(document), **{"max_new_tokens": 4, **params})


def reused(engine: Engine, sequences: list[Sequence], arrive: int = 10**9) -> list[int]:
    finish(engine, sequences, arrive)
    assert_right(sequences)
    return [one.reused_tokens for one in sequences]


@pytest.mark.parametrize("chunk", [16, 50, 512])
@pytest.mark.parametrize("arrive", [1, 2, 100])
def test_a_document_is_computed_once(chunk: int, arrive: int) -> None:
    engine = make_engine(max_batch_size=8, max_batched_tokens=chunk)
    assert reused(engine, [about(0, q) for q in range(5)], arrive) == [0, 80, 80, 80, 80]


@pytest.mark.parametrize("arrive", [1, 100])
def test_the_system_prompt_is_computed_once(arrive: int) -> None:
    engine = make_engine(max_batch_size=4)
    sequences = [about(d, q) for d in range(4) for q in range(3)]
    counts = reused(engine, sequences, arrive)
    assert sorted(counts) == [0, *[shareable(20)] * 3, *[80] * 8]


def test_a_later_request_finds_the_document() -> None:
    engine = make_engine(max_batch_size=4)
    reused(engine, [about(d, 0) for d in range(3)])
    assert reused(engine, [about(0, 7), about(2, 7)]) == [80, 80]


@pytest.mark.usefixtures("over_slots")
def test_the_oldest_prefix_goes_first_when_memory_is_short() -> None:
    engine = make_engine(max_batch_size=2, kv_cache_tokens=4 * 128)
    for document in range(4):
        reused(engine, [about(document, 0)])
    reused(engine, [about(0, 1)])
    assert reused(engine, [about(1, 1)]) == [20]
    assert reused(engine, [about(0, 2)]) == [80]


def test_samples_of_one_prompt_share_all_but_its_last_token() -> None:
    engine = make_engine(max_batch_size=4)
    samples = [about(1, 1) for _ in range(3)]
    assert sorted(reused(engine, samples)) == [0, *[shareable(81)] * 2]


def test_the_same_prompt_again() -> None:
    engine = make_engine(max_batch_size=1)
    assert reused(engine, [about(1, 1)]) + reused(engine, [about(1, 1)]) == [0, shareable(81)]


def test_a_conversation_goes_on_after_its_answer() -> None:
    engine = make_engine(max_batch_size=2, eos=frozenset())
    first = about(0, 0)
    finish(engine, [first])
    more = sequence("more", [*first.prompt_ids, *first.output_ids, 5, 6], max_new_tokens=2)
    finish(engine, [more])
    # The last token was never computed.
    assert more.reused_tokens == shareable(len(first.prompt_ids) + 3)


def test_no_sharing_on_request() -> None:
    engine = make_engine(prefix_caching=False)
    assert reused(engine, [about(0, q) for q in range(3)]) == [0, 0, 0]


def test_short_prefixes_are_not_waited_for() -> None:
    engine = make_engine(max_batch_size=2)
    sequences = [sequence(str(i), [*SYSTEM[:15], i, i + 1], max_new_tokens=1) for i in range(2)]
    for one in sequences:
        engine.add(one)
    assert len(engine.step()) == 2


@pytest.mark.parametrize(
    ("first", "second", "length"),
    [([], [1], 0), ([1], [2], 0), ([1, 2], [1, 3], 1), ([1, 2], [1, 2, 3], 2), ([1], [1], 1)],
)
def test_common_prefix(first: list[int], second: list[int], length: int) -> None:
    assert common_prefix(first, second) == common_prefix(second, first) == length


def test_common_prefix_of_any_length() -> None:
    for size in range(1, 40):
        for length in range(size):
            second = [*range(length), -1, *range(length + 1, size)]
            assert common_prefix(list(range(size)), second) == length
