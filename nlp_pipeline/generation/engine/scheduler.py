"""Who runs: the waiting line, the slots, and what each running sequence computes in a step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nlp_pipeline.errors.generation import GenerationFailed, PromptTooLong, TooManyBeams
from nlp_pipeline.generation.engine.beam_search import BeamGroup, beams_of
from nlp_pipeline.generation.engine.kv_cache.kv_protocols import KVCache
from nlp_pipeline.generation.engine.kv_cache.slot_cache import WORTH_SHARING
from nlp_pipeline.generation.engine.sampling.sampler import sampler_for
from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens
from nlp_pipeline.generation.engine.sequence_state import SequenceState
from nlp_pipeline.generation.sequence import Sequence

SMALLEST_STEP = 64
"""Tokens of a step where the device has run out of memory again and again."""

LINE = 4
"""So many batches' worth of sequences wait at a time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a step and a sequence.

    Attributes:
        max_batch_size: Sequences that run together.
        max_batched_tokens: Tokens in a forward pass, decoding sequences counted.
        max_seq_len: Tokens of prompt and completion together.
        eos_token_ids: Tokens that end a sequence.
        token_bytes: The bytes a token stands for.
        burst: New sequences start when so many more may run, or none runs.
    """

    max_batch_size: int
    max_batched_tokens: int
    max_seq_len: int
    eos_token_ids: frozenset[int]
    token_bytes: Callable[[int], bytes]
    burst: int = 1


class Scheduler:
    """Decides what the next step computes.

    Waiting sequences are ordered in windows of a batch's worth, the oldest documents first. In a
    window the longest come first, so that none is left over at the end, and a group's together, so
    that its prefix is there when they come. A window is emptied before the next begins; what comes
    meanwhile of a document that is older than the youngest in it, such as a document's second
    round of questions, joins it. So a sequence waits for no more than a window of younger
    documents, however many rounds and places it needs.
    """

    def __init__(self, limits: Limits, cache: KVCache) -> None:
        self._limits = limits
        self._cache = cache
        self._step_tokens = limits.max_batched_tokens
        self._line: deque[Sequence] = deque()
        self._window: list[Sequence] = []
        self._running: list[SequenceState] = []
        self._refused: list[Sequence] = []

    @property
    def room(self) -> int:
        """How many more sequences the waiting line takes."""
        waiting = len(self._line) + len(self._window)
        return max(0, LINE * self._limits.max_batch_size - waiting)

    def add(self, sequence: Sequence) -> None:
        """To the end of the line, unless it can never fit."""
        length = len(sequence.prompt_ids)
        if length >= self._limits.max_seq_len:
            sequence.fail(PromptTooLong(length, self._limits.max_seq_len))
            self._refused.append(sequence)
        elif beams_of(sequence) > self._limits.max_batch_size:
            sequence.fail(TooManyBeams(beams_of(sequence), self._limits.max_batch_size))
            self._refused.append(sequence)
        elif self._window and sequence.position < max(s.position for s in self._window):
            self._window.insert(self._place_in_window(sequence), sequence)
        else:
            self._line.append(sequence)

    def cancel(self, sequences: list[Sequence]) -> None:
        """Drops sequences, whether they wait or run."""
        cancelled = set(sequences)
        self._line = deque(s for s in self._line if s not in cancelled)
        self._window = [s for s in self._window if s not in cancelled]
        self._refused = [s for s in self._refused if s not in cancelled]
        for state in self._running:
            if state.sequence in cancelled:
                state.slot.zero()
                self._cache.release(state.slot, state.tokens)
        self._running = [state for state in self._running if state.sequence not in cancelled]

    def schedule(self) -> list[ScheduledTokens]:
        """Fills free places, then gives every decoding sequence a token and the rest to prefill."""
        self._admit()
        decoding = [ScheduledTokens(state, 1) for state in self._running if state.pending == 1]
        prefilling: list[ScheduledTokens] = []
        budget = max(1, self._step_tokens - len(decoding))
        for state in self._running:
            if state.pending > 1 and budget > 0:
                prefilling.append(ScheduledTokens(state, min(state.pending, budget)))
                budget -= prefilling[-1].length
        return decoding + prefilling

    def shrink_steps(self) -> None:
        """Schedules half as many tokens a step from now on: the last one was too much."""
        self._step_tokens = max(SMALLEST_STEP, self._step_tokens // 2)

    def retire(self) -> list[Sequence]:
        """Frees the slots of what ended and returns it."""
        ended = [state for state in self._running if state.finished]
        for state in ended:
            self._cache.release(state.slot, state.tokens)
        self._running = [state for state in self._running if not state.finished]
        finished, self._refused = (
            [*self._refused, *dict.fromkeys(state.sequence for state in ended)],
            [],
        )
        return finished

    def _admit(self) -> None:
        """Takes sequences from the window into free places.

        One that waits for a prefix keeps a place, so that the sequences of a document that is
        being computed are not overtaken by other documents.
        """
        if not self._window:
            self._open_window()
        places = self._limits.max_batch_size - len(self._running)
        waiting = len(self._window) + len(self._line)
        if self._running and places < min(self._limits.burst, waiting):
            return
        for sequence in list(self._window):
            beams = beams_of(sequence)
            places -= max(1, beams)
            if places < 0:
                return
            match = self._cache.match(sequence)
            if match.promised - match.shared >= WORTH_SHARING:
                continue
            slots = self._cache.allocate(sequence, match, beams, self._running, self._window)
            if slots is None and self._running:
                return
            self._window.remove(sequence)
            self._start(sequence, slots, beams)

    def _place_in_window(self, sequence: Sequence) -> int:
        """Behind the last of the same or an older document."""
        older = [i for i, s in enumerate(self._window) if s.position <= sequence.position]
        return older[-1] + 1 if older else 0

    def _open_window(self) -> None:
        """Takes over a batch's worth of the line, whole documents, the longest group first.

        Of requests that name no documents it takes over all.
        """
        if not self._line:
            return
        positions = sorted(sequence.position for sequence in self._line)
        youngest = positions[: self._limits.max_batch_size][-1]
        chosen = [s for s in self._line if s.position <= youngest]
        self._line = deque(s for s in self._line if s.position > youngest)
        longest: dict[str, int] = {}
        for sequence in chosen:
            group = _group(sequence)
            longest[group] = max(longest.get(group, 0), len(sequence.prompt_ids))
        self._window = sorted(
            chosen,
            key=lambda s: (-longest[_group(s)], _group(s), -len(s.prompt_ids)),
        )

    def _start(self, sequence: Sequence, slots: list[Any] | None, beams: int) -> None:
        limits = self._limits
        if slots is None:
            sequence.fail(GenerationFailed("there is no memory for its keys and values"))
            self._refused.append(sequence)
            return
        if beams:
            group = BeamGroup(
                sequence,
                slots,
                eos_token_ids=limits.eos_token_ids,
                token_bytes=limits.token_bytes,
                max_seq_len=limits.max_seq_len,
            )
            self._running += group.states
            return
        state = SequenceState.start(
            sequence,
            slots[0],
            sampler=sampler_for(sequence),
            eos_token_ids=limits.eos_token_ids,
            token_bytes=limits.token_bytes,
            max_seq_len=limits.max_seq_len,
        )
        if sequence.params.echo:
            sequence.prompt_logprobs.append(None)
        self._running.append(state)


def _group(sequence: Sequence) -> str:
    """Sequences of one group, or of one request, belong together."""
    return sequence.request_id if sequence.group is None else sequence.group
