"""A beam as a row of the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nlp_pipeline.generation.constraints.mask import allowed_tokens
from nlp_pipeline.generation.engine.hypotheses import Candidate, Hypothesis
from nlp_pipeline.generation.engine.sequence_state import SequenceState
from nlp_pipeline.generation.sequence import Sequence

if TYPE_CHECKING:
    from nlp_pipeline.generation.engine.beam_search import BeamGroup


class CandidateSampler:
    """The sampler of one beam: it notes the best candidates, and leaves the choice to the group.

    Args:
        width: How many.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self.hypothesis = Hypothesis()
        self.candidates: list[Candidate] = []

    def choose(self, logits: Tensor, likeliest: Tensor, sequences: list[Sequence]) -> Tensor:
        """See `Sampler.choose`; one row. Only the allowed logits are read, nothing is masked."""
        (scores,), (sequence,) = logits, sequences
        allowed = allowed_tokens(sequence, self.hypothesis.output_ids)
        ids = None if allowed is None else allowed[allowed < len(scores)].to(scores.device)
        picked = scores if ids is None else scores[ids]
        best = picked.topk(min(self._width, len(picked)))
        tokens = best.indices if ids is None else ids[best.indices]
        table = torch.stack(
            [
                tokens.to(scores.dtype),
                best.values - scores.logsumexp(-1),
                best.values - picked.logsumexp(-1),
            ],
            dim=1,
        )
        self.candidates = [Candidate(int(row[0]), row[1], row[2]) for row in table.tolist()]
        return tokens[:1]


@dataclass(slots=True, eq=False)
class BeamState(SequenceState):
    """A row that holds one hypothesis of its group, or waits for one.

    Attributes:
        group: The search it is a part of.
        looking: Its sampler.
        waiting: It has no hypothesis to go on with.
    """

    group: BeamGroup = field(kw_only=True)
    looking: CandidateSampler = field(kw_only=True)
    waiting: bool = field(default=False, kw_only=True)

    @property
    def pending(self) -> int:
        """See `SequenceState.pending`."""
        return 0 if self.waiting else len(self.tokens) - self.slot.computed

    def book(self, token: int, logprob: float, top: list[tuple[int, float]]) -> None:
        """Tells the group what may come next."""
        self.group.heard(self)

    def hold(self, hypothesis: Hypothesis) -> None:
        """Goes on with this hypothesis, whose keys and values but the last token's are there."""
        self.tokens = [*self.sequence.prompt_ids, *hypothesis.output_ids]
        self.looking.hypothesis = hypothesis
        self.waiting = False

    def copy(self, parent: BeamState) -> None:
        """Takes over the parent's keys and values; those of the prompt only the first time."""
        mine, theirs = self.slot, parent.slot
        start = min(mine.computed, len(self.sequence.prompt_ids))
        mine.copy_from(theirs, start, theirs.computed)
        mine.computed = theirs.computed
