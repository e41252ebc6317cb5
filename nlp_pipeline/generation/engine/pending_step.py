"""A step on its way: queued on the device, its results not read by the host yet."""

from __future__ import annotations

from torch import Tensor

from nlp_pipeline.generation.engine.sampling.choices import Choice, Choices
from nlp_pipeline.generation.engine.sampling.sampler import looks_back
from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens
from nlp_pipeline.generation.engine.sequence_state import SequenceState
from nlp_pipeline.generation.engine.transfer import HostCopy, upload


class PendingStep:
    """What was launched, and what comes of it. The sequences know of it from `mark_launched` on.

    Args:
        chunks: What is computed.
        states: Of the sequences that get their next token, one per choice.
        choices: The tokens; None where no sequence gets one.
        scores: Of prompt tokens, where `echo` asks for them, with the sequence that they are of.
    """

    def __init__(
        self,
        chunks: list[ScheduledTokens],
        states: list[SequenceState],
        choices: Choices | None,
        scores: list[tuple[SequenceState, Tensor]],
    ) -> None:
        self._chunks = chunks
        self._states = states
        self._choices = choices
        self._scores = [(state, HostCopy(tensor)) for state, tensor in scores]
        self._places = {state: place for place, state in enumerate(states)}
        self._dropped: set[SequenceState] = set()
        self._read: list[Choice] = []

    @property
    def looks_back(self) -> bool:
        """Whether the next choice of one of its sequences needs this one's token on the host."""
        return any(looks_back(state.sampler) for state in self._states)

    def fill_in(self, ids: Tensor, unread: dict[int, SequenceState]) -> None:
        """Puts tokens chosen here where the next step needs them, without reading them.

        Args:
            ids: Shape (T,). Written to.
            unread: Places in it, and the sequences whose last token belongs there.
        """
        if unread and self._choices is not None:
            places = [list(unread), [self._places[state] for state in unread.values()]]
            to, source = upload(places, ids.device)
            ids.index_copy_(0, to, self._choices.tokens[source].to(ids.dtype))

    def place_of(self, state: SequenceState) -> int:
        """Which of the chosen tokens is a sequence's."""
        return self._places[state]

    def mark_launched(self) -> None:
        """Tells the sequences: their tokens count as computed, and the next ones as chosen."""
        for chunk in self._chunks:
            chunk.state.slot.computed += chunk.length
        for state in self._states:
            state.sequence.unread += 1

    def drop_ended(self) -> None:
        """Leaves out what has ended with the step before: it was computed for nothing."""
        for chunk in self._chunks:
            state = chunk.state
            if state.finished:
                state.slot.computed = max(0, state.slot.computed - chunk.length)
                state.sequence.unread = 0
                self._dropped.add(state)

    def read(self) -> None:
        """Waits until the results have come over. Raises what the device has to complain of."""
        self._read = self._choices.read() if self._choices is not None else []
        for _, scores in self._scores:
            scores.read()

    def append_tokens(self) -> None:
        """Writes what was read to the states and their sequences."""
        for state, scores in self._scores:
            if state not in self._dropped:
                state.sequence.prompt_logprobs += scores.read().tolist()
        for state, choice in zip(self._states, self._read, strict=True):
            if state not in self._dropped:
                state.sequence.unread -= 1
                state.append_token(choice.token, choice.logprob, choice.top)


def no_step() -> PendingStep:
    """What is on its way before the first step."""
    return PendingStep([], [], None, scores=[])
