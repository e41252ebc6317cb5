"""A request on its way through the model: token ids only, and the executor that advances it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nlp_pipeline.errors import NlpPipelineError
    from nlp_pipeline.generation.constraints.constraint import BoundConstraint
    from nlp_pipeline.generation.engine.hypotheses import Hypothesis
    from nlp_pipeline.generation.interface import FinishReason, SamplingParams


@dataclass(slots=True, eq=False)
class Sequence:
    """The bookkeeping of one sample of one request. Only an executor writes to it.

    Attributes:
        request_id: Whose sequence this is.
        prompt_ids: The encoded prompt; never empty, shorter than the context.
        params: How to sample and when to stop.
        sample: 0-based index among the samples of its request; its seed is `seed + sample`.
        group: Sequences of one group share a long common prefix.
        constraint: Says which tokens may come next; None allows all.
        position: Place of its document in its stream; of those that wait, the lowest goes first.
        chat: Whether the prompt is a chat, in whose answer there may be reasoning.
        answer_stop: Texts that cut the answer after a reasoning which the prompt has opened; in
            the reasoning they mean nothing, so that `params` then has none.
        opened: Whether the prompt has opened a block of reasoning.
        output_ids: Tokens so far, a final end-of-sequence token included.
        unread: Tokens that the device has chosen beyond these and the host does not know yet.
        logprobs: One per output token, of the unscaled, unmasked distribution.
        top: Per output token the (token id, log-probability) pairs that `logprobs` asked for.
        prompt_logprobs: Filled where `echo` asks; None for the first token.
        reused_tokens: Prompt tokens whose keys and values were not computed again.
        finish_reason: None while running.
        stopped_by_token: The last output token is an end-of-sequence token.
        hypotheses: Those that a search has ended, best first, as many as `num_hypotheses` asks for.
        masked_logprob: Where a search was done: the sum of the log-probabilities of the output
            tokens in the distribution that the constraint left.
        error: Set together with `finish_reason="error"`.
    """

    request_id: str
    prompt_ids: list[int]
    params: SamplingParams
    sample: int = 0
    group: str | None = None
    constraint: BoundConstraint | None = None
    position: int = 0
    chat: bool = False
    answer_stop: tuple[str, ...] = ()
    opened: bool = False
    output_ids: list[int] = field(default_factory=list)
    unread: int = 0
    logprobs: list[float] = field(default_factory=list)
    top: list[list[tuple[int, float]]] = field(default_factory=list)
    prompt_logprobs: list[float | None] = field(default_factory=list)
    reused_tokens: int = 0
    finish_reason: FinishReason | None = None
    stopped_by_token: bool = False
    masked_logprob: float | None = None
    hypotheses: list[Hypothesis] = field(default_factory=list)
    error: NlpPipelineError | None = None

    def fail(self, error: NlpPipelineError) -> None:
        """Ends the sequence with an error."""
        self.finish_reason, self.error = "error", error

    def reset(self) -> None:
        """Back to the state before the first token, to be tried again."""
        for tokens in (self.output_ids, self.logprobs, self.top, self.prompt_logprobs):
            tokens.clear()
        self.hypotheses = []
        self.reused_tokens, self.stopped_by_token, self.masked_logprob = 0, False, None
        self.finish_reason, self.error = None, None


class Executor(Protocol):
    """Advances sequences through the model; knows nothing of texts, requests or sessions."""

    @property
    def room(self) -> int:
        """How many more sequences it is worth adding now; 0 when the waiting line is full."""
        ...

    def add(self, sequence: Sequence) -> None:
        """Puts a sequence in the waiting line."""
        ...

    def step(self) -> list[Sequence]:
        """Does one piece of work and returns the sequences that finished in it.

        Never raises for a single sequence: that one comes back with its `error` set.
        """
        ...

    def cancel(self, sequences: list[Sequence]) -> None:
        """Forgets sequences that nobody waits for any more; `step` never returns them."""
        ...

    def close(self) -> None:
        """Gives memory back; nothing is added afterwards."""
        ...
