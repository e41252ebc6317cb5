"""What begins alike is kept once, and attended to as if every sequence had all of its own."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest
import torch
from engine_doubles import (
    BAD,
    VOCABULARY,
    Spoiling,
    assert_right,
    finish,
    make_engine,
    not_finite_on_bad,
    sequence,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nlp_pipeline.errors.generation import GenerationFailed
from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.engine.attention.shared_prefix import NEAR, SharedPrefixSpan
from nlp_pipeline.generation.engine.attention.slot_spans import (
    DecodeSpan,
    DecodeStore,
    PrefillSpan,
    Span,
)
from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache import slot_cache
from nlp_pipeline.generation.engine.kv_cache.slab import Slab, Slot
from nlp_pipeline.generation.engine.kv_cache.slot_pool import SLAB_TOKENS, SlotPool
from nlp_pipeline.generation.engine.model_runner import ModelRunner
from nlp_pipeline.generation.sequence import Sequence

SHAPE = LayerShape(2, 8, torch.float64, torch.device("cpu"))
NUMBERS = random.Random(4)
DOCUMENTS = [NUMBERS.choices(range(VOCABULARY), k=60) for _ in range(3)]


@pytest.fixture
def _follow_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_cache, "WORTH_FOLLOWING", 20)
    monkeypatch.setattr(slot_cache, "PIECE_TOKENS", 0)


def about(document: int, question: int, **params: Any) -> Sequence:
    ids = [*DOCUMENTS[document], *range(90, 93 + question), 200 + question]
    return sequence(
        f"{document}/{question}", ids, group=str(document), **{"max_new_tokens": 6, **params}
    )


def noisy(rows: int, capacity: int, number: int = 0) -> Slab:
    slab = Slab([SHAPE], rows, capacity, number)
    slab.memory[0].normal_()
    return slab


def attended(
    span: Span, slots: list[Slot], places: list[int], query: Tensor, new: Tensor
) -> Tensor:
    """What a span makes of new tokens, each stored in its slot; `new` as of `Store.store`."""
    for slot, place, token in zip(slots, places, new, strict=True):
        DecodeStore([slot], [place], SHAPE).store(0, token[None])
    output = torch.full_like(query, torch.nan)
    span.attend(0, query, 0.3, output)
    return output


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(1, 20)), min_size=1),
    st.integers(1, 4),
    st.integers(0, 3),
    st.sampled_from([1, 4, NEAR]),
)
def test_suffix_span_equals_decode_span(
    wanted: list[tuple[int, int, int]], groups: int, gap: int, step: int
) -> None:
    torch.manual_seed(len(wanted))
    prefixes = noisy(3, 1 + 5 * NEAR, number=3)
    suffixes, larger = noisy(len(wanted) + 1, 20, number=5), noisy(2, 30, number=6)
    slots = [slot for slot in suffixes.slots if slot.row != gap]
    slots = [*slots, *larger.slots][-len(wanted) :]
    for slot, (prefix, offset, _) in zip(slots, wanted, strict=True):
        slot.share_prefix(prefixes.slots[prefix], 1 + offset * step)
    alone = Slab([SHAPE], len(slots), 200)
    lengths = []
    for slot, copy, (_, _, own) in zip(slots, alone.slots, wanted, strict=True):
        copy.copy_from(slot, 0, slot.offset + slot.capacity)
        lengths.append(slot.offset + own + slot.capacity - 20)
    query = torch.randn(len(slots), 2 * groups, 8, dtype=torch.float64)
    new = torch.randn(len(slots), 2, 2, 8, dtype=torch.float64)
    last = [length - 1 for length in lengths]
    alone_span = DecodeSpan(alone.slots, lengths, SHAPE)
    expected = attended(alone_span, alone.slots, last, query, new)
    found = attended(SharedPrefixSpan(slots, lengths, SHAPE), slots, last, query, new)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for slot, copy, length in zip(slots, alone.slots, lengths, strict=True):
        stored = slot.slab.memory[0][:, slot.row, :, : length - slot.offset]
        assert torch.equal(stored, alone.memory[0][:, copy.row, :, slot.offset : length])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_parts_are_joined_in_every_dtype(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    shape = LayerShape(2, 16, dtype, torch.device("cpu"))
    prefixes, suffixes, whole = (Slab([shape], 4, size, size) for size in (50, 20, 70))
    for slab in (prefixes, suffixes):
        slab.memory[0].normal_()
    for row, (slot, copy) in enumerate(zip(suffixes.slots, whole.slots, strict=True)):
        slot.share_prefix(prefixes.slots[row // 2], 30 + 3 * row)
        copy.copy_from(slot, 0, slot.offset + 20)
    lengths = [slot.offset + 5 * row + 1 for row, slot in enumerate(suffixes.slots)]
    query = torch.randn(4, 6, 16).to(dtype)
    found, expected = (torch.full_like(query, torch.nan) for _ in range(2))
    SharedPrefixSpan(suffixes.slots, lengths, shape).attend(0, query, 0.25, found)
    DecodeSpan(whole.slots, lengths, shape).attend(0, query, 0.25, expected)
    torch.testing.assert_close(found, expected, rtol=0, atol=8 * torch.finfo(dtype).eps)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(0, 9), st.integers(1, 10), st.integers(1, 3))
def test_prefill_after_a_prefix_equals_prefill_of_all(
    offset: int, before: int, size: int, groups: int
) -> None:
    torch.manual_seed(offset)
    slot, start = noisy(2, 20).slots[1], offset + before
    slot.share_prefix(noisy(2, 40).slots[1], offset)
    (copy,) = Slab([SHAPE], 1, 60).slots
    copy.copy_from(slot, 0, start)
    query = torch.randn(size, 2 * groups, 8, dtype=torch.float64)
    new = torch.randn(size, 2, 2, 8, dtype=torch.float64)
    places = list(range(start, start + size))
    expected = attended(PrefillSpan(copy, start, size, SHAPE), [copy] * size, places, query, new)
    found = attended(PrefillSpan(slot, start, size, SHAPE), [slot] * size, places, query, new)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    own = slot.slab.memory[0][:, 1, :, before : before + size]
    assert torch.equal(own, copy.slab.memory[0][:, 0, :, start : start + size])


@pytest.mark.usefixtures("_follow_early")
@pytest.mark.parametrize("slots", [2, 8, 16])
@pytest.mark.parametrize("chunk", [16, 512])
@pytest.mark.parametrize("caching", [True, False])
def test_documents_decode_as_transformers_does(
    slots: int, chunk: int, caching: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[int] = []
    made = SharedPrefixSpan.__init__

    def seen(self: SharedPrefixSpan, slots: list[Slot], *args: Any) -> None:
        together.append(len(slots))
        made(self, slots, *args)

    monkeypatch.setattr(SharedPrefixSpan, "__init__", seen)
    sequences = [about(d, q) for d in range(3) for q in range(5)]
    engine = make_engine(max_batch_size=slots, max_batched_tokens=chunk, prefix_caching=caching)
    finish(engine, sequences)
    assert_right(sequences)
    assert max(together, default=0) == (min(slots, max(together)) if caching else 0)
    assert bool(together) == caching


requests = st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(0, 8), st.integers(1, 5))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(requests, min_size=2, max_size=9),
    st.sampled_from([2, 3, 8]),
    st.sampled_from([5, 40, 512]),
    st.sampled_from([1, 2, 100]),
    st.sampled_from([1, 24]),
    st.sampled_from([0, 80]),
    st.sampled_from([0, 1, 3]),
    st.sampled_from([160, 256, 400, 4096]),
)
def test_ids_are_those_of_transformers(
    wanted: list[tuple[int, int, int, int]],
    batch: int,
    chunk: int,
    arrive: int,
    follow: int,
    piece: int,
    beams: int,
    memory: int,
) -> None:
    sequences = [
        sequence(str(i), [*DOCUMENTS[d][:length], *range(80, 81 + own)], max_new_tokens=new)
        for i, (d, length, own, new) in enumerate(wanted)
    ]
    searched = [
        sequence(f"beams {i}", one.prompt_ids, max_new_tokens=3, num_beams=min(beams, batch))
        for i, one in enumerate(sequences[:2])
        if beams
    ]
    settings: dict[str, Any] = {"max_batch_size": batch, "max_batched_tokens": chunk}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slot_cache, "WORTH_FOLLOWING", follow)
        patch.setattr(slot_cache, "PIECE_TOKENS", piece)
        engine = make_engine(**settings, kv_cache_tokens=max(memory, 800 if beams else 0))
        finish(engine, [*sequences, *searched], arrive)
    assert_right(sequences)
    apart = [sequence(one.request_id, one.prompt_ids, max_new_tokens=3, num_beams=min(beams, batch))
             for one in searched]  # fmt: skip
    finish(make_engine(prefix_caching=False), apart)
    assert [one.output_ids for one in searched] == [one.output_ids for one in apart]


@pytest.mark.usefixtures("_follow_early")
@pytest.mark.parametrize("lookahead", [True, False])
def test_questions_of_all_lengths_run_together(
    lookahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their slots are of several sizes; what fails together would be run in halves, unseen."""
    launched: list[Any] = []
    launch = ModelRunner.launch

    def counted(self: ModelRunner, *args: Any) -> Any:
        launched.append(None)
        flight = launch(self, *args)
        launched.pop()
        return flight

    monkeypatch.setattr(ModelRunner, "launch", counted)
    text, wanted = DOCUMENTS[0][:25], [(5, 2), (6, 12), (124, 10), (110, 10)]
    shared, alone = (
        [sequence(str(own), [*text, own, *range(20, 19 + own)], max_new_tokens=new)
         for own, new in wanted]
        for _ in range(2)
    )  # fmt: skip
    settings: dict[str, Any] = {"kv_cache_tokens": 20_000, "eos": frozenset()}
    finish(make_engine(**settings, lookahead=lookahead), shared)
    finish(make_engine(**settings, prefix_caching=False), alone)
    assert [one.output_ids for one in shared] == [one.output_ids for one in alone]
    assert launched == []


