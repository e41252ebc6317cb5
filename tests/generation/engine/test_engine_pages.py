"""Pages: who has which, what is shared, what is found again, and that nothing else is read."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import torch
from engine_doubles import (
    BAD,
    EOS,
    VOCABULARY,
    Spoiling,
    assert_right,
    finish,
    make_engine,
    not_finite_on_bad,
    reference,
    sequence,
    tiny_model,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder import Recorder

from nlp_pipeline.errors.generation import GenerationFailed
from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.engine.attention import bodies
from nlp_pipeline.generation.engine.attention.bodies import choose_body
from nlp_pipeline.generation.engine.fused_decoder import can_fuse
from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache.memory import (
    CUDA_SHARE,
    kv_tokens_that_fit,
)
from nlp_pipeline.generation.engine.kv_cache.paged_cache import PagedCache
from nlp_pipeline.generation.engine.kv_cache.pages import PAGE, SCRATCH, Pages
from nlp_pipeline.generation.engine.kv_cache.table_pair import TablePair
from nlp_pipeline.generation.engine.scheduler import SMALLEST_STEP

DOCUMENTS = [random.Random(n).choices(range(1, VOCABULARY), k=70) for n in range(3)]
SHAPE = LayerShape(2, 4, torch.float64, torch.device("cpu"))


def paged_engine(**settings: Any) -> Engine:
    return make_engine(**{"paged": True, **settings})


def cache_of(engine: Engine) -> PagedCache:
    assert isinstance(engine._cache, PagedCache)
    return engine._cache


def check_references(engine: Engine) -> None:
    """Every page is free, kept for others, or in as many tables as are counted; never two."""
    cache = cache_of(engine)
    counts: dict[int, int] = {}
    writable: list[int] = []
    for row in engine._scheduler._running:
        table = row.slot
        assert cache.tables.host[table.row, : len(table.pages)].tolist() == table.pages
        for page_id in table.pages:
            if page_id != SCRATCH:
                counts[page_id] = counts.get(page_id, 0) + 1
        writable += [page_id for page_id in table.pages[table.computed // PAGE :] if page_id]
    pages = cache.pages
    for page_id in range(1, pages.count + 1):
        assert pages.references(page_id) == counts.get(page_id, 0)
    free = pages._free + list(pages._idle)
    assert sorted([*free, *counts]) == list(range(1, pages.count + 1))
    assert all(page_id in cache.prefixes for page_id in pages._idle)
    # What will be written to stands in one table, and nobody can find it before it is computed.
    assert len(writable) == len(set(writable))
    assert all(counts[page_id] == 1 for page_id in writable)


own = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=30)
prompts = st.tuples(st.integers(0, 2), st.sampled_from([0, 15, 16, 33, 70]), own).map(
    lambda parts: [*DOCUMENTS[parts[0]][: parts[1]], *parts[2]]
)
params = st.fixed_dictionaries(
    {"max_new_tokens": st.integers(1, 20)},
    optional={"num_beams": st.integers(2, 3), "echo": st.just(True)},
)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(prompts, params), min_size=1, max_size=9),
    st.sampled_from([3, 5, 8]),
    st.sampled_from([7, 40, 512]),
    st.sampled_from([1, 2, 100]),
    st.sampled_from([240, 320, 4096]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 10),
)
def test_everything_is_as_over_slots(
    wanted: list[tuple[list[int], dict[str, Any]]],
    batch: int,
    chunk: int,
    arrive: int,
    memory: int,
    recorded: bool,
    lookahead: bool,
    cancel_after: int,
) -> None:
    """Beams, echo, prefixes, little memory and cancelled neighbours; unwritten pages are NaN."""

    def made() -> list[Any]:
        return [
            sequence(str(i), ids, **({} if "echo" in more and "num_beams" in more else more))
            for i, (ids, more) in enumerate(wanted)
        ]

    engine = paged_engine(
        max_batch_size=batch,
        max_batched_tokens=chunk,
        kv_cache_tokens=memory,
        lookahead=lookahead,
        **({"capture": Recorder()} if recorded else {}),
    )
    cache_of(engine).pages.memory.fill_(float("nan"))
    sequences, extra = made(), sequence("gone", [*DOCUMENTS[0][:40], 5], max_new_tokens=30)
    line, done = [extra, *sequences], []
    for steps in range(1000):
        for one in line[:arrive]:
            engine.add(one)
        line = line[arrive:]
        if steps == cancel_after:
            engine.cancel([extra])
        done += engine.step()
        check_references(engine)
        if not line and len([one for one in done if one is not extra]) == len(sequences):
            break
    expected = made()
    finish(make_engine(paged=False, prefix_caching=False), expected)
    for one, other in zip(sequences, expected, strict=True):
        assert (one.error, one.output_ids) == (None, other.output_ids)
        assert one.logprobs == pytest.approx(other.logprobs)
        assert one.prompt_logprobs[1:] == pytest.approx(other.prompt_logprobs[1:])


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3"])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("paged", [True, False])
def test_layers_of_every_kind(kind: str, fused: bool, paged: bool) -> None:
    model = tiny_model(kind)
    sequences, plain = (
        [sequence(str(n), DOCUMENTS[0][: 5 + 9 * n], max_new_tokens=6) for n in range(5)]
        for _ in range(2)
    )
    finish(make_engine(model, paged=paged, fused=fused, max_batched_tokens=30), sequences)
    finish(make_engine(model, paged=False, fused=False, prefix_caching=False), plain)
    assert [tuple(one.output_ids) for one in plain] == [
        reference(tuple(one.prompt_ids), 6, kind) for one in plain
    ]
    assert [one.output_ids for one in sequences] == [one.output_ids for one in plain]
    assert [one.error for one in sequences] == [None] * 5


def test_what_is_not_plain_is_not_fused() -> None:
    def fused(change: Any) -> bool:
        model = copy.deepcopy(tiny_model())
        change(model.model.layers[1])
        return can_fuse(model)

    assert fused(lambda layer: None)
    assert not fused(lambda layer: setattr(layer.mlp, "up_proj", torch.nn.Identity()))
    assert not fused(lambda layer: layer.mlp.register_forward_hook(lambda *_: None))
    assert not fused(lambda layer: setattr(layer.self_attn, "forward", print))
    assert not can_fuse(tiny_model("qwen3"))


def test_beams_share_their_prompt_and_copy_one_page() -> None:
    engine = paged_engine(max_batch_size=4, eos=frozenset())
    pages = cache_of(engine).pages
    copies: list[tuple[int, int]] = []
    copy, pages.copy = pages.copy, lambda a, b: (copies.append((a, b)), copy(a, b))  # type: ignore
    engine.add(sequence("a", DOCUMENTS[0][:50], max_new_tokens=14, num_beams=4))
    for _ in range(4):
        engine.step()
    tables = [row.slot for row in engine._scheduler._running]
    assert all(table.pages[:3] == tables[0].pages[:3] for table in tables)
    assert [pages.references(page_id) for page_id in tables[0].pages[:3]] == [4, 4, 4]
    assert copies
    assert all(target in table.pages[3:4] for _, target in copies for table in tables
               if target in table.pages)  # fmt: skip


def test_the_oldest_prefix_goes_first_when_memory_is_short() -> None:
    def reused(document: int, question: int) -> int:
        one = sequence(f"{document}/{question}", [*DOCUMENTS[document], 7 + question],
                       max_new_tokens=4)  # fmt: skip
        finish(engine, [one])
        assert_right([one])
        return one.reused_tokens

    engine = paged_engine(max_batch_size=2, kv_cache_tokens=10 * PAGE)
    assert [reused(0, 0), reused(1, 0)] == [0, 0]
    assert reused(0, 1) == 64
    assert reused(2, 0) == 0  # the other document makes way
    assert reused(0, 2) == 64
    assert reused(1, 1) < 64


def test_what_makes_a_sequence_fail_is_not_passed_on() -> None:
    engine = paged_engine(max_batch_size=3, max_batched_tokens=40)
    bad = [sequence(str(q), [*DOCUMENTS[0][:50], BAD, 1, 2, 3 + q]) for q in range(3)]
    good = [sequence(f"good {q}", [*DOCUMENTS[1], q], max_new_tokens=5) for q in range(3)]
    with Spoiling(not_finite_on_bad):
        finish(engine, [*bad, *good])
    assert all(isinstance(one.error, GenerationFailed) for one in bad)
    again = [sequence(f"again {n}", one.prompt_ids, max_new_tokens=4) for n, one in enumerate(bad)]
    finish(engine, again)
    assert_right([*good, *again])


def test_cancelling_one_leaves_the_others_their_document() -> None:
    engine = paged_engine(max_batch_size=8, eos=frozenset())
    sequences = [sequence(str(q), [*DOCUMENTS[0], q], max_new_tokens=12) for q in range(4)]
    for one in sequences:
        engine.add(one)
    while sum(len(one.output_ids) > 2 for one in sequences) < 4:
        engine.step()
    engine.cancel(sequences[:2])
    later = sequence("later", [*DOCUMENTS[0], 9], max_new_tokens=3)
    engine.add(later)
    done: list[Any] = []
    while len(done) < 3:
        done += engine.step()
        check_references(engine)
    assert set(done) == {*sequences[2:], later}
    assert later.reused_tokens == 64


def test_a_search_that_needs_more_than_there_is_waits_or_fails() -> None:
    """Where nothing else runs, what does not fit never will: it fails, and the rest goes on."""
    engine = paged_engine(max_batch_size=4, kv_cache_tokens=5 * PAGE, eos=EOS)
    search = sequence("search", DOCUMENTS[0][:40], max_new_tokens=30, num_beams=3)
    plain = sequence("plain", DOCUMENTS[0][:40], max_new_tokens=5)
    finish(engine, [plain, search])
    assert "no memory" in str(search.error)
    assert_right([plain])


def test_pages_are_given_out_once() -> None:
    pages = Pages([SHAPE], 6, page=4)
    first = pages.take(3)
    assert SCRATCH not in first
    assert pages.available == 2
    with pytest.raises(MemoryError, match="3 pages are needed and 2 are free"):
        pages.take(3)
    pages.retain(first[0])
    pages.release(first[0], keep=True)
    assert pages.available == 2
    for page_id in first:
        pages.release(page_id, keep=True)
    assert pages.available == 5
    evicted: list[int] = []
    pages.on_evict = evicted.append
    assert sorted(pages.take(5)) == [1, 2, 3, 4, 5]
    assert evicted == first  # those that were left first


def test_less_memory_than_was_thought() -> None:
    """The budget was an estimate: as much is taken as there is."""
    huge = LayerShape(2, 2**40, torch.float64, torch.device("cpu"))
    with pytest.raises(MemoryError):
        Pages([huge], 3)


def test_tables_of_the_device_follow() -> None:
    tables = TablePair(3, 4, torch.device("cpu"))
    rows = [tables.take_row() for _ in range(3)]
    assert sorted([*rows, tables.padding_row]) == [0, 1, 2, 3]
    tables.write(rows[1], [5, 6])
    assert not tables.device.any()
    tables.update()
    assert tables.device[rows[1]].tolist() == [5, 6, SCRATCH, SCRATCH]
    assert int((tables.device != SCRATCH).sum()) == 2
    tables.give_back(rows[1])
    assert tables.take_row() == rows[1]


class TestOutOfMemory:
    """A step that is too much is tried in halves, then in shorter pieces; no run is lost."""

    @staticmethod
    def limited(tokens: int, error: type[Exception]) -> Spoiling:
        def refuse(ids: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
            if ids.numel() > tokens:
                raise error("CUDA out of memory. Tried to allocate 20.00 MiB")
            return output

        return Spoiling(refuse)

    @pytest.mark.parametrize("lookahead", [False, True])
    @pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError, MemoryError, RuntimeError])
    def test_prompts_are_computed_in_shorter_pieces(
        self, error: type[Exception], lookahead: bool
    ) -> None:
        engine = paged_engine(max_batch_size=4, max_batched_tokens=200, lookahead=lookahead)
        sequences = [
            sequence(str(n), DOCUMENTS[n % 3][: 40 + n], max_new_tokens=4) for n in range(6)
        ]
        with self.limited(25, error):
            finish(engine, sequences)
        assert_right(sequences)
        assert engine._scheduler._step_tokens == SMALLEST_STEP

    def test_one_token_that_does_not_fit_fails_its_sequence(self) -> None:
        engine = paged_engine(max_batch_size=4)
        sequences = [sequence(str(n), [*range(5, 9 + n)], max_new_tokens=3) for n in range(3)]
        with self.limited(0, torch.cuda.OutOfMemoryError):
            finish(engine, sequences)
        assert all("out of memory" in str(one.error) for one in sequences)
        again = [sequence(str(n), [*range(5, 9 + n)], max_new_tokens=3) for n in range(3)]
        finish(engine, again)
        assert_right(again)


def test_sequences_start_in_bursts_where_decode_steps_are_replayed() -> None:
    """Between two bursts no step has a prompt in it, so that all of them are replayed."""
    recorder = Recorder()
    engine = paged_engine(max_batch_size=16, eos=frozenset(), capture=recorder)
    sequences = [
        sequence(str(n), DOCUMENTS[0][n : n + 9], max_new_tokens=4 + n % 5) for n in range(40)
    ]
    steps, done = 0, 0
    for one in sequences:
        engine.add(one)
    while done < 40:
        done += len(engine.step())
        steps += 1
    assert engine._scheduler._limits.burst == 2
    assert recorder.replays >= steps // 2
    waiting = paged_engine(max_batch_size=16, eos=frozenset())
    assert waiting._scheduler._limits.burst == 1  # nothing is replayed there


def test_the_budget_is_what_is_really_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch has reserved and nobody holds counts as free; what others hold does not."""
    cuda = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000 * 2**20, 0))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 700 * 2**20)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 300 * 2**20)
    layers = [LayerShape(2, 4, torch.float32, cuda)] * 2
    assert kv_tokens_that_fit(layers) == int(1400 * 2**20 * CUDA_SHARE) // (2 * 2 * 2 * 4 * 4)


