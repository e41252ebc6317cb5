"""What one sequence computes in one step."""

from __future__ import annotations

from dataclasses import dataclass

from nlp_pipeline.generation.engine.sequence_state import SequenceState


@dataclass(frozen=True, slots=True)
class ScheduledTokens:
    """What a sequence computes in one step: its next `length` tokens."""

    state: SequenceState
    length: int

    @property
    def start(self) -> int:
        """Position of its first token."""
        return self.state.computed

    @property
    def end(self) -> int:
        """One past the position of its last token."""
        return self.state.computed + self.length

    @property
    def unread(self) -> bool:
        """Whether its one token is on the device only."""
        return self.start == len(self.state.tokens)

    @property
    def tokens(self) -> list[int]:
        """Its token ids; 0 for one that is on the device only."""
        return [0] if self.unread else self.state.tokens[self.start : self.end]

    @property
    def last(self) -> bool:
        """Whether the next token can be chosen after it."""
        return self.length == self.state.pending
