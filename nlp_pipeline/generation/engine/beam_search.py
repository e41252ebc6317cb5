"""The search for one sequence: its beams, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice

from nlp_pipeline.generation.engine.beam_states import BeamState
from nlp_pipeline.generation.engine.hypotheses import Candidate, FinishedHypotheses, Hypothesis
from nlp_pipeline.generation.engine.kv_cache.kv_protocols import KVSlot
from nlp_pipeline.generation.engine.sampling.candidates import candidate_sampler
from nlp_pipeline.generation.sequence import Sequence
from nlp_pipeline.generation.stopping import StopRule, stop_token_ids


def beams_of(sequence: Sequence) -> int:
    """With how many beams a sequence is searched; 0 where tokens are taken one after the other.

    A constraint that says which tokens end it is searched even with one beam, which is greedy
    decoding with the scores of a search.
    """
    params = sequence.params
    if params.num_beams > 1:
        return params.num_beams
    plain = params.greedy and params.repetition_penalty == 1 and not params.stop
    if not plain or params.echo or params.logprobs:
        return 0
    return int(bool(stop_token_ids(sequence.constraint)))


class BeamGroup:
    """Beam search over the beams of one sequence (Graves, 2012; semantics of `transformers`).

    The first beam computes the prompt; the others wait and then take over its keys and values.
    At every step so many continuations of all beams are looked at that enough remain when all
    stops are among them. A stop ends a hypothesis only if it is among the best
    num_beams of these; under a constraint that names its stops any of them does, because a short
    piece is no worse for the long ones beside it.

    What the budget cuts off is an answer; under such a constraint only where none has ended,
    since a piece cut short lacks the score of its stop.

    Args:
        sequence: Written to when the search is over.
        slots: One per beam, the first of which may hold a part of the prompt.
        eos_token_ids: Tokens that end a hypothesis.
        token_bytes: The bytes a token stands for.
        max_seq_len: Tokens of prompt and completion together.
    """

    def __init__(
        self,
        sequence: Sequence,
        slots: list[KVSlot],
        *,
        eos_token_ids: frozenset[int],
        token_bytes: Callable[[int], bytes],
        max_seq_len: int,
    ) -> None:
        self._sequence = sequence
        self._num_beams = len(slots)
        self._length_penalty = sequence.params.length_penalty
        own = stop_token_ids(sequence.constraint)
        self._pieces = bool(own)
        self._stops = eos_token_ids | own
        budget = min(sequence.params.max_new_tokens, max_seq_len - len(sequence.prompt_ids))
        self._budget = budget
        limit = sequence.params.num_hypotheses
        self._ended = FinishedHypotheses(self._num_beams, self._length_penalty, limit)
        self._cut_off = FinishedHypotheses(self._num_beams, self._length_penalty)
        self._collected: list[BeamState] = []
        stop = StopRule((), budget, self._stops, token_bytes=token_bytes)
        self._width = (1 + max(1, len(self._stops))) * self._num_beams
        self.states = [self._state(slot, stop) for slot in slots]
        for state in self.states[1:]:
            state.waiting = True
        sequence.reused_tokens = slots[0].computed

    def _state(self, slot: KVSlot, stop: StopRule) -> BeamState:
        tokens = list(self._sequence.prompt_ids)
        return BeamState(
            self._sequence,
            slot,
            sampler=candidate_sampler(self._width),
            stop=stop,
            tokens=tokens,
            group=self,
        )

    def collect(self, state: BeamState) -> None:
        """One beam knows its candidates; the last of them lets the search advance."""
        if state.finished:  # another beam has failed
            return
        if any(math.isnan(candidate.logprob) for candidate in state.candidates):
            state.fail("the model's probabilities are not finite numbers")
            return
        self._collected.append(state)
        if len(self._collected) == sum(not state.waiting for state in self.states):
            # In a fixed order, whatever stood where in the batch.
            beams, self._collected = [state for state in self.states if not state.waiting], []
            self._advance(beams)

    def _advance(self, beams: list[BeamState]) -> None:
        following: list[tuple[BeamState, Hypothesis]] = []
        for rank, (state, candidate) in enumerate(self._best(beams)):
            hypothesis = state.hypothesis.extended(candidate)
            if candidate.token in self._stops:
                if rank < self._num_beams or self._pieces:
                    self._ended.add(hypothesis)
            elif len(hypothesis.output_ids) < self._budget:
                following.append((state, hypothesis))
            elif rank < self._num_beams:
                (self._cut_off if self._pieces else self._ended).add(hypothesis)
        del following[self._num_beams :]
        if not following or self._ended.beats(following[0][1]):
            self._finish()
        else:
            self._fork(following)

    def _best(self, beams: list[BeamState]) -> list[tuple[BeamState, Candidate]]:
        """The best continuations of all beams; of equals that of the better beam."""
        pairs = [(state, candidate) for state in beams for candidate in state.candidates]
        pairs.sort(key=lambda pair: -(pair[0].hypothesis.score + pair[1].logprob))
        return pairs[: self._width]

    def _fork(self, following: list[tuple[BeamState, Hypothesis]]) -> None:
        """A parent's first child stays where it is; the others go to beams that wait."""
        parents = {parent for parent, _ in following}
        free = (state for state in self.states if state not in parents)
        settled: set[BeamState] = set()
        for parent, hypothesis in following:
            state = parent
            if parent in settled:
                (state,) = islice(free, 1)
                state.slot.fork(parent.slot)
            settled.add(state)
            state.assign(hypothesis)
        for state in self.states:
            state.waiting = state not in settled
        self.states.sort(key=lambda state: (state.waiting, -state.hypothesis.score))

    def _finish(self) -> None:
        """Writes the best hypothesis to the sequence."""
        sequence, best = self._sequence, self._ended.best or self._cut_off.best
        sequence.hypotheses = self._ended.ranked(sequence.params.num_hypotheses)
        assert best is not None, "a search that goes on nowhere has ended somewhere"
        sequence.output_ids = list(best.output_ids)
        sequence.logprobs = list(best.logprobs)
        sequence.masked_logprob = best.masked
        sequence.stopped_by_token = best.output_ids[-1] in self._stops
        sequence.finish_reason = "stop" if sequence.stopped_by_token else "length"