@pytest.mark.usefixtures("_follow_early")
def test_a_document_is_kept_once() -> None:
    engine = make_engine(max_batch_size=8)
    sequences = [about(0, q) for q in range(5)]
    finish(engine, sequences, arrive=1)
    later = about(0, 7)
    finish(engine, [later])
    assert_right([*sequences, later])
    assert later.reused_tokens >= 60
    pool = engine._cache._pool
    holders = [slot for slot in pool._slots() if slot.tokens[:60] == DOCUMENTS[0]]
    assert [slot for slot in holders if slot.prefix is None and slot.followers] == holders[:1]
    assert all(slot.prefix is holders[0] for slot in holders[1:])


@pytest.mark.usefixtures("_follow_early")
def test_the_first_of_a_document_keeps_it_whole_for_the_others() -> None:
    """It begins with the system prompt too, but the document is worth more in one piece."""
    system = NUMBERS.choices(range(VOCABULARY), k=30)
    sequences = [
        sequence(f"{d}/{q}", [*system, *DOCUMENTS[d], 90 + q], group=str(d), max_new_tokens=5)
        for d in range(3)
        for q in range(4)
    ]
    engine = make_engine(max_batch_size=8)
    finish(engine, sequences)
    assert_right(sequences)
    assert sorted(one.reused_tokens for one in sequences) == [0, 30, 30, *[90] * 9]
    prefixes = {slot.prefix for slot in engine._cache._pool._slots() if slot.prefix}
    assert all(prefix.computed >= 90 for prefix in prefixes)


