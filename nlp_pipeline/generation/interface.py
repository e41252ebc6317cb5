"""What goes into a generator and what comes out: the one interface of every backend.

Nothing here knows how text is generated; nothing outside this room knows it either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from nlp_pipeline.generation.chat import Prompt
from nlp_pipeline.generation.sampling_params import SamplingParams as SamplingParams

if TYPE_CHECKING:
    from nlp_pipeline.errors import NlpPipelineError
    from nlp_pipeline.generation.constraints.constraint import Constraint

FinishReason = Literal["stop", "length", "error"]
"""`stop`: an end-of-sequence token or a stop string; `length`: `max_new_tokens` reached."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt to be completed.

    Attributes:
        id: Names the request in its completion; unique among the requests in flight.
        prompt: What to complete.
        params: How.
        group: Requests of one group (a document) share a long common prefix; a generator may
            use that and never has to.
        constraint: Says what may be generated; the in-process Llama obeys it, a server the pieces
            of a document, given texts and JSON schemas.
        position: 0-based place of its document in its stream: of the requests that wait, those of
            earlier documents are served first.
    """

    id: str
    prompt: Prompt
    params: SamplingParams = field(default_factory=SamplingParams)
    group: str | None = None
    constraint: Constraint | None = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class TokenAlternative:
    """A token the model could have chosen, with its log-probability (natural logarithm)."""

    token_id: int
    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class EndedHypothesis:
    """A text that a search has ended, as `Completion` has the best of them.

    Attributes:
        text: Without what ended it.
        token_ids: Its tokens, likewise.
        logprobs: One per token, of the unmasked distribution.
        stop_logprob: That of the token that ended it; None where the budget did.
        masked_logprob: Sum of the log-probabilities of all tokens, that of the stop included, in
            the distribution that the constraint left.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stop_logprob: float | None
    masked_logprob: float

    @property
    def score(self) -> float:
        """The sum of the log-probabilities, that of the stop included."""
        return sum(self.logprobs) + (self.stop_logprob or 0.0)


@dataclass(frozen=True, slots=True)
class Completion:
    """What became of one request (of one of its samples, where `n` asked for several).

    Attributes:
        request_id: The `id` of the request.
        text: The completion, cut before the end-of-sequence token and before a stop string.
        token_ids: The tokens of the completion, without the end-of-sequence token.
        logprobs: One per token of `token_ids`: the log-probability in the model's own
            distribution, unscaled and unmasked. Empty where a backend knows none.
        stop_logprob: That of the token that ended it (end of sequence, or the constraint's); None
            where something else ended it.
        finish_reason: Why it ended.
        prompt_tokens: Length of the encoded prompt.
        reused_tokens: How many of these were not computed again (prefix sharing).
        output_tokens: Tokens generated, the end-of-sequence token and the reasoning counted.
        top_logprobs: Per token the likeliest alternatives, where `logprobs` asked for them.
        prompt_token_ids: The prompt's tokens, where `echo` asked for them.
        prompt_logprobs: Their log-probabilities (the first has none), where `echo` asked.
        masked_logprob: Where a constraint was searched: the sum of the log-probabilities of all
            output tokens, that of the stop included, in the distribution that the constraint
            left. Says little about an answer: the unmasked ones tell how sure the model is.
        hypotheses: Of a search: those that have ended, best first, this one among them; as many as
            `num_hypotheses` asked for, none where it asked for one.
        sample: 0-based index among the `n` samples of the request.
        error: What went wrong, where `finish_reason` is `"error"`; else None.
        reasoning: What the model wrote before its answer in a block of reasoning; no part of
            `text`, `token_ids` and `logprobs`.
        reasoning_tokens: How many of the output tokens are of the reasoning; 0 where there is none
            or the backend does not know.
    """

    request_id: str
    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    reused_tokens: int = 0
    output_tokens: int = 0
    top_logprobs: tuple[tuple[TokenAlternative, ...], ...] = ()
    prompt_token_ids: tuple[int, ...] = ()
    prompt_logprobs: tuple[float | None, ...] = ()
    sample: int = 0
    error: NlpPipelineError | None = None
    stop_logprob: float | None = None
    masked_logprob: float | None = None
    reasoning: str = ""
    reasoning_tokens: int = 0
    hypotheses: tuple[EndedHypothesis, ...] = ()

    @classmethod
    def failed(
        cls, request_id: str, error: NlpPipelineError, prompt_tokens: int = 0, sample: int = 0
    ) -> Completion:
        """The completion of a request that could not be served; the others go on."""
        return cls(
            request_id,
            "",
            token_ids=(),
            logprobs=(),
            finish_reason="error",
            prompt_tokens=prompt_tokens,
            sample=sample,
            error=error,
        )


@dataclass(frozen=True, slots=True)
class GeneratorInfo:
    """Who generates: what the manifest, the tables and `nlp-pipeline info` say of it.

    Attributes:
        backend: The registered name, such as `"nlp_pipeline.Llama.v1"`.
        model: The model as the user named it.
        max_seq_len: Tokens of prompt and completion together that fit; None if unknown.
        details: Digests, device, dtype and whatever else can change an answer; JSON values.
    """

    backend: str
    model: str
    max_seq_len: int | None
    details: Mapping[str, Any]


class Session(Protocol):
    """One caller's stream of requests. Sessions of one generator share its batches."""

    @property
    def room(self) -> int:
        """How many more requests it is worth submitting before the next `step`.

        At least 1 while nothing is running: a stream can always go on, whatever others do.
        """
        ...

    @property
    def running(self) -> int:
        """How many completions are still to come."""
        ...

    def submit(self, request: GenerationRequest) -> None:
        """Takes a request in. One that cannot be served completes with an `error`, `n` times."""
        ...

    def step(self) -> list[Completion]:
        """Does some work and returns the completions of this session that it finished.

        May return none; never blocks when nothing is running. An exception means that the
        generator itself is unusable, not a request.
        """
        ...

    def close(self) -> None:
        """Drops what is still running. Safe to call twice."""
        ...


@runtime_checkable
class Generator(Protocol):
    """Completes prompts. In-process engine, server and echo backends all look like this.

    One that obeys every constraint may say so by an attribute `obeys_constraints`, and one that
    knows how wide a beam search it can do, by `max_num_beams`. One that cannot do everything has
    a `backend` and `refused_settings`: settings of `SamplingParams` or of components by name, with
    the reason. Such a setting is refused before anything is connected or loaded.
    """

    @property
    def info(self) -> GeneratorInfo:
        """Describes the model and its settings; may load the model."""
        ...

    def count_tokens(self, prompt: Prompt) -> int:
        """Length of the encoded prompt in model tokens, the template's included."""
        ...

    def session(self) -> Session:
        """Opens a stream of requests. May load the model."""
        ...

    def close(self) -> None:
        """Frees the model's memory or the server's connections. Safe to call twice."""
        ...


def generate(generator: Generator, requests: Iterable[GenerationRequest]) -> Iterator[Completion]:
    """Completes a stream of requests, in the order in which they finish.

    Requests are pulled as there is room for them, so the stream may be endless; each completes
    exactly once (`n` times where it asks for `n` samples).
    """
    session = generator.session()
    source, exhausted = iter(requests), False
    try:
        while not exhausted or session.running:
            while not exhausted and session.room > 0:
                request = next(source, None)
                if request is None:
                    exhausted = True
                else:
                    session.submit(request)
            yield from session.step()
    finally:
        session.close()
