"""The state of one running sequence: its tokens, its slot, how it samples and when it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nlp_pipeline.errors.generation import GenerationFailed
from nlp_pipeline.generation.engine.sampling.sampler import Sampler
from nlp_pipeline.generation.sequence import Sequence
from nlp_pipeline.generation.stopping import StopRule, stop_token_ids


@dataclass(slots=True, eq=False)
class SequenceState:
    """A sequence in a slot.

    Attributes:
        sequence: Written to by `append_token`.
        slot: A `KVSlot`: where its keys and values are; `slot.computed` tokens of it so far.
        sampler: How its next token is chosen; rows that sample alike share one.
        stop: When it ends.
        tokens: Prompt and output. All but the last of them get keys and values.
    """

    sequence: Sequence
    slot: Any
    sampler: Sampler
    stop: StopRule
    tokens: list[int]

    @classmethod
    def start(
        cls,
        sequence: Sequence,
        slot: Any,
        *,
        sampler: Sampler,
        eos_token_ids: frozenset[int],
        token_bytes: Callable[[int], bytes],
        max_seq_len: int,
    ) -> SequenceState:
        """Puts a sequence in a slot. What the slot shares with it already counts as reused."""
        budget = min(sequence.params.max_new_tokens, max_seq_len - len(sequence.prompt_ids))
        ends = eos_token_ids | stop_token_ids(sequence.constraint)
        stop = StopRule(sequence.params.stop, budget, ends, token_bytes=token_bytes)
        sequence.reused_tokens = slot.computed
        return cls(sequence, slot, sampler=sampler, stop=stop, tokens=list(sequence.prompt_ids))

    @property
    def computed(self) -> int:
        """Tokens whose keys and values are in the slot."""
        computed: int = self.slot.computed
        return computed

    @property
    def pending(self) -> int:
        """Tokens to be computed before the next one can be chosen: 1 while decoding.

        0 where the token that the host does not know yet is bound to be the last.
        """
        unread = self.sequence.unread
        if unread and self.stop.left <= unread:
            return 0
        return len(self.tokens) + unread - self.computed

    @property
    def finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.sequence.finish_reason is not None

    def append_token(self, token: int, logprob: float, top: list[tuple[int, float]]) -> None:
        """Appends a token and ends the sequence where it ends."""
        sequence = self.sequence
        if math.isnan(logprob):
            self.fail("the model's probabilities are not finite numbers")
            return
        self.tokens.append(token)
        sequence.output_ids.append(token)
        sequence.logprobs.append(logprob)
        if sequence.params.logprobs:
            sequence.top.append(top)
        sequence.finish_reason = self.stop.after(token)
        sequence.stopped_by_token = token in self.stop.eos_token_ids

    def fail(self, reason: str) -> None:
        """Ends the sequence with an error; what its slot holds is not to be trusted."""
        self.sequence.fail(GenerationFailed(" ".join(reason.split())[:300]))
        self.slot.mark_suspect()
