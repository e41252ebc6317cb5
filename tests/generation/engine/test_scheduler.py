"""Who waits for whom: the oldest documents first, none overtaken by more than a window."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline.generation.engine.kv_cache.kv_protocols import PrefixMatch
from nlp_pipeline.generation.engine.scheduler import Limits, Scheduler
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.sequence import Sequence

BATCH = 4


class Slot:
    """Nothing: nothing is computed."""

    computed = 0


class Cache:
    """Has room for everything and shares nothing."""

    def match(self, sequence: Sequence) -> PrefixMatch:
        return PrefixMatch()

    def allocate(self, sequence: Sequence, match: PrefixMatch, beams: int, *_: Any) -> list[Slot]:
        return [Slot() for _ in range(max(1, beams))]

    def release(self, slot: Slot, tokens: list[int]) -> None:
        pass


class Sent(NamedTuple):
    """A sequence when it came: how many had started by then."""

    sequence: Sequence
    n_started: int


class Starts(Scheduler):
    """Notes the order in which sequences start."""

    def __init__(self) -> None:
        super().__init__(Limits(BATCH, 512, 1000, frozenset(), lambda _: b""), Cache())  # type: ignore[arg-type]
        self.started: list[Sequence] = []

    def _start(self, sequence: Sequence, slots: list[Any] | None, beams: int) -> None:
        super()._start(sequence, slots, beams)
        self.started.append(sequence)


def document(position: int, length: int, beams: int, round_: int = 0) -> Sequence:
    params = SamplingParams(num_beams=beams)
    name = f"{position}-{round_}"
    return Sequence(name, [7] * length, params, group=str(position), position=position)


documents = st.lists(
    st.tuples(st.integers(1, 99), st.sampled_from([1, 3, BATCH]), st.integers(1, 4)),
    min_size=1,
    max_size=20,
)


@settings(deadline=None, max_examples=50)
@given(documents, st.lists(st.integers(0, 99), max_size=60))
def test_no_sequence_is_overtaken_by_more_than_a_window(
    lengths: list[tuple[int, int, int]], ends: list[int]
) -> None:
    """Documents of many rounds, each sent when the last one has ended, in any order of the ends."""
    scheduler, drawn = Starts(), iter(ends)
    sent: list[Sent] = []
    rounds = {n: [document(n, *d[:2], r) for r in range(d[2])] for n, d in enumerate(lengths)}

    def send(sequence: Sequence) -> None:
        sent.append(Sent(sequence, len(scheduler.started)))
        scheduler.add(sequence)

    unseen = list(rounds)
    while len(scheduler.started) < sum(map(len, rounds.values())):
        while unseen and scheduler.room > 0:
            send(rounds[unseen.pop(0)][0])
        scheduler.schedule()
        running = list(dict.fromkeys(state.sequence for state in scheduler._running))
        ended = running[next(drawn, 0) % len(running)]
        ended.finish_reason = "stop"
        assert scheduler.retire() == [ended]
        number, following = ended.position, int(ended.request_id.split("-")[1]) + 1
        if following < len(rounds[number]):
            send(rounds[number][following])
    for sequence, n_started in sent:
        between = scheduler.started[n_started : scheduler.started.index(sequence)]
        assert sum(other.position > sequence.position for other in between) <= BATCH


def test_requests_without_documents_come_the_longest_first() -> None:
    scheduler = Starts()
    for length in (3, 9, 5, 7, 8, 1):
        scheduler.add(Sequence(str(length), [7] * length, SamplingParams()))
    scheduler.schedule()
    assert [sequence.request_id for sequence in scheduler.started] == ["9", "8", "7", "5"]
