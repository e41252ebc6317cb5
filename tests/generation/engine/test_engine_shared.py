"""Attention over a common beginning equals attention of every sequence for itself."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from engine_doubles import VOCABULARY, finish, make_engine, reference, sequence
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline.generation.engine import shared
from nlp_pipeline.generation.engine.attention import LayerShape
from nlp_pipeline.generation.engine.batch import DecodeSpan
from nlp_pipeline.generation.engine.blank import blank
from nlp_pipeline.generation.engine.shared import SharedSpan, runs_that_share
from nlp_pipeline.generation.engine.slots import Slab

SHAPE = LayerShape(2, 8, torch.float64, torch.device("cpu"))
NUMBERS = random.Random(4)
DOCUMENTS = [NUMBERS.choices(range(VOCABULARY), k=60) for _ in range(3)]


@settings(deadline=None)
@given(
    st.integers(0, 2),
    st.integers(1, 40),
    st.lists(st.integers(1, 12), min_size=1, max_size=5),
    st.integers(1, 4),
)
def test_shared_span_equals_decode_span(
    first: int, prefix: int, own: list[int], groups: int
) -> None:
    torch.manual_seed(prefix)
    slab = Slab([SHAPE], first + len(own) + 1, 64)
    for memory in (slab.keys[0], slab.values[0]):
        memory.normal_()
        memory[first : first + len(own), :, :prefix] = memory[first, :, :prefix]
    lengths = [prefix + length for length in own]
    query = torch.randn(len(own), 2 * groups, 8, dtype=torch.float64)
    key, value = torch.randn(2, len(own), 2, 8, dtype=torch.float64)
    alone = DecodeSpan(slab, first, lengths, SHAPE).attend(0, query, key, value, 0.3)
    before = [memory.clone() for memory in (slab.keys[0], slab.values[0])]
    span = SharedSpan(slab, first, lengths, prefix, SHAPE)
    together = span.attend(0, query, key, value, 0.3)
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    assert all(map(torch.equal, before, (slab.keys[0], slab.values[0])))


@pytest.mark.parametrize("slots", [8, 16])
@pytest.mark.parametrize("caching", [True, False])
def test_documents_decode_as_transformers_does(
    slots: int, caching: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans: list[Any] = []
    made = SharedSpan.__init__

    def seen(self: SharedSpan, *args: Any) -> None:
        spans.append(args)
        made(self, *args)

    monkeypatch.setattr(shared, "SHARED_TOKENS", 20)
    monkeypatch.setattr(SharedSpan, "__init__", seen)
    sequences = [
        sequence(f"{d}/{q}", [*text, *range(90, 93 + q), 200 + q], group=str(d), max_new_tokens=6)
        for d, text in enumerate(DOCUMENTS)
        for q in range(5)
    ]
    finish(make_engine(max_batch_size=slots, prefix_caching=caching), sequences)
    for one in sequences:
        assert tuple(one.output_ids) == reference(tuple(one.prompt_ids), 6)
    assert bool(spans) == caching


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 150)), min_size=1, max_size=9))
def test_runs_cover_everything_once(wanted: list[tuple[int, int]]) -> None:
    known = [[document] * length for document, length in wanted]
    parts = runs_that_share(known, [length for _, length in wanted])
    assert [start for start, _, _ in parts] == [0, *(stop for _, stop, _ in parts[:-1])]
    assert parts[-1][1] == len(known)
    for start, stop, common in parts:
        assert start < stop
        if common:
            assert stop - start >= shared.SHARING_ROWS
            assert common >= shared.SHARED_TOKENS
            assert len({tuple(tokens[:common]) for tokens in known[start:stop]}) == 1


def test_neighbours_that_begin_alike_are_found() -> None:
    document, other = [1] * 200, [2] * 200
    known = [other, [*document, 3], [*document, 4, 5], [*document[:150], 6], other]
    whole = [0, 0, 200, 150, 0]
    assert runs_that_share(known, whole) == [(0, 1, 0), (1, 4, 150), (4, 5, 0)]
    assert runs_that_share(known, [0] * 5) == [(0, 5, 0)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_blank_memory_is_zero_and_apart(dtype: torch.dtype) -> None:
    shape = LayerShape(2, 4, dtype, torch.device("cpu"))
    first, second = blank([shape, shape], [(3, 2, 5, 4), (2, 2, 7, 4)])
    assert (first.shape, second.shape, first.dtype) == ((3, 2, 5, 4), (2, 2, 7, 4), dtype)
    first += 1
    assert (second == 0).all()
    assert (first == 1).all()


def test_more_memory_than_there_is() -> None:
    shape = LayerShape(2, 4, torch.float32, torch.device("cpu"))
    with pytest.raises(MemoryError):
        blank([shape], [(2**40, 2**20)])