@pytest.mark.usefixtures("_follow_early")
def test_beams_that_do_not_fit_beside_the_prefix_have_it_copied() -> None:
    engine = make_engine(max_batch_size=5, kv_cache_tokens=700)
    first, searched = about(0, 0), about(0, 1, num_beams=5)
    finish(engine, [first])
    finish(engine, [searched])
    alone = about(0, 1, num_beams=5)
    finish(make_engine(), [alone])
    assert (searched.error, searched.output_ids) == (None, alone.output_ids)
    assert searched.reused_tokens >= 60


@pytest.mark.usefixtures("_follow_early")
def test_what_had_to_make_way_is_not_copied_from() -> None:
    """The slot with more of the prompt than the prefix goes, since there is no room beside it."""
    pool = SlotPool([SHAPE], SLAB_TOKENS + 384, spare=2)
    place = slot_cache.SlotCache(pool, 1000, sharing=True)

    def started(ids: list[int], new: int) -> tuple[Slot, int]:
        one = sequence(str(new), ids, max_new_tokens=new)
        match = place.match(one)
        slots = place.allocate(one, match, 0, [], [])
        assert slots
        (slot,) = slots
        return slot, match.shared

    text = [*DOCUMENTS[0], *DOCUMENTS[1]]
    first, _ = started(text[:60], 10)
    first.computed = 60
    pool.release(first, text[:60])
    second, _ = started(text, 150)
    assert (second.prefix, second.capacity) == (first, 256)
    second.computed = 120
    pool.release(second, text)
    third, shared = started([*text, 7], 250)
    assert shared == 120
    assert (third.prefix, third.computed) == (first, 60)


@pytest.mark.usefixtures("_follow_early")
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_what_spoils_a_prefix_is_not_passed_on(batch: int) -> None:
    engine = make_engine(max_batch_size=batch, max_batched_tokens=40)
    bad = [sequence(str(q), [*DOCUMENTS[0][:50], BAD, 1, 2, 3 + q]) for q in range(3)]
    good = [about(1, q) for q in range(3)]
    with Spoiling(not_finite_on_bad):
        finish(engine, [*bad, *good])
    assert all(isinstance(one.error, GenerationFailed) for one in bad)
    again = [sequence(f"again {q}", [*one.prompt_ids], max_new_tokens=4) for q, one in
             enumerate(bad)]  # fmt: skip
    others = [sequence(str(n), [n] * 120, max_new_tokens=5) for n in range(12)]
    finish(engine, [*again, *others])
    assert_right([*good, *again, *others])


@pytest.mark.usefixtures("_follow_early")
def test_cancelling_one_leaves_the_others_their_document() -> None:
    engine: Engine = make_engine(max_batch_size=8, eos=frozenset())
    sequences = [about(0, q, max_new_tokens=12) for q in range(4)]
    for one in sequences:
        engine.add(one)
    done: list[Sequence] = []
    while sum(len(one.output_ids) > 2 for one in sequences) < 4:
        done += engine.step()
    engine.cancel(sequences[:2])
    later = about(0, 6)
    engine.add(later)
    while len(done) < 3:
        done += engine.step()
    assert set(done) == {*sequences[2:], later}
    assert later.reused_tokens >= 60
    apart = [about(0, q, max_new_tokens=12) for q in (2, 3)] + [about(0, 6)]
    finish(make_engine(eos=frozenset(), prefix_caching=False), apart)
    assert [one.output_ids for one in [*sequences[2:], later]] == [o.output_ids for o in apart]
    assert not any(
        slot.busy or slot.invalid
        for slot in cast("slot_cache.SlotCache", engine._cache)._pool._slots()
    )