def test_closing_gives_the_memory_back() -> None:
    engine = paged_engine()
    assert cache_of(engine).pages.memory.numel() > 0
    engine.close()
    assert cache_of(engine).pages.memory.numel() == 0


class TestTheBody:
    """Which body computes attention, and why not the other."""

    @pytest.fixture(autouse=True)
    def _a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))

    def test_too_old(self, caplog: pytest.LogCaptureFixture) -> None:
        shape = LayerShape(2, 4, torch.float16, torch.device("cuda", 0))
        assert choose_body(shape).name == "reference"
        assert caplog.messages == [
            "Attention on cuda:0 runs in torch's operations, which is slower: the GPU has compute "
            "capability 7.5, and the Triton kernels need 8.0."
        ]

    def test_no_triton(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
        monkeypatch.setattr(bodies, "find_spec", lambda name: None)
        shape = LayerShape(2, 4, torch.bfloat16, torch.device("cuda", 0))
        assert choose_body(shape).name == "reference"
        assert "the package triton is missing (pip install triton)" in caplog.text

    def test_float64(self, caplog: pytest.LogCaptureFixture) -> None:
        shape = LayerShape(2, 4, torch.float64, torch.device("cuda", 0))
        assert choose_body(shape).name == "reference"
        assert "compute in float32" in caplog.text

    def test_a_cpu(self, caplog: pytest.LogCaptureFixture) -> None:
        assert choose_body(SHAPE).name == "reference"
        assert not caplog.messages
