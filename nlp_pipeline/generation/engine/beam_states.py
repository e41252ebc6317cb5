"""A beam as a running sequence of the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nlp_pipeline.generation.engine.hypotheses import Candidate, Hypothesis
from nlp_pipeline.generation.engine.sampling.candidates import CandidateTable
from nlp_pipeline.generation.engine.sequence_state import SequenceState

if TYPE_CHECKING:
    from nlp_pipeline.generation.engine.beam_search import BeamGroup


@dataclass(slots=True, eq=False)
class BeamState(SequenceState):
    """The state of a beam that has one hypothesis of its group, or waits for one.

    Attributes:
        group: The search it is a part of.
        hypothesis: What it has.
        waiting: It has no hypothesis to go on with.
        candidate_table: Where its candidates are after a step; None before the first.
        candidate_row: Which row of it.
    """

    group: BeamGroup = field(kw_only=True)
    hypothesis: Hypothesis = field(default_factory=Hypothesis, kw_only=True)
    waiting: bool = field(default=False, kw_only=True)
    candidate_table: CandidateTable | None = field(default=None, kw_only=True)
    candidate_row: int = field(default=0, kw_only=True)

    @property
    def pending(self) -> int:
        """See `SequenceState.pending`."""
        return 0 if self.waiting else len(self.tokens) - self.slot.computed

    @property
    def candidates(self) -> list[Candidate]:
        """The best continuations of its hypothesis; read from the device the first time."""
        return [] if self.candidate_table is None else self.candidate_table.of(self.candidate_row)

    def append_token(self, token: int, logprob: float, top: list[tuple[int, float]]) -> None:
        """Tells the group what may come next."""
        self.group.collect(self)

    def assign(self, hypothesis: Hypothesis) -> None:
        """Goes on with this hypothesis, whose keys and values but the last token's are there."""
        self.tokens = [*self.sequence.prompt_ids, *hypothesis.output_ids]
        self.hypothesis = hypothesis
        self.waiting = False
